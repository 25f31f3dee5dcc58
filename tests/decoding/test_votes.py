"""Which answers are one, what counts in a share, and what the tree says of the winner."""

from __future__ import annotations

import json
import math
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_students import Example

from pad_ray.decoding.hypothesis import Hypothesis, Step
from pad_ray.decoding.search import Trail
from pad_ray.decoding.settings import SearchSettings
from pad_ray.decoding.solver import Solver
from pad_ray.decoding.strategies.vote import Ballot, answer_key
from pad_ray.sandbox import Outcome, Value

SAME: list[list[Value]] = [
    [0, 0.0, -0.0, False, "0", "-0.0"],
    [18, 18.0, "18", "18.0", " $18 ", "+18.00"],
    [1800, "1,800", "$1,800.00", 1800.0],
    [0.1 + 0.2, 0.3, "0.3"],
    ["Ada", "ada", " ADA "],
    [[1, "a"], [1.0, "a"], [1, " a "]],
    [{1: 2, "a": 3}, {"a": 3.0, 1: 2}],
    [{"x": [1, {}]}, {"x": [1.0, {}]}],
    [None],
    [-18],
    ["1,80"],
    ["18 pens"],
    [["18"]],
    [["1", "2"]],
    [["1, 2"]],
    [{}],
    [[]],
    [""],
    [10**400],
    [math.inf],
    [-math.inf],
]


def test_answers_are_one_where_they_count_as_the_same() -> None:
    keys = [{answer_key(value) for value in same} for same in SAME]
    assert [len(found) for found in keys] == [1] * len(SAME)
    assert len(set().union(*keys)) == len(SAME)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.none() | st.booleans() | st.integers() | st.text(max_size=3), inner, max_size=3
        )
    ),
    max_leaves=8,
)


@given(value=VALUES)
def test_every_value_of_the_sandbox_has_a_key(value: Value) -> None:
    assert answer_key(value) == answer_key(value)
    if isinstance(value, dict):
        assert answer_key(dict(reversed(value.items()))) == answer_key(value)
    if isinstance(value, list | dict) and "inf" not in repr(value) and "nan" not in repr(value):
        json.loads(answer_key(value))


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


def about(value: object, answer: str) -> bool:
    """A task's check that fails over values which it does not expect."""
    return abs(value - float(answer)) < 0.5  # type: ignore[operator]


@pytest.mark.parametrize(
    ("equal", "values", "votes"),
    [
        (None, ["Ada", "ADA", "Bob"], {"ada": 2, "bob": 1}),
        (by_case, ["Ada", "ADA", "ADA", 7], {"Ada": 1, "ADA": 2, "7": 1}),
        (about, [18, 17.8, 18.3, "18", [1], [1.0], 19], {"18": 4, "[1]": 2, "19": 1}),
    ],
)
def test_a_tasks_own_check_tells_which_answers_are_one(
    equal: Callable[[object, str], bool] | None, values: list[Value], votes: dict[str, float]
) -> None:
    trail = Trail("q", SearchSettings(), equal=equal)
    ballot = Ballot(trail)
    ballot.add([program(n) for n in range(len(values))], [Outcome("ok", value=v) for v in values])
    ballot.offer()
    assert trail.notes["votes"] == votes


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
