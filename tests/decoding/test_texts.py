"""A student that writes chains of thought: answered, voted on, and refused what needs programs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from small_students import remembered, taught_thoughts, thought

from pad_ray.base.errors import ConfigError
from pad_ray.decoding.settings import Weights
from pad_ray.decoding.solver import Solver
from pad_ray.tasks.answers import answer_key, stated_answer


@pytest.fixture(scope="module")
def solver() -> Iterator[Solver]:
    with Solver(taught_thoughts("scratch:tiny", loss=0.05)) as solver:
        yield solver


QUESTIONS = remembered()[:8]


@pytest.mark.parametrize("strategy", ["greedy", "beam", "vote", "auto"])
def test_the_answer_is_what_the_text_states(solver: Solver, strategy: str) -> None:
    asked = [one.question for one in QUESTIONS]
    solutions = solver.solve_batch(asked, strategy=strategy, n=6, max_new_tokens=80)
    for solution in solutions:
        assert solution.program is None and solution.outcome is None
        assert solution.answer == stated_answer(solution.text)
    right = [s.answer == e.answer for s, e in zip(solutions, QUESTIONS, strict=True)]
    assert sum(right) >= 4


def test_a_vote_counts_stated_answers(solver: Solver) -> None:
    solution = solver.solve(
        QUESTIONS[0].question, strategy="vote", n=8, temperature=1.5, max_new_tokens=60
    )
    votes = solution.notes["votes"]
    assert sum(votes.values()) == sum(s["answer"] is not None for s in solution.notes["samples"])
    assert isinstance(solution.answer, int | float)
    assert votes[answer_key(solution.answer)] == max(votes.values())


@pytest.mark.parametrize("strategy", ["stepwise", "diverse", "repair"])
def test_what_needs_programs_is_refused(solver: Solver, strategy: str) -> None:
    with pytest.raises(ConfigError, match=f"'{strategy}' works on programs"):
        solver.solve("How many?", strategy=strategy)


@pytest.mark.parametrize("scorer", ["value", "alignment"])
def test_judges_of_programs_are_refused(solver: Solver, scorer: str) -> None:
    with pytest.raises(ConfigError, match=f"weights.{scorer}: judges programs"):
        solver.solve("How many?", strategy="vote", weights=Weights(**{scorer: 1.0}))


def test_an_answer_alone_is_a_text_too(solver: Solver) -> None:
    card = replace(solver.student.card, format="answer")
    with Solver(replace(solver.student, card=card)) as other:
        assert other.solve("How many?", max_new_tokens=20).program is None
        with pytest.raises(ConfigError, match="use one of greedy, beam, vote, auto"):
            other.solve("How many?", strategy="stepwise")


def test_the_fixture_says_what_it_computes() -> None:
    assert all(stated_answer(thought(one)) == one.answer for one in QUESTIONS)
