"""Plots: stories whose numbers and names are still open, made up once and filled many times."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from operator import itemgetter
from typing import Any, TypeAlias
from zlib import crc32

from pad_ray.tasks.answers import answer_sentence
from pad_ray.tasks.arithmetic.domains import DOMAINS, Domain
from pad_ray.tasks.arithmetic.draft import MARK, PEOPLE, Draft, Quantity, mark, words_of
from pad_ray.tasks.arithmetic.numbers import Draw, Random, within
from pad_ray.tasks.arithmetic.relations import COMPARISONS, RELATIONS, Relation
from pad_ray.tasks.arithmetic.tellings import FACTS, OPENINGS
from pad_ray.tasks.generation import write_program
from pad_ray.tasks.names import FIRST_NAMES

__all__ = ["Plot", "Text", "draw_graph", "is_held_out", "make_plot"]

Graph: TypeAlias = tuple[str, ...]

# Of each graph's domains, one in so many is held out.
_HELD_OUT = 5
_SHUFFLED = 0.3
_OPENED = 0.3
_TWO_FACTS = 0.4
_MARKED = re.compile(f"{MARK}(\\d+){MARK}")


class Text:
    """A text with places for values, which are put in at once."""

    def __init__(self, marked: str) -> None:
        pieces = _MARKED.split(marked)
        self.slots = [int(slot) for slot in pieces[1::2]]
        self._format = "%s".join(piece.replace("%", "%%") for piece in pieces[::2])
        # One place alone would not be a tuple.
        self._values = itemgetter(*self.slots, 0)

    def fill(self, values: Sequence[object]) -> str:
        """Return the text with these values."""
        found: tuple[object, ...] = self._values(values)
        return self._format % found[:-1]


@dataclass(frozen=True)
class Plot:
    """A story to be filled. `size` is how many steps its program takes, beside what it is given."""

    domain: str
    graph: Graph
    question: Text
    program: Text
    rationale: Text
    answer: int
    people: int
    draws: tuple[Draw, ...]
    slots: int

    @property
    def template(self) -> str:
        """Return what the story is called: its domain and its relations."""
        return f"{self.domain}/{'+'.join(self.graph)}"

    def values(self, draw: Random) -> list[Any] | None:
        """Draw names and numbers; None where one would make no sense."""
        values: list[Any] = [None] * self.slots
        for slot in range(self.people):
            name = FIRST_NAMES[int(draw() * len(FIRST_NAMES))]
            if name in values:
                return None
            values[slot] = name
        for number in self.draws:
            if not number(draw, values):
                return None
        return values


def is_held_out(domain: Domain, graph: Graph) -> bool:
    """Tell whether training never has these relations in this domain; each part it has."""
    return (DOMAINS.index(domain) + crc32("+".join(graph).encode())) % _HELD_OUT == 0


def draw_graph(rng: random.Random, domain: Domain, size: int) -> Graph:
    """Draw the relations of a story of `size` steps."""
    while True:
        graph = _walk(rng, domain, size)
        if graph is not None:
            return graph


@cache
def _following(domain: Domain, state: str) -> tuple[Relation, ...]:
    return tuple(r for r in RELATIONS.values() if state in r.after and r.suits(domain))


def _walk(rng: random.Random, domain: Domain, size: int) -> Graph | None:
    """Draw relations until they take `size` steps; None where the story runs dead before."""
    state, left, graph, people = "open", size, list[str](), 1
    while left or state == "loose":
        choices = [
            relation
            for relation in _following(domain, state)
            if relation.steps <= left and _may_follow(relation, graph, people, left)
        ]
        if not choices:
            return None
        relation = choices[int(rng.random() * len(choices))]
        graph.append(relation.name)
        left -= relation.steps
        if relation.name == "also" or relation.name in COMPARISONS:
            people += 1
            state = "loose" if state == "loose" else relation.leads_to
        else:
            state = relation.leads_to
    return tuple(graph)


def _may_follow(relation: Relation, graph: list[str], people: int, left: int) -> bool:
    name = relation.name
    if name in graph or (relation.leads_to == "end" and left > 1):
        return False
    if name == "also" or name in COMPARISONS:
        # Somebody whose number comes from nobody's has to be added up or compared.
        return people < PEOPLE and (name != "also" or left > 0)
    if name == "pay":
        # What is lost was paid for all the same.
        return not {"loss", "rest"} & set(graph)
    if name == "compare":
        if "also" in graph:
            return people == 2
        others = [one for one in graph if one in COMPARISONS]
        return len(others) > 1 or others[0] not in ("more", "fewer")
    return True


def make_plot(rng: random.Random, domain: Domain, graph: Graph, distracted: bool) -> Plot:
    """Make up a story of these relations, with irrelevant facts where it is `distracted`."""
    item = domain.items[int(rng.random() * len(domain.items))]
    draft = Draft(rng, domain, item, words_of(domain, item))
    for name in graph:
        RELATIONS[name].tell(draft)
    answer = draft.steps[-1].made
    sentences = _in_order(draft)
    if distracted:
        _distract(draft, sentences)
    question = Text(" ".join([*sentences, draft.question()]))
    return Plot(
        domain.name,
        graph,
        question,
        Text(_program(draft, question, answer)),
        Text(_rationale(draft, answer)),
        answer.slot,
        len(draft.people),
        tuple(draft.draws),
        draft.slots,
    )


def _in_order(draft: Draft) -> list[str]:
    """Return the sentences: who has what in any order, what happens as it does."""
    rng, told = draft.rng, draft.told
    if len(told) > 1 and rng.random() < _SHUFFLED:
        rng.shuffle(told)
        told = [sentence.replace(" too.", ".") for sentence in told]
    sentences = [*draft.facts, *told, *draft.events]
    box = draft.domain.box
    over_days = box is not None and box.one in ("day", "week")
    if sentences[0].startswith(MARK) and not over_days and rng.random() < _OPENED:
        sentences[0] = draft.pick(OPENINGS) + sentences[0]
    return sentences


def _distract(draft: Draft, sentences: list[str]) -> None:
    """Put irrelevant facts between the sentences, or among the things one more kind of them."""
    rng, domain = draft.rng, draft.domain
    others = [i for i in domain.items if i.variable != draft.item.variable]
    facts = list(range(len(FACTS) + len(domain.beside) + bool(others)))
    rng.shuffle(facts)
    for fact in facts[: 2 if rng.random() < _TWO_FACTS else 1]:
        number = draft.quantity("unused", "unused_too")
        known = (*FACTS, *domain.beside)
        if fact < len(known):
            telling, low, high = known[fact]
        else:
            (low, high), other = domain.count, others[int(rng.random() * len(others))]
            telling = f"{{A}} also {{does}} {{k}} {other.many}."
        sentence = draft.say(telling, A=mark(0), k=mark(number.slot))
        draft.draws.append(within(number.slot, low, high))
        sentences.insert(1 + int(rng.random() * len(sentences)), sentence)


def _variable(draft: Draft, quantity: Quantity) -> str:
    """Return what a program calls a quantity: nobody is the first where there is nobody else."""
    name = quantity.variable
    return name.removeprefix("first_") if len(draft.people) == 1 else name


def _program(draft: Draft, question: Text, answer: Quantity) -> str:
    """Return the program: the numbers in the order of the text, then the steps."""
    alone = len(draft.people) == 1
    givens = [
        f"{name.removeprefix('first_') if alone else name} = {mark(slot)}"
        for slot in question.slots
        if (name := draft.givens.get(slot))
    ]
    steps = [
        f"{_variable(draft, step.made)} = "
        + step.written.format(*(_variable(draft, part) for part in step.parts))
        for step in draft.steps
    ]
    return write_program([*givens, *steps, f"return {_variable(draft, answer)}"])


def _rationale(draft: Draft, answer: Quantity) -> str:
    """Return the steps in words, as the scripted teacher tells a program."""
    lines = []
    for step in draft.steps:
        words = _variable(draft, step.made).replace("_", " ")
        worked = step.written.format(*(mark(part.slot) for part in step.parts))
        lines.append(f"The {words} is {worked} = {mark(step.made.slot)}.")
    return "\n".join([*lines, answer_sentence(mark(answer.slot))])
