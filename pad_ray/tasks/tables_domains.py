"""What the tables of the tables task hold, and how a table is written down."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from pad_ray.tasks.names import FIRST_NAMES

__all__ = ["DOMAINS", "Domain", "Number", "Row", "draw_rows", "written"]

Row: TypeAlias = dict[str, str | int]


@dataclass(frozen=True)
class Number:
    """A column of whole numbers: the words for more, less, most and least of it, and its unit."""

    name: str
    low: int
    high: int
    step: int
    unit: str
    more: str
    less: str
    most: str
    least: str


@dataclass(frozen=True)
class Domain:
    """A kind of table: its rows have a name of their own, a group, and two numbers."""

    plural: str
    singular: str
    key: str
    names: tuple[str, ...]
    group: str
    groups: tuple[str, ...]
    numbers: tuple[Number, Number]
    held_out: bool = False

    @property
    def columns(self) -> tuple[str, ...]:
        return (self.key, self.group, *(number.name for number in self.numbers))


def draw_rows(rng: random.Random, domain: Domain, count: int) -> list[Row]:
    """Draw rows of different names."""
    return [
        {
            domain.key: name,
            domain.group: rng.choice(domain.groups),
            **{n.name: rng.randrange(n.low, n.high + 1, n.step) for n in domain.numbers},
        }
        for name in rng.sample(domain.names, count)
    ]


def written(rng: random.Random, domain: Domain, rows: Sequence[Row]) -> str:
    """Return the table as text: lines with commas, with bars, or a sentence a row."""
    form = rng.randrange(3)
    if form == 2:
        sentences = (
            f"{row[domain.key]}: "
            + ", ".join(f"{column} {row[column]}" for column in domain.columns[1:])
            + "."
            for row in rows
        )
        return f"Here are the {domain.plural}. " + " ".join(sentences)
    cells = [domain.columns, *([str(row[column]) for column in domain.columns] for row in rows)]
    if form == 1:
        return "\n".join(f"| {' | '.join(line)} |" for line in cells)
    head = f"Here is a table. The first line is a header, each other line is a {domain.singular}:"
    return "\n".join([head, *(", ".join(line) for line in cells)])


_AGE = Number("age", 1, 15, 1, "years", "older than", "younger than", "oldest", "youngest")
_WEIGHT = Number("weight", 3, 60, 1, "kg", "heavier than", "lighter than", "heaviest", "lightest")
_HEIGHT = Number("height", 20, 190, 5, "cm", "taller than", "shorter than", "tallest", "shortest")
_PRICE = Number(
    "price",
    5,
    95,
    1,
    "dollars",
    "more expensive than",
    "cheaper than",
    "most expensive",
    "cheapest",
)

DOMAINS = (
    Domain(
        "penguins", "penguin", "name", FIRST_NAMES,
        "species", ("Gentoo", "Adelie", "Chinstrap"), (_AGE, _HEIGHT),
    ),
    Domain(
        "dogs", "dog", "name", tuple("Rex Bella Luna Max Rocky Daisy Buddy Coco Milo Ruby".split()),
        "breed", ("beagle", "poodle", "collie"), (_AGE, _WEIGHT),
    ),
    Domain(
        "books", "book", "title",
        tuple("Embers Tides Lanterns Meridian Foxglove Harbor Orchard Winterlight Atlas".split()),
        "genre", ("crime", "poetry", "history"),
        (Number("pages", 90, 640, 10, "pages", "longer than", "shorter than", "longest",
                "shortest"), _PRICE),
    ),
    Domain(
        "products", "product", "product",
        tuple("lamp chair kettle mirror blanket clock basket vase cushion shelf".split()),
        "room", ("kitchen", "bedroom", "office"), (_PRICE, _WEIGHT),
    ),
    Domain(
        "runners", "runner", "runner", FIRST_NAMES,
        "club", ("Harriers", "Striders", "Lakers"),
        (Number("age", 16, 70, 1, "years", "older than", "younger than", "oldest", "youngest"),
         Number("time", 31, 75, 1, "minutes", "slower than", "faster than", "slowest", "fastest")),
    ),
    Domain(
        "trees", "tree", "label", tuple("A1 A2 A3 B1 B2 B3 C1 C2 C3 D1".split()),
        "park", ("North", "River", "Castle"),
        (Number("age", 5, 320, 5, "years", "older than", "younger than", "oldest", "youngest"),
         Number("height", 3, 45, 1, "meters", "taller than", "shorter than", "tallest",
                "shortest")),
        held_out=True,
    ),
    Domain(
        "phones", "phone", "model",
        tuple("Nova Zenit Orbit Pixra Luma Vertex Quanta Solis".split()),
        "maker", ("Helio", "Brix", "Tamaro"),
        (_PRICE, Number("weight", 120, 260, 5, "grams", "heavier than", "lighter than", "heaviest",
                        "lightest")),
        held_out=True,
    ),
)  # fmt: skip
