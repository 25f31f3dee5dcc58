"""All stages in order: synthesis, training, evaluation, report; what is complete is skipped.

Each stage has a directory whose name ends in the fingerprint of its settings and inputs, so a
changed setting starts a new one and leaves the old one as it was.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pad_ray.base.commands import command
from pad_ray.base.config import resolve, validate_with
from pad_ray.evaluation.run import evaluate_student, print_overlaps, print_table, problem_set_of
from pad_ray.evaluation.settings import EvaluationRun, EvaluationSettings
from pad_ray.evaluation.several import against_first, check_baseline, print_gains
from pad_ray.flow.stages import stage_folder, write_json
from pad_ray.pipeline.report import StageResult, write_report
from pad_ray.pipeline.settings import PipelineSettings
from pad_ray.synthesis.run import synthesize
from pad_ray.synthesis.settings import SynthesisRun, SynthesisSettings
from pad_ray.training.settings import TrainingHyperparameters, TrainingSettings
from pad_ray.training.student import train


def run_pipeline(settings: PipelineSettings) -> dict[str, Any]:
    """Run the stages that are not complete, write the report, and return the metrics."""
    out = resolve(settings.out)
    untrained = settings.training.student
    if settings.baseline:
        check_baseline(untrained, "the student", settings.training.format)
    synthesis = [_synthesize(run, out) for run in settings.synthesis]
    training = _train(settings.training, synthesis, out)
    trained = str(training.folder)
    evaluation = [_evaluate("evaluation", run, trained, out) for run in settings.evaluation]
    baselines = [
        _evaluate("baseline", run, untrained, out)
        for run in (settings.evaluation if settings.baseline else ())
    ]
    report = out / "report.html"
    write_report(report, settings.title, synthesis, training, evaluation, baselines)
    metrics = _metrics(synthesis, training, evaluation)
    if baselines:
        metrics["baseline"] = _answered(baselines)
    write_json(out / "metrics.json", metrics)
    print_table([result.manifest for result in (*baselines, *evaluation)])
    for before, after in zip(baselines, evaluation, strict=False):  # or there are no baselines
        names = [f"{untrained}, {problem_set_of(before.manifest)}", training.folder.name]
        print_gains(names, against_first([before.folder, after.folder]))
    print_overlaps([result.manifest for result in evaluation])
    print(f"report: {report}")
    print(f"metrics: {out / 'metrics.json'}")
    student = _name_student(training.folder, out)
    question = settings.ask or "..."
    print(f"ask the student: {command('solve', '--student', student, question)}")
    return metrics


def _name_student(folder: Path, out: Path) -> Path:
    """Let `student` in the output folder lead to the newest one, as served settings name it."""
    link, fresh = out / "student", out / "student.new"
    if link.exists() and not link.is_symlink():
        return folder
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(folder.name)
    fresh.replace(link)
    return link


def _synthesize(run: SynthesisRun, out: Path) -> StageResult:
    folder = stage_folder(out, f"synthesis-{_file_name(run.task)}", run)
    return StageResult(folder, synthesize(validate_with(SynthesisSettings, run, out=folder)))


def _train(
    run: TrainingHyperparameters, synthesis: Sequence[StageResult], out: Path
) -> StageResult:
    data = [result.folder for result in synthesis]
    settings = validate_with(TrainingSettings, run, data=data, out=out)
    folder = stage_folder(out, "student", settings)
    return StageResult(folder, train(settings.model_copy(update={"out": folder})))


def _evaluate(kind: str, run: EvaluationRun, student: str, out: Path) -> StageResult:
    settings = validate_with(EvaluationSettings, run, student=student, out=out)
    folder = stage_folder(out, f"{kind}-{_file_name(run.task)}-{run.split}", settings)
    return StageResult(folder, evaluate_student(student, settings, folder))


def _file_name(task: str) -> str:
    return "".join(c if c.isalnum() or c in "_-" else "-" for c in Path(task).stem)


def _metrics(
    synthesis: Sequence[StageResult], training: StageResult, evaluation: Sequence[StageResult]
) -> dict[str, Any]:
    keep = ("parameters", "steps", "best_step", "best_validation_loss", "padding_share", "wall_s")
    return {
        "synthesis": [
            {"task": r.manifest["config"]["task"], "wall_s": r.manifest["wall_s"]}
            | r.manifest["counts"]
            for r in synthesis
        ],
        "training": {name: training.manifest[name] for name in keep},
        "evaluation": _answered(evaluation),
    }


def _answered(evaluation: Sequence[StageResult]) -> list[dict[str, Any]]:
    return [
        {"problem_set": problem_set_of(r.manifest), "wall_s": r.manifest["wall_s"]}
        | r.manifest["metrics"]
        for r in evaluation
    ]
