"""Which programs are kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pad_ray.base.config import Settings
from pad_ray.base.sandbox_settings import SandboxSettings


class JudgingSettings(Settings):
    """How programs are run, and which are kept."""

    sandbox: SandboxSettings = SandboxSettings()
    """Limits of one program's run."""
    accept: Literal["exact", "rounded"] = "exact"
    """Which answers are right: as the gold one, or (the paper's rule) once both are rounded."""
    near_duplicates: Literal["keep", "drop"] = "keep"
    """Whether a problem keeps right programs that differ in no calculation."""

    @property
    def rule(self) -> Rule:
        return Rule(self.accept, self.near_duplicates == "drop")


@dataclass(frozen=True)
class Rule:
    """When a program is kept: whose answers count as right, and whether near-duplicates matter."""

    accept: Literal["exact", "rounded"] = "exact"
    near_keys: bool = False
