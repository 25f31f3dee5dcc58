"""All stages of a pipeline."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field

from pad_ray.base.config import Settings
from pad_ray.base.fields import Runtime
from pad_ray.evaluation.settings import EvaluationRun
from pad_ray.synthesis.settings import SynthesisRun
from pad_ray.training.settings import TrainingHyperparameters


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
    ask: str | None = None
    """Question shown in the closing line, as an example of asking the student."""
