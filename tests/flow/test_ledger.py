"""The ledger: rates are kept over any stretch of time, budgets stop, journals survive a kill."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pad_ray.base.records import Completion
from pad_ray.flow.ledger import Budget, Ledger, Rates, Totals, share_ledger
from pad_ray.synthesis.journal import Journal, spent_in


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@given(
    st.lists(st.tuples(st.floats(0, 5), st.integers(1, 500)), min_size=2, max_size=80),
    st.integers(20, 600),
    st.integers(1000, 60_000),
)
def test_no_minute_has_more_than_the_rates_allow(
    asks: list[tuple[float, int]], requests: int, tokens: int
) -> None:
    clock = Clock()
    ledger = Ledger(clock=clock)
    rates = Rates(requests, tokens)
    sent: list[tuple[float, int]] = []
    for pause, size in asks:
        clock.now += pause
        wait = ledger.reserve("door", rates, size)
        assert wait is not None
        sent.append((clock.now + wait, size))
    for start, _ in sent:
        within = [size for at, size in sent if start <= at < start + 60]
        # A second's allowance, or one request, may come at once after a pause.
        assert len(within) <= requests * 61 / 60 + 1
        assert sum(within[:-1]) <= tokens * 61 / 60 + max(size for _, size in sent)


def test_doors_do_not_wait_for_each_other() -> None:
    ledger = Ledger(clock=Clock())
    rates = Rates(requests_per_minute=1)
    waits = [ledger.reserve(door, rates, 1) for door in ("a", "a", "b")]
    assert waits[0] == waits[2] == 0 and waits[1] is not None and waits[1] > 50


def test_a_wrong_guess_of_tokens_is_made_good() -> None:
    clock = Clock()
    rates = Rates(tokens_per_minute=600)
    guessed, corrected = Ledger(clock=clock), Ledger(clock=clock)
    for ledger in (guessed, corrected):
        ledger.reserve("door", rates, 600)
    corrected.record("door", rates, 600, 40, 20, 0.0)
    waits = [ledger.reserve("door", rates, 1) for ledger in (guessed, corrected)]
    assert waits == [pytest.approx(59), pytest.approx(5)]


@pytest.mark.parametrize("budget", [Budget(max_tokens=100), Budget(max_cost_usd=0.5)])
def test_nothing_is_asked_once_the_budget_is_spent(budget: Budget) -> None:
    ledger = Ledger(budget, Totals(prompt_tokens=50))
    assert ledger.reserve("door", Rates(), 10**9) == 0
    ledger.record("door", Rates(), 0, 30, 20, 0.5)
    assert ledger.reserve("door", Rates(), 1) is None


def test_a_shared_ledger_is_one_for_all(local_ray: None) -> None:
    ledger = share_ledger(Budget(max_tokens=10), Totals())
    assert ledger.reserve("door", Rates(), 1) == 0
    ledger.record("door", Rates(), 0, 6, 5, 0.25)
    ledger.count({"": 3, "error": 1})
    assert ledger.reserve("door", Rates(), 1) is None
    totals = ledger.totals()
    assert (totals.tokens, totals.cost_usd, totals.reasons[""]) == (11, 0.25, 3)


def test_what_a_caller_notes_counts_before_its_next_call(local_ray: None) -> None:
    ledger = share_ledger(Budget(max_tokens=300), Totals())
    for _ in range(300):
        assert ledger.reserve("door", Rates(), 1) == 0
        ledger.record("door", Rates(), 0, 1, 0, 0.0)
    assert ledger.reserve("door", Rates(), 1) is None


texts = st.text(st.characters(exclude_categories=["Cs"]))


@given(st.lists(st.tuples(texts, texts, st.booleans()), max_size=8), st.integers(0, 300))
def test_a_journal_torn_anywhere_gives_what_was_whole(
    answers: list[tuple[str, str, bool]], torn: int
) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        block = Path(folder) / "000"
        block.mkdir()
        journal, path = Journal(block), block / "answers.jsonl"
        written = {}
        asked = {("p", index): f"key {index}" for index in range(100)}
        for index, (text, thought, failed) in enumerate(answers):
            completion = Completion(text, 3, 4, thought, "no" if failed else None, cost_usd=0.5)
            journal.append({("p", index): completion}, asked)
            written["p", index] = completion
        assert journal.read(asked) == written
        content = path.read_bytes() if path.exists() else b""
        kept = content[: max(0, len(content) - torn)]
        path.write_bytes(kept)
        journal.append({("p", 99): Completion("after")}, asked)
        found = journal.read(asked)
        assert found.pop(("p", 99)) == Completion("after")
        assert found.items() <= written.items()
        whole = [line for line in kept.split(b"\n") if _is_json(line)]
        assert len(found) == len(whole)


def _is_json(line: bytes) -> bool:
    try:
        json.loads(line)
    except ValueError:
        return False
    return True


def test_an_answer_to_something_else_is_none(tmp_path: Path) -> None:
    journal, sample = Journal(tmp_path / "a"), ("p", 0)
    failed, first, second = Completion("", error="no"), Completion("x"), Completion("y")
    for answer in (failed, first, second):
        journal.append({sample: answer}, {sample: "asked"})
    journal.append({sample: Completion("z")}, {sample: "with other examples"})
    assert journal.read({sample: "asked"}) == {sample: first}
    assert journal.read({sample: "with other examples"}) == {sample: Completion("z")}
    assert journal.read({sample: "at another temperature"}) == {}
    assert journal.read({}) == {}


def test_journals_tell_what_has_been_spent(tmp_path: Path) -> None:
    one = Completion("x", 10, 5, cost_usd=0.25)
    Journal(tmp_path / "a").append({("p", 0): one}, {("p", 0): "key"})
    Journal(tmp_path / "b").append({("q", 0): replace(one, cost_usd=None)}, {("q", 0): "key"})
    totals = spent_in(tmp_path)
    assert (totals.prompt_tokens, totals.completion_tokens, totals.cost_usd) == (20, 10, 0.25)


def test_rows_flow_from_the_end_of_the_first_piece() -> None:
    clock = Clock()
    ledger = Ledger(clock=clock)
    for pause in (3.0, 0.5, 1.0, 1.5):
        clock.now += pause
        ledger.busy("sandbox", 0.4)
    ledger.busy("teacher", 0.2)
    totals = ledger.totals()
    assert totals.flow_s == {"sandbox": pytest.approx(3.0), "teacher": 0.0}
    assert totals.pieces == {"sandbox": 4, "teacher": 1}
    assert totals.busy_s["sandbox"] == pytest.approx(1.6)
