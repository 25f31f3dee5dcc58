"""What a task is: where its problems come from, its exemplars, and when an answer is right."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol, TypeGuard

from pad_ray.base.records import Problem

Split = Literal["train", "test", "held_out"]


@dataclass(frozen=True)
class Exemplar:
    """A worked problem for a teacher's few-shot prompt, in our own wording."""

    question: str
    program: str
    chain_of_thought: str = ""
    """The same worked in words, for teachers of texts: its last line is "The answer is X."."""


class Generator(Protocol):
    """Makes `count` distinct problems; the same arguments give the same problems in order.

    `size` is the number of names (symbolic tasks), steps (arithmetic), rows, objects or records;
    None is the task's default. Problems of one split never appear in another.
    """

    def __call__(
        self, count: int, split: Split, seed: int, size: int | None
    ) -> Iterable[Problem]: ...


@dataclass(frozen=True)
class Task:
    """A task family. Exactly one of `load` (from a file) and `generate` is given."""

    name: str
    answers_equal: Callable[[object, str], bool]
    exemplars: tuple[Exemplar, ...] = ()
    load: Callable[[Path], Iterator[Problem]] | None = None
    generate: Generator | None = None


def is_number(value: object) -> TypeGuard[int | float]:
    """Tell a number from every other value of a program, a bool among them."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def numbers_equal(value: object, answer: str) -> bool:
    """Compare a program's value with the gold number, relative tolerance 1e-6 (not rounded)."""
    if not is_number(value):
        return False
    try:
        return math.isclose(value, float(answer), rel_tol=1e-6, abs_tol=1e-9)
    except (OverflowError, ValueError):
        return False


def numbers_equal_rounded(value: object, answer: str) -> bool:
    """Compare after rounding both to the nearest integer, as the paper does."""
    if not is_number(value):
        return False
    try:
        return round(value) == round(float(answer))
    except (OverflowError, ValueError):
        return False


def texts_equal(value: object, answer: str) -> bool:
    """Compare text case-insensitively after trimming."""
    return isinstance(value, str) and value.strip().casefold() == answer.strip().casefold()


def answers_equal_rounded(value: object, answer: str, exact: bool) -> bool:
    """Return the paper's rounded verdict; for answers that are not numbers, the exact one."""
    return exact or numbers_equal_rounded(value, answer)
