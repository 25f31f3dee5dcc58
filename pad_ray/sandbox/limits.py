"""What one program may use."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from dataclasses import dataclass

LAYERS = frozenset(
    "seccomp no_new_privs rlimits parent_death_signal landlock unprivileged_user".split()
)
_BOUNDS = {
    "wall_s": (0.05, 3600, "seconds"),
    "cpu_s": (0.01, 3600, "seconds"),
    "memory_mb": (16, 65536, "MB"),
    "output_kb": (1, 65536, "kB"),
}


@dataclass(frozen=True)
class Limits:
    """Bounds for one program; out-of-range values raise `ValueError` naming the field.

    wall_s: seconds the program may run and sleep. Time in which it wants a core and gets none is
        not counted, so that a busy machine fails no good program; `wire.STRETCH` times as many
        seconds on the clock are the end in any case. Where the kernel hides other processes
        (hidepid), such waits cannot be told from sleep and are counted.
    cpu_s: seconds of processor time, below one second too.
    memory_mb: address space on top of the interpreter's own, in MB of 2**20 bytes.
    output_kb: size of the returned value as JSON, and of the printed text that is kept, each in
        kB of 1024 bytes.
    required: layers (names as in `LAYERS`) without which the sandbox refuses to start. seccomp,
        no_new_privs, rlimits and parent_death_signal are always required.
    """

    wall_s: float = 5.0
    cpu_s: float = 2.0
    memory_mb: int = 256
    output_kb: int = 64
    required: AbstractSet[str] = frozenset()

    def __post_init__(self) -> None:
        for name, (low, high, unit) in _BOUNDS.items():
            value = getattr(self, name)
            kinds: tuple[type, ...] = (int, float) if unit == "seconds" else (int,)
            if type(value) not in kinds or not low <= value <= high:
                kind = "number" if float in kinds else "whole number"
                raise ValueError(
                    f"Limits.{name} must be a {kind} from {low} to {high} {unit}, not {value!r}"
                )
        object.__setattr__(self, "required", frozenset(self.required))
        unknown = sorted(self.required - LAYERS)
        if unknown:
            known = ", ".join(sorted(LAYERS))
            raise ValueError(f"Limits.required: no layer {unknown[0]!r}; there are {known}")
