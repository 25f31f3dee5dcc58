"""Dates, tables, deduction, extraction: each gold program runs in the sandbox and is right."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pad_ray.base.errors import ConfigError
from pad_ray.base.records import Problem
from pad_ray.sandbox import Sandbox
from pad_ray.tasks import TASKS, Split, Task

SIZES = {"tables": (2, 8), "deduction": (3, 7), "extraction": (1, 6)}
NAMES = ("dates", *SIZES)
EACH_TASK = pytest.mark.parametrize("task", [TASKS[name] for name in NAMES], ids=NAMES)
SEEDS = st.integers(min_value=-(2**40), max_value=2**40)
SPLITS: tuple[Split, ...] = ("train", "test", "held_out")


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as made:
        yield made


def make(task: Task, count: int, split: Split, seed: int, size: int | None = None) -> list[Problem]:
    assert task.generate is not None
    return list(task.generate(count, split, seed, size))


def assert_right(sandbox: Sandbox, task: Task, problems: list[Problem]) -> None:
    outcomes = sandbox.run([problem.program or "" for problem in problems])
    for problem, outcome in zip(problems, outcomes, strict=True):
        assert outcome.status == "ok", (problem, outcome)
        assert task.answers_equal(outcome.value, problem.answer), (problem, outcome)


@EACH_TASK
@given(seed=SEEDS, split=st.sampled_from(SPLITS))
@settings(max_examples=25, deadline=None)
def test_every_gold_program_runs_and_returns_the_gold_answer(
    sandbox: Sandbox, task: Task, seed: int, split: Split
) -> None:
    assert_right(sandbox, task, make(task, 12, split, seed))


@EACH_TASK
def test_the_largest_and_the_smallest_problems_are_right_too(sandbox: Sandbox, task: Task) -> None:
    for size in SIZES.get(task.name, ()):
        assert_right(sandbox, task, make(task, 15, "train", 1, size))


@EACH_TASK
def test_programs_are_one_step_a_line_in_the_projects_style(task: Task) -> None:
    for problem in make(task, 60, "train", 3):
        assert problem.program is not None
        (function,) = ast.parse(problem.program).body
        assert isinstance(function, ast.FunctionDef) and function.name == "solution"
        *steps, last = function.body
        assert isinstance(last, ast.Return) and isinstance(last.value, ast.Name)
        for step in steps:
            if not isinstance(step, ast.ImportFrom):
                assert isinstance(step, ast.Assign) and isinstance(step.targets[0], ast.Name)
                assert re.fullmatch(r"[a-z]+(_[a-z0-9]+)*", step.targets[0].id)
        assert len(problem.program.splitlines()) == len(function.body) + 1


@EACH_TASK
def test_questions_read_well(task: Task) -> None:
    for split in SPLITS:
        for problem in make(task, 150, split, 4):
            assert not re.search(r"[{}]|  |\.\.| [.,?]|None|\ba [aeiou]", problem.question)
            assert problem.question == problem.question.strip()


@EACH_TASK
@given(seeds=st.tuples(SEEDS, SEEDS, SEEDS))
@settings(max_examples=3, deadline=None)
def test_no_split_shares_a_problem_or_a_held_out_template(
    task: Task, seeds: tuple[int, int, int]
) -> None:
    parts = [make(task, 150, split, seed) for split, seed in zip(SPLITS, seeds, strict=True)]
    assert len({problem.problem_id for part in parts for problem in part}) == 450
    if task.name != "extraction":
        train, test, held_out = ({problem.template for problem in part} for part in parts)
        assert not held_out & (train | test)


@EACH_TASK
@given(seed=SEEDS, shorter=st.integers(0, 20), more=st.integers(0, 20))
@settings(max_examples=5, deadline=None)
def test_a_shorter_call_is_the_beginning_of_a_longer_one(
    task: Task, seed: int, shorter: int, more: int
) -> None:
    longer = make(task, shorter + more, "test", seed)
    assert make(task, shorter, "test", seed) == longer[:shorter]


@EACH_TASK
def test_there_is_variety(task: Task) -> None:
    problems = make(task, 600, "train", 7)
    assert len({problem.template for problem in problems}) >= 8
    commonest = Counter(problem.answer for problem in problems).most_common(1)
    assert commonest[0][1] < 0.2 * len(problems)
    assert make(task, 20, "train", 8) != problems[:20]


@EACH_TASK
def test_a_size_or_split_that_is_not_there_is_one_clear_line(task: Task) -> None:
    message = rf"size is 99: {task.name} (takes \d to \d \w+, or none|has no size, leave it out)"
    with pytest.raises(ConfigError, match=message):
        make(task, 1, "train", 0, 99)
    with pytest.raises(ConfigError, match="split is 'validation'"):
        make(task, 1, "validation", 0)  # type: ignore[arg-type]


EXEMPLAR_ANSWERS = {
    "dates": ("01/06/2015", "05/23/1943", "Friday", "75"),
    "tables": ("2", "Lipinski", "4.5"),
    "deduction": ("yacht", "Ludovic", "tweed"),
    "extraction": (
        '[{"name": "Perpetua", "tons": 900, "launched": "1861-05-04"},'
        ' {"name": "Zapata", "tons": 1800, "launched": "1863-06-12"}]',
        '[{"customer": "Orsolya", "object": "accordion", "price": 85},'
        ' {"customer": "Thaddeus", "object": "lantern", "price": 45}]',
        '[{"goods": "oysters", "crates": 3, "day": "Monday"}]',
    ),
}


@EACH_TASK
def test_exemplars_are_right_and_of_their_own_wording(sandbox: Sandbox, task: Task) -> None:
    outcomes = sandbox.run([exemplar.program for exemplar in task.exemplars])
    values = [outcome.value for outcome in outcomes]
    for value, answer in zip(values, EXEMPLAR_ANSWERS[task.name], strict=True):
        assert task.answers_equal(value, answer)
    openings = {p.question[:25] for split in SPLITS for p in make(task, 300, split, 2)}
    assert not openings & {exemplar.question[:25] for exemplar in task.exemplars}
