"""A story while it is made up: its sentences, its numbers, and the steps that work them out."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from pad_ray.tasks.arithmetic.domains import Domain, Noun
from pad_ray.tasks.arithmetic.numbers import Draw, among
from pad_ray.tasks.arithmetic.tellings import QUESTIONS, TELLINGS

T = TypeVar("T")

__all__ = ["MARK", "PEOPLE", "Draft", "Quantity", "Step", "mark", "words_of"]

PEOPLE = 3
MARK = "\0"
_FACT = "|||"
_WORD = re.compile(r"\{(\w+)\}|<([^|>]*)\|?([^>]*)>")


def mark(slot: int) -> str:
    """Return what stands in a text for the value of a slot."""
    return f"{MARK}{slot}{MARK}"


@dataclass(frozen=True)
class Quantity:
    """A number of the story: its place among the values, and what the program calls it."""

    slot: int
    variable: str


@dataclass(frozen=True)
class Step:
    """How a quantity is worked out, `{} + {}` of its parts."""

    made: Quantity
    written: str
    parts: tuple[Quantity, ...]


@dataclass
class Draft:
    """A story in the making; the first slots are the names of people.

    `current` is the quantity that goes on, `owner` the slot of the one who has it, None for
    several. The question is `asked` by its key in `QUESTIONS`. `trend` is above 0 where later
    people should have more than the first. Some of the things are `gone` where any were lost.
    """

    rng: random.Random
    domain: Domain
    item: Noun
    words: dict[str, str]
    current: Quantity = Quantity(0, "")
    owner: int | None = 0
    asked: str = "person"
    trend: int = 0
    gone: bool = False
    slots: int = PEOPLE
    people: list[Quantity] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    facts: list[str] = field(default_factory=list)
    events: list[str] = field(default_factory=list)
    draws: list[Draw] = field(default_factory=list)
    givens: dict[int, str] = field(default_factory=dict)
    steps: list[Step] = field(default_factory=list)
    taken: set[str] = field(default_factory=set)

    def quantity(self, *names: str) -> Quantity:
        """Return a new one, called by the first name that is free."""
        name = next(name for name in names if name not in self.taken)
        slot = self.slots
        self.slots += 1
        self.taken.add(name)
        return Quantity(slot, name)

    def given(self, *names: str) -> Quantity:
        """Return a new quantity that the text states."""
        made = self.quantity(*names)
        self.givens[made.slot] = made.variable
        return made

    def constant(self, value: int) -> Quantity:
        """Return a number that every reader knows: 12 of a dozen, 60 minutes."""
        slot = self.slots
        self.slots += 1
        self.draws.append(among(slot, (value,)))
        return Quantity(slot, str(value))

    def step(self, made: Quantity, written: str, draw: Draw, *parts: Quantity) -> None:
        """Add a step of the program, written as `{} + {}` of its parts."""
        self.draws.append(draw)
        self.steps.append(Step(made, written, parts))
        self.current = made

    def pick(self, tellings: Sequence[T]) -> T:
        """Draw one of several tellings."""
        return tellings[int(self.rng.random() * len(tellings))]

    def say(self, telling: str, **slots: str) -> str:
        """Return a telling in this story's words."""
        several = self.owner is None
        words = self.words
        owner = "" if self.owner is None else mark(self.owner)

        def word(match: re.Match[str]) -> str:
            name, one, many = match.groups()
            if name is None:
                if one == "does_again":
                    return (self.domain.again or self.domain.verb)[several]
                return self.say(many if several else one)
            if name in slots:
                return slots[name]
            if name in ("S", "s", "o"):
                return owner if not several else {"S": "They", "s": "they", "o": "them"}[name]
            return words[name] if name in words else self._things(name)

        return _WORD.sub(word, telling)

    def _things(self, slot: str) -> str:
        """Return the things that the story goes on with: whose, and that some of them are gone."""
        things = f"remaining {self.words['items']}" if self.gone else self.words["items"]
        whose = "the" if self.owner is None or len(self.people) == 1 else f"{mark(self.owner)}'s"
        phrases = {
            "of": f"{whose} {self.words['items']}",
            "the": f"{whose} {things}",
            "The": f"{whose} {things}".replace("the ", "The ", 1),
            "all": f"all the {things}" if whose == "the" else f"all of {whose} {things}",
            "All": f"All the {things}" if whose == "the" else f"All of {whose} {things}",
            "all_the": f"all the {things}",
        }
        return phrases[slot]

    def happens(self, telling: str, **slots: str) -> None:
        """Tell what comes next; a standing fact in it may be told before all else."""
        fact, found, event = self.say(telling, **slots).partition(_FACT)
        if not found:
            self.events.append(fact)
        elif self.rng.random() < 0.3:
            self.facts.append(fact)
            self.events.append(event)
        else:
            self.events += [fact, event]

    def tell(self, relation: str, number: Quantity, tellings: Sequence[str] = ()) -> None:
        """Tell a relation and its number in one of its ways, or in one of the domain's own."""
        self.happens(self.pick(tellings or TELLINGS[relation]), k=mark(number.slot))

    def question(self) -> str:
        """Return the question for the quantity that the story ends with."""
        return self.say(self.pick(QUESTIONS[self.asked]))

    def set_word(self, name: str, noun: Noun) -> None:
        """Give the tellings a noun, as `{name}` for one and `{names}` for several."""
        self.words[name], self.words[f"{name}s"] = noun.one, noun.many


def words_of(domain: Domain, item: Noun) -> dict[str, str]:
    """Return the words of a domain by the slots that tellings have for them."""
    words = {
        **{"item": item.one, "items": item.many, "a_item": item.a, "inside": domain.inside},
        **{"does": domain.verb[0], "do": domain.verb[1], "money": "the money"},
    }
    if domain.box is not None:
        words |= {"box": domain.box.one, "boxes": domain.box.many}
    if domain.pack is not None:
        words |= {"pack": domain.pack.one, "packs": domain.pack.many, "a_pack": domain.pack.a}
    if domain.share is not None:
        words |= {"sharer": domain.share.one, "sharers": domain.share.many}
    if domain.work is not None:
        words |= {"works": domain.work[0], "work": domain.work[1]}
    if domain.trait is not None:
        words["trait"] = domain.trait[1]
    if domain.spoil is not None:
        words["spoil"] = domain.spoil[1]
    return words
