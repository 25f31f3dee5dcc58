"""Self-refinement in rounds: train, sample the student, learn from its failures, train again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pyarrow.parquet as pq
from rich.console import Console
from rich.table import Table

from pad_ray.base.config import Settings, resolve, resolve_all, validate, validate_with
from pad_ray.base.intervals import paired_gain
from pad_ray.evaluation.repair_accounting import attempts_of, print_repairs
from pad_ray.evaluation.run import evaluate_student, problem_set_name
from pad_ray.evaluation.settings import EvaluationRun, EvaluationSettings
from pad_ray.flow.stages import read_manifest, stage_folder, write_json
from pad_ray.pipeline.refinement.settings import RefinementSettings, SamplingRun
from pad_ray.synthesis.repairs.failures import collect_failures
from pad_ray.synthesis.repairs.injections.run import inject_errors
from pad_ray.synthesis.repairs.settings import FailureSettings, InjectionSettings
from pad_ray.synthesis.run import synthesize
from pad_ray.synthesis.settings import SynthesisSettings
from pad_ray.tasks import get_task
from pad_ray.training.settings import TrainingSettings
from pad_ray.training.student import train

S = TypeVar("S", bound=Settings)


@dataclass(frozen=True)
class Round:
    """One round's student, and its evaluations."""

    number: int
    student: Path
    evaluations: list[Path]


def refine(settings: RefinementSettings) -> list[dict[str, Any]]:
    """Run the rounds that are not complete; return a row a round and problem set."""
    out = resolve(settings.out)
    data = resolve_all(settings.data)
    repairs = [_inject(settings, data, out)]
    rounds: list[Round] = []
    for number in range(settings.rounds + 1):
        if rounds:
            repairs.append(_collect(settings, rounds[-1], data, out))
        student = _train(settings, rounds, [*data, *repairs], out)
        tests = [_evaluate(run, student, number, out) for run in settings.evaluation]
        rounds.append(Round(number, student, tests))
    rows = [row for r in rounds for row in _rows(r, rounds[0], settings.evaluation)]
    write_json(out / "rounds.json", rows)
    print_rounds(rows)
    print(f"refine: figures in {out / 'rounds.json'}, the last student in {rounds[-1].student}")
    return rows


def _placed(settings: S, out: Path, name: str) -> S:
    """Return settings whose output is the folder among others that they name."""
    return settings.model_copy(update={"out": stage_folder(out, name, settings)})


def _inject(settings: RefinementSettings, data: list[Path], out: Path) -> Path:
    run = validate_with(InjectionSettings, settings.injection, data=data, out=out)
    run = _placed(run, out, "injected")
    inject_errors(run)
    return run.out


def _collect(settings: RefinementSettings, last: Round, data: list[Path], out: Path) -> Path:
    """Sample the last round's student, and pair what failed with right programs."""
    samples = [_sample(run, last, out) for run in settings.sampling]
    run = validate_with(FailureSettings, settings.failures, samples=samples, data=data, out=out)
    run = _placed(run, out, f"failures-{last.number}")
    collect_failures(run)
    return run.out


def _sample(run: SamplingRun, last: Round, out: Path) -> Path:
    values = run.model_dump(exclude={"sampling"})
    student = {**run.sampling.model_dump(), "path": str(last.student)}
    values |= {"teacher": "student", "student": student, "out": out}
    settings = _placed(validate(SynthesisSettings, values), out, f"samples-{last.number}")
    synthesize(settings)
    return settings.out


def _train(
    settings: RefinementSettings, rounds: Sequence[Round], data: list[Path], out: Path
) -> Path:
    values = {"format": "repair", "data": data, "out": out}
    if rounds and settings.start == "previous":
        values["student"] = str(rounds[-1].student)
    run = validate_with(TrainingSettings, settings.training, **values)
    run = _placed(run, out, f"student-{len(rounds)}")
    train(run)
    return run.out


def _evaluate(run: EvaluationRun, student: Path, number: int, out: Path) -> Path:
    values = {"strategy": "repair", "student": str(student), "out": out}
    settings = validate_with(EvaluationSettings, run, **values)
    settings = _placed(settings, out, f"evaluation-{number}")
    evaluate_student(str(student), settings, settings.out)
    return settings.out


def _rows(one: Round, first: Round, runs: Sequence[EvaluationRun]) -> list[dict[str, Any]]:
    """Return what a round reached on each problem set, and its gain over round 0."""
    rows = []
    for folder, before, run in zip(one.evaluations, first.evaluations, runs, strict=True):
        metrics = read_manifest(folder)["metrics"]
        old, new = _right(before, run), _right(folder, run)
        rows.append(
            {
                "round": one.number,
                "student": str(one.student),
                "problem_set": problem_set_name(run.model_dump()),
                "plain_gain": paired_gain([p for p, _ in old], [p for p, _ in new]),
                "gain": paired_gain([r for _, r in old], [r for _, r in new]),
                **metrics,
            }
        )
    return rows


def _right(folder: Path, run: EvaluationRun) -> list[tuple[bool, bool]]:
    """Return for each problem, in order, whether it was right before and after repair."""
    task = get_task(run.task)
    table = pq.read_table(
        folder / "predictions.parquet", columns=["row_id", "teacher_notes", "answer"]
    )
    histories = [
        attempts_of(row["teacher_notes"], row["answer"], task)
        for row in table.sort_by("row_id").to_pylist()
    ]
    return [(history[0].right, history[-1].right) for history in histories]


def print_rounds(rows: Sequence[dict[str, Any]]) -> None:
    """Print one line a round and problem set, then what repair did in the last round."""
    table = Table(
        "round", "problems", "greedy", "repaired", "gain on round 0", "executes", "ceiling"
    )
    for row in rows:
        repair, (low, high) = row["repair"], row["gain"]["gain_95"]
        table.add_row(
            str(row["round"]),
            f"{row['problems']} {row['problem_set']}",
            f"{repair['rounds'][0]['accuracy']:.1%}",
            f"{repair['rounds'][-1]['accuracy']:.1%}",
            f"{row['gain']['gain']:+.1%} ({low:+.1%} to {high:+.1%})" if row["round"] else "",
            f"{repair['rounds'][0]['executes']:.1%} to {repair['rounds'][-1]['executes']:.1%}",
            f"{repair['ceiling']:.1%}",
        )
    Console(markup=False, width=140).print(table)
    last = rows[-1]["round"]
    for row in rows:
        if row["round"] == last:
            print_repairs(f"round {last}, {row['problem_set']}", row["repair"])
