"""Drawing the numbers of a story and working out the others, each into its place in one list.

A draw takes `random()` and the list; it returns False where no number would make sense there.
Values are whole numbers, or quarters, which binary floats hold exactly.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, TypeAlias

__all__ = [
    "Draw",
    "Random",
    "above",
    "among",
    "below",
    "converted",
    "divided",
    "divisor",
    "left_over",
    "minus",
    "percent",
    "percent_of",
    "plus",
    "times",
    "undivided",
    "within",
]

Random: TypeAlias = Callable[[], float]
Draw: TypeAlias = Callable[[Random, list[Any]], bool]

LIMIT = 9_999
_BILLS = (5, 10, 20, 50, 100)
_PERCENTS = range(5, 100, 5)


def among(slot: int, values: Sequence[float]) -> Draw:
    """Draw one of these."""
    count = len(values)

    def draw(random: Random, found: list[Any]) -> bool:
        found[slot] = values[int(random() * count)]
        return True

    return draw


def within(slot: int, low: int, high: int) -> Draw:
    """Draw a whole number from `low` to `high`."""
    width = high - low + 1

    def draw(random: Random, found: list[Any]) -> bool:
        found[slot] = low + int(random() * width)
        return True

    return draw


def below(slot: int, of: int, low: int, high: int) -> Draw:
    """Draw a whole number from `low` to `high` that leaves at least one of another."""

    def draw(random: Random, found: list[Any]) -> bool:
        width = min(high, int(found[of]) - 1) - low + 1
        found[slot] = low + int(random() * width)
        return width > 0

    return draw


def above(slot: int, of: int) -> Draw:
    """Draw a round number of dollars above another."""

    def draw(random: Random, found: list[Any]) -> bool:
        bill = _BILLS[int(random() * len(_BILLS))]
        found[slot] = (int(found[of]) // bill + 1) * bill
        return True

    return draw


@cache
def _divisors(value: int, low: int, high: int) -> tuple[int, ...]:
    return tuple(k for k in range(low, min(high, value // 2) + 1) if value % k == 0)


def divisor(slot: int, of: int, low: int, high: int) -> Draw:
    """Draw a number from `low` to `high` that divides another into at least two."""

    def draw(random: Random, found: list[Any]) -> bool:
        value = found[of]
        if value.__class__ is float:
            return False
        choices = _divisors(value, low, high)
        if choices:
            found[slot] = choices[int(random() * len(choices))]
        return bool(choices)

    return draw


def undivided(slot: int, of: int, low: int, high: int) -> Draw:
    """Draw a number from `low` to `high` that does not divide another, which is larger."""
    width = high - low + 1

    def draw(random: Random, found: list[Any]) -> bool:
        number = found[slot] = low + int(random() * width)
        value = found[of]
        return bool(value > number and value % number)

    return draw


@cache
def _percents(twentieths: int) -> tuple[int, ...]:
    return tuple(p for p in _PERCENTS if twentieths * p % 100 == 0)


def percent(slot: int, of: int) -> Draw:
    """Draw a percentage, other than half alone, that is a whole number of another."""

    def draw(random: Random, found: list[Any]) -> bool:
        value = found[of]
        if value.__class__ is float:
            return False
        choices = _percents(value % 20)
        if len(choices) > 1:
            found[slot] = choices[int(random() * len(choices))]
        return len(choices) > 1

    return draw


def _sensible(found: list[Any], slot: int, value: float) -> bool:
    if value.__class__ is float and value.is_integer():
        value = int(value)
    found[slot] = value
    return 0 < value <= LIMIT


def plus(slot: int, *terms: int) -> Draw:
    """Add up two or three."""
    one, two, *rest = terms

    def draw(random: Random, found: list[Any]) -> bool:
        value = found[one] + found[two]
        for term in rest:
            value += found[term]
        return _sensible(found, slot, value)

    return draw


def minus(slot: int, one: int, two: int) -> Draw:
    """Take the second from the first."""

    def draw(random: Random, found: list[Any]) -> bool:
        return _sensible(found, slot, found[one] - found[two])

    return draw


def times(slot: int, one: int, two: int) -> Draw:
    """Multiply the two."""

    def draw(random: Random, found: list[Any]) -> bool:
        return _sensible(found, slot, found[one] * found[two])

    return draw


def divided(slot: int, one: int, two: int) -> Draw:
    """Divide the first by the second, where nothing is left over."""

    def draw(random: Random, found: list[Any]) -> bool:
        value, by = found[one], found[two]
        if value % by:
            return False
        return _sensible(found, slot, value // by)

    return draw


def left_over(slot: int, one: int, two: int) -> Draw:
    """Take from the first what is left over when it is divided by the second."""

    def draw(random: Random, found: list[Any]) -> bool:
        return _sensible(found, slot, found[one] % found[two])

    return draw


def percent_of(slot: int, one: int, share: int) -> Draw:
    """Take a percentage of the first."""

    def draw(random: Random, found: list[Any]) -> bool:
        return _sensible(found, slot, found[one] * found[share] // 100)

    return draw


def converted(slot: int, one: int, each: int) -> Draw:
    """Take the first in a smaller unit, of which it has `each`; these may be many."""

    def draw(random: Random, found: list[Any]) -> bool:
        found[slot] = found[one] * each
        return True

    return draw
