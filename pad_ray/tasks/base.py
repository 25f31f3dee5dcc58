"""What a task is: where its problems come from, its exemplars, and when an answer is right."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, Protocol, TypeAlias, TypeGuard

from pad_ray.base.errors import ConfigError
from pad_ray.base.records import Problem, gold_answers
from pad_ray.tasks.readings import read, read_words
from pad_ray.tasks.rows import ID_FIELD, Row, read_rows

Split = Literal["train", "test", "held_out", "longer", "distracted"]
Size: TypeAlias = "int | range | None"


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
    a range mixes its sizes evenly, None is the task's default. Problems of one split never appear
    in another. Raises ConfigError for a split or a size that the task does not have.
    """

    def __call__(self, count: int, split: Split, seed: int, size: Size) -> Iterable[Problem]: ...


@dataclass(frozen=True)
class RowLoader:
    """Loads a task's problems row by row: `problem` makes one of a row's `fields`.

    Those are what a user may name; `id`, the user's own, is one of every task.
    """

    fields: tuple[str, ...]
    problem: Callable[[Row], Problem]

    def __call__(self, path: Path, fields: Mapping[str, str] | None = None) -> Iterator[Problem]:
        """Yield the problems; `fields` names the file's columns where they have other names."""
        named = fields or {}
        known = dict.fromkeys([*self.fields, ID_FIELD])
        if unknown := next((name for name in named if name not in known), None):
            raise ConfigError(f"fields: no field '{unknown}' here, but {', '.join(known)}")
        for row in read_rows(path):
            yield self.problem(replace(row, fields=named))


@dataclass(frozen=True)
class Task:
    """A task family. Exactly one of `load` (from a file) and `generate` is given.

    `answers_equal` takes a program's value, or what a text states, and one gold answer.
    """

    name: str
    answers_equal: Callable[[object, str], bool]
    exemplars: tuple[Exemplar, ...] = ()
    load: Callable[[Path], Iterator[Problem]] | None = None
    generate: Generator | None = None

    def is_right(self, value: object, answer: str) -> bool:
        """Tell whether a value is equal to a problem's answer, to any where it has several."""
        return any(self.answers_equal(value, one) for one in gold_answers(answer))


def is_number(value: object) -> TypeGuard[int | float]:
    """Tell a number from every other value of a program, a bool among them."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def numbers_equal_rounded(value: object, answer: str) -> bool:
    """Compare after rounding both to the nearest integer, as the paper does."""
    one, other = read(value).number, read(answer).number
    if one is None or other is None:
        return False
    try:
        return round(one.value) == round(other.value)
    except (OverflowError, ValueError):
        # An infinity, or no number.
        return False


def texts_equal(value: object, answer: str) -> bool:
    """Compare texts alone; case, spaces, markup and typography do not matter."""
    return isinstance(value, str) and (value == answer or read_words(value) == read_words(answer))


def answers_equal_rounded(value: object, answer: str, exact: bool) -> bool:
    """Return the paper's rounded verdict; for answers that are not numbers, the exact one."""
    return exact or any(numbers_equal_rounded(value, one) for one in gold_answers(answer))
