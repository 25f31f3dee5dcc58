"""All stages in order: synthesis, training, evaluation, report; what is complete is skipped.

Each stage has a directory whose name ends in the fingerprint of its settings and inputs, so a
changed setting starts a new one and leaves the old one as it was.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from pad_ray.base.commands import command
from pad_ray.base.config import resolve, validate, validate_with
from pad_ray.evaluation.at_once import evaluate_at_once
from pad_ray.evaluation.run import evaluate_student, print_overlaps, print_table, problem_set_of
from pad_ray.evaluation.settings import EvaluationRun, EvaluationSettings
from pad_ray.evaluation.several import against_first, check_baseline, print_gains
from pad_ray.flow.cells import Call, Poll, in_parallel
from pad_ray.flow.stages import is_complete, read_manifest, stage_folder, write_json
from pad_ray.pipeline.experiment.settings import suited, suits, teacher_kinds
from pad_ray.pipeline.report import StageResult, write_report
from pad_ray.pipeline.settings import TRAIN, PipelineSettings
from pad_ray.students.card import TEXT_FORMATS
from pad_ray.synthesis.run import synthesize
from pad_ray.synthesis.settings import SynthesisRun, SynthesisSettings
from pad_ray.training.metrics import last_metrics
from pad_ray.training.settings import Format, TrainingHyperparameters, TrainingSettings

# The output folder whose student cluster/serve.yaml serves.
_SERVED = "runs/demo"


def run_pipeline(settings: PipelineSettings) -> dict[str, Any]:
    """Run the stages that are not complete, write the report, and return the metrics."""
    out = resolve(settings.out)
    untrained = settings.training.student
    if settings.baseline:
        check_baseline(untrained, "the student", settings.training.format)
    _say_what_is_to_do(settings)
    synthesis = [_synthesize(run, out) for run in _synthesis_runs(settings)]
    training = _train(settings, synthesis, out)
    evaluation = _evaluate(settings, training, out)
    baselines = [
        _answered_by(_asked("baseline", run, untrained, out))
        for run in (settings.evaluation if settings.baseline else ())
    ]
    report = out / "report.html"
    write_report(report, settings.title, synthesis, training[0], evaluation, baselines)
    metrics = _metrics(synthesis, training, evaluation)
    if baselines:
        metrics["baseline"] = _answered(baselines)
    write_json(out / "metrics.json", metrics)
    print_table([result.manifest for result in (*baselines, *evaluation)])
    for before, after in zip(baselines, evaluation, strict=False):  # or there are no baselines
        names = [f"{untrained}, {problem_set_of(before.manifest)}", training[0].folder.name]
        print_gains(names, against_first([before.folder, after.folder]))
    print_overlaps([result.manifest for result in evaluation])
    print(f"report: {report}")
    print(f"metrics: {out / 'metrics.json'}")
    student = _name_student(training[0].folder, out)
    question = settings.ask or "..."
    print(f"ask the student: {command('solve', '--student', student, question)}")
    print(f"serve the student: serve run cluster/serve.yaml{_served_as(student)}")
    return metrics


def _say_what_is_to_do(settings: PipelineSettings) -> None:
    students = 1 if settings.compared is None else 2
    takes = "" if settings.takes is None else f"; this takes {settings.takes}"
    print(
        f"pipeline: {len(_synthesis_runs(settings))} syntheses, {students} "
        f"student{'s' if students > 1 else ''}, "
        f"{len(settings.evaluation)} problem sets, then {settings.out / 'report.html'}; what is "
        f"complete is skipped{takes}"
    )


def _served_as(student: Path) -> str:
    """Say what to change in the file that serves the demo's student, for another one."""
    is_served = student.parent == resolve(Path(_SERVED))
    return "" if is_served else f", once its path there is {student}"


def _name_student(folder: Path, out: Path) -> Path:
    """Let `student` in the output folder lead to the newest one, as served settings name it."""
    link, fresh = out / "student", out / "student.new"
    if link.exists() and not link.is_symlink():
        return folder
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(folder.name)
    fresh.replace(link)
    return link


def _synthesis_runs(settings: PipelineSettings) -> list[SynthesisRun]:
    """Return every synthesis: of two students, one for what each learns to write."""
    if settings.compared is None:
        return settings.synthesis
    kinds = teacher_kinds([settings.training.format, settings.compared])
    return [
        validate(SynthesisRun, run.model_dump() | {"format": kind})
        for kind in kinds
        for run in settings.synthesis
    ]


def _synthesize(run: SynthesisRun, out: Path) -> StageResult:
    kind = "" if run.format == "program" else f"-{run.format}"
    folder = stage_folder(out, f"synthesis-{_file_name(run.task)}{kind}", run)
    return StageResult(folder, synthesize(validate_with(SynthesisSettings, run, out=folder)))


def _train(
    settings: PipelineSettings, synthesis: Sequence[StageResult], out: Path
) -> list[StageResult]:
    """Train the student, and the one that it is compared with."""
    runs = [_training(settings.training, [result.folder for result in synthesis], [], out)]
    if settings.compared is not None:
        other = validate_with(TrainingHyperparameters, settings.training, format=settings.compared)
        runs = [
            _training(run, *_folders(synthesis, run.format), out)
            for run in (settings.training, other)
        ]
    to_do = [run for run in runs if not _is_trained(run.out)]
    if to_do and (settings.parallel == 1 or len(runs) == 1):
        from pad_ray.training.student import train  # takes many seconds to import

        for run in to_do:
            train(run)
        to_do = []
    calls = {f"a student of {run.format}s": Call(TRAIN, (run,)) for run in to_do}
    if calls:
        in_parallel("train", calls, settings.parallel, _steps_within(to_do))
    return [StageResult(run.out, read_manifest(run.out)) for run in runs]


def _is_trained(folder: Path) -> bool:
    if not is_complete(folder):
        return False
    print(f"train: {folder} is complete; nothing to do")
    return True


def _is_done(folder: Path, job: Callable[..., object], *arguments: object) -> bool:
    """Tell whether a stage is complete; it says so itself, without a process of its own."""
    if not is_complete(folder):
        return False
    job(*arguments)
    return True


def _steps_within(runs: Sequence[TrainingSettings]) -> tuple[int, Poll] | None:
    """Return the steps of all trainings, where they are known beforehand, and what polls them."""
    steps = [run.max_steps for run in runs if run.max_steps is not None]
    if len(steps) < len(runs):
        return None

    def poll() -> tuple[int, str]:
        shown = [last_metrics(run.out / "metrics.jsonl") for run in runs]
        losses = "; ".join(
            f"{run.format}: {told}" for run, (_, told) in zip(runs, shown, strict=True) if told
        )
        return sum(done for done, _ in shown), losses

    return sum(steps), poll


def _folders(synthesis: Sequence[StageResult], format: Format) -> tuple[list[Path], list[Path]]:
    """Return the data that a format is learned from, and that of another kind."""
    kind = "cot" if format == "cot" else "program"
    is_own = [result.manifest["config"]["format"] == kind for result in synthesis]
    folders = [result.folder for result in synthesis]
    own = [folder for folder, right in zip(folders, is_own, strict=True) if right]
    return own, [folder for folder in folders if folder not in own]


def _training(
    run: TrainingHyperparameters, data: Sequence[Path], same: Sequence[Path], out: Path
) -> TrainingSettings:
    settings = validate_with(
        TrainingSettings, run, data=list(data), same_problems=list(same), out=out
    )
    name = "student" if run.format not in TEXT_FORMATS else f"student-{run.format}"
    return settings.model_copy(update={"out": stage_folder(out, name, settings)})


def _evaluate(
    settings: PipelineSettings, training: Sequence[StageResult], out: Path
) -> list[StageResult]:
    """Return all that the student answered, then what the one that it is compared with did."""
    asked = [
        _asked("evaluation", suited(format, run), str(result.folder), out)
        for result in training
        for format in [result.manifest["config"]["format"]]
        for run in settings.evaluation
        if suits(format, {}, run)
    ]
    if settings.parallel == 1:
        return [_answered_by(run) for run in asked]
    to_do = {
        run.out.name: run
        for run in asked
        if not _is_done(run.out, evaluate_student, run.students[0], run, run.out)
    }
    if to_do:
        evaluate_at_once(to_do, settings.parallel)
    return [StageResult(run.out, read_manifest(run.out)) for run in asked]


def _answered_by(run: EvaluationSettings) -> StageResult:
    return StageResult(run.out, evaluate_student(run.students[0], run, run.out))


def _asked(kind: str, run: EvaluationRun, student: str, out: Path) -> EvaluationSettings:
    settings = validate_with(EvaluationSettings, run, student=student, out=out)
    folder = stage_folder(out, f"{kind}-{_file_name(run.task)}-{run.split}", settings)
    return settings.model_copy(update={"out": folder})


def _file_name(task: str) -> str:
    return "".join(c if c.isalnum() or c in "_-" else "-" for c in Path(task).stem)


def _metrics(
    synthesis: Sequence[StageResult],
    training: Sequence[StageResult],
    evaluation: Sequence[StageResult],
) -> dict[str, Any]:
    keep = ("parameters", "steps", "best_step", "best_validation_loss", "padding_share", "wall_s")
    students = ({name: result.manifest[name] for name in keep} for result in training)
    return {
        "synthesis": [
            {"task": r.manifest["config"]["task"], "wall_s": r.manifest["wall_s"]}
            | r.manifest["counts"]
            for r in synthesis
        ],
        **dict(zip(("training", "compared"), students, strict=False)),
        "evaluation": _answered(evaluation),
    }


def _answered(evaluation: Sequence[StageResult]) -> list[dict[str, Any]]:
    return [
        {
            "problem_set": problem_set_of(r.manifest),
            "strategy": r.manifest["config"]["strategy"],
            "student": Path(r.manifest["student"]).name,
            "wall_s": r.manifest["wall_s"],
        }
        | r.manifest["metrics"]
        for r in evaluation
    ]
