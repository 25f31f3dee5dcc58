"""The questions of the tables task: counts, extremes, averages, look-ups, two conditions."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from pad_ray.tasks.answers import number_text
from pad_ray.tasks.tables_domains import Domain, Number, Row

__all__ = ["QUESTIONS", "Asked", "Question"]


class Asked(NamedTuple):
    """A question, the statements over the rows that answer it, and the gold answer."""

    text: str
    lines: tuple[str, ...]
    answer: str


Ask: TypeAlias = Callable[[random.Random, Domain, Sequence[Row]], Asked | None]


@dataclass(frozen=True)
class Question:
    """A kind of question; None where these rows have no answer, or not a single one."""

    name: str
    ask: Ask
    held_out: bool = False


class _Condition(NamedTuple):
    words: str
    code: str
    holds: Callable[[Row], bool]


def _value(row: Row, column: str) -> int:
    value = row[column]
    assert isinstance(value, int)
    return value


def _above(rng: random.Random, number: Number, rows: Sequence[Row]) -> _Condition:
    """Draw a condition on a number; its bound is at or beside a row's own, where mistakes show."""
    column = number.name
    bound = _value(rng.choice(rows), column) + rng.choice((-1, 0, 1)) * number.step
    if rng.random() < 0.5:
        return _Condition(
            f"{number.more} {bound} {number.unit}",
            f'row["{column}"] > {bound}',
            lambda row: _value(row, column) > bound,
        )
    return _Condition(
        f"{number.less} {bound} {number.unit}",
        f'row["{column}"] < {bound}',
        lambda row: _value(row, column) < bound,
    )


def _in_group(rng: random.Random, domain: Domain, rows: Sequence[Row]) -> _Condition:
    group = str(rng.choice(rows)[domain.group])
    return _Condition(
        f"with {domain.group} {group}",
        f'row["{domain.group}"] == "{group}"',
        lambda row: row[domain.group] == group,
    )


def _matches(domain: Domain, code: str) -> str:
    return f"matches = [row for row in {domain.plural} if {code}]"


def _count(rng: random.Random, domain: Domain, rows: Sequence[Row]) -> Asked:
    bound = _above(rng, rng.choice(domain.numbers), rows)
    text = f"How many {domain.plural} are {bound.words}?"
    lines = (_matches(domain, bound.code), "result = len(matches)")
    return Asked(text, lines, str(sum(map(bound.holds, rows))))


def _count_group(rng: random.Random, domain: Domain, rows: Sequence[Row]) -> Asked:
    group = _in_group(rng, domain, rows)
    lines = (_matches(domain, group.code), "result = len(matches)")
    text = f"How many {domain.plural} are there {group.words}?"
    return Asked(text, lines, str(sum(map(group.holds, rows))))


def _count_both(rng: random.Random, domain: Domain, rows: Sequence[Row]) -> Asked:
    first, second = (_above(rng, number, rows) for number in domain.numbers)
    text = f"How many {domain.plural} are {first.words} and {second.words}?"
    lines = (_matches(domain, f"{first.code} and {second.code}"), "result = len(matches)")
    return Asked(text, lines, str(sum(first.holds(row) and second.holds(row) for row in rows)))


def _count_either(rng: random.Random, domain: Domain, rows: Sequence[Row]) -> Asked:
    first, second = (_above(rng, number, rows) for number in domain.numbers)
    text = f"How many {domain.plural} are {first.words} or {second.words}?"
    lines = (_matches(domain, f"{first.code} or {second.code}"), "result = len(matches)")
    return Asked(text, lines, str(sum(first.holds(row) or second.holds(row) for row in rows)))


def _extreme(rng: random.Random, domain: Domain, rows: Sequence[Row]) -> Asked | None:
    number = rng.choice(domain.numbers)
    return _first_by(domain, rows, number, rng.random() < 0.5, "")


def _extreme_of_group(rng: random.Random, domain: Domain, rows: Sequence[Row]) -> Asked | None:
    number, group = rng.choice(domain.numbers), _in_group(rng, domain, rows)
    found = [row for row in rows if group.holds(row)]
    asked = _first_by(domain, found, number, rng.random() < 0.5, f" {group.words}", "matches")
    if asked is None:
        return None
    return asked._replace(lines=(_matches(domain, group.code), *asked.lines))


def _first_by(
    domain: Domain, rows: Sequence[Row], number: Number, most: bool, of: str, source: str = ""
) -> Asked | None:
    """Ask which row has the most or the least of a number; None without one such row."""
    ordered = sorted(rows, key=lambda row: _value(row, number.name), reverse=most)
    values = [_value(row, number.name) for row in ordered[:2]]
    if not values or len(set(values)) < len(values):
        return None
    word, function = (number.most, "max") if most else (number.least, "min")
    name = word.replace(" ", "_")
    row = f'{function}({source or domain.plural}, key=lambda row: row["{number.name}"])'
    lines = (f"{name} = {row}", f'result = {name}["{domain.key}"]')
    text = f"Which {domain.singular}{of} is the {word}?"
    return Asked(text, lines, str(ordered[0][domain.key]))


def _second(rng: random.Random, domain: Domain, rows: Sequence[Row]) -> Asked | None:
    number, most = rng.choice(domain.numbers), rng.random() < 0.5
    values = sorted({_value(row, number.name) for row in rows}, reverse=most)
    if len(values) < len(rows) or len(values) < 2:
        return None
    order = ", reverse=True" if most else ""
    ordered = f'sorted({domain.plural}, key=lambda row: row["{number.name}"]{order})'
    lines = (f"ordered = {ordered}", f'result = ordered[1]["{domain.key}"]')
    answer = next(row[domain.key] for row in rows if row[number.name] == values[1])
    word = number.most if most else number.least
    return Asked(f"Which {domain.singular} is the second {word}?", lines, str(answer))


def _statistic(words: str, name: str, code: str, of: Callable[[list[int]], float]) -> Ask:
    """Ask for a statistic of a column; `code` has `{values}`."""

    def ask(rng: random.Random, domain: Domain, rows: Sequence[Row]) -> Asked:
        number = rng.choice(domain.numbers)
        column = f'[row["{number.name}"] for row in {domain.plural}]'
        lines = (f"values = {column}", f"{name} = {code}")
        text = f"What is the {words} {number.name} of the {domain.plural} in {number.unit}?"
        return Asked(text, lines, number_text(of([_value(row, number.name) for row in rows])))

    return ask


def _average_of_group(rng: random.Random, domain: Domain, rows: Sequence[Row]) -> Asked | None:
    number, group = rng.choice(domain.numbers), _in_group(rng, domain, rows)
    values = [_value(row, number.name) for row in rows if group.holds(row)]
    if not values:
        return None
    lines = (
        f'values = [row["{number.name}"] for row in {domain.plural} if {group.code}]',
        "average = sum(values) / len(values)",
    )
    text = f"What is the average {number.name} of the {domain.plural} {group.words}?"
    return Asked(text, lines, number_text(sum(values) / len(values)))


def _look_up(rng: random.Random, domain: Domain, rows: Sequence[Row]) -> Asked:
    row, column = rng.choice(rows), rng.choice(domain.columns[1:])
    name = row[domain.key]
    lines = (_matches(domain, f'row["{domain.key}"] == "{name}"'),
             f'result = matches[0]["{column}"]')  # fmt: skip
    return Asked(f"What is the {column} of {name}?", lines, str(row[column]))


def _difference(rng: random.Random, domain: Domain, rows: Sequence[Row]) -> Asked | None:
    number = rng.choice(domain.numbers)
    first, second = rng.sample(list(rows), 2)
    gap = _value(first, number.name) - _value(second, number.name)
    if gap <= 0:
        return None
    values = [
        f'{name} = [row["{number.name}"] for row in {domain.plural} '
        f'if row["{domain.key}"] == "{row[domain.key]}"][0]'
        for name, row in (("first_value", first), ("second_value", second))
    ]
    than = f"{number.more} {second[domain.key]}"
    text = f"By how many {number.unit} is {first[domain.key]} {than}?"
    return Asked(text, (*values, "difference = first_value - second_value"), str(gap))


QUESTIONS = (
    Question("count", _count),
    Question("count_group", _count_group),
    Question("count_both", _count_both),
    Question("extreme", _extreme),
    Question("extreme_of_group", _extreme_of_group),
    Question("average", _statistic("average", "average", "sum(values) / len(values)",
                                   lambda values: sum(values) / len(values))),
    Question("total", _statistic("total", "total", "sum(values)", sum)),
    Question("average_of_group", _average_of_group),
    Question("look_up", _look_up),
    Question("difference", _difference),
    Question("count_either", _count_either, held_out=True),
    Question("second", _second, held_out=True),
    Question("range", _statistic("range (largest minus smallest) of", "value_range",
                                 "max(values) - min(values)",
                                 lambda values: max(values) - min(values)), held_out=True),
)  # fmt: skip
