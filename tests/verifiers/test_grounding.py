"""What a program's numbers say of it, held against the question's."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pad_ray.programs.statements import split_steps
from pad_ray.tasks import get_task
from pad_ray.verifiers.base import Candidate
from pad_ray.verifiers.grounding import UNSTATED, UNUSED, GroundingScorer

ASKED = "Ann has 8 boxes of 12 pens. She gives 5 away, and 20% of the rest dry out. How many?"
HEAD = "def solution():\n    boxes = 8\n"
ALPHABET = "x=0123456789._%()+-*/'\"\n\\ \tejAB"
PROBLEMS = list(get_task("arithmetic").generate(60, "test", 3, None))


def score(question: str, before: str, *steps: str, finished: bool = False) -> list[float]:
    candidate = Candidate(0, -1, 0, question, before, steps, finished)
    (scores,) = GroundingScorer().score([candidate])
    return scores


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        ("    pens = 12\n", 1.0),
        ("    pens = 8 * 12\n", UNSTATED),  # the only 8 stands above
        ("    pens = 13\n", UNSTATED),
        ("    pens = 13 + 14\n", UNSTATED**2),
        ("    pens = boxes * 2 + 1 - 0\n", 1.0),
        ("    dry = rest * 20 / 100\n", 1.0),
        ("    dry = rest * 0.2\n", 1.0),
        ("    wet = rest * 0.80\n", 1.0),
        ("    wet = rest * 0.7\n", UNSTATED),
        ("    note = '13 pens' # and 14\n", 1.0),
        ("    cube = boxes ** 3\n", 1.0),
        ("    pens13 = boxes\n", 1.0),
        ("    pens = 0x0d + 1e999999999 + 3j\n", 1.0),
        ("    pens = (13 +\n", UNSTATED),
        ("    pens = 1" + "0" * 5000 + "\n", 1.0),
        ("", 1.0),
    ],
)
def test_numbers_that_the_question_does_not_state_are_marked(step: str, expected: float) -> None:
    assert score(ASKED, HEAD, step) == [pytest.approx(expected)]


@pytest.mark.parametrize(
    ("program", "expected"),
    [
        ("    pens = 12\n    left = (boxes * pens - 5) * 0.8\n    return left\n", 1.0),
        ("    pens = 12\n    left = boxes * pens * 0.8\n    return left\n", UNUSED),
        ("    pens = 12\n    left = boxes * pens - 6\n    return left\n", UNSTATED * UNUSED**2),
        ("    return boxes\n", UNUSED**3),
    ],
)
def test_numbers_that_a_finished_program_never_uses_are_marked(
    program: str, expected: float
) -> None:
    whole = 1.0
    for found in score(ASKED, "", *split_steps(HEAD + program), finished=True):
        whole *= found
    assert whole == pytest.approx(expected)
    assert 1.0 in score(ASKED, HEAD, "    return boxes\n")


@pytest.mark.parametrize(
    ("question", "code", "stated"),
    [
        ("He works 8 hours a day for two weeks.", "x = 8 * 7 * 2", True),
        ("He works 8 hours.", "x = 8 * 7", False),
        ("A dozen eggs.", "x = 12", True),
        ("A doz of eggs.", "x = 12", False),
        ("Half of 30 cats.", "x = 30 * 0.5", True),
        ("3/4 of 40 cats.", "x = 40 * 0.75", True),
        ("3/4 of 40 cats.", "x = 40 * 3 / 4", True),
        ("It costs 50 cents.", "x = 0.5", True),
        ("Some 3 million cats.", "x = 3000000", True),
        ("She has 1,200 cats and twenty-one dogs.", "x = 1_200 + 21", True),
        ("On March 4, 2024 he came.", "x = date(2024, 3, 4)", True),
        ("On April 4, 2024 he came.", "x = date(2024, 3, 4)", False),
        ("You may take 9.", "x = 9 - 5", False),
    ],
)
def test_what_words_imply_may_be_written(question: str, code: str, stated: bool) -> None:
    assert (score(question, "", code) == [1.0]) is stated


@pytest.mark.parametrize(
    ("question", "code", "faults"),
    [
        ("Mia flips. Maya does not.", 'x = {"Mia": 1, "Maya": 0}\n', 0),
        ("Mia flips. Maya does not.", 'x = {"Mia": 1, "Mia": 0}\n', 1),
        ("Mia flips. Maya does not.", 'x = {"Mina": 1, "Moya": 0}\n', 2),
        ("Mia flips. Maya does not.", 'x = "yes" if 1 else "no"\n', 0),
        ("Mia flips.", 'def solution():\n    """Mia and Max."""\n    # Bob\n    return 1\n', 0),
        ("Mia flips.", 'x = f"Max {Mia}"\n', 1),
        ("Mia flips.", 'x = day.strftime("%Y %B")\n', 0),
        ("An order by Farah O'Neil.", "x = {'customer': \"Farah O'Neil\"}\n", 0),
        ("Élise has a cat.", "x = 'Élise'\n", 0),
        ('The words in "Ann Lee Ann".', "x = 'Ann Lee Ann'.split()\n", 0),
        ('The words in "Ann Lee Ann".', "x = 'Ann Lee'.split()\n", 1),
        ('The words in "Ann Lee Ann".', "x = 'Ann Leo Ann'.split()\n", 2),
        ('The words in "Ann Lee Ann".', "x = text.split()\n", 0),
    ],
)
def test_names_in_texts_are_the_questions(question: str, code: str, faults: int) -> None:
    assert score(question, "", code, finished=True) == [pytest.approx(UNUSED**faults)]


@pytest.mark.parametrize("task", ["arithmetic", "coin_flip", "last_letters", "tables"])
def test_gold_programs_of_other_tasks_are_grounded(task: str) -> None:
    for problem in get_task(task).generate(60, "test", 3, None):
        assert problem.program is not None
        steps = split_steps(problem.program)
        assert set(score(problem.question, "", *steps, finished=True)) == {1.0}, problem


def test_labels_need_not_be_used() -> None:
    question = "On the 3rd shelf are 14 books since 9:30. How many?"
    assert score(question, "", "def solution():\n    return 14\n", finished=True) == [1.0]


@pytest.mark.parametrize("problem", PROBLEMS, ids=lambda problem: problem.problem_id)
def test_gold_programs_are_grounded_and_a_wrong_digit_is_not(problem) -> None:  # type: ignore[no-untyped-def]
    assert problem.program is not None
    assert set(score(problem.question, "", *split_steps(problem.program), finished=True)) == {1.0}
    wrong = re.sub(r"= ([0-9]+)$", r"= 7\1", problem.program, count=1, flags=re.M)
    assert wrong != problem.program
    assert min(score(problem.question, "", *split_steps(wrong), finished=True)) < 1.0


@given(
    question=st.text(max_size=80),
    steps=st.lists(st.text(alphabet=ALPHABET, max_size=40), min_size=1),
)
def test_any_text_has_a_score(question: str, steps: list[str]) -> None:
    scores = score(question, "", *steps, finished=True)
    assert len(scores) == len(steps)
    assert all(0.0 <= one <= 1.0 for one in scores)


@given(st.lists(st.integers(3, 10**6), min_size=1, max_size=8, unique=True))
def test_steps_are_judged_alike_together_and_one_by_one(numbers: list[int]) -> None:
    question = "He has " + ", then ".join(map(str, numbers[::2])) + " cats."
    steps = [f"    x{i} = {number}\n" for i, number in enumerate(numbers)]
    alone = [score(question, "".join(steps[:i]), step)[0] for i, step in enumerate(steps)]
    assert score(question, "", *steps) == alone
