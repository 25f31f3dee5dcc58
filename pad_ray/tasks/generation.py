"""What all generated tasks share: the split of a question, and drawing distinct problems."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol, TypeVar

from pad_ray.base.errors import ConfigError
from pad_ray.base.records import Problem
from pad_ray.tasks.base import Size, Split

__all__ = [
    "answer_program",
    "asked_sizes",
    "choose_pair",
    "draw_distinct",
    "draw_templates",
    "split_of",
    "write_program",
]

TEST_PERCENT = 20
MAX_MISSES = 20_000


class MayBeHeldOut(Protocol):
    """A part of a template: one that is held out is never trained on."""

    @property
    def held_out(self) -> bool: ...


A = TypeVar("A", bound=MayBeHeldOut)
B = TypeVar("B", bound=MayBeHeldOut)


def write_program(lines: Sequence[str]) -> str:
    """Return `solution()` with these statements, one a line."""
    return "def solution():\n" + "\n".join(f"    {line}" for line in lines)


def answer_program(lines: Sequence[str]) -> str:
    """Return `solution()` with these statements, which returns what the last one assigns."""
    return write_program([*lines, f"return {lines[-1].split(' = ')[0]}"])


def choose_pair(
    rng: random.Random, first: Sequence[A], second: Sequence[B], held_out: bool
) -> tuple[A, B]:
    """Draw the two parts of a template: both seen, or at least one of them held out."""
    if not held_out:
        return rng.choice(_seen(first)), rng.choice(_seen(second))
    # Where one side has nothing to hold out, the other does.
    unseen_first = [part for part in first if part.held_out]
    unseen_second = [part for part in second if part.held_out]
    if unseen_first and (not unseen_second or rng.random() < 0.5):
        return rng.choice(unseen_first), rng.choice(second)
    return rng.choice(first), rng.choice(unseen_second)


def _seen(parts: Sequence[A]) -> list[A]:
    return [part for part in parts if not part.held_out]


def draw_templates(
    task: str,
    draw: Callable[[random.Random, bool, int], Problem | None],
    sizes: Sequence[int],
    mixture: Sequence[int],
    of: str,
    count: int,
    split: Split,
    seed: int,
    size: Size,
) -> Iterator[Problem]:
    """Draw problems of a task with held-out templates; `draw` gets that, and the size in `of`.

    Without a size each problem has one of `mixture`. Raises ConfigError for a split or size that
    the task does not have.
    """
    if split not in ("train", "test", "held_out"):
        raise ConfigError(f"split is {split!r}: {task} has train, test, held_out")
    asked = asked_sizes(task, size, sizes, of, mixture)
    held_out = split == "held_out"
    rng = random.Random(f"{task}|{split}|{seed}|{size}")
    return draw_distinct(
        count,
        lambda: draw(rng, held_out, size if isinstance(size, int) else rng.choice(asked)),
        lambda problem: held_out or split_of(problem.question) == split,
    )


def asked_sizes(
    task: str, size: Size, sizes: Sequence[int], of: str, default: Sequence[int]
) -> Sequence[int]:
    """Return the sizes that problems may have; ConfigError for one that the task does not have."""
    if size is None:
        return default
    asked = [size] if isinstance(size, int) else list(size)
    unknown = next((one for one in asked if one not in sizes), None)
    if unknown is None and asked:
        return asked
    raise ConfigError(
        f"size is {unknown}: {task} takes {min(sizes)} to {max(sizes)} {of}, or none for a mixture"
        if sizes
        else f"size is {unknown}: {task} has no size, leave it out"
    )


def split_of(question: str) -> Split:
    """Return the side a question falls on, by its hash alone: no seed can move it across."""
    bucket = int(hashlib.sha256(question.encode()).hexdigest()[:8], 16) % 100
    return "test" if bucket < TEST_PERCENT else "train"


def draw_distinct(
    count: int, draw: Callable[[], Problem | None], wanted: Callable[[Problem], bool]
) -> Iterator[Problem]:
    """Draw until `count` distinct wanted problems are found, so a longer call extends a shorter.

    A draw of None is a miss. Raises ConfigError after `MAX_MISSES` misses in a row.
    """
    if count < 0:
        raise ConfigError(f"count is {count}: ask for 0 problems or more")
    return _distinct(count, draw, wanted)


def _distinct(
    count: int, draw: Callable[[], Problem | None], wanted: Callable[[Problem], bool]
) -> Iterator[Problem]:
    # Numbers, not texts: millions of problems are told apart in little memory.
    found: set[int] = set()
    misses = 0
    while len(found) < count:
        problem = draw()
        if problem is not None and int(problem.problem_id, 16) not in found and wanted(problem):
            found.add(int(problem.problem_id, 16))
            yield problem
            misses = 0
            continue
        misses += 1
        if misses == MAX_MISSES:
            raise ConfigError(
                f"count is {count}, but only {len(found)} distinct problems of this split and size "
                "were found: ask for fewer, or for another size"
            )
