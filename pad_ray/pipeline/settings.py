"""All stages of a pipeline."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from pad_ray.base.config import Settings
from pad_ray.base.fields import Runtime
from pad_ray.evaluation.settings import EvaluationRun
from pad_ray.students.card import TEXT_FORMATS
from pad_ray.synthesis.settings import SynthesisRun
from pad_ray.training.settings import TrainingHyperparameters

TRAIN = "pad_ray.training.student:train"
"""What trains, for cells: they import it, and who starts them need not wait for that."""


class PipelineSettings(Settings):
    """Run every stage in order into one directory; run again, it skips what is complete."""

    out: Annotated[Path, Runtime]
    """Directory for the stages, report.html and metrics.json."""
    title: str = "Program-aided Distillation"
    """Heading of the report."""
    synthesis: list[SynthesisRun] = Field(min_length=1)
    """Problems and teachers; all verified rows are trained on together."""
    training: TrainingHyperparameters = TrainingHyperparameters()
    """How the student is fine-tuned."""
    evaluation: list[EvaluationRun] = Field(min_length=1)
    """Problem sets that the student answers."""
    baseline: Annotated[bool, Runtime] = False
    """Ask the same of the student before training, and report what training gained; costs each
    evaluation once more."""
    compared: Literal["cot", "answer"] | None = None
    """What a second student learns to write, to be compared with the first: it learns from the same
    problems, those that both kinds of teacher solved, and answers the sets that need no program."""
    parallel: Annotated[int, Runtime] = Field(1, ge=1)
    """Trainings, and then evaluations, at work at a time."""
    takes: Annotated[str | None, Runtime] = None
    """How long all this takes, and on what, as you measured it: it is said before the start."""
    ask: str | None = None
    """Question shown at the end, as an example of asking the student."""

    @model_validator(mode="after")
    def _compares_two(self) -> Self:
        if self.compared is not None and self.training.format in TEXT_FORMATS:
            raise ValueError(
                f"compared: the first student writes programs, but training.format is "
                f"'{self.training.format}'"
            )
        return self
