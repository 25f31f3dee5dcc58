"""Tens of thousands of programs through one sandbox: nothing lost, reordered or leaked.

PAD_RAY_ENDURANCE sets how many programs are run, such as 300000.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

import pytest
from stories import Expected, gsm8k_like, hostile
from strategies import children

from pad_ray.sandbox import Limits, Outcome, Sandbox

PROGRAMS = int(os.environ.get("PAD_RAY_ENDURANCE", "60000"))
CALL = 4000
HOSTILE_SHARE = 0.01
GROWTH_BYTES = 5 << 20


class Held(NamedTuple):
    """What a process holds: resident bytes and open descriptors."""

    rss: int
    descriptors: int


def held(pid: int) -> Held:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    descriptors = len(os.listdir(f"/proc/{pid}/fd"))
    return Held(pages * os.sysconf("SC_PAGE_SIZE"), descriptors)


def programs(count: int) -> Iterator[list[Expected]]:
    """Yield calls of a few thousand programs, each with what must become of it."""
    rng = random.Random(count)
    for start in range(0, count, CALL):
        yield [
            hostile(rng) if rng.random() < HOSTILE_SHARE else gsm8k_like(number, rng)
            for number in range(start, min(count, start + CALL))
        ]


def is_as_expected(outcome: Outcome, expected: Expected) -> bool:
    return (
        outcome.status == expected.status
        and outcome.value == expected.value
        and type(outcome.value) is type(expected.value)
        and expected.stdout in (None, outcome.stdout)
    )


def endure(count: int) -> float:
    """Run so many programs through one sandbox, judge each outcome; return the seconds it took."""
    limits = Limits(wall_s=2, cpu_s=0.2, memory_mb=64, output_kb=16)
    spent = 0.0
    with Sandbox(limits) as sandbox:
        (zygote,) = sandbox.zygote_pids
        warm: dict[int, Held] = {}
        for number, call in enumerate(programs(count)):
            started = time.monotonic()
            outcomes = sandbox.run([expected.source for expected in call])
            spent += time.monotonic() - started
            wrong = [pair for pair in zip(outcomes, call, strict=True) if not is_as_expected(*pair)]
            assert not wrong, f"{len(wrong)} in call {number}, the first {wrong[0]}"
            if number == 1:
                warm = {pid: held(pid) for pid in (os.getpid(), zygote)}
        assert sandbox.zygote_pids == [zygote]
        assert children(zygote) == []
        for pid, before in warm.items():
            now = held(pid)
            assert now.descriptors == before.descriptors, (before, now)
            assert now.rss - before.rss < GROWTH_BYTES, (before, now)
    assert not Path(f"/proc/{zygote}").exists()
    return spent


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_one_sandbox_endures_a_large_mixed_load(capsys: pytest.CaptureFixture[str]) -> None:
    # A process of its own: the Ray of other tests opens and closes descriptors in this one.
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        spent = process.submit(endure, PROGRAMS).result()
    with capsys.disabled():
        print(f"\n{PROGRAMS} programs in {spent:.0f} s, {PROGRAMS / spent:.0f} a second")
