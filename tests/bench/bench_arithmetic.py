"""Making arithmetic problems, and running every gold program: PAD_RAY_BENCH_PROBLEMS of them.

Beside it one fixed story is filled with two numbers and given its key, which is the least that
any problem costs.
"""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable, Iterable

from rich.console import Console
from rich.table import Table

from pad_ray.base.records import Problem
from pad_ray.sandbox import Sandbox
from pad_ray.tasks.answers import numbers_equal
from pad_ray.tasks.arithmetic.task import generate_arithmetic

PROBLEMS = int(os.environ.get("PAD_RAY_BENCH_PROBLEMS", 1_000_000))
BLOCK = 20_000
GOAL = 20_000


def one_story() -> Iterable[Problem]:
    for first in itertools.count():
        for second in range(1_000):
            question = f"Ana picks {first} apples and {second} pears. How many fruits are there?"
            program = f"def solution():\n    return {first} + {second}"
            yield Problem.make("arithmetic", question, str(first + second), program=program)


def measured(
    problems: Iterable[Problem], look: Callable[[list[Problem]], None]
) -> tuple[int, float]:
    """Return how many were made, and the CPU seconds of making them; `look` is not counted."""
    stream = iter(problems)
    count, seconds = 0, 0.0
    while True:
        start = time.process_time()
        block = list(itertools.islice(stream, BLOCK))
        seconds += time.process_time() - start
        if not block:
            return count, seconds
        count += len(block)
        look(block)


def test_a_million_problems() -> None:
    keys: set[int] = set()
    wrong: list[Problem] = []
    with Sandbox() as sandbox:

        def look(block: list[Problem]) -> None:
            keys.update(int(problem.problem_id, 16) for problem in block)
            outcomes = sandbox.run([problem.program or "" for problem in block])
            wrong.extend(
                problem
                for problem, outcome in zip(block, outcomes, strict=True)
                if outcome.status != "ok" or not numbers_equal(outcome.value, problem.answer)
            )

        made, seconds = measured(generate_arithmetic(PROBLEMS, "train", 0, None), look)
    least, floor_s = measured(itertools.islice(one_story(), PROBLEMS), lambda block: None)
    table = Table(
        "problems", "distinct", "gold programs wrong", "a CPU second", "goal", "one story"
    )
    pace, floor = made / seconds, least / floor_s
    table.add_row(
        f"{made:,}", f"{len(keys):,}", f"{len(wrong):,}", f"{pace:,.0f}", f"{GOAL:,}",
        f"{floor:,.0f} ({pace / floor:.2f})",
    )  # fmt: skip
    Console(width=120).print(table)
    assert len(keys) == made == PROBLEMS and not wrong
