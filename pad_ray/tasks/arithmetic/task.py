"""The arithmetic task: drawing problems from plots, split by split."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

from pad_ray.base.errors import ConfigError
from pad_ray.base.records import Problem
from pad_ray.tasks.answers import numbers_equal
from pad_ray.tasks.arithmetic.domains import DOMAINS
from pad_ray.tasks.arithmetic.plots import Plot, draw_graph, is_held_out, make_plot
from pad_ray.tasks.base import Exemplar, Size, Split, Task
from pad_ray.tasks.generation import asked_sizes, draw_distinct, split_of

__all__ = ["ARITHMETIC", "generate_arithmetic"]

SIZES = range(1, 7)
LONGER = range(7, 9)
# So many first problems have a plot of their own each; later ones share more and more.
_PLOTS = 4_000
_LEAST_FRESH = 0.01
_MOST_TRIES = 200


class _Stories:
    """Draws problems of one split; what it draws next follows from the seed alone."""

    def __init__(self, rng: random.Random, split: Split, sizes: Sequence[int]) -> None:
        self._rng = rng
        self._split = split
        self._sizes = sizes
        self._pool: list[Plot] = []
        self._plot = self._make()
        self._found = self._tries = 0

    def draw(self) -> Problem | None:
        """Draw a problem; None where a number would make no sense, or it is another split's."""
        plot = self._plot
        values = plot.values(self._rng.random)
        question = None if values is None else plot.question.fill(values)
        if values is None or question is None or not self._is_ours(question):
            self._tries += 1
            if self._tries == _MOST_TRIES:
                self._choose()
            return None
        self._found += 1
        if len(self._pool) < _PLOTS:
            self._pool.append(plot)
        self._choose()
        return Problem.make(
            "arithmetic",
            question,
            str(values[plot.answer]),
            rationale=plot.rationale.fill(values),
            program=plot.program.fill(values),
            template=plot.template,
        )

    def _is_ours(self, question: str) -> bool:
        return self._split not in ("train", "test") or split_of(question) == self._split

    def _choose(self) -> None:
        """Take the plot of the next problem: it is kept until one is found."""
        self._tries = 0
        draw, pool = self._rng.random, self._pool
        fresh = max(_LEAST_FRESH, _PLOTS / (_PLOTS + self._found))
        if not pool or draw() < fresh:
            self._plot = self._make()
            if len(pool) == _PLOTS:
                pool[int(draw() * _PLOTS)] = self._plot
        else:
            self._plot = pool[int(draw() * len(pool))]

    def _make(self) -> Plot:
        rng = self._rng
        size = rng.choice(self._sizes)
        while True:
            domain = rng.choice(DOMAINS)
            graph = draw_graph(rng, domain, size)
            if is_held_out(domain, graph) == (self._split == "held_out"):
                return make_plot(rng, domain, graph, self._split == "distracted")


def generate_arithmetic(count: int, split: Split, seed: int, size: Size) -> Iterator[Problem]:
    """Make story problems of `size` steps (1 to 6; None mixes all of them evenly).

    "test" has the stories of "train" with other numbers and names. "held_out" tells of relations in
    a domain where training never has them together, "longer" of 7 and 8 steps, and "distracted"
    states one or two irrelevant facts, of which training has none.
    """
    known = ("train", "test", "held_out", "longer", "distracted")
    if split not in known:
        raise ConfigError(f"split is {split!r}: arithmetic has {', '.join(known)}")
    allowed = LONGER if split == "longer" else SIZES
    of = f"steps in split {split}"
    sizes = asked_sizes("arithmetic", size, allowed, of, allowed)
    stories = _Stories(random.Random(f"arithmetic|{split}|{seed}|{size}"), split, sizes)
    return draw_distinct(count, stories.draw, lambda problem: True)


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
