"""How a verifier is trained."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, model_validator

from pad_ray.base.fields import Input, Runtime
from pad_ray.base.storage import locate_all
from pad_ray.flow.inputs import stage_input
from pad_ray.students.files import model_input
from pad_ray.tasks.inputs import task_input
from pad_ray.training.settings import TrainingHyperparameters


class VerifierSettings(TrainingHyperparameters):
    """Train a verifier on the right and wrong programs of synthesis directories.

    Such directories come from `pad-ray synthesize --teacher student`, best of several students
    (checkpoints) and temperatures.
    """

    student: Annotated[str, Input(model_input, is_saved=True)] = "scratch:small"
    """Folder or hub id of the decoder-only model that the verifier starts from."""
    data: Annotated[list[Path] | Path, Input(stage_input)]
    """Synthesis directory, or a list of them."""
    out: Annotated[Path, Runtime]
    """Directory for the verifier, metrics.jsonl and manifest.json."""
    states: bool = False
    """Fit a linear head to the student's own states in place of a model: it costs next to nothing
    while that student writes, and judges no other. Steps, batches and rates mean nothing then."""
    task: Annotated[str | None, Input(task_input, is_saved=True)] = None
    """Task whose worked examples the student will be shown (states)."""
    few_shot: int = Field(0, ge=0)
    """How many of them stand before each question (states), as in the evaluation."""

    @model_validator(mode="after")
    def _writes_nothing(self) -> Self:
        if self.source_weight > 0:
            raise ValueError("source_weight: a verifier writes nothing")
        return self

    @property
    def folders(self) -> list[Path]:
        return locate_all(self.data)
