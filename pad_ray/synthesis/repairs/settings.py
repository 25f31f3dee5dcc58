"""How errors are injected, failures collected and rounds of both run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field, field_validator

from pad_ray.base.config import Settings
from pad_ray.base.errors import ConfigError
from pad_ray.base.fields import Input, Runtime
from pad_ray.base.sandbox_settings import SandboxSettings
from pad_ray.base.storage import locate_all
from pad_ray.flow.inputs import stage_input
from pad_ray.flow.waiting import WaitSettings
from pad_ray.synthesis.repairs.injections.kinds import INJECTIONS, check_weights


class InjectionRun(WaitSettings):
    """How verified programs are broken."""

    count: int = Field(4, ge=1)
    """Broken programs made of each verified one."""
    weights: dict[str, float] = Field(default_factory=dict)
    """How often a kind of error is drawn, in place of its default; 0 leaves it out."""
    combine: float = Field(0.1, ge=0, le=1)
    """Share of programs that get a second error."""
    seed: int = 0
    """Of all injections, with the problem and its program."""
    sandbox: SandboxSettings = SandboxSettings(cpu_s=0.5)
    """Limits of one program's run."""
    actors: Annotated[int, Runtime] = Field(1, ge=1)
    """Actors that inject and execute."""
    rows_per_block: Annotated[int, Runtime] = Field(4096, ge=1)
    """Programs an interruption costs at most, per running task."""

    @field_validator("weights")
    @classmethod
    def _known(cls, weights: dict[str, float]) -> dict[str, float]:
        try:
            check_weights({**DEFAULT_WEIGHTS, **weights})
        except ConfigError as error:
            raise ValueError(str(error).removeprefix("weights: ")) from None
        return weights


class InjectionSettings(InjectionRun):
    """Break verified programs in the ways of small students, and execute what comes of it.

    Writes verified/ (broken program, the interpreter's message, right program), rejected/ (edits
    that leave the answer right, and repeats) and manifest.json.
    """

    data: Annotated[list[Path] | Path, Input(stage_input)]
    """Synthesis directory, or a list of them."""
    out: Annotated[Path, Runtime]
    """Directory for verified/, rejected/ and manifest.json."""

    @property
    def folders(self) -> list[Path]:
        return locate_all(self.data)


DEFAULT_WEIGHTS = {name: injection.weight for name, injection in INJECTIONS.items()}


class FailureRun(Settings):
    """Which of a student's failures become repairs."""

    wrong_answers: bool = False
    """Keep programs that run and return a wrong value too, shown to the student as WrongAnswer.
    Nothing tells such a program at inference, unless a verifier does."""
    per_problem: int = Field(4, ge=1)
    """Most failures of one problem."""


class FailureSettings(FailureRun):
    """Pair a student's failed programs with verified programs of the same problems.

    Writes verified/ (failed program, the interpreter's message, the right program that is closest
    by edit distance), rejected/ and manifest.json.
    """

    samples: Annotated[list[Path] | Path, Input(stage_input)]
    """Synthesis directory of `--teacher student`, or a list of them."""
    data: Annotated[list[Path] | Path, Input(stage_input)] = Field(default_factory=list)
    """Synthesis directories with right programs, beside the student's own."""
    out: Annotated[Path, Runtime]
    """Directory for verified/, rejected/ and manifest.json."""
