"""What is put in order in the deduction task, and the ways to word a clue."""

from __future__ import annotations

from dataclasses import dataclass

from pad_ray.tasks.names import FIRST_NAMES

__all__ = ["DOMAINS", "WORDINGS", "Domain", "Wording"]


@dataclass(frozen=True)
class Domain:
    """Objects in an order from its start to its end.

    `before` and `after` relate two of them, `from_start` and `from_end` are the words for places
    counted from each end, `article` stands before a name in a sentence.
    """

    plural: str
    scene: str
    names: tuple[str, ...]
    before: str
    after: str
    from_start: tuple[str, ...]
    from_end: tuple[str, ...]
    question: str
    article: str = "the "
    indefinite: bool = False
    held_out: bool = False

    def called(self, name: str) -> str:
        """Return a name as sentences have it."""
        return f"{self.article}{name}"

    def listed(self, name: str) -> str:
        """Return a name as the scene introduces it."""
        if not self.indefinite:
            return self.called(name)
        return f"an {name}" if name[0] in "aeiou" else f"a {name}"


@dataclass(frozen=True)
class Wording:
    """How clues are worded: {0} and {1} are objects, {2} their relation, or {1} a place."""

    name: str
    relation: str
    next_to: str
    place: str
    held_out: bool = False


WORDINGS = (
    Wording(
        "plain", "{0} is {2} {1}.", "{0} is {2} {1}, with nothing between them.", "{0} is {1}.",
    ),
    Wording(
        "known", "We know that {0} is {2} {1}.",
        "{0} and {1} follow one another, and {0} is {2} {1}.",
        "We know that {0} is {1}.",
    ),
    Wording(
        "reported", "Somebody says that {0} is {2} {1}.",
        "Nothing comes between {0} and {1}, and {0} is {2} {1}.", "It is {0} that is {1}.",
        held_out=True,
    ),
)  # fmt: skip


def _places(first: str, pattern: str) -> tuple[str, ...]:
    return (first, *(pattern.format(word) for word in ("second", "third", "fourth")))


_COLORS = "red blue green yellow orange purple white black gray brown".split()

DOMAINS = (
    Domain(
        "books", "There are {number} books on a shelf: {names}.",
        tuple(f"{color} book" for color in _COLORS),
        "to the left of", "to the right of",
        _places("the leftmost", "the {} from the left"),
        _places("the rightmost", "the {} from the right"),
        "Which book is {}?", indefinite=True,
    ),
    Domain(
        "birds", "On a branch sit {number} birds: {names}.",
        tuple("owl raven robin hawk crow falcon quail jay hummingbird cardinal".split()),
        "to the left of", "to the right of",
        _places("the leftmost", "the {} from the left"),
        _places("the rightmost", "the {} from the right"),
        "Which bird is {}?", indefinite=True,
    ),
    Domain(
        "runners", "There were {number} runners in a race: {names}.", FIRST_NAMES,
        "ahead of", "behind",
        _places("the winner", "the {} at the finish"),
        _places("the last at the finish", "the {} to last at the finish"),
        "Who was {}?", article="",
    ),
    Domain(
        "fruits", "A stand sells {number} kinds of fruit: {names}.",
        tuple("apple pear plum mango kiwi peach orange cherry melon apricot".split()),
        "cheaper than", "more expensive than",
        _places("the cheapest", "the {} cheapest"),
        _places("the most expensive", "the {} most expensive"),
        "Which fruit is {}?",
    ),
    Domain(
        "cousins", "There are {number} cousins: {names}.", FIRST_NAMES,
        "younger than", "older than",
        _places("the youngest", "the {} youngest"), _places("the oldest", "the {} oldest"),
        "Which cousin is {}?", article="",
    ),
    Domain(
        "vehicles", "At an antique car show there are {number} vehicles: {names}.",
        tuple("truck sedan minivan limousine tractor hatchback motorcycle bus coupe".split()),
        "newer than", "older than",
        _places("the newest", "the {} newest"), _places("the oldest", "the {} oldest"),
        "Which vehicle is {}?", indefinite=True, held_out=True,
    ),
    Domain(
        "towers", "A town has {number} towers: {names}.",
        tuple("clock tower|bell tower|water tower|radio tower|gate tower|castle tower|"
              "church tower|school tower".split("|")),
        "lower than", "higher than",
        _places("the lowest", "the {} lowest"), _places("the highest", "the {} highest"),
        "Which tower is {}?", held_out=True,
    ),
)  # fmt: skip
