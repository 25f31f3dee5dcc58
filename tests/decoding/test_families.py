"""In every family of students a question's search is the same alone and among others."""

from __future__ import annotations

import pytest
from families import FAMILIES, family
from small_students import Example

from pad_ray.decoding.settings import SearchSettings
from pad_ray.decoding.solution import Solution
from pad_ray.decoding.solver import Solver
from pad_ray.students.models import Student

SEARCHES = {
    "greedy": {},
    "beam": {"width": 3},
    "stepwise": {"width": 2, "proposals": 3, "longest_step": 8},
    "diverse": {"width": 2, "proposals": 3, "longest_step": 8},
    "vote": {"n": 3, "temperature": 0.7},
    "auto": {"n": 6, "confidence": 1.0},
    "repair": {"n": 2},
    "hierarchical": {},
}
QUICK = ("beam", "stepwise", "auto")


def assert_alike(one: Solution, other: Solution) -> None:
    assert (one.text, one.tokens, one.truncated) == (other.text, other.tokens, other.truncated)
    assert len(one.tree) == len(other.tree)
    for mine, theirs in zip(one.tree, other.tree, strict=True):
        assert (mine.code, mine.kept, mine.reason) == (theirs.code, theirs.kept, theirs.reason)
        assert mine.logprob == pytest.approx(theirs.logprob, abs=1e-4)


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize(
    ("strategy", "count"),
    [
        *((strategy, 5) for strategy in QUICK),
        *(pytest.param(strategy, 16, marks=pytest.mark.slow) for strategy in SEARCHES),
    ],
)
def test_alone_and_together_are_alike(
    student: Student, examples: list[Example], name: str, strategy: str, count: int
) -> None:
    model = family(name, len(student.tokenizer))
    model.generation_config.eos_token_id = student.tokenizer.eos_token_id
    settings = SearchSettings(strategy=strategy, max_new_tokens=24, **SEARCHES[strategy])  # type: ignore[arg-type]
    # Prompts of unlike lengths.
    questions = [e.question[: 12 + 9 * (n % 5)] for n, e in enumerate(examples[:count])]
    with Solver(Student(model, student.tokenizer, student.card), max_rows=24) as solver:
        together = solver.solve_batch(questions, settings=settings)
        for question, solution in zip(questions, together, strict=True):
            assert solution.error is None
            assert_alike(solver.solve(question, settings=settings), solution)
