"""Which answers are one, what counts in a share, and what the tree says of the winner."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from small_students import Example

from pad_ray.decoding.hypothesis import Hypothesis, Step
from pad_ray.decoding.search import Trail
from pad_ray.decoding.settings import SearchSettings
from pad_ray.decoding.solver import Solver
from pad_ray.decoding.strategies.vote import Ballot, is_gold
from pad_ray.sandbox import Outcome, Value
from pad_ray.tasks import Task


def program(number: int, truncated: bool = False, logprob: float = -1.0) -> Hypothesis:
    step = Step(f"def solution():\n    return {number}\n", logprob, 4)
    return Hypothesis((step,), finished=True, truncated=truncated, fresh=1)


def test_what_failed_counts_in_the_share() -> None:
    ballot = Ballot(Trail("q", SearchSettings()))
    failed = Outcome("error", error_type="NameError")
    ballot.add([program(n) for n in range(4)], [failed, failed, failed, Outcome("ok", value=1)])
    assert ballot.share() == pytest.approx(1 / 4)
    ballot.add([program(n) for n in range(4)], [Outcome("ok", value=1.0)] * 4)
    assert ballot.share() == pytest.approx(5 / 8)


def test_the_winner_is_spelled_as_most_votes_have_it() -> None:
    trail = Trail("q", SearchSettings())
    ballot = Ballot(trail)
    programs = [program(0, logprob=-0.1), program(1), program(2, logprob=-0.8), program(3)]
    values: list[Value] = ["$18", 18, 18, 7]
    ballot.add(programs, [Outcome("ok", value=value) for value in values])
    ballot.offer()
    # Of these the likelier.
    assert trail.best is programs[2]
    assert trail.outcome is not None and trail.outcome.value == 18
    assert trail.notes["votes"] == {"18": 3, "7": 1}


def by_case(value: object, answer: str) -> bool:
    return value == answer


@pytest.mark.parametrize(
    ("equal", "votes"),
    [(None, {"ada": 4, "7": 3, "bob": 1}), (by_case, {"Ada": 1, "ADA": 3, "7": 3, "Bob": 1})],
)
def test_a_tasks_own_check_tells_which_answers_are_one(
    equal: Callable[[object, str], bool] | None, votes: dict[str, float]
) -> None:
    values: list[Value] = ["Ada", "ADA", 7, "ADA", 7.0, "Bob", "7", "ADA"]
    trail = Trail("q", SearchSettings(), equal=equal)
    ballot = Ballot(trail)
    ballot.add([program(n) for n in range(len(values))], [Outcome("ok", value=v) for v in values])
    ballot.offer()
    assert trail.notes["votes"] == votes


def test_answers_that_a_later_one_joins_are_counted_together() -> None:
    trail = Trail("q", SearchSettings())
    ballot = Ballot(trail)
    ballot.add([program(1), program(2)], [Outcome("ok", value=40), Outcome("ok", value=0.4)])
    assert ballot.share() == 0.5
    ballot.add([program(3)], [Outcome("ok", value="40%")])
    assert ballot.share() == 1
    ballot.offer()
    assert {sample["answer"] for sample in trail.notes["samples"]} == {"40"}


def test_a_check_that_fails_over_a_label_is_no_match() -> None:
    def about(value: object, answer: str) -> bool:
        return abs(value - float(answer)) < 0.5  # type: ignore[operator]

    task = Task("about", about)
    assert is_gold(task, "18", "18.2")
    assert not is_gold(task, "19", "18.2")
    assert not is_gold(task, "ada", "18")
    assert not is_gold(task, None, "18")


def test_of_equal_programs_the_first_is_offered() -> None:
    trail = Trail("q", SearchSettings())
    ballot = Ballot(trail)
    programs = [program(18), program(18, logprob=-1 + 1e-9)]
    ballot.add(programs, [Outcome("ok", value=18)] * 2)
    ballot.offer()
    assert trail.best is programs[0]


def test_a_whole_program_that_failed_is_shown_before_a_part() -> None:
    trail = Trail("q", SearchSettings())
    ballot = Ballot(trail)
    part, whole = program(1, truncated=True), program(2)
    ballot.add([part, whole], [Outcome("invalid"), Outcome("error")])
    ballot.offer()
    assert trail.best is whole


def test_the_tree_keeps_the_answer_and_no_other(solver: Solver, examples: list[Example]) -> None:
    kept_alone = 0
    for example in examples[:20]:
        for settings in (
            {"strategy": "auto", "confidence": 1.0, "n": 8, "temperature": 1.3},
            {"strategy": "vote", "n": 6, "temperature": 1.3},
        ):
            found = solver.solve(example.question, **settings)
            kept = [node for node in found.tree if node.kept]
            assert [node.code for node in kept] == [found.text]
            assert all(node.reason for node in found.tree if not node.kept)
            kept_alone += found.tree[0].kept
    assert kept_alone


def test_a_beam_stays_as_wide_beside_what_it_has_finished(
    solver: Solver, examples: list[Example]
) -> None:
    for example in examples[:6]:
        found = solver.solve(example.question, strategy="beam", width=4)
        assert len(found.tree) == 4 and found.finished
        means = [node.logprob / node.tokens for node in found.tree if node.reason == ""]
        whole = [n for n in found.tree if solver.sandbox.run([n.code])[0].status != "invalid"]
        assert means == [max(node.logprob / node.tokens for node in found.tree)]
        assert whole


def test_a_loop_that_ran_out_of_tokens_loses_to_a_program(
    solver: Solver, examples: list[Example]
) -> None:
    from pad_ray.decoding.strategies.single import beam

    trail = Trail("q", SearchSettings(strategy="beam", width=2))
    search = beam(trail, Hypothesis())
    next(search)
    loop = Hypothesis((Step("x = 1\n" * 100, -5.0, 512),), finished=True, truncated=True, fresh=1)
    whole = Hypothesis((Step("def solution(): ...\n", -2.0, 10),), finished=True, fresh=1)
    with pytest.raises(StopIteration):
        search.send([[loop, whole]])
    assert trail.best is whole
