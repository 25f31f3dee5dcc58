"""Settings of the student teacher, apart from it: they need no torch, which is slow to import."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from pad_ray.base.config import Settings
from pad_ray.base.fields import Input, Runtime
from pad_ray.students.files import model_input

__all__ = ["SamplingSettings", "StudentTeacherSettings"]


class SamplingSettings(Settings):
    """How a student's samples are drawn."""

    temperature: float = Field(0.7, ge=0, le=5)
    """Of sampling; 0 takes the likeliest token."""
    max_new_tokens: int = Field(512, ge=1)
    """Longest program, in tokens."""
    precision: Literal["fp32", "bf16"] = "fp32"
    """Number format of the weights."""
    threads: Annotated[int, Runtime] = Field(1, ge=1)
    """Threads a CPU actor computes with."""
    gpus: Annotated[float, Runtime] = Field(0.0, ge=0)
    """GPUs that each actor reserves."""
    max_rows: Annotated[int, Runtime] = Field(64, ge=1)
    """Programs in writing at a time."""


class StudentTeacherSettings(SamplingSettings):
    """Which student writes samples, and how."""

    path: Annotated[str, Input(model_input, is_saved=True)]
    """Student folder, hub id or .gguf file; any causal language model, with `shots`."""
    shots: int = Field(0, ge=0)
    """Worked examples of the task before each question, for a model that was not fine-tuned."""
