"""Evaluation: a student answers a task's problems; accuracy, failure classes and intervals."""

from __future__ import annotations

import json
import shutil
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from rich.console import Console
from rich.table import Table

from pad_ray.base.config import resolve
from pad_ray.base.errors import ConfigError
from pad_ray.base.intervals import share_interval
from pad_ray.base.sandbox_settings import SandboxSettings
from pad_ray.base.schemas import JUDGED_SCHEMA
from pad_ray.decoding.settings import SearchSettings, check_text_search, search_settings
from pad_ray.decoding.solution import Solution
from pad_ray.evaluation.repair_accounting import print_repairs, repair_metrics
from pad_ray.evaluation.requests import MAY_GROW, begin_flows
from pad_ray.evaluation.settings import EvaluationRun, EvaluationSettings
from pad_ray.evaluation.several import Asked, baselines_of, compare
from pad_ray.flow.failed_rows import forget_failed, refuse_all_failed
from pad_ray.flow.failures import FAILED
from pad_ray.flow.ledger import Ledger, LedgerLike, note_rows, share_ledger
from pad_ray.flow.ready import join_for
from pad_ray.flow.rows import DONE, ActorStage, run_rows
from pad_ray.flow.stages import Stage, open_stage
from pad_ray.students.card import StudentCard, worked_examples
from pad_ray.students.files import located
from pad_ray.students.trained_questions import count_trained
from pad_ray.synthesis.judges import judge_program, judge_text
from pad_ray.synthesis.reasons import CUT_SHORT
from pad_ray.synthesis.step_accounting import step_metrics
from pad_ray.tasks import Task, get_task, short_name
from pad_ray.tasks.inputs import exemplar_input
from pad_ray.verifiers.settings import ScorerSettings

if TYPE_CHECKING:
    from pad_ray.decoding.solver import Solver

# How the solver begins what it says of such a question.
_TOO_LONG = "question: is too long"
_SPLITS = {
    "held_out": " (held-out templates)",
    "longer": " (longer)",
    "distracted": " (distracted)",
}
_COLUMNS = ("problems", "accuracy", "95% interval", "rounded", "executes", "commonest failures")


@dataclass(frozen=True)
class Asking:
    """What a `StudentStage` needs to know, picklable."""

    student: str
    preamble: str
    search: SearchSettings
    scorers: ScorerSettings
    limits: SandboxSettings
    precision: str
    threads: int
    max_rows: int


class StudentStage:
    """Ray Data stage: problem rows in, the student's answers out, judged (`JUDGED_SCHEMA`).

    Programs were run by the search, where they are, and are not run again.
    """

    def __init__(self, asking: Asking, task: Task, ledger: LedgerLike | None = None) -> None:
        self._asking = asking
        self._ledger = ledger
        self._task = task

    @cached_property
    def _solver(self) -> Solver:
        # Made with the first batch: an error in an actor's constructor reaches nobody. Imported
        # with it: the driver loads no model, and need not wait for what does.
        import torch

        from pad_ray.decoding.solver import Solver
        from pad_ray.students.models import DTYPES, load_student

        asking = self._asking
        student = load_student(asking.student, dtype=DTYPES[asking.precision])
        if torch.cuda.is_available():
            student.model.to("cuda")
        else:
            torch.set_num_threads(asking.threads)
        card = replace(student.card, preamble=asking.preamble + student.card.preamble)
        student = replace(student, card=card)
        return Solver(
            student,
            sandbox=asking.limits.sandbox(),
            scorers=asking.scorers,
            max_rows=asking.max_rows,
        )

    def close(self) -> None:
        """End what the solver started."""
        if "_solver" in vars(self):
            self._solver.close()
            self._solver.sandbox.close()

    def __call__(self, batch: pa.Table) -> pa.Table:
        rows = batch.to_pylist()
        started = time.perf_counter()
        questions = [row["question"] for row in rows]
        solutions = self._solver.solve_batch(
            questions, settings=self._asking.search, equal=self._task.answers_equal
        )
        seconds = (time.perf_counter() - started) / len(rows)
        for row, solution in zip(rows, solutions, strict=True):
            row.update(
                completion=solution.text,
                finish_reason=_finish_reason(solution),
                completion_tokens=solution.tokens,
                solve_s=seconds,
                teacher_notes=_notes(solution),
                teacher="student",
                error=_error(solution),
                program=solution.program,
                chain_of_thought=None,
            )
            if self._solver.student.card.writes_text:
                judge_text(row, self._task)
            else:
                judge_program(row, solution.outcome if solution.program else None, self._task)
        if self._ledger is not None:
            note_rows(self._ledger, "student", [(r["problem_id"], _fault(r)) for r in rows])
        return pa.Table.from_pylist(rows, schema=JUDGED_SCHEMA)


def _error(solution: Solution) -> str | None:
    """Return why a question has no program; a part of one must not be read as a whole."""
    if solution.state == "partial":
        return CUT_SHORT
    if solution.error is None:
        return None
    reason = "too_long" if solution.error.startswith(_TOO_LONG) else "student_error"
    return f"{reason}: {solution.error}"


def _fault(row: dict[str, Any]) -> str | None:
    return row["message"] if row["reason"] in FAILED else None


def _finish_reason(solution: Solution) -> str | None:
    if solution.state == "failed":
        return None
    return "length" if solution.state == "partial" else "stop"


def _notes(solution: Solution) -> str | None:
    """Return what the search counted, and its tree, as JSON."""
    notes = dict(solution.notes)
    if solution.tree:
        notes["tree"] = [asdict(node) for node in solution.tree]
    return json.dumps(notes) if notes else None


def evaluate(settings: EvaluationSettings) -> list[dict[str, Any]]:
    """Evaluate every student and return their manifests, in order; a baseline's come first.

    Each student's rows are in a directory of its own, `predictions.parquet` with one row a
    problem. Finished students are not asked again; an interrupted one goes on, and one is asked
    only the new ones of a set of problems that has grown. All are checked before one is asked.
    Of several, `comparison.json` in `settings.out` says what each gains over the first.
    """
    out = resolve(settings.out)
    several = len(settings.students) > 1
    asked = [
        Asked(student, out / f"{index}-{Path(student).name}" if several else out)
        for index, student in enumerate(settings.students)
    ]
    baselines = baselines_of(settings.students, out) if settings.baseline else []
    for one in (*asked, *baselines):
        _check(one, settings, is_one_of_several=several or bool(baselines))
    # The directory of one student is this one, which nothing may be in before it is.
    found = {one.out: evaluate_student(one.student, settings, one.out) for one in asked}
    found |= {one.out: evaluate_student(one.student, settings, one.out) for one in baselines}
    folders = [one.out for one in (*baselines, *asked)]
    manifests = [found[folder] for folder in folders]
    print_table(manifests)
    print_overlaps(manifests)
    if len(folders) > 1:
        compare(manifests, folders, out / "comparison.json")
    for manifest in manifests:
        _print_cut(manifest)
        _print_steps(manifest)
        if "repair" in manifest["metrics"]:
            print_repairs(Path(manifest["student"]).name, manifest["metrics"]["repair"])
    return manifests


def print_overlaps(manifests: Sequence[dict[str, Any]]) -> None:
    """Print a line for each student that was trained on problems which it was evaluated on."""
    for manifest in manifests:
        if seen := manifest.get("trained_on"):
            print(
                f"{Path(manifest['student']).name}: {seen} of {manifest['metrics']['problems']} "
                f"problems of {problem_set_of(manifest)} were among its training problems; what it "
                "answers there says little of new ones"
            )


def _check(one: Asked, settings: EvaluationSettings, is_one_of_several: bool) -> None:
    """Raise what evaluating a student would, before it is asked or those before it are."""
    task = get_task(settings.task)
    source, card = located(one.student)
    if card.writes_text:
        _check_text(card, settings)
    worked_examples(task, settings.few_shot)  # fails where there are fewer
    _opened(one.student, settings, one.out, MAY_GROW)
    if is_one_of_several:
        from pad_ray.students.models import check_loadable  # takes seconds to import

        check_loadable(source)


def _print_cut(manifest: dict[str, Any]) -> None:
    if cut := manifest["metrics"]["failures"].get("truncated"):
        print(
            f"{Path(manifest['student']).name}: {cut} answers were cut short and count as wrong; "
            "raise --max_new_tokens"
        )


def _print_steps(manifest: dict[str, Any]) -> None:
    steps = manifest["metrics"].get("steps")
    if steps and steps["wrong_when_right"] is not None:
        low, high = steps["wrong_when_right_95"]
        print(
            f"{Path(manifest['student']).name}: {steps['wrong']:,} of {steps['checked']:,} stated "
            f"calculations are wrong; of its right answers {steps['wrong_when_right']:.1%} "
            f"({low:.1%} to {high:.1%}) have one"
        )


def evaluate_student(
    student: str, settings: EvaluationSettings, out: Path, here: bool = False
) -> dict[str, Any]:
    """Evaluate one student into directory `out`, and return its manifest.

    With `here` this process answers, in place of actors.
    """
    task, problems, _ = settings.load()
    source, card = located(student)
    if card.writes_text:
        _check_text(card, settings)
    stage = _opened(student, settings, out, MAY_GROW)
    work = out / "work"
    may_retry = settings.retry_errors and work.is_dir()
    if stage.complete is not None and not (may_retry or stage.grown):
        print(f"evaluate: {out} is complete; nothing to do")
        return stage.complete
    worked_examples(task, settings.few_shot)  # fails where there are fewer
    needs = [] if here else _stages(source, task, settings)
    join_for(out, needs, settings.wait_for_resources)
    flows = begin_flows(
        stage, problems, 2 * settings.batch_size, lambda: _opened(student, settings, out)
    )
    print(f"evaluate: {student} on {len(problems)} problems of {task.name}, {settings.strategy}")
    if settings.retry_errors:
        for flow in flows:
            forget_failed(flow)
    limit = settings.max_failures
    ledger = Ledger(max_failures=limit) if here else share_ledger(max_failures=limit)
    stages = _stages(source, task, settings, ledger)
    judged = pa.concat_tables(
        run_rows(stages, flow, "evaluate", here=here).to_table() for flow in flows
    )
    failed = refuse_all_failed([flow / DONE for flow in flows], settings.max_failures)
    trained_on = count_trained(source, [problem.question for problem in problems])
    manifest = _finish(stage, judged.sort_by("row_id"), student, task, trained_on, card.writes_text)
    if not failed:
        shutil.rmtree(work)
        return manifest
    print(
        f"evaluate: {failed} problems failed; the same command with --retry_errors true asks for "
        "them again"
    )
    return manifest


def _opened(
    student: str, settings: EvaluationSettings, out: Path, may_grow: Sequence[str] = ()
) -> Stage:
    one = settings.model_copy(update={"student": student})
    exemplars = get_task(settings.task).exemplars[: settings.few_shot]
    shown = exemplar_input(exemplars) if settings.few_shot else None
    return open_stage(out, "evaluate", one, shown, may_grow)


def _check_text(card: StudentCard, settings: EvaluationRun) -> None:
    check_text_search(settings)
    if settings.few_shot:
        raise ConfigError(
            f"few_shot: the worked examples are programs, and this student writes format "
            f"'{card.format}'; leave it 0"
        )


def _stages(
    source: str, task: Task, settings: EvaluationSettings, ledger: LedgerLike | None = None
) -> list[ActorStage]:
    asking = Asking(
        source,
        worked_examples(task, settings.few_shot),
        search_settings(settings),
        settings.scorers.located(),
        settings.sandbox,
        settings.precision,
        settings.threads,
        settings.max_rows,
    )
    return [
        ActorStage(
            StudentStage,
            {"asking": asking, "task": task, "ledger": ledger},
            settings.actors,
            settings.batch_size,
            1.0,
            settings.gpus_per_actor,
        )
    ]


def _finish(
    stage: Stage,
    judged: pa.Table,
    student: str,
    task: Task,
    trained_on: int | None = None,
    writes_text: bool = False,
) -> dict[str, Any]:
    pq.write_table(judged, stage.out / "predictions.parquet")
    metrics = measure(judged)
    if writes_text:
        metrics["executes"] = None  # its rows do not say so where it ended none of its texts
    if stage.record["settings"]["strategy"] == "repair":
        metrics["repair"] = repair_metrics(judged, task)
    return stage.finish({"student": student, "trained_on": trained_on, "metrics": metrics})


def measure(judged: pa.Table) -> dict[str, Any]:
    """Return accuracy (exact, with its 95% interval, and rounded), cost and failures.

    `judged` has `JUDGED_SCHEMA`, one row a problem. Shares are of all problems; `executes` is None
    for a student of texts, `steps` (see `step_metrics`) for one of programs; `tokens` and
    `solve_s` (seconds, of a batch shared out evenly) are means over problems.
    """
    right = pc.is_null(judged["reason"]).to_numpy(zero_copy_only=False)
    rounded = pc.fill_null(judged["rounded_match"], False).to_numpy(zero_copy_only=False)
    return {
        "problems": judged.num_rows,
        "accuracy": float(right.mean()),
        "accuracy_95": share_interval(right),
        "accuracy_rounded": float(rounded.mean()),
        "executes": _executes(judged),
        "tokens": _mean(judged["completion_tokens"]),
        "solve_s": _mean(judged["solve_s"]),
        "steps": step_metrics(judged),
        "failures": failure_classes(judged),
    }


def _executes(judged: pa.Table) -> float | None:
    """Return the share of programs that run to their end; None for texts, which are not run."""
    if (
        judged["program"].null_count == judged.num_rows
        and judged["chain_of_thought"].null_count == 0
    ):
        return None
    ended = pc.fill_null(pc.equal(judged["status"], "ok"), False)
    return float(ended.to_numpy(zero_copy_only=False).mean())


def _mean(column: pa.ChunkedArray) -> float | None:
    mean = pc.mean(column).as_py()
    return None if mean is None else round(float(mean), 4)


def failure_classes(judged: pa.Table) -> dict[str, int]:
    """Count failures by class: the exception's name where there is one, else the reason."""
    failed = judged.filter(pc.is_valid(judged["reason"])).select(["reason", "error_type"])
    return dict(Counter(failure_class(row) for row in failed.to_pylist()).most_common())


def failure_class(row: dict[str, Any]) -> str:
    """Return a failed row's class: the exception's name where there is one, else the reason."""
    raised = row["reason"] in ("error", "invalid") and row["error_type"]
    return str(row["error_type"] if raised else row["reason"])


def print_table(manifests: Sequence[dict[str, Any]]) -> None:
    """Print one line a student and task, with the strategy where there are several."""
    strategies = [str(manifest["config"].get("strategy")) for manifest in manifests]
    several = len(set(strategies)) > 1
    table = Table("student", "task", *(["decoding"] if several else []), *_COLUMNS)
    for strategy, (student, task, *row) in zip(strategies, table_rows(manifests), strict=True):
        table.add_row(student, task, *([strategy] if several else []), *row)
    # A name is no markup.
    Console(width=140, markup=False).print(table)


def table_rows(manifests: Sequence[dict[str, Any]]) -> Iterator[tuple[str, ...]]:
    """Yield the comparison table's cells as text."""
    for manifest in manifests:
        metrics = manifest["metrics"]
        low, high = metrics["accuracy_95"]
        failures = list(metrics["failures"].items())[:3]
        yield (
            Path(manifest["student"]).name,
            problem_set_of(manifest),
            str(metrics["problems"]),
            f"{metrics['accuracy']:.1%}",
            f"{low:.1%} to {high:.1%}",
            f"{metrics['accuracy_rounded']:.1%}",
            "not run" if metrics["executes"] is None else f"{metrics['executes']:.1%}",
            ", ".join(f"{name} {count}" for name, count in failures) or "none",
        )


def problem_set_of(manifest: dict[str, Any]) -> str:
    """Return the name of what an evaluation's or an ensemble's problems are."""
    return problem_set_name(manifest.get("problem_set") or manifest["config"])


def problem_set_name(config: dict[str, Any]) -> str:
    """Return the task's name, with the split where it is not the plain test split."""
    return short_name(config["task"]) + _SPLITS.get(config["split"], "")
