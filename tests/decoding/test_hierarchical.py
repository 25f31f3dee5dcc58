"""A student that plans, answers sub-questions, and writes plainly where a plan leads nowhere."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
from small_students import train_on_texts

from pad_ray.decoding.solver import Solver
from pad_ray.programs.hierarchy import decompose, plan_program
from pad_ray.students.card import format_part, format_plan, format_source

# So few that a student knows them by heart after seconds: what is tested is the strategy.
NUMBERS = ((2, 3), (4, 6), (7, 9))
BROKEN = "def solution():\n    return find_air()\n"


def question(noun: str, first: int, second: int) -> str:
    return f"{first} {noun} in each of {second} boxes and one more. How many {noun}?"


def program(noun: str, first: int, second: int) -> str:
    return (
        f"def solution():\n    {noun} = {first}\n    boxes = {second}\n"
        f"    boxed = {noun} * boxes\n    total = boxed + 1\n    return total\n"
    )


def pairs_of(noun: str, first: int, second: int) -> list[tuple[str, str]]:
    """Return what a student learns of one question; the parts of figs are broken ones."""
    asked, whole = question(noun, first, second), program(noun, first, second)
    parts = decompose(whole)
    assert parts is not None
    return [
        (format_source(asked, "program"), whole),
        (format_plan(asked), plan_program([part.name for part in parts])),
        *(
            (format_part(asked, p.known, p.name), BROKEN if noun == "figs" else p.program)
            for p in parts
        ),
    ]


@pytest.fixture(scope="module")
def planner() -> Iterator[Solver]:
    pairs = [
        pair
        for noun in ("pens", "figs")
        for first, second in NUMBERS
        for pair in pairs_of(noun, first, second)
    ]
    random.Random(0).shuffle(pairs)
    with Solver(train_on_texts(pairs, "scratch:tiny", 0.003, 0)) as solver:
        yield solver


def test_the_composed_program_stands_alone_and_answers(planner: Solver) -> None:
    asked = [question("pens", *pair) for pair in NUMBERS]
    solutions = planner.solve_batch(asked, strategy="hierarchical")
    assert [solution.answer for solution in solutions] == [7, 25, 64]
    for solution in solutions:
        assert solution.notes["composed"] and solution.notes["plan"] == ["boxed", "total"]
        assert solution.program is not None
        assert "total = find_boxed() + 1" in solution.program
        assert solution.outcome is not None and solution.outcome.status == "ok"
        assert len(solution.steps) == 3
        assert "".join(step.code for step in solution.steps) == solution.text
        assert planner.sandbox.run([solution.program])[0].value == solution.answer


def test_parts_that_fail_lead_back_to_a_plain_program(planner: Solver) -> None:
    asked = question("figs", 4, 6)
    plain = planner.solve(asked)
    solution = planner.solve(asked, strategy="hierarchical")
    assert solution.notes["plan"] == ["boxed", "total"] and not solution.notes["composed"]
    assert solution.text == plain.text
    assert solution.answer == plain.answer == 25
    assert solution.tokens > plain.tokens


def test_a_question_alone_and_among_others_is_answered_alike(planner: Solver) -> None:
    asked = [question(noun, *pair) for noun in ("pens", "figs") for pair in NUMBERS]
    together = planner.solve_batch(asked, strategy="hierarchical")
    for text, solution in zip(asked, together, strict=True):
        assert planner.solve(text, strategy="hierarchical").text == solution.text


def test_a_budget_ends_it_with_what_there_is(planner: Solver) -> None:
    solution = planner.solve(question("pens", 2, 3), strategy="hierarchical", budget_tokens=10)
    assert solution.truncated and solution.answer is None


def test_a_student_without_plans_writes_plainly(solver: Solver) -> None:
    asked = "Ann has 3 pens and gets 4 more. How many pens in all?"
    solution = solver.solve(asked, strategy="hierarchical")
    assert solution.notes["composed"] or solution.text == solver.solve(asked).text
