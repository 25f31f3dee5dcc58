"""All stages in order: synthesis, training, evaluation, report; what is complete is skipped.

Each stage has a directory whose name ends in the fingerprint of its settings and inputs, so a
changed setting starts a new one and leaves the old one as it was.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import Field

from pad_ray.config import Settings, resolve, validate
from pad_ray.evaluation import (
    EvaluationRun,
    EvaluationSettings,
    evaluate_student,
    print_table,
    problem_set_name,
)
from pad_ray.report import StageResult, write_report
from pad_ray.stages import fingerprint, stage_record, write_json
from pad_ray.synthesis import SynthesisRun, SynthesisSettings, synthesize
from pad_ray.training import TrainingSettings, train
from pad_ray.training_settings import TrainingHyperparameters


class PipelineSettings(Settings):
    """Run every stage in order into one directory; run again, it skips what is complete."""

    out: Path
    """Directory for the stages, report.html and metrics.json."""
    title: str = "Program-aided Distillation"
    """Heading of the report."""
    synthesis: list[SynthesisRun] = Field(min_length=1)
    """Problems and teachers; all verified rows are trained on together."""
    training: TrainingHyperparameters = TrainingHyperparameters()
    """How the student is fine-tuned."""
    evaluation: list[EvaluationRun] = Field(min_length=1)
    """Problem sets that the student answers."""
    ask: str | None = None
    """Question shown in the closing line, as an example of asking the student."""


S = TypeVar("S", bound=Settings)


def run_pipeline(settings: PipelineSettings) -> dict[str, Any]:
    """Run the stages that are not complete, write the report, and return the metrics."""
    out = resolve(settings.out)
    synthesis = [_synthesize(run, out) for run in settings.synthesis]
    training = _train(settings.training, synthesis, out)
    evaluation = [_evaluate(run, training, out) for run in settings.evaluation]
    report = out / "report.html"
    write_report(report, settings.title, synthesis, training, evaluation)
    metrics = _metrics(synthesis, training, evaluation)
    write_json(out / "metrics.json", metrics)
    print_table([result.manifest for result in evaluation])
    print(f"report: {report}")
    print(f"metrics: {out / 'metrics.json'}")
    question = settings.ask or "..."
    print(f'ask the student: python jobs/solve.py --student {training.folder} "{question}"')
    return metrics


def _stage_folder(out: Path, name: str, run: Settings, inputs: Sequence[str]) -> Path:
    record = stage_record(run, {str(i): value for i, value in enumerate(inputs)})
    return out / f"{name}-{fingerprint(record)[:8]}"


def _with(model: type[S], run: Settings, **places: Any) -> S:
    return validate(model, {**run.model_dump(), **places})


def _synthesize(run: SynthesisRun, out: Path) -> StageResult:
    folder = _stage_folder(
        out, f"synthesis-{_file_name(run.task)}", run, list(run.inputs().values())
    )
    return StageResult(folder, synthesize(_with(SynthesisSettings, run, out=folder)))


def _train(
    run: TrainingHyperparameters, synthesis: Sequence[StageResult], out: Path
) -> StageResult:
    inputs = [result.manifest["fingerprint"] for result in synthesis]
    folder = _stage_folder(out, "student", run, inputs)
    data = [result.folder for result in synthesis]
    return StageResult(folder, train(_with(TrainingSettings, run, data=data, out=folder)))


def _evaluate(run: EvaluationRun, training: StageResult, out: Path) -> StageResult:
    inputs = [training.manifest["fingerprint"], *run.inputs().values()]
    name = f"evaluation-{_file_name(run.task)}-{run.split}"
    folder = _stage_folder(out, name, run, inputs)
    student = str(training.folder)
    settings = _with(EvaluationSettings, run, student=student, out=folder)
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
        "evaluation": [
            {"problem_set": problem_set_name(r.manifest["config"]), "wall_s": r.manifest["wall_s"]}
            | r.manifest["metrics"]
            for r in evaluation
        ],
    }
