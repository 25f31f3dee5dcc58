"""What all generated tasks share: the split of a question, and drawing distinct problems."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from pad_ray.errors import ConfigError
from pad_ray.records import Problem
from pad_ray.tasks.base import Split

__all__ = ["draw_distinct", "split_of"]

TEST_PERCENT = 20
MAX_MISSES = 20_000


def split_of(question: str) -> Split:
    """Return the side a question falls on, by its hash alone: no seed can move it across."""
    bucket = int(hashlib.sha256(question.encode()).hexdigest()[:8], 16) % 100
    return "test" if bucket < TEST_PERCENT else "train"


def draw_distinct(
    count: int, draw: Callable[[], Problem | None], wanted: Callable[[Problem], bool]
) -> list[Problem]:
    """Draw until `count` distinct wanted problems are found, so a longer call extends a shorter.

    A draw of None is a miss. Raises ConfigError after `MAX_MISSES` misses in a row.
    """
    if count < 0:
        raise ConfigError(f"count is {count}: ask for 0 problems or more")
    found: dict[str, Problem] = {}
    misses = 0
    while len(found) < count:
        problem = draw()
        if problem is not None and problem.question not in found and wanted(problem):
            found[problem.question] = problem
            misses = 0
            continue
        misses += 1
        if misses == MAX_MISSES:
            raise ConfigError(
                f"count is {count}, but only {len(found)} distinct problems of this split and size "
                "were found: ask for fewer, or for another size"
            )
    return list(found.values())
