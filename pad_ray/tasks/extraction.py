"""Knowledge extraction: a program that builds the records which a text speaks of."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Mapping
from typing import Any

from pad_ray.base.records import Problem
from pad_ray.tasks.answers import equal
from pad_ray.tasks.base import Exemplar, Size, Split, Task
from pad_ray.tasks.extraction_domains import DOMAINS, REQUESTS, Domain, Fact, Request
from pad_ray.tasks.generation import draw_templates, write_program
from pad_ray.tasks.readings import read_words

__all__ = ["EXTRACTION", "records_equal"]

SIZES = range(1, 7)
MIXTURE = (1, 2, 3)


def records_equal(value: object, answer: str) -> bool:
    """Compare records with the gold ones (JSON): in any order, each field as number or text.

    A single record may stand for a list of one; a number in a text equals that number; case,
    blanks and a leading article do not matter, nor does a field of None. Every other field must
    be there, and no more.
    """
    found = _records(value)
    try:
        gold = _records(json.loads(answer))
    except (ValueError, RecursionError):
        return False
    if found is None or gold is None or len(found) != len(gold):
        return False
    for record in gold:
        place = next((at for at, one in enumerate(found) if _same(one, record)), None)
        if place is None:
            return False
        del found[place]
    return True


def _records(value: Any) -> list[dict[str, object]] | None:
    """Return flat records without their empty fields; None for anything that is no list of them."""
    rows = [value] if isinstance(value, dict) else value
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        return None
    if any(isinstance(field, dict | list) for row in rows for field in row.values()):
        return None
    return [{_name(key): _bare(v) for key, v in row.items() if v is not None} for row in rows]


def _same(one: Mapping[str, object], other: Mapping[str, object]) -> bool:
    return one.keys() == other.keys() and all(equal(one[name], other[name]) for name in one)


def _name(key: object) -> str:
    return _without_article(read_words(str(key)))


def _bare(field: object) -> object:
    return _without_article(read_words(field)) if isinstance(field, str) else field


def _without_article(words: str) -> str:
    return words.removeprefix("the ")


def _fact(rng: random.Random, domain: Domain, held_out: bool, known: list[Fact]) -> Fact | None:
    """Draw a sentence with its record; None where it names what another record is about."""
    unseen = held_out and not domain.held_out
    sentence = rng.choice([s for s in domain.sentences if s.held_out == unseen])
    fact = sentence.fill(rng)
    return None if any(fact.values[0] == other.values[0] for other in known) else fact


def _record_code(domain: Domain, fact: Fact) -> str:
    pairs = zip(domain.fields, fact.code, strict=True)
    return "{" + ", ".join(f'"{field}": {code}' for field, code in pairs) + "}"


def _program(domain: Domain, facts: list[Fact]) -> str:
    names = [f"{domain.singular}_{place}" for place in range(1, len(facts) + 1)]
    made = [f"{n} = {_record_code(domain, fact)}" for n, fact in zip(names, facts, strict=True)]
    lines = (*made, f"{domain.plural} = [{', '.join(names)}]", f"return {domain.plural}")
    return write_program(lines)


def _draw(rng: random.Random, held_out: bool, size: int) -> Problem | None:
    domain = rng.choice([one for one in DOMAINS if held_out or not one.held_out])
    request = rng.choice([one for one in REQUESTS if held_out or not one.held_out])
    facts: list[Fact] = []
    while len(facts) < size:
        fact = _fact(rng, domain, held_out, facts)
        if fact is None:
            return None
        facts.append(fact)
    sentences = [fact.text for fact in facts]
    for place in range(len(sentences), -1, -1):
        if rng.random() < 0.2:
            sentences.insert(place, rng.choice(domain.asides))
    answer = [dict(zip(domain.fields, fact.values, strict=True)) for fact in facts]
    return Problem.make(
        "extraction",
        _question(domain, request, " ".join(sentences)),
        json.dumps(answer),
        program=_program(domain, facts),
        template=f"{domain.plural}/{request.name}",
    )


def _question(domain: Domain, request: Request, text: str) -> str:
    fields = f"{', '.join(domain.described[:-1])} and {domain.described[-1]}"
    return request.text.format(records=domain.plural, fields=fields, text=text)


def generate_extraction(count: int, split: Split, seed: int, size: Size) -> Iterator[Problem]:
    """Make texts of `size` records (1 to 6; None mixes 1 to 3), some with sentences beside them.

    The sentences of "held_out" are never trained on, nor are some of its records and requests.
    """
    return draw_templates("extraction", _draw, SIZES, MIXTURE, "records", count, split, seed, size)


_EXEMPLARS = (
    Exemplar(
        "List the ships in the text as records with the fields name, tons (number) and launched "
        "(YYYY-MM-DD).\nText: The Perpetua, of 900 tons, was launched on 4 May 1861. The day was "
        "windy. On June 12, 1863 the yard launched the Zapata, which had twice that tonnage.",
        "def solution():\n"
        '    ship_1 = {"name": "Perpetua", "tons": 900, "launched": "1861-05-04"}\n'
        '    ship_2 = {"name": "Zapata", "tons": 2 * 900, "launched": "1863-06-12"}\n'
        "    ships = [ship_1, ship_2]\n"
        "    return ships",
    ),
    Exemplar(
        "Find every repair that the text tells of. Fields: customer, object and price (dollars)."
        "\nText: Orsolya had her accordion mended for $85. Thaddeus paid $30 and then another $15 "
        "for his lantern.",
        "def solution():\n"
        '    repair_1 = {"customer": "Orsolya", "object": "accordion", "price": 85}\n'
        '    repair_2 = {"customer": "Thaddeus", "object": "lantern", "price": 30 + 15}\n'
        "    repairs = [repair_1, repair_2]\n"
        "    return repairs",
    ),
    Exemplar(
        "List the deliveries in the text as records with the fields goods, crates (number) and "
        "day.\nText: Nothing came on Sunday. On Monday three crates of oysters were unloaded.",
        "def solution():\n"
        '    delivery_1 = {"goods": "oysters", "crates": 3, "day": "Monday"}\n'
        "    deliveries = [delivery_1]\n"
        "    return deliveries",
    ),
)

EXTRACTION = Task("extraction", records_equal, _EXEMPLARS, generate=generate_extraction)
