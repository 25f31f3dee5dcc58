"""Coin flip and last letters: right answers, splits that never meet, the same call twice."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pad_ray.base.errors import ConfigError
from pad_ray.base.records import Problem
from pad_ray.tasks.base import Split, Task
from pad_ray.tasks.names import FIRST_NAMES, LAST_NAMES
from pad_ray.tasks.symbolic import COIN_FLIP, LAST_LETTERS

SYMBOLIC = pytest.mark.parametrize("task", [COIN_FLIP, LAST_LETTERS], ids=lambda task: task.name)
SEEDS = st.integers(min_value=-(2**40), max_value=2**40)


def make(task: Task, count: int, split: Split, seed: int, size: int | None = None) -> list[Problem]:
    assert task.generate is not None
    return list(task.generate(count, split, seed, size))


def run_gold(program: str | None) -> object:
    assert program is not None
    names: dict[str, object] = {}
    exec(program, names)
    solution = names["solution"]
    assert callable(solution)
    return solution()


def coin_answer(question: str) -> str:
    """Turn the coin sentence by sentence, as a reader would."""
    heads = True
    for sentence in question.split(".")[1:-1]:
        if sentence.endswith(" flips the coin"):
            heads = not heads
        else:
            assert sentence.endswith(" does not flip the coin")
    return "yes" if heads else "no"


def letters_answer(question: str) -> str:
    quoted = question[question.index('"') + 1 : question.rindex('"')]
    return "".join(re.findall(r"(\w)(?= |$)", quoted))


def answer_of(task: Task, question: str) -> str:
    return coin_answer(question) if task is COIN_FLIP else letters_answer(question)


@SYMBOLIC
@given(seed=SEEDS, size=st.integers(2, 32))
@settings(max_examples=30, deadline=None)
def test_answer_and_gold_program_are_right(task: Task, seed: int, size: int) -> None:
    for problem in make(task, 5, "train", seed, size):
        assert problem.answer == answer_of(task, problem.question)
        assert run_gold(problem.program) == problem.answer


@SYMBOLIC
@given(seeds=st.tuples(SEEDS, SEEDS), size=st.integers(2, 3))
@settings(max_examples=15, deadline=None)
def test_train_and_test_never_share_a_problem(
    task: Task, seeds: tuple[int, int], size: int
) -> None:
    train = {p.problem_id for p in make(task, 600, "train", seeds[0], size)}
    test = {p.problem_id for p in make(task, 300, "test", seeds[1], size)}
    assert len(train) == 600 and len(test) == 300
    assert not train & test


@SYMBOLIC
@given(seed=SEEDS, shorter=st.integers(0, 60), more=st.integers(0, 60))
@settings(max_examples=20, deadline=None)
def test_a_shorter_call_is_the_beginning_of_a_longer_one(
    task: Task, seed: int, shorter: int, more: int
) -> None:
    longer = make(task, shorter + more, "test", seed)
    assert make(task, shorter, "test", seed) == longer[:shorter]


@SYMBOLIC
def test_another_seed_gives_other_problems(task: Task) -> None:
    assert make(task, 20, "train", 1) != make(task, 20, "train", 2)


@SYMBOLIC
@pytest.mark.parametrize("size", [None, 2, 4, 8])
def test_size_is_the_number_of_names(task: Task, size: int | None) -> None:
    names = {*FIRST_NAMES, *LAST_NAMES}
    for problem in make(task, 20, "train", 3, size):
        found = [word for word in re.findall(r"\w+", problem.question) if word in names]
        assert len(found) == (size or 4)


@SYMBOLIC
@pytest.mark.parametrize("size", [-1, 0, 1, 33])
def test_size_out_of_range_is_one_clear_line(task: Task, size: int) -> None:
    with pytest.raises(ConfigError, match=rf"^size is {size}: {task.name} takes 2 to 32 names.*$"):
        make(task, 1, "train", 0, size)


@SYMBOLIC
def test_held_out_is_refused(task: Task) -> None:
    with pytest.raises(ConfigError, match=f"split is .held_out.: {task.name} has train, test$"):
        make(task, 1, "held_out", 0)


def test_too_small_a_space_is_refused_with_what_there_is() -> None:
    pairs = len(FIRST_NAMES) * len(LAST_NAMES)
    with pytest.raises(ConfigError, match=r"but only \d+ distinct problems"):
        make(LAST_LETTERS, pairs, "test", 0, 2)


@SYMBOLIC
def test_both_answers_of_a_coin_and_both_splits_are_common(task: Task) -> None:
    problems = make(task, 400, "train", 5)
    most = max(sum(p.answer == q.answer for p in problems) for q in problems[:20])
    assert most < 0.6 * len(problems)


@SYMBOLIC
def test_exemplars_are_right_and_use_words_of_no_problem(task: Task) -> None:
    names = {*FIRST_NAMES, *LAST_NAMES}
    assert len(task.exemplars) >= 3
    for exemplar in task.exemplars:
        assert run_gold(exemplar.program) == answer_of(task, exemplar.question)
        assert not names & set(re.findall(r"\w+", exemplar.question))


@pytest.mark.parametrize("names", [FIRST_NAMES, LAST_NAMES], ids=["first", "last"])
def test_names_are_many_distinct_single_ascii_words(names: tuple[str, ...]) -> None:
    assert len(names) >= 200
    assert len({name.casefold() for name in names}) == len(names)
    assert all(re.fullmatch(r"[A-Z][A-Za-z]+", name) for name in names)


def test_no_name_is_both_a_first_and_a_last_name() -> None:
    assert not set(FIRST_NAMES) & set(LAST_NAMES)
