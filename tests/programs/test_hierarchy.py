"""Programs taken apart and composed again return what they returned before."""

from __future__ import annotations

import pytest

from pad_ray.programs.hierarchy import compose, decompose, plan_names, plan_program
from pad_ray.sandbox import Sandbox
from pad_ray.tasks import TASKS

ROLLS = """def solution():
    trays = 6
    rolls_per_tray = 24
    rolls_sold = 95
    rolls_baked = trays * rolls_per_tray
    rolls_left = rolls_baked - rolls_sold
    return rolls_left
"""


def test_each_calculation_is_a_part_with_the_numbers_that_it_needs() -> None:
    parts = decompose(ROLLS)
    assert parts is not None
    first, second = parts
    assert first.program == (
        "def solution():\n    trays = 6\n    rolls_per_tray = 24\n"
        "    rolls_baked = trays * rolls_per_tray\n    return rolls_baked"
    )
    assert second.known == ("rolls_baked",)
    assert second.program == (
        "def solution():\n    rolls_sold = 95\n"
        "    rolls_left = find_rolls_baked() - rolls_sold\n    return rolls_left"
    )


@pytest.mark.parametrize("name", ["arithmetic", "dates", "tables", "extraction", "last_letters"])
def test_composing_the_parts_of_a_gold_program_returns_the_gold_answer(name: str) -> None:
    task = TASKS[name]
    assert task.generate is not None
    problems = list(task.generate(150, "train", 3, None))
    taken = [(p, parts) for p in problems if (parts := decompose(p.program or ""))]
    assert len(taken) > 20
    composed = [
        "".join(compose([p.name for p in parts], [p.program for p in parts])) for _, parts in taken
    ]
    with Sandbox() as sandbox:
        outcomes = sandbox.run(composed)
    for (problem, _), program, outcome in zip(taken, composed, outcomes, strict=True):
        assert task.answers_equal(outcome.value, problem.answer), (program, outcome)


@pytest.mark.parametrize(
    "program",
    [
        "def solution():\n    return 5",
        "def solution():\n    a = 2\n    return a",
        "def solution():\n    a = 2\n    a = a + 1\n    b = a\n    return b",
        "def solution():\n    a = 2\n    for i in [3]:\n        a += i\n    b = a\n    return b",
        "def solution():\n    a = 2\n    b = a + 1\n    c = b + 1\n    return c + b",
        "x = 1\ndef solution():\n    return x",
        "def solution(:",
        "",
    ],
)
def test_other_programs_are_left_whole(program: str) -> None:
    assert decompose(program) is None


def test_a_plan_is_a_program_whose_value_names_the_parts() -> None:
    with Sandbox() as sandbox:
        (outcome,) = sandbox.run([plan_program(["rolls_baked", "rolls_left"])])
    assert plan_names(outcome.value) == ("rolls_baked", "rolls_left")


@pytest.mark.parametrize(
    "value",
    [None, 5, "rolls", [], ["a", "a"], ["a b"], ["a", 5], ["for"], ["a()"], [*"abcdefghijklmnop_"]],
)  # fmt: skip
def test_what_is_no_plan_is_none(value: object) -> None:
    assert plan_names(value) is None
