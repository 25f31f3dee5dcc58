"""How programs are run, for every job that runs some."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Annotated, Self

from pydantic import Field, model_validator

from pad_ray.base.config import Settings
from pad_ray.base.fields import Runtime
from pad_ray.sandbox import Limits, Sandbox


class SandboxSettings(Settings):
    """Limits of one program's run."""

    wall_s: float = Field(5.0, gt=0)
    """Seconds of wall time."""
    cpu_s: float = Field(2.0, gt=0)
    """Seconds of CPU time."""
    memory_mb: int = Field(256, ge=16)
    """Megabytes of address space beyond the interpreter's own."""
    output_kb: int = Field(64, ge=1)
    """Kilobytes of a returned value, and of printed text."""
    required: Annotated[tuple[str, ...], Runtime] = ()
    """Layers without which nothing runs, besides seccomp: landlock, unprivileged_user."""
    modules: tuple[str, ...] = ()
    """What programs may import besides parts of the standard library: sympy, dateutil, numpy."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        try:
            self.limits()
        except ValueError as error:
            raise ValueError(str(error).removeprefix("Limits.")) from None
        # The sandbox itself loads them at the first program that names one, far into a run.
        for name in self.modules:
            if find_spec(name.partition(".")[0]) is None:
                raise ValueError(f"modules: no package '{name}' is installed here")
        return self

    def limits(self) -> Limits:
        """Return the limits as the sandbox takes them."""
        return Limits(
            wall_s=self.wall_s,
            cpu_s=self.cpu_s,
            memory_mb=self.memory_mb,
            output_kb=self.output_kb,
            required=frozenset(self.required),
        )

    def sandbox(self) -> Sandbox:
        """Return a sandbox for these settings; the caller closes it."""
        return Sandbox(self.limits(), modules=self.modules)
