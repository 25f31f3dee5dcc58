"""Which weights of decoding are tried."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field

from pad_ray.base.fields import Input, Runtime
from pad_ray.evaluation.settings import EvaluationRun
from pad_ray.students.files import model_input


class TuningSettings(EvaluationRun):
    """Sample programs for validation problems; fit weights that pick the right ones, and auto.

    Writes decoding.yaml, which `evaluate`, `compare_decoding` and `solve` take as --config.
    """

    student: Annotated[str, Input(model_input, is_saved=True)]
    """Student folder, hub id or .gguf file."""
    n: int = Field(16, ge=2, le=256)
    """Programs written for each problem: one greedily, the others sampled."""
    out: Annotated[Path, Runtime]
    """Directory for the samples, decoding.yaml and tuning.json."""
