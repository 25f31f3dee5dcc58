"""Story problems: each story makes sense, its program gives its answer, splits never meet."""

from __future__ import annotations

import ast
import random
import re
from collections import Counter
from itertools import islice

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pad_ray.base.errors import ConfigError
from pad_ray.base.records import Problem
from pad_ray.tasks.arithmetic import ARITHMETIC, STORIES, fill
from pad_ray.tasks.arithmetic_stories import Story
from pad_ray.tasks.base import Split

EACH_STORY = pytest.mark.parametrize("story", STORIES, ids=lambda story: story.template)
SEEDS = st.integers(min_value=-(2**40), max_value=2**40)
STEPS = {story.template: len(story.steps) for story in STORIES}


def make(count: int, split: Split, seed: int, size: int | None = None) -> list[Problem]:
    assert ARITHMETIC.generate is not None
    return list(ARITHMETIC.generate(count, split, seed, size))


def samples(story: Story, count: int = 25) -> list[Problem]:
    rng = random.Random(story.template)
    filled = (fill(story, rng) for _ in range(20_000))
    found = list(islice((problem for problem in filled if problem), count))
    assert len(found) == count, f"{story.template} is hardly ever filled"
    return found


def run_gold(program: str | None) -> object:
    assert program is not None
    names: dict[str, object] = {}
    exec(program, names)
    solution = names["solution"]
    assert callable(solution)
    return solution()


def assignments(program: str | None) -> list[tuple[str, ast.expr]]:
    assert program is not None
    (function,) = ast.parse(program).body
    assert isinstance(function, ast.FunctionDef)
    pairs = []
    for statement in function.body[:-1]:
        assert isinstance(statement, ast.Assign)
        (target,) = statement.targets
        assert isinstance(target, ast.Name)
        pairs.append((target.id, statement.value))
    last = function.body[-1]
    assert isinstance(last, ast.Return) and isinstance(last.value, ast.Name)
    assert last.value.id == pairs[-1][0]
    return pairs


@EACH_STORY
def test_program_gives_the_answer(story: Story) -> None:
    for problem in samples(story):
        value = run_gold(problem.program)
        assert ARITHMETIC.answers_equal(value, problem.answer)
        assert re.fullmatch(r"\d+(\.\d{1,2})?", problem.answer), problem.answer
        assert not problem.answer.endswith(".0")


@EACH_STORY
def test_text_has_no_open_slots_or_stray_blanks(story: Story) -> None:
    for problem in samples(story):
        assert not re.search(r"[{}]|  | [.,?]|\.\.|None|_", problem.question)
        assert problem.question == problem.question.strip()
        assert problem.question.endswith("?")
        assert problem.question[0].isupper()


@EACH_STORY
def test_numbers_of_the_question_come_first_in_order_then_the_steps(story: Story) -> None:
    for problem in samples(story, 5):
        pairs = assignments(problem.program)
        givens = [str(v.value) for _, v in pairs if isinstance(v, ast.Constant)]
        assert givens == re.findall(r"\d+(?:\.\d+)?", problem.question)
        steps = pairs[len(givens) :]
        assert [f"{name} = {ast.unparse(value)}" for name, value in steps] == list(story.steps)


@EACH_STORY
def test_every_quantity_is_used_and_named_once_in_snake_case(story: Story) -> None:
    pairs = assignments(samples(story, 1)[0].program)
    names = [name for name, _ in pairs]
    used = {n.id for _, value in pairs for n in ast.walk(value) if isinstance(n, ast.Name)}
    assert len(names) == len(set(names))
    assert set(names) - used == {names[-1]}
    assert all(re.fullmatch(r"[a-z]+(_[a-z]+)*", name) for name in names)


@EACH_STORY
def test_intermediate_values_make_sense(story: Story) -> None:
    for problem in samples(story):
        names: dict[str, float] = {}
        for name, value in assignments(problem.program):
            names[name] = eval(ast.unparse(value), {}, names)
        assert all(value > 0 for value in names.values())
        if not story.decimals:
            assert all(value == int(value) for value in names.values()), names


@EACH_STORY
def test_a_story_gives_many_different_problems(story: Story) -> None:
    assert len({problem.question for problem in samples(story, 200)}) >= 190


def test_there_are_enough_distinct_stories() -> None:
    assert len(STORIES) >= 48
    assert len({story.template for story in STORIES}) == len(STORIES)
    assert len({story.steps for story in STORIES}) == len(STORIES)


@pytest.mark.parametrize("held_out", [False, True])
def test_one_to_six_steps_are_all_there_seen_and_held_out(held_out: bool) -> None:
    steps = Counter(len(story.steps) for story in STORIES if story.held_out == held_out)
    assert sorted(steps) == [1, 2, 3, 4, 5, 6]
    assert min(steps.values()) >= 2


def test_about_a_fifth_of_the_stories_is_held_out() -> None:
    assert 0.15 <= sum(story.held_out for story in STORIES) / len(STORIES) <= 0.25


@pytest.mark.parametrize("operator", [ast.Add, ast.Sub, ast.Mult, ast.Div])
def test_all_four_operations_are_common(operator: type[ast.operator]) -> None:
    nodes = [n for s in STORIES for step in s.steps for n in ast.walk(ast.parse(step))]
    operations = [type(n.op) for n in nodes if isinstance(n, ast.BinOp)]
    assert operations.count(operator) >= 0.1 * len(operations)


@given(seeds=st.tuples(SEEDS, SEEDS, SEEDS), size=st.sampled_from([None, 1, 2, 3, 4, 5, 6]))
@settings(max_examples=20, deadline=None)
def test_no_split_shares_a_problem_with_another(
    seeds: tuple[int, int, int], size: int | None
) -> None:
    train = make(200, "train", seeds[0], size)
    test = make(200, "test", seeds[1], size)
    held_out = make(200, "held_out", seeds[2], size)
    ids = {p.problem_id for p in (*train, *test, *held_out)}
    assert len(ids) == 600
    assert not {p.template for p in held_out} & {p.template for p in (*train, *test)}


def test_no_problem_is_on_both_sides_where_the_two_draw_most_alike() -> None:
    train = {p.problem_id for p in make(6000, "train", 0, 1)}
    test = {p.problem_id for p in make(3000, "test", 0, 1)}
    assert not train & test


def test_every_seen_story_is_drawn_on_both_sides() -> None:
    seen = {story.template for story in STORIES if not story.held_out}
    splits: tuple[Split, ...] = ("train", "test")
    for split in splits:
        counts = Counter(p.template for p in make(2100, split, 7))
        assert set(counts) == seen
        assert min(counts.values()) > 15


@given(seed=SEEDS, shorter=st.integers(0, 60), more=st.integers(0, 60))
@settings(max_examples=20, deadline=None)
def test_a_shorter_call_is_the_beginning_of_a_longer_one(
    seed: int, shorter: int, more: int
) -> None:
    assert make(shorter, "test", seed) == make(shorter + more, "test", seed)[:shorter]


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 6])
@pytest.mark.parametrize("split", ["train", "test", "held_out"])
def test_size_is_the_number_of_steps(split: Split, size: int) -> None:
    assert {STEPS[p.template or ""] for p in make(60, split, 1, size)} == {size}


def test_without_size_all_steps_are_about_equally_common() -> None:
    counts = Counter(STEPS[p.template or ""] for p in make(1200, "train", 2))
    assert all(140 < counts[steps] < 260 for steps in range(1, 7))


@pytest.mark.parametrize("size", [-1, 0, 7])
def test_size_out_of_range_is_one_clear_line(size: int) -> None:
    with pytest.raises(ConfigError, match=rf"^size is {size}: arithmetic takes 1 to 6 steps.*$"):
        make(1, "train", 0, size)


def test_unknown_split_is_refused() -> None:
    with pytest.raises(ConfigError, match="split is 'validation'"):
        make(1, "validation", 0)  # type: ignore[arg-type]


def test_exemplars_give_a_number_and_tell_stories_of_their_own() -> None:
    openings = {" ".join(s.text.split()[:3]) for s in STORIES}
    assert len(ARITHMETIC.exemplars) >= 3
    for exemplar, answer in zip(ARITHMETIC.exemplars, ("44", "8", "95"), strict=True):
        assert ARITHMETIC.answers_equal(run_gold(exemplar.program), answer)
        assert " ".join(exemplar.question.split()[:3]) not in openings
