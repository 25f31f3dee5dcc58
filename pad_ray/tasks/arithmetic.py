"""Arithmetic word problems of one to six steps, filled from hand-written story templates."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from types import CodeType

from pad_ray.base.errors import ConfigError
from pad_ray.base.records import Problem
from pad_ray.tasks.answers import number_text, numbers_equal
from pad_ray.tasks.arithmetic_long_stories import LONG_STORIES
from pad_ray.tasks.arithmetic_stories import SHORT_STORIES, WORDS, Story
from pad_ray.tasks.base import Exemplar, Split, Task
from pad_ray.tasks.generation import draw_distinct, split_of
from pad_ray.tasks.names import FIRST_NAMES

__all__ = ["ARITHMETIC", "STORIES", "fill"]

STORIES: tuple[Story, ...] = (*SHORT_STORIES, *LONG_STORIES)
STEPS = range(1, 7)
_NUMBER_SLOT = re.compile(r"\{(\w+):([\d.]+)-([\d.]+)(?:/([\d.]+))?\}")
_NAME_SLOTS = ("name", "name2", "name3")


@dataclass(frozen=True)
class _Blueprint:
    """A story made ready: text with plain slots, the numbers' values, compiled steps."""

    text: str
    numbers: dict[str, tuple[int, ...] | tuple[float, ...]]
    words: tuple[str, ...]
    steps: tuple[tuple[str, CodeType], ...]
    where: CodeType | None


def _values(low: str, high: str, step: str | None) -> tuple[int, ...] | tuple[float, ...]:
    if "." in low + high + (step or ""):
        start, width = float(low), float(step or 1)
        return tuple(start + k * width for k in range(int((float(high) - start) / width) + 1))
    return tuple(range(int(low), int(high) + 1, int(step or 1)))


@cache
def _blueprint(story: Story) -> _Blueprint:
    slots: list[tuple[str, str, str, str | None]] = _NUMBER_SLOT.findall(story.text)
    numbers = {name: _values(low, high, step) for name, low, high, step in slots}
    text = _NUMBER_SLOT.sub(r"{\1}", story.text)
    words = tuple(dict.fromkeys(w for w in re.findall(r"\{(\w+)\}", text) if w in WORDS))
    steps = (step.split(" = ", 1) for step in story.steps)
    return _Blueprint(
        text,
        numbers,
        words,
        tuple((name, compile(value, story.template, "eval")) for name, value in steps),
        compile(story.where, story.template, "eval") if story.where else None,
    )


def _makes_sense(value: float, decimals: bool) -> bool:
    return value > 0 and round(value, 2 if decimals else 0) == value


def _solve(story: Story, values: dict[str, float]) -> float | None:
    """Run the story's own steps; None where a quantity would make no sense in it."""
    blueprint = _blueprint(story)
    names = dict(values)
    value = 0.0
    for name, code in blueprint.steps:
        value = names[name] = eval(code, {"__builtins__": {}}, names)
        if not _makes_sense(value, story.decimals):
            return None
    if blueprint.where and not eval(blueprint.where, {"__builtins__": {}}, names):
        return None
    return value


def fill(story: Story, rng: random.Random) -> Problem | None:
    """Fill a story's slots once; None where the numbers drawn break its constraints."""
    blueprint = _blueprint(story)
    values: dict[str, float] = {n: rng.choice(v) for n, v in blueprint.numbers.items()}
    people = dict(zip(_NAME_SLOTS, rng.sample(FIRST_NAMES, 3), strict=True))
    words = {slot: rng.choice(WORDS[slot]) for slot in blueprint.words}
    answer = _solve(story, values)
    if answer is None:
        return None
    givens = [f"{name} = {value}" for name, value in values.items()]
    lines = [*givens, *story.steps, f"return {story.steps[-1].split(' = ', 1)[0]}"]
    program = "def solution():\n" + "\n".join(f"    {line}" for line in lines)
    question = blueprint.text.format(**values, **people, **words)
    return Problem.make(
        "arithmetic",
        question,
        number_text(answer),
        program=program,
        template=story.template,
    )


def generate_arithmetic(count: int, split: Split, seed: int, size: int | None) -> Iterator[Problem]:
    """Make story problems of `size` steps (1 to 6; None mixes all of them evenly).

    "held_out" draws from the stories that "train" and "test" never use.
    """
    if split not in ("train", "test", "held_out"):
        raise ConfigError(f"split is {split!r}: use 'train', 'test' or 'held_out'")
    if size is not None and size not in STEPS:
        raise ConfigError(f"size is {size}: arithmetic takes 1 to 6 steps, or none for a mixture")
    held_out = split == "held_out"
    by_steps = [
        [s for s in STORIES if s.held_out == held_out and len(s.steps) == steps]
        for steps in ([size] if size else STEPS)
    ]
    rng = random.Random(f"arithmetic|{split}|{seed}|{size}")
    story = rng.choice(rng.choice(by_steps))

    def draw() -> Problem | None:
        # A story is kept until it is filled: else those with narrow constraints would be rare.
        nonlocal story
        problem = fill(story, rng)
        if problem is not None:
            story = rng.choice(rng.choice(by_steps))
        return problem

    return draw_distinct(
        count, draw, lambda problem: held_out or split_of(problem.question) == split
    )


_EXEMPLARS = (
    Exemplar(
        "A lighthouse keeper polishes 6 lenses in the morning and 5 in the evening. How many "
        "lenses does the keeper polish in 4 days?",
        "def solution():\n    morning_lenses = 6\n    evening_lenses = 5\n    days = 4\n"
        "    lenses_per_day = morning_lenses + evening_lenses\n"
        "    total_lenses = lenses_per_day * days\n    return total_lenses",
        "In one day the keeper polishes 6 + 5 = 11 lenses.\n"
        "In 4 days the keeper polishes 11 * 4 = 44 lenses.\n"
        "The answer is 44.",
    ),
    Exemplar(
        "Wilhelmina has 90 beads. She threads 18 of them on a necklace and puts the rest into 9 "
        "equal bags. How many beads are in each bag?",
        "def solution():\n    beads = 90\n    necklace_beads = 18\n    bags = 9\n"
        "    beads_left = beads - necklace_beads\n"
        "    beads_per_bag = beads_left / bags\n    return beads_per_bag",
        "After the necklace 90 - 18 = 72 beads are left.\n"
        "Each of the 9 bags gets 72 / 9 = 8 beads.\n"
        "The answer is 8.",
    ),
    Exemplar(
        "A choir sells 40 programs for $3 each and pays the printer $25. How many dollars does "
        "the choir keep?",
        "def solution():\n    programs = 40\n    price = 3\n    printing_cost = 25\n"
        "    income = programs * price\n    profit = income - printing_cost\n    return profit",
        "The choir takes in 40 * 3 = 120 dollars.\n"
        "After the printer is paid it keeps 120 - 25 = 95 dollars.\n"
        "The answer is 95.",
    ),
)

ARITHMETIC = Task("arithmetic", numbers_equal, _EXEMPLARS, generate=generate_arithmetic)
