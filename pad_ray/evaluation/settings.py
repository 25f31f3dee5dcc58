"""How a student is evaluated."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar, Literal

from annotated_types import MinLen
from pydantic import Field

from pad_ray.base.config import Settings
from pad_ray.decoding.settings import SearchSettings
from pad_ray.flow.failures import RetrySettings
from pad_ray.synthesis.judge_settings import SandboxSettings
from pad_ray.tasks import Split
from pad_ray.tasks.settings import ProblemSettings
from pad_ray.verifiers.settings import ScorerSettings


class EvaluationRun(ProblemSettings, SearchSettings):
    """Which problems a student answers, and how."""

    runtime_fields: ClassVar[frozenset[str]] = frozenset(
        "out problems batch_size max_rows actors threads gpus_per_actor".split()
    )

    split: Split = "test"
    """Part of a generated task: train, test, or held_out (templates never trained on)."""
    scorers: ScorerSettings = ScorerSettings()
    """Where the judges of steps come from."""
    few_shot: int = Field(0, ge=0)
    """Worked examples of the task before each question, for a student that was not fine-tuned."""
    batch_size: int = Field(32, ge=1)
    """Problems handed to the decoder together."""
    max_rows: int = Field(64, ge=1)
    """Programs in writing at a time."""
    sandbox: SandboxSettings = SandboxSettings()
    """Limits of one program's run."""
    actors: int = Field(1, ge=1)
    """Actors that hold the student."""
    gpus_per_actor: float = Field(0.0, ge=0)
    """GPUs each of them reserves."""
    precision: Literal["fp32", "bf16"] = "fp32"
    """Number format of the weights."""
    threads: int = Field(1, ge=1)
    """Threads a CPU actor computes with."""


class EvaluationSettings(EvaluationRun, RetrySettings):
    """Let one or several students answer a task's problems and compare them."""

    runtime_fields: ClassVar[frozenset[str]] = EvaluationRun.runtime_fields | {
        "max_failures",
        "retry_errors",
    }

    student: Annotated[list[str], MinLen(1)] | str
    """Student folder, hub id or .gguf file, or a list of them."""
    out: Path
    """Directory for one folder a student and the table of all."""

    @property
    def students(self) -> list[str]:
        return self.student if isinstance(self.student, list) else [self.student]


class EnsembleSettings(Settings):
    """Let evaluated students vote on each problem, weighted by what they are worth elsewhere."""

    runtime_fields: ClassVar[frozenset[str]] = frozenset({"out", "predictions", "validation"})

    predictions: Annotated[list[Path], MinLen(2)]
    """Evaluation directories of the students, all on the same problems."""
    validation: list[Path] = Field(default_factory=list)
    """Evaluation directories of the same students, in the same order, on problems that decide
    their weights; all weigh alike where none is given."""
    out: Path
    """Directory for predictions.parquet and manifest.json."""
