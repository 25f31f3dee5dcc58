"""What a kind of augmentation makes of a row."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Rewritten"]


@dataclass(frozen=True)
class Rewritten:
    """A new question and the program that answers it; `changed` are the numbers put away."""

    question: str
    program: str
    changed: tuple[float, ...] = ()
