"""Programs a second: the sandbox against a fresh interpreter a program, in turn, on one core."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence

from pad_ray.sandbox import Sandbox
from pad_ray.tasks import get_task

ROUNDS = 5
PROGRAMS = 60


def programs() -> list[str]:
    generate = get_task("arithmetic").generate
    assert generate is not None
    return [p.program for p in generate(PROGRAMS, "train", 0, None) if p.program is not None]


def fresh_interpreters(texts: Sequence[str]) -> list[float]:
    def run(text: str) -> float:
        command = [sys.executable, "-I", "-c", f"{text}\nprint(solution())"]
        return float(subprocess.run(command, capture_output=True, check=True, text=True).stdout)

    return [run(text) for text in texts]


def seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def test_sandbox_against_fresh_interpreters() -> None:
    texts = programs()
    with Sandbox() as sandbox:
        values = [float(outcome.value) for outcome in sandbox.run(texts)]  # type: ignore[arg-type]
        assert values == fresh_interpreters(texts)
        pairs = [
            (seconds(lambda: fresh_interpreters(texts)), seconds(lambda: sandbox.run(texts)))
            for _ in range(ROUNDS)
        ]
    ratios = [fresh / jailed for fresh, jailed in pairs]
    rate = PROGRAMS / statistics.median(jailed for _, jailed in pairs)
    print(
        f"\nsandbox: {rate:.0f} programs/s, {statistics.median(ratios):.1f} times a fresh "
        f"interpreter (min {min(ratios):.1f}, max {max(ratios):.1f}, {ROUNDS} rounds in turn)"
    )
