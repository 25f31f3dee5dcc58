"""What is analysed of students."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from annotated_types import MinLen
from pydantic import Field

from pad_ray.base.fields import Input, Runtime
from pad_ray.flow.waiting import WaitSettings
from pad_ray.students.files import model_input, models_input
from pad_ray.tasks import Split
from pad_ray.tasks.settings import ProblemSettings


class AnalysisSettings(ProblemSettings, WaitSettings):
    """Measure the output space of one or several students on the same problems, side by side."""

    student: Annotated[Annotated[list[str], MinLen(1)] | str, Input(models_input, is_saved=True)]
    """Student folder, hub id or .gguf file, or a list of them; of any format."""
    out: Annotated[Path, Runtime]
    """Directory for analysis.json and report.html."""
    count: int | None = Field(100, ge=1)
    """First problems of the file, or how many to generate."""
    split: Split = "test"
    """Part of a generated task: train, test, held_out (templates never trained on); arithmetic has
    longer (more steps) and distracted (irrelevant facts) too."""
    samples: int = Field(8, ge=2)
    """Samples drawn for each problem."""
    temperature: float = Field(0.7, gt=0, le=5)
    """Of sampling. Entropies are those of the distributions as they are, at temperature 1."""
    max_new_tokens: int = Field(512, ge=1)
    """Longest sample, in tokens."""
    encoder: Annotated[str | None, Input(model_input, is_saved=True)] = None
    """Sentence-transformers folder or hub id that embeds samples; none: each student's own mean
    hidden states, whose distances compare within a student and not between two."""
    precision: Literal["fp32", "bf16"] = "fp32"
    """Number format of the weights."""
    max_rows: Annotated[int, Runtime] = Field(64, ge=1)
    """Samples in writing at a time."""
    threads: Annotated[int, Runtime] = Field(1, ge=1)
    """Threads a student computes with on a CPU."""
    gpus_per_student: Annotated[float, Runtime] = Field(0.0, ge=0)
    """GPUs reserved for each student."""

    @property
    def students(self) -> list[str]:
        return self.student if isinstance(self.student, list) else [self.student]
