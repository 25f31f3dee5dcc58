"""Which weights of decoding are tried."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from pydantic import Field

from pad_ray.evaluation.settings import EvaluationRun


class TuningSettings(EvaluationRun):
    """Sample programs for validation problems; fit weights that pick the right ones, and auto.

    Writes decoding.yaml, which `evaluate`, `compare_decoding` and `solve` take as --config.
    """

    runtime_fields: ClassVar[frozenset[str]] = EvaluationRun.runtime_fields

    student: str
    """Student folder, hub id or .gguf file."""
    n: int = Field(16, ge=2, le=256)
    """Programs written for each problem: one greedily, the others sampled."""
    out: Path
    """Directory for the samples, decoding.yaml and tuning.json."""
