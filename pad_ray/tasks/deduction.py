"""Logical deduction, in the manner of BIG-bench: one order of objects fits all clues.

The program keeps the orders that each clue leaves, clue by clue.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from itertools import permutations
from typing import NamedTuple, TypeAlias

from pad_ray.base.records import Problem
from pad_ray.tasks.base import Exemplar, Size, Split, Task
from pad_ray.tasks.deduction_domains import DOMAINS, WORDINGS, Domain, Wording
from pad_ray.tasks.generation import choose_pair, draw_templates, write_program
from pad_ray.tasks.readings import read_words

__all__ = ["DEDUCTION"]

SIZES = range(3, 8)
MIXTURE = (3, 5, 7)
_MOST_CLUES = 24
NUMBERS = {3: "three", 4: "four", 5: "five", 6: "six", 7: "seven"}

Order: TypeAlias = tuple[str, ...]


class Clue(NamedTuple):
    """What is said of the order, the condition of the program, and which orders it leaves."""

    text: str
    code: str
    holds: Callable[[Order], bool]


def _before(rng: random.Random, order: Order, domain: Domain, wording: Wording) -> Clue:
    low, high = sorted(rng.sample(range(len(order)), 2))
    first, second = order[low], order[high]
    forward = rng.random() < 0.5
    words = (first, domain.before, second) if forward else (second, domain.after, first)
    return Clue(
        wording.relation.format(*(domain.called(word) for word in words[::2]), words[1]),
        f'order.index("{first}") < order.index("{second}")',
        lambda other: other.index(first) < other.index(second),
    )


def _beside(rng: random.Random, order: Order, domain: Domain, wording: Wording) -> Clue:
    place = rng.randrange(len(order) - 1)
    first, second = order[place], order[place + 1]
    named = [domain.called(name) for name in (first, second)]
    return Clue(
        wording.next_to.format(*named, domain.before),
        f'order.index("{second}") - order.index("{first}") == 1',
        lambda other: other.index(second) - other.index(first) == 1,
    )


def _at(rng: random.Random, order: Order, domain: Domain, wording: Wording) -> Clue:
    place = rng.randrange(len(order))
    words, index = _place(place, len(order), domain)
    name = order[place]
    return Clue(
        wording.place.format(domain.called(name), words),
        f'order[{index}] == "{name}"',
        lambda other: other[index] == name,
    )


def _place(place: int, size: int, domain: Domain) -> tuple[str, int]:
    """Return the words for a place, counted from the nearer end, and its index from there."""
    if place < size / 2:
        return domain.from_start[place], place
    back = size - 1 - place
    return domain.from_end[back], -1 - back


_KINDS = (_before, _before, _before, _beside, _at)


def _clues(rng: random.Random, order: Order, domain: Domain, wording: Wording) -> list[Clue] | None:
    """Draw clues that each leave two thirds of the orders at most, until only this one is left."""
    left: list[Order] = list(permutations(order))
    clues: list[Clue] = []
    for _ in range(_MOST_CLUES * len(order)):
        clue = rng.choice(_KINDS)(rng, order, domain, wording)
        fewer = [other for other in left if clue.holds(other)]
        if len(fewer) * 3 <= len(left) * 2:
            clues.append(clue)
            left = fewer
        if len(left) == 1:
            return clues
    return None


def _program(plural: str, shown: Sequence[str], clues: Sequence[Clue], index: int) -> str:
    names = ", ".join(f'"{name}"' for name in shown)
    kept = (f"orders = [order for order in orders if {clue.code}]" for clue in clues)
    return write_program(
        (
            "from itertools import permutations",
            f"{plural} = [{names}]",
            f"orders = list(permutations({plural}))",
            *kept,
            "order = orders[0]",
            f"result = order[{index}]",
            "return result",
        )
    )


def _draw(rng: random.Random, held_out: bool, size: int) -> Problem | None:
    domain, wording = choose_pair(rng, DOMAINS, WORDINGS, held_out)
    shown = rng.sample(domain.names, size)
    order = tuple(rng.sample(shown, size))
    clues = _clues(rng, order, domain, wording)
    if clues is None:
        return None
    place = rng.randrange(size)
    words, index = _place(place, size, domain)
    listed = ", ".join(domain.listed(name) for name in shown[:-1])
    scene = domain.scene.format(
        number=NUMBERS[size], names=f"{listed} and {domain.listed(shown[-1])}"
    )
    told = " ".join(clue.text[0].upper() + clue.text[1:] for clue in clues)
    return Problem.make(
        "deduction",
        f"{scene} {told} {domain.question.format(words)}",
        order[place],
        program=_program(domain.plural, shown, clues, index),
        template=f"{domain.plural}/{wording.name}",
    )


def generate_deduction(count: int, split: Split, seed: int, size: Size) -> Iterator[Problem]:
    """Make deductions about `size` objects (3 to 7; None mixes 3, 5 and 7).

    "held_out" has objects or a wording of the clues that are never trained on.
    """
    return draw_templates("deduction", _draw, SIZES, MIXTURE, "objects", count, split, seed, size)


def deduced(value: object, answer: str) -> bool:
    """Compare names; an article before one does not matter."""
    return isinstance(value, str) and _name(value) == _name(answer)


def _name(text: str) -> str:
    return read_words(text).removeprefix("the ")


_EXEMPLARS = (
    Exemplar(
        "Three boats are moored in a row: the ferry, the trawler and the yacht. The yacht is to "
        "the left of the ferry. The trawler is to the right of the ferry. Which boat is the "
        "leftmost?",
        "def solution():\n"
        "    from itertools import permutations\n"
        '    boats = ["ferry", "trawler", "yacht"]\n'
        "    orders = list(permutations(boats))\n"
        '    orders = [order for order in orders if order.index("yacht") < order.index("ferry")]\n'
        '    orders = [order for order in orders if order.index("ferry") < order.index("trawler")]'
        "\n    order = orders[0]\n"
        "    result = order[0]\n"
        "    return result",
        "The yacht is to the left of the ferry.\n"
        "The trawler is to the right of the ferry.\n"
        "So the order from the left is yacht, ferry, trawler.\n"
        "The answer is yacht.",
    ),
    Exemplar(
        "In a chess tournament there were four players: Thaddeus, Orsolya, Ludovic and Saoirse. "
        "Orsolya finished last. Ludovic finished above Saoirse. Thaddeus finished second. Who "
        "finished first?",
        "def solution():\n"
        "    from itertools import permutations\n"
        '    players = ["Thaddeus", "Orsolya", "Ludovic", "Saoirse"]\n'
        "    orders = list(permutations(players))\n"
        '    orders = [order for order in orders if order[-1] == "Orsolya"]\n'
        "    orders = [order for order in orders "
        'if order.index("Ludovic") < order.index("Saoirse")]\n'
        '    orders = [order for order in orders if order[1] == "Thaddeus"]\n'
        "    order = orders[0]\n"
        "    result = order[0]\n"
        "    return result",
        "Orsolya finished last, so she was fourth.\n"
        "Thaddeus finished second.\n"
        "Ludovic and Saoirse have the other two places, and Ludovic finished above Saoirse.\n"
        "So Ludovic was first and Saoirse third.\n"
        "The answer is Ludovic.",
    ),
    Exemplar(
        "A tailor sells three kinds of cloth: linen, velvet and tweed. Velvet is the most "
        "expensive. Tweed is cheaper than linen. Which cloth is the cheapest?",
        "def solution():\n"
        "    from itertools import permutations\n"
        '    cloths = ["linen", "velvet", "tweed"]\n'
        "    orders = list(permutations(cloths))\n"
        '    orders = [order for order in orders if order[-1] == "velvet"]\n'
        '    orders = [order for order in orders if order.index("tweed") < order.index("linen")]\n'
        "    order = orders[0]\n"
        "    result = order[0]\n"
        "    return result",
        "Velvet is the most expensive.\n"
        "Of the other two tweed is cheaper than linen.\n"
        "So tweed is the cheapest.\n"
        "The answer is tweed.",
    ),
)

DEDUCTION = Task("deduction", deduced, _EXEMPLARS, generate=generate_deduction)
