"""Interrupts and signal handlers, wherever Python lets one arrive."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

import pytest
from test_lifecycle import children

from pad_ray.sandbox import (
    Outcome,
    OutcomeCache,
    Sandbox,
    SandboxError,
    executor,
    locks,
    pool,
    process,
)
from pad_ray.sandbox import cache as outcome_cache

GOOD = "def solution():\n    return 6 * 7"
OTHER = "def solution():\n    return 43"
FILES = {str(module.__file__) for module in (executor, locks, outcome_cache, pool, process)}

# A function, an offset in it, and whether it is the function's entry or the end of a call there.
Point = tuple[str, int, str]


@contextmanager
def at(wanted: Point | None, act: Callable[[], object], files: set[str]) -> Iterator[list[Point]]:
    """Call `act` as this thread first comes to a point of `files`; yield the points it comes to.

    These are the points at which CPython looks whether a signal has come, but for the ends of
    loops: the entry of a function, and the end of a call of one in C, before its result is kept.
    """
    seen: dict[Point, None] = {}

    def look(frame: FrameType, event: str, _: object) -> None:
        if event in ("call", "c_return") and frame.f_code.co_filename in files:
            point = frame.f_code.co_qualname, frame.f_lasti, event
            if point not in seen:
                seen[point] = None
                if point == wanted:
                    act()

    points: list[Point] = []
    usual = sys.getprofile()
    sys.setprofile(look)
    try:
        yield points
    finally:
        sys.setprofile(usual)
        points += seen


def points_of(run: Callable[[], object], files: set[str] = FILES) -> list[Point]:
    """Return where a signal may arrive while `run` runs."""
    with at(None, run, files) as points:
        run()
    assert len(points) > 10
    return points


def values(outcomes: list[Outcome]) -> list[object]:
    return [outcome.value for outcome in outcomes]


def interrupt() -> None:
    raise KeyboardInterrupt


def interrupted(run: Callable[[], object], point: Point) -> None:
    # In a call of its own: no variable may keep the error, and with it what the run held.
    with pytest.raises(KeyboardInterrupt), at(point, interrupt, FILES):
        run()


@pytest.mark.timeout(600)
@pytest.mark.parametrize("zygotes", [1, 2])
def test_an_interrupt_costs_no_lock_and_no_process_wherever_it_comes(zygotes: int) -> None:
    before = set(children(os.getpid()))
    programs = [GOOD] * zygotes
    with Sandbox(zygotes=zygotes) as sandbox:

        def run() -> list[Outcome]:
            return OutcomeCache(sandbox).run([GOOD]) + sandbox.run(programs)

        for point in points_of(run):
            interrupted(run, point)
            assert values(run()) == [42] * (zygotes + 1)
        gc.collect()
        assert set(children(os.getpid())) - before == set(sandbox.zygote_pids)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("zygotes", [1, 2])
def test_a_signal_handler_may_run_programs_wherever_it_comes(zygotes: int) -> None:
    before = set(children(os.getpid()))
    programs = [GOOD] * zygotes
    with Sandbox(zygotes=zygotes) as sandbox:
        outcomes = OutcomeCache(sandbox)

        def run() -> list[Outcome]:
            outcomes._kept.clear()
            return outcomes.run([GOOD]) + sandbox.run(programs)

        def handle() -> None:
            inner.extend(outcomes.run([OTHER]) + sandbox.run([OTHER] * zygotes))

        for point in points_of(run):
            inner: list[Outcome] = []
            with at(point, handle, FILES):
                assert values(run()) == [42] * (zygotes + 1)
            assert values(inner) == [43] * (zygotes + 1)
        gc.collect()
        assert set(children(os.getpid())) - before == set(sandbox.zygote_pids)


@pytest.mark.timeout(600)
def test_a_signal_handler_may_close_the_sandbox_wherever_it_comes() -> None:
    before = set(children(os.getpid()))
    files = {str(pool.__file__)}
    with Sandbox() as sandbox:
        points = points_of(lambda: sandbox.run([GOOD]), files)
    for point in (point for point in points if point[0].startswith("_Place.")):
        sandbox = Sandbox()
        with at(point, sandbox.close, files), suppress(SandboxError):
            assert values(sandbox.run([GOOD])) == [42]
        gc.collect()
        assert set(children(os.getpid())) == before
