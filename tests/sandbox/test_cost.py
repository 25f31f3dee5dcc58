"""One hostile program in a hundred costs at most three times its own limit, whatever it is."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from corpus import body
from stallers import KNOWN, invented

from pad_ray.sandbox import Limits, Sandbox

# As little time as a staller needs to build what it leaves; memory that it can fill in that time.
LIMITS = Limits(wall_s=2, cpu_s=0.5, memory_mb=64)
NEIGHBOURS = [body(f"x = [[j] for j in range(100)]\nreturn {n} + len(x)") for n in range(99)]
VALUES = [n + 100 for n in range(99)]
SEARCH_S = float(os.environ.get("PAD_RAY_STALLERS_S", "120"))


@pytest.fixture(scope="module")
def limited() -> Iterator[Sandbox]:
    with Sandbox(LIMITS) as sandbox:
        yield sandbox


def cpu_s(pid: int) -> float:
    """Return the seconds of CPU that a process and its ended children have used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


def cost(sandbox: Sandbox, program: str, at: int) -> float:
    """Return the seconds of CPU of 99 programs and this one among them; all are as alone."""
    zygotes = sandbox.zygote_pids
    before = cpu_s(zygotes[0])
    outcomes = sandbox.run([*NEIGHBOURS[:at], program, *NEIGHBOURS[at:]])
    outcomes.pop(at)
    assert [outcome.value for outcome in outcomes] == VALUES
    assert sandbox.zygote_pids == zygotes
    return cpu_s(zygotes[0]) - before


@pytest.mark.parametrize("how", KNOWN)
def test_a_known_staller_costs_no_more_than_three_times_its_limit(
    limited: Sandbox, how: str
) -> None:
    assert cost(limited, KNOWN[how], 0) < 3 * LIMITS.cpu_s


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_no_invented_staller_costs_more_than_three_times_its_limit(limited: Sandbox) -> None:
    rng = random.Random(time.time_ns())
    end = time.monotonic() + SEARCH_S
    while time.monotonic() < end:
        program, at = invented(rng), rng.choice((0, 50, 98))
        # On a loaded machine ticks of others may be counted in; not every time.
        dear = all(cost(limited, program, at) >= 3 * LIMITS.cpu_s for _ in range(2))
        assert not dear, program
