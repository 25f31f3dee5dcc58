"""No program runs twice, and outcomes are those of the sandbox itself."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from pad_ray.sandbox import Outcome, OutcomeCache, Sandbox

PROGRAMS = [
    "def solution():\n    return [1, {'a': 2.5}]\n",
    "def solution():\n    return 1 / 0\n",
    "def solution(:\n",
    "",
    "def solution():\n    return 'x' * 5000\n",
]


def said(outcome: Outcome) -> tuple[object, ...]:
    return (outcome.status, outcome.value, outcome.error_type, outcome.error_line, outcome.message)


def noted(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the list of the programs that the sandbox will run."""
    ran: list[str] = []
    run = sandbox.run

    def noting(programs: Iterable[str]) -> list[Outcome]:
        texts = list(programs)
        ran.extend(texts)
        return run(texts)

    monkeypatch.setattr(sandbox, "run", noting)
    return ran


def test_each_text_runs_once(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    ran = noted(sandbox, monkeypatch)
    cache = OutcomeCache(sandbox)
    expected = [said(outcome) for outcome in sandbox.run(PROGRAMS)]
    ran.clear()
    for _ in range(2):
        found = cache.run([*PROGRAMS, *reversed(PROGRAMS)])
        assert list(map(said, found)) == [*expected, *reversed(expected)]
    # A long value is not worth its memory: its program may run again.
    assert sorted(ran) == sorted([*PROGRAMS, PROGRAMS[-1]])
    cache.run([PROGRAMS[0].rstrip(), PROGRAMS[0] + "\n"])
    assert sorted(ran) == sorted([*PROGRAMS, PROGRAMS[-1]])


def test_only_so_many_are_kept(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pad_ray.sandbox.cache._MOST_KEPT", 2)
    ran = noted(sandbox, monkeypatch)
    cache = OutcomeCache(sandbox)
    one, two, three = (f"def solution():\n    return {n}\n" for n in range(3))
    for program in (one, two, one, three, one, two):
        cache.run([program])
    # The one that was asked for longest ago goes first.
    assert ran == [one, two, three, two]
