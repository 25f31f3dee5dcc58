"""How a student is taught to repair its programs, in rounds."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from pad_ray.base.config import Settings
from pad_ray.base.fields import Input, Runtime
from pad_ray.base.sandbox_settings import SandboxSettings
from pad_ray.evaluation.settings import EvaluationRun
from pad_ray.flow.inputs import stage_input
from pad_ray.flow.waiting import WaitSettings
from pad_ray.synthesis.repairs.settings import FailureRun, InjectionRun
from pad_ray.tasks.settings import ProblemSettings
from pad_ray.teachers.student_settings import SamplingSettings
from pad_ray.training.settings import TrainingHyperparameters


class SamplingRun(ProblemSettings, WaitSettings):
    """Training problems that each round's student writes samples for."""

    samples: int = Field(4, ge=1)
    """Programs a problem."""
    sampling: SamplingSettings = SamplingSettings()
    """How they are drawn."""
    sandbox: SandboxSettings = SandboxSettings()
    """Limits of one program's run."""
    teacher_actors: Annotated[int, Runtime] = Field(1, ge=1)
    """Actors that hold the student."""
    sandbox_actors: Annotated[int, Runtime] = Field(1, ge=1)
    """Actors that run programs."""
    rows_per_block: Annotated[int, Runtime] = Field(256, ge=1)
    """Rows an interruption costs at most, per running task."""


class RefinementSettings(Settings):
    """Teach a student to repair its programs, in rounds; run again, it skips what is complete.

    Round 0 trains on the verified programs and on injected errors. Every later round samples the
    last student, pairs its failures with right programs, and trains on those too.
    """

    data: Annotated[list[Path] | Path, Input(stage_input)]
    """Synthesis directories: what the student learns to write, and the right side of repairs."""
    out: Annotated[Path, Runtime]
    """Directory for all stages and rounds.json."""
    injection: InjectionRun = InjectionRun()
    """How verified programs are broken."""
    failures: FailureRun = FailureRun()
    """Which of the student's own failures are learned from."""
    sampling: list[SamplingRun] = Field(min_length=1)
    """Problems that each round's student is sampled on."""
    training: TrainingHyperparameters = TrainingHyperparameters(format="repair")
    """How each round's student is trained."""
    start: Literal["base", "previous"] = "base"
    """What a round's training starts from: the base student, or the last round's."""
    rounds: int = Field(2, ge=0)
    """Rounds after round 0."""
    evaluation: list[EvaluationRun] = Field(min_length=1)
    """Problem sets that each round's student answers, with strategy repair."""
