"""What a plan is for: the stages that a job's own YAML file names, and their problems."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pad_ray.base.config import S, parse_settings, read_fields
from pad_ray.base.errors import ConfigError
from pad_ray.evaluation.settings import EvaluationRun
from pad_ray.pipeline.settings import PipelineSettings
from pad_ray.synthesis.settings import SynthesisRun, SynthesisSettings
from pad_ray.tasks import ProblemCounts, get_task
from pad_ray.tasks.settings import ProblemSettings
from pad_ray.training.settings import TrainingHyperparameters, TrainingSettings

__all__ = ["PlannedJob", "count_problems", "read_job", "share_out"]


@dataclass(frozen=True)
class PlannedJob:
    """A job's stages in order; `data` are the directories of a training on its own."""

    name: str
    synthesis: tuple[SynthesisRun, ...] = ()
    training: TrainingHyperparameters | None = None
    evaluation: tuple[EvaluationRun, ...] = ()
    data: tuple[Path, ...] = ()


def read_job(path: Path) -> PlannedJob:
    """Read the YAML file of the job pipeline, synthesize or train.

    Raises `ConfigError` for any other file, and for what that job would refuse.
    """
    fields = read_fields(path, "job")
    if "synthesis" in fields:
        pipeline = _parsed(PipelineSettings, path, fields)
        if pipeline.compared is not None:
            print(
                "plan: of the student that writes programs; the one that it is compared with, and "
                "its data, come on top"
            )
        asked = tuple(pipeline.evaluation) * (2 if pipeline.baseline else 1)
        return PlannedJob("pipeline", tuple(pipeline.synthesis), pipeline.training, asked)
    if "teacher" in fields:
        return PlannedJob("synthesize", (_parsed(SynthesisSettings, path, fields),))
    if "data" in fields:
        training = _parsed(TrainingSettings, path, fields)
        return PlannedJob("train", training=training, data=tuple(training.folders))
    raise ConfigError(
        f"job: {path} is of no job that can be planned: expected synthesis (pipeline), teacher "
        "(synthesize) or data (train) in it"
    )


def _parsed(model: type[S], path: Path, fields: dict[str, Any]) -> S:
    # A plan writes nothing there.
    place = [] if "out" in fields else ["--out", "unused"]
    try:
        return parse_settings(model, ["--config", str(path), *place], "plan")
    except ConfigError as error:
        raise ConfigError(f"job: {path}: {error}") from error


def count_problems(run: ProblemSettings) -> int:
    """Return how many problems a stage would take up."""
    task = get_task(run.task)
    if task.generate is not None and run.count is not None:
        return run.count
    counts = ProblemCounts()
    for _ in run.stream(task, counts):
        pass
    return counts.problems


def share_out(wanted: int | None, counts: Sequence[int]) -> list[int]:
    """Return each part's problems when all have `wanted` together, in their old proportion."""
    if wanted is None:
        return list(counts)
    whole, shares, given = sum(counts), [], 0
    for index in range(len(counts)):
        # Cumulative, so that rounding loses no problem.
        upto = round(wanted * sum(counts[: index + 1]) / whole)
        shares.append(upto - given)
        given = upto
    return shares
