"""What the texts of the extraction task speak of, and the sentences that say it."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from typing import NamedTuple, TypeAlias

from pad_ray.tasks.names import FIRST_NAMES

__all__ = ["DOMAINS", "REQUESTS", "Domain", "Fact", "Request", "Sentence"]

_NUMBER_WORDS = "two three four five six seven eight nine ten eleven twelve".split()


class Fact(NamedTuple):
    """A sentence with the fields of its record: their values, and the code that makes them."""

    text: str
    values: tuple[str | int, ...]
    code: tuple[str, ...]


class Filled(NamedTuple):
    """A slot's words in the sentence, its value in the record, and the code of that value."""

    text: str
    value: str | int
    code: str


Slot: TypeAlias = Callable[[random.Random], Filled]


@dataclass(frozen=True)
class Sentence:
    """A sentence with a slot for each field, in the order of the record's fields."""

    text: str
    slots: tuple[tuple[str, Slot], ...]
    held_out: bool = False

    def fill(self, rng: random.Random) -> Fact:
        """Fill each slot by chance."""
        filled = {name: slot(rng) for name, slot in self.slots}
        words = {name: one.text for name, one in filled.items()}
        values = tuple(one.value for one in filled.values())
        return Fact(self.text.format(**words), values, tuple(one.code for one in filled.values()))


@dataclass(frozen=True)
class Domain:
    """A kind of record: its fields as the question describes them, sentences, and asides.

    An aside says something that belongs to no record.
    """

    plural: str
    singular: str
    fields: tuple[str, ...]
    described: tuple[str, ...]
    sentences: tuple[Sentence, ...]
    asides: tuple[str, ...]
    held_out: bool = False


@dataclass(frozen=True)
class Request:
    """A way to ask for the records."""

    name: str
    text: str
    held_out: bool = False


REQUESTS = (
    Request("list", "List the {records} in the text as records with the fields {fields}.\n"
                    "Text: {text}"),
    Request("extract", "Extract the {records} from this text: {text}\nFields: {fields}."),
    Request("which", "{text}\nWhich {records} does the text mention? Give {fields} of each."),
    Request("table", "Make a table of all {records} below, with the columns {fields}.\n{text}",
            held_out=True),
)  # fmt: skip


def _one_of(*texts: str) -> Slot:
    def fill(rng: random.Random) -> Filled:
        text = rng.choice(texts)
        return Filled(text, text, f'"{text}"')

    return fill


def _number(low: int, high: int) -> Slot:
    def fill(rng: random.Random) -> Filled:
        number = rng.randint(low, high)
        return Filled(str(number), number, str(number))

    return fill


def _in_words(rng: random.Random) -> Filled:
    number = rng.randrange(len(_NUMBER_WORDS))
    return Filled(_NUMBER_WORDS[number], number + 2, str(number + 2))


def _product(of: str) -> Slot:
    """A number that the sentence gives as two factors, joined by `of`."""

    def fill(rng: random.Random) -> Filled:
        first, second = rng.randint(2, 9), rng.randint(3, 12)
        return Filled(f"{first} {of} {second}", first * second, f"{first} * {second}")

    return fill


def _day(*forms: str) -> Slot:
    def fill(rng: random.Random) -> Filled:
        day = date(2005, 1, 1) + timedelta(days=rng.randrange(9000))
        text = day.strftime(rng.choice(forms).format(day.day))
        return Filled(text, day.isoformat(), f'"{day.isoformat()}"')

    return fill


def _sentences(slots: dict[str, Slot], *texts: str, held_out: bool = False) -> tuple[Sentence, ...]:
    return tuple(Sentence(text, tuple(slots.items()), held_out) for text in texts)


_NAME = _one_of(*FIRST_NAMES)
_DATE = _day("%B {0}, %Y", "{0} %B %Y", "%b {0}, %Y", "%Y-%m-%d")
_TITLE = _one_of(*"concert,lecture,market,parade,workshop,bazaar,reading,fair".split(","))
_PLACE = _one_of("the town hall", "the library", "the old mill", "the harbor", "the castle")
_JOB = _one_of(*"baker nurse pilot teacher carpenter lawyer farmer painter".split())
_CITY = _one_of(*"Lisbon Oslo Vienna Dublin Prague Porto Turin Ghent".split())
_GOODS = _one_of(*"lamps,chairs,notebooks,mugs,blankets,candles,pencils,plates".split(","))
_AIRPORT = _one_of(*"Madrid Boston Nairobi Seoul Lima Denver Cairo Geneva".split())
_EVENT = {"title": _TITLE, "date": _DATE, "place": _PLACE}
_PERSON = {"name": _NAME, "age": _number(18, 90), "job": _JOB, "city": _CITY}
_ORDER = {"customer": _NAME, "item": _GOODS, "quantity": _number(2, 60), "price": _number(3, 95)}
_FLIGHT = {"flight": _number(100, 999), "origin": _AIRPORT, "destination": _CITY, "date": _DATE}

DOMAINS = (
    Domain(
        "events", "event", ("title", "date", "place"), ("title", "date (YYYY-MM-DD)", "place"),
        (
            *_sentences(
                _EVENT,
                "The {title} takes place on {date} at {place}.",
                "On {date} there is a {title} at {place}.",
                "Everybody is invited to {place} for the {title} on {date}.",
                "At {place} the {title} was held on {date}.",
            ),
            *_sentences(
                _EVENT,
                "Mark {date} in your calendar: the {title} will fill {place}.",
                "If you like such things, {place} has a {title} for you, on {date}.",
                held_out=True,
            ),
        ),
        ("Bring an umbrella.", "Tickets are cheap this season.", "The mayor is expected."),
    ),
    Domain(
        "people", "person", ("name", "age", "job", "city"),
        ("name", "age (number)", "job", "city"),
        (
            *_sentences(
                _PERSON,
                "{name}, {age}, works as a {job} in {city}.",
                "{name} is a {age}-year-old {job} from {city}.",
                "In {city} lives {name}, a {job} of {age} years.",
                "At the age of {age}, {name} became a {job} in {city}.",
            ),
            *_sentences(
                _PERSON,
                "A {job} by the name of {name}, {age} years old, has moved to {city}.",
                "The best {job} of {city} is {name}, and only {age}.",
                held_out=True,
            ),
        ),
        ("They all met at a wedding.", "The food was good.", "It was a long evening."),
    ),
    Domain(
        "orders", "order", ("customer", "item", "quantity", "price"),
        ("customer", "item", "quantity (number)", "price (dollars apiece)"),
        (
            *_sentences(
                _ORDER,
                "{customer} ordered {quantity} {item} at ${price} each.",
                "An order of {quantity} {item} came from {customer}, for ${price} apiece.",
            ),
            *_sentences(
                _ORDER | {"quantity": _in_words},
                "{customer} bought {quantity} {item}, paying {price} dollars for each.",
                "At {price} dollars apiece, {customer} took {quantity} {item}.",
            ),
            *_sentences(
                _ORDER | {"quantity": _product("boxes of")},
                "{customer} wants {quantity} {item} and pays ${price} for every one of them.",
            ),
            *_sentences(
                _ORDER,
                "For {customer} we packed {quantity} {item}; one costs ${price}.",
                held_out=True,
            ),
            *_sentences(
                _ORDER | {"quantity": _product("packs with")},
                "{customer} sent for {quantity} {item}, each of them at ${price}.",
                held_out=True,
            ),
        ),
        ("The shop closes at six.", "Shipping takes a week.", "Business is good."),
    ),
    Domain(
        "flights", "flight", ("number", "origin", "destination", "date"),
        ("number", "origin", "destination", "date (YYYY-MM-DD)"),
        _sentences(
            _FLIGHT,
            "Flight {flight} left {origin} for {destination} on {date}.",
            "On {date}, flight {flight} goes from {origin} to {destination}.",
            "Passengers to {destination} boarded flight {flight} in {origin} on {date}.",
        ),
        ("The weather was fine.", "Lunch was served on board."),
        held_out=True,
    ),
)  # fmt: skip
