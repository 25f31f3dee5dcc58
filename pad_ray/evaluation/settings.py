"""How a student is evaluated."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from annotated_types import MinLen
from pydantic import Field

from pad_ray.base.config import Settings
from pad_ray.base.fields import Input, Runtime
from pad_ray.base.sandbox_settings import SandboxSettings
from pad_ray.decoding.settings import SearchSettings
from pad_ray.flow.failures import RetrySettings
from pad_ray.flow.inputs import stage_input
from pad_ray.flow.waiting import WaitSettings
from pad_ray.students.files import model_input
from pad_ray.tasks import Split
from pad_ray.tasks.settings import ProblemSettings
from pad_ray.verifiers.settings import ScorerSettings


class EvaluationRun(ProblemSettings, SearchSettings, WaitSettings):
    """Which problems a student answers, and how."""

    split: Split = "test"
    """Part of a generated task: train, test, held_out (templates never trained on); arithmetic has
    longer (more steps) and distracted (irrelevant facts) too."""
    scorers: ScorerSettings = ScorerSettings()
    """Where the judges of steps come from."""
    few_shot: int = Field(0, ge=0)
    """Worked examples of the task before each question, for a student that was not fine-tuned."""
    batch_size: Annotated[int, Runtime] = Field(32, ge=1)
    """Problems handed to the decoder together."""
    max_rows: Annotated[int, Runtime] = Field(64, ge=1)
    """Programs in writing at a time."""
    sandbox: SandboxSettings = SandboxSettings()
    """Limits of one program's run."""
    actors: Annotated[int, Runtime] = Field(1, ge=1)
    """Actors that hold the student."""
    gpus_per_actor: Annotated[float, Runtime] = Field(0.0, ge=0)
    """GPUs each of them reserves."""
    precision: Literal["fp32", "bf16"] = "fp32"
    """Number format of the weights."""
    threads: Annotated[int, Runtime] = Field(1, ge=1)
    """Threads a CPU actor computes with."""


class EvaluationSettings(EvaluationRun, RetrySettings):
    """Let one or several students answer a task's problems and compare them."""

    student: Annotated[Annotated[list[str], MinLen(1)] | str, Input(model_input, is_saved=True)]
    """Student folder, hub id or .gguf file; several are given by a list or `--student` again."""
    baseline: Annotated[bool, Runtime] = False
    """Ask the same of what each student was trained from, as its card says, and compare."""
    out: Annotated[Path, Runtime]
    """Directory for the answers; of several students one folder each and comparison.json."""

    @property
    def students(self) -> list[str]:
        return self.student if isinstance(self.student, list) else [self.student]


class EnsembleSettings(Settings):
    """Let evaluated students vote on each problem, weighted by what they are worth elsewhere."""

    predictions: Annotated[Annotated[list[Path], MinLen(2)], Input(stage_input)]
    """Evaluation directories of the students, all on the same problems."""
    validation: Annotated[list[Path], Input(stage_input)] = Field(default_factory=list)
    """Evaluation directories of the same students, in the same order, on problems that decide
    their weights; all weigh alike where none is given."""
    out: Annotated[Path, Runtime]
    """Directory for predictions.parquet and manifest.json."""
