"""Chains of thought of the scripted teacher: right without a fault, wrong in a fault's own way."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pad_ray.base.records import Problem
from pad_ray.tasks import get_task
from pad_ray.tasks.answers import judged_answer
from pad_ray.teachers.base import Request
from pad_ray.teachers.scripted.engine import DEFAULT_FAULTS, ScriptedTeacher
from pad_ray.teachers.scripted.telling import NotTold, Slip, tell

# The others' programs are not told: rows, records and orders have no words here.
TOLD = ["coin_flip", "last_letters", "arithmetic"]


def problems(task: str, count: int) -> list[Problem]:
    generate = get_task(task).generate
    assert generate is not None
    return list(generate(count, "train", 0, None))


def texts(teacher: ScriptedTeacher, asked: list[Problem]) -> list[str]:
    answers = teacher.complete([Request(problem, (0,)) for problem in asked])
    assert all(completion.error is None for (completion,) in answers)
    return [completion.text for (completion,) in answers]


def right(problem: Problem, text: str) -> bool:
    return judged_answer(text, problem.answer, get_task(problem.task).answers_equal)[1]


@pytest.mark.parametrize("task", TOLD)
@pytest.mark.parametrize("vary", [0.0, 1.0])
def test_without_faults_every_text_ends_in_the_gold_answer(task: str, vary: float) -> None:
    asked = problems(task, 150)
    for problem, text in zip(asked, texts(ScriptedTeacher(3, {}, vary, "cot"), asked), strict=True):
        assert right(problem, text), text
        assert text.splitlines()[-1].startswith("The answer is ")
        assert len(text.splitlines()) > 1
        assert "def " not in text


@pytest.mark.parametrize("task", TOLD)
@pytest.mark.parametrize("fault", DEFAULT_FAULTS)
def test_each_fault_shows_in_its_own_way(task: str, fault: str) -> None:
    asked = problems(task, 100)
    found = Counter(
        right(problem, text)
        for problem, text in zip(
            asked, texts(ScriptedTeacher(2, {fault: 1.0}, 0.0, "cot"), asked), strict=True
        )
    )
    if fault == "prose":
        assert found[True] == 100
    elif fault in ("no_code", "forbidden_call", "syntax_error", "endless_loop"):
        assert found[False] == 100
    elif fault == "wrong_number":
        # Half of the slips are not carried on, and the answer is right all the same.
        assert 25 <= found[True] <= 80
    else:
        assert found[False] > 30


def test_a_slip_that_is_carried_changes_the_answer_and_another_does_not() -> None:
    program = "def solution():\n    a = 4\n    b = a * 3\n    c = b + 1\n    return c"
    carried, not_carried = (
        tell(program, random.Random(1), slip=Slip(0, kept)) for kept in (True, False)
    )
    assert carried.lines[0] == not_carried.lines[0] != "The b is 4 * 3 = 12."
    assert carried.answer != "13"
    assert not_carried.answer == "13"


def test_what_there_are_no_words_for_is_a_teachers_error() -> None:
    program = "def solution():\n    import math\n    return math.pi"
    with pytest.raises(NotTold):
        tell(program, random.Random(0))
    problem = Problem.make("arithmetic", "Why?", "1", program=program)
    ((completion,),) = ScriptedTeacher(0, {}, 0.0, "cot").complete([Request(problem, (0,))])
    assert completion.text == ""
    assert "no words for Import" in str(completion.error)


def test_a_program_that_would_raise_is_told_without_an_answer() -> None:
    program = "def solution():\n    a = 4\n    b = a * 2\n    c = b / 0\n    return c"
    telling = tell(program, random.Random(0))
    assert telling.answer is None
    assert len(telling.lines) == 1


@given(st.integers(0, 10**6))
def test_a_text_depends_on_seed_problem_and_index_alone(seed: int) -> None:
    teacher = ScriptedTeacher(seed, format="cot")
    asked = problems("arithmetic", 3)
    alone = [text for problem in asked for text in texts(teacher, [problem])]
    assert alone == texts(teacher, asked)
