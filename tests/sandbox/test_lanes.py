"""A program's outcome is the same in a process of its own and among many in one."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from corpus import CORNERS, GOOD, body
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from stories import gsm8k_like
from strategies import any_programs, children, described

from pad_ray.sandbox import Limits, Outcome, Sandbox

SMALL = Limits(wall_s=2, cpu_s=0.5, memory_mb=64, output_kb=4)
both_lanes = settings(
    max_examples=40,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def assert_same_in_both_lanes(sandbox: Sandbox, programs: Sequence[str]) -> list[Outcome]:
    for _ in range(3):
        alone = [sandbox.run([program])[0] for program in programs]
        together = sandbox.run([GOOD, *programs, GOOD])
        pairs = zip(programs, described(alone), described(together[1:-1]), strict=True)
        unlike = [pair for pair in pairs if pair[1] != pair[2]]
        # A machine with more to do may stand still for a program's two seconds; not every time.
        if not unlike or not any("'timeout'" in one + other for _, one, other in unlike):
            break
    assert [outcome.value for outcome in (together[0], together[-1])] == [42, 42]
    assert not unlike
    return alone


@pytest.fixture(scope="module")
def small() -> Iterator[Sandbox]:
    with Sandbox(SMALL) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def unhurried() -> Iterator[Sandbox]:
    """For programs that must end of themselves, however slow the machine is."""
    with Sandbox(replace(SMALL, cpu_s=20, wall_s=60)) as sandbox:
        yield sandbox


def test_proved_programs_do_share_a_process(small: Sandbox) -> None:
    """Else all that is compared here would be alone with itself."""
    alone = sorted(small.run([GOOD])[0].cpu_s for _ in range(9))[4]
    together = sorted(outcome.cpu_s for outcome in small.run([GOOD] * 100))[50]
    assert together < alone / 3  # no process is started for each


@both_lanes
@given(programs=st.lists(any_programs, min_size=1, max_size=15))
def test_generated_programs_end_alike_in_both_lanes(small: Sandbox, programs: list[str]) -> None:
    assert_same_in_both_lanes(small, programs)


def test_recursion_up_to_the_limit_ends_alike_in_both_lanes(small: Sandbox) -> None:
    forms = {
        "plain": "def f(n): return 0 if n == 0 else 1 + f(n - 1)",
        "through C": "def f(n): return 0 if n == 0 else 1 + max([n - 1], key=f) * 0 + n",
        "sum": "def f(n): return 0 if n == 0 else 1 + sum(f(n - 1) for _ in 'a')",
        "a Fraction": "from fractions import Fraction\ndef f(n): return Fraction(n) if n < 1"
        " else 1 + f(n - 1)",
        "a date": "from datetime import datetime\n"
        "def f(n): return datetime.strptime('2024', '%Y').year if n < 1 else f(n - 1)",
    }
    for name, form in forms.items():
        programs = [body(f"return f({depth})", form) for depth in range(900, 1001)]
        statuses = {o.status for o in assert_same_in_both_lanes(small, programs[::3])}
        assert name in ("through C", "sum") or statuses == {"ok", "error"}, name


def test_a_neighbours_warm_caches_let_no_program_recurse_deeper(small: Sandbox) -> None:
    before = "from datetime import datetime\ndef f(n): "
    before += "return datetime.strptime('2024-01', '%Y-%m').year if n < 1 else f(n - 1)"
    programs = [body("return f(0)", before)]
    programs += [body(f"return f({depth})", before) for depth in range(930, 990)]
    assert_same_in_both_lanes(small, programs)


@pytest.mark.slow
def test_memory_up_to_the_limit_ends_alike_in_both_lanes(small: Sandbox) -> None:
    for kind in ("len('x' * ({0} << 10))", "len([0] * ({0} << 7))"):
        sizes = range(61 << 10, 66 << 10, 160)
        programs = [body(f"return {kind.format(size)}") for size in sizes]
        alone = [small.run([program])[0] for program in programs]
        first = [small.run([program, GOOD])[0] for program in programs]
        assert described(alone) == described(first)
        assert {outcome.status for outcome in alone} == {"ok", "memory"}


RING = "ring = ['x' * ({0} << 10)]\nring.append(ring)\ndef solution(): return 1"


@pytest.mark.parametrize(
    "victim",
    [
        body("raise ValueError([0] * 2000000)"),
        body("raise KeyError('x' * 9000000)"),
        body("print('y' * 3000)\nreturn 1"),
        body("return ['y' * 3000]"),
        body("print([0] * 100000)\nreturn len(str([0] * 1000000))"),
    ],
)
@pytest.mark.slow
def test_memory_that_a_neighbour_holds_changes_no_outcome(unhurried: Sandbox, victim: str) -> None:
    alone = described(unhurried.run([victim]))
    for size in (*range(8 << 10, 64 << 10, 6 << 10), *range(62 << 10, 64 << 10, 256)):
        found = described(unhurried.run([RING.format(size), victim, victim]))
        assert found[1:] == alone * 2, size


@pytest.mark.parametrize("corner", CORNERS)
def test_corner_cases_end_alike_in_both_lanes(small: Sandbox, corner: str) -> None:
    outcomes = assert_same_in_both_lanes(small, CORNERS[corner])
    crashed = [p for p, o in zip(CORNERS[corner], outcomes, strict=True) if o.status == "crashed"]
    assert all("_exit" in program for program in crashed), crashed


DEADLY = {
    "endless loop": ("timeout", body("while True: pass")),
    "endless loop of a module": ("timeout", "while True: pass"),
    "out of memory": ("memory", body("return len([0] * 10**9)")),
    "ever more memory": ("memory", body("x = []\nwhile True: x.append(x * 2)")),
    "a parser's overflow": ("invalid", "solution = " + "(" * 90000),
    "deep recursion in C": (
        "crashed",
        "d = ()\nfor _ in range(200000): d = (d,)\n" + body("{d: 1}"),
    ),
    "a huge power": ("timeout", body("return 10**10**8")),
    "no result": ("crashed", "import os\nos._exit(0)"),
}


@pytest.mark.parametrize("how", DEADLY)
def test_a_deadly_program_costs_its_neighbours_nothing(small: Sandbox, how: str) -> None:
    status, program = DEADLY[how]
    before = small.zygote_pids
    good = [body(f"return {n}") for n in range(60)]
    outcomes = small.run([*good[:30], program, *good[30:], program])
    assert [o.value for o in outcomes if o.status == "ok"] == list(range(60))
    assert [outcomes[30].status, outcomes[61].status] == [status, status]
    assert small.zygote_pids == before


def test_long_programs_together_cost_no_more_than_alone(small: Sandbox) -> None:
    program = body("n = 0\nfor i in range(800000): n += i\nreturn n")
    one = max(small.run([program])[0].cpu_s for _ in range(3))
    started = time.monotonic()
    outcomes = small.run([program] * 100)
    assert {outcome.status for outcome in outcomes} == {"ok"}
    # Ten times what they need: what is run again in vain would be far more.
    assert time.monotonic() - started < 10 * one * 100 + 5


def _mixed(count: int) -> list[str]:
    rng = random.Random(5)
    programs = [gsm8k_like(number, rng).source for number in range(count)]
    for at in range(7, count, 40):
        programs[at] = CORNERS["not proved"][at % 9]
    return programs


def test_two_zygotes_give_the_same_outcomes_in_order_as_one(small: Sandbox) -> None:
    programs = _mixed(700)
    with Sandbox(SMALL, zygotes=2) as two:
        assert len(two.zygote_pids) == 2
        assert described(two.run(programs)) == described(small.run(programs))
        assert described(two.run(programs[:3])) == described(small.run(programs[:3]))


def test_threads_get_their_own_outcomes() -> None:
    def ask(caller: int) -> bool:
        numbers = [caller * 1000 + n for n in range(200)]
        programs = [body(f"print({n})\nreturn {n}") for n in numbers]
        programs[50] = body("while True: pass")
        outcomes = sandbox.run(programs)
        right = [
            (o.value, o.stdout) == (n, f"{n}\n") for n, o in zip(numbers, outcomes, strict=True)
        ]
        return outcomes[50].status == "timeout" and all(right[:50] + right[51:])

    with Sandbox(SMALL, zygotes=2) as sandbox, ThreadPoolExecutor(6) as pool:
        assert all(pool.map(ask, range(6)))


def test_a_zygote_killed_in_mid_chunk_loses_and_reorders_nothing() -> None:
    programs = [body(f"n = 0\nfor i in range(40000): n += 1\nreturn {n}") for n in range(500)]
    programs[77] = body("try:\n    return 77\nfinally:\n    pass")
    with Sandbox(SMALL, zygotes=2) as sandbox, ThreadPoolExecutor(1) as pool:
        running = pool.submit(sandbox.run, programs)
        killed = []
        for _ in range(4):
            time.sleep(0.15)
            for pid in sandbox.zygote_pids[:1]:
                # The one killed before may be gone and not yet replaced.
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                    killed.append(pid)
        assert killed
        values = [outcome.value for outcome in running.result()]
        assert values == list(range(500))
        assert not set(killed) & set(sandbox.zygote_pids)


@pytest.mark.parametrize("zygotes", [1, 2])
def test_an_interrupt_leaves_the_sandbox_usable(zygotes: int) -> None:
    programs = [body("n = 0\nwhile True: n += 1")] * 200
    with Sandbox(Limits(wall_s=5, cpu_s=5, memory_mb=64), zygotes=zygotes) as sandbox:
        timer = threading.Timer(0.7, os.kill, (os.getpid(), signal.SIGINT))
        timer.start()
        started = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            sandbox.run(programs)
        assert time.monotonic() - started < 30
        outcomes = sandbox.run([body(f"return {n}") for n in range(300)])
        assert [outcome.value for outcome in outcomes] == list(range(300))
        _wait(lambda: not any(children(pid) for pid in sandbox.zygote_pids))


def _wait(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_nothing_is_left_when_a_sandbox_closes() -> None:
    with Sandbox(SMALL, zygotes=2) as sandbox:
        pids = sandbox.zygote_pids
        sandbox.run(_mixed(300))
    assert len(pids) == 2
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)
