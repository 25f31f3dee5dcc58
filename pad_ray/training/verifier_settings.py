"""How a verifier is trained."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from pydantic import Field

from pad_ray.base.storage import locate_all
from pad_ray.training.settings import TrainingHyperparameters


class VerifierSettings(TrainingHyperparameters):
    """Train a verifier on the right and wrong programs of synthesis directories.

    Such directories come from `jobs/synthesize.py --teacher student`, best of several students
    (checkpoints) and temperatures.
    """

    runtime_fields: ClassVar[frozenset[str]] = TrainingHyperparameters.runtime_fields | {"data"}

    student: str = "scratch:small"
    """Folder or hub id of the decoder-only model that the verifier starts from."""
    data: list[Path] | Path
    """Synthesis directory, or a list of them."""
    out: Path
    """Directory for the verifier, metrics.jsonl and manifest.json."""
    states: bool = False
    """Fit a linear head to the student's own states in place of a model: it costs next to nothing
    while that student writes, and judges no other. Steps, batches and rates mean nothing then."""
    task: str | None = None
    """Task whose worked examples the student will be shown (states)."""
    few_shot: int = Field(0, ge=0)
    """How many of them stand before each question (states), as in the evaluation."""

    @property
    def folders(self) -> list[Path]:
        return locate_all(self.data)
