"""Checking the arithmetic that a text writes out: `12 * 9 = 108`, `<<12*9=108>>`, `20% of 50 = 10`.

A statement is an expression with at least one operation, an equals sign and a number. It is wrong
where the number is neither the expression's exact value nor that value rounded or cut to the
decimals that are stated. Letters, and what does not parse, are no statements: they are not counted.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

from pad_ray.tasks.quantities.arithmetic import (
    Expression,
    NotArithmetic,
    Operation,
    Percent,
    Unknown,
    evaluate,
    parse,
    walk,
)
from pad_ray.tasks.quantities.text import Token, tokenize

__all__ = ["Calculation", "StepCounts", "calculations", "count_steps"]

_MARK = re.compile(r"<<([^<>\n]*)>>")
_PERCENT_OF = re.compile(r"%\s+of\s+(?=[$€£]?[\d(.])", re.IGNORECASE)
_HALF_OF = re.compile(r"(?<=\d)(/\d+)\s+of\s+(?=[$€£]?[\d(.])", re.IGNORECASE)
_PERCENT = re.compile(r"(?<=\d)\s*percent\b", re.IGNORECASE)
_LONGEST_SIDE = 40
_MOST_UNITS = 3
_MAX_CHARACTERS = 20_000


@dataclass(frozen=True)
class Calculation:
    """A statement as it stands in the text, its exact value, the number stated, and the verdict."""

    text: str
    value: Fraction
    stated: Fraction
    right: bool


@dataclass(frozen=True)
class StepCounts:
    """How many statements a text makes, and how many of them are wrong."""

    checked: int
    wrong: int


def count_steps(text: str) -> StepCounts:
    """Count a text's calculations; one that is marked and written out counts once."""
    found = calculations(text)
    return StepCounts(len(found), sum(not one.right for one in found))


def calculations(text: str) -> list[Calculation]:
    """Return the calculations that a text writes out, in order. Never raises.

    A calculator mark counts in the place of what is written out around it.
    """
    found: list[Calculation] = []
    for line in text[:_MAX_CHARACTERS].splitlines():
        marked = list(_written(_MARK.findall(line)))
        plain = list(_written([_MARK.sub("", line)]))
        twins = {(one.value, one.stated) for one in marked}
        found += marked
        found += [one for one in plain if (one.value, one.stated) not in twins]
    return found


def _written(lines: Iterable[str]) -> Iterator[Calculation]:
    for line in lines:
        spoken = _PERCENT_OF.sub("% * ", _PERCENT.sub("%", _HALF_OF.sub(r"\1 * ", line)))
        tokens = tokenize(spoken)
        for index, token in enumerate(tokens):
            if token.kind == "equals":
                calculation = _at(spoken, tokens, index)
                if calculation is not None:
                    yield calculation


def _at(line: str, tokens: Sequence[Token], index: int) -> Calculation | None:
    """Read the statement around one equals sign: the longest expression, and the number."""
    right = _number_right(tokens[index + 1 :])
    left = _expression_left(tokens[max(0, index - _LONGEST_SIDE) : index])
    if right is None or left is None or any(map(_is_clock, (*left, *right))):
        return None
    try:
        claimed = evaluate(parse(right))
        values = [(e, evaluate(e)) for e in _readings(left)]
    except (NotArithmetic, OverflowError):
        return None
    fitting = [value for e, value in values if _agree(e, value, right, claimed)]
    text = line[left[0].start : right[-1].end].strip()
    value = fitting[0] if fitting else values[0][1]
    return Calculation(text, value, claimed, bool(fitting))


def _is_clock(token: Token) -> bool:
    """Tell whether digits are a time of day, or the end of a number that was cut: `0730`."""
    return token.kind == "number" and re.match(r"0\d", token.text) is not None


def _readings(side: Sequence[Token]) -> Iterator[Expression]:
    """Yield what an expression may mean: as it stands, and with `1/2` in `6 / 1/2` as a number."""
    yield parse(side)
    bound: list[Token] = []
    for index, token in enumerate(side):
        if _is_fraction(side, index) and (index == 0 or side[index - 1].kind == "operator"):
            bound.append(Token("open", "(", token.start, token.start))
        bound.append(token)
        if index > 1 and _is_fraction(side, index - 2) and bound[-4:][0].kind == "open":
            bound.append(Token("close", ")", token.end, token.end))
    if len(bound) > len(side):
        yield parse(bound)


def _is_fraction(side: Sequence[Token], index: int) -> bool:
    """Tell whether three tokens are a fraction written without spaces."""
    three = side[index : index + 3]
    if [token.kind for token in three] != ["number", "operator", "number"]:
        return False
    over, slash, under = three
    return slash.text == "/" and over.end == slash.start and slash.end == under.start


def _number_right(tokens: Sequence[Token]) -> list[Token] | None:
    """Return the number behind an equals sign, with its sign, fraction and %; None in a chain.

    `4 + 6 + 2` behind it is the next side of a chain, which its own equals sign ends.
    """
    end = 0
    while end < len(tokens) and (
        tokens[end].kind in ("number", "percent") or (tokens[end].text == "-" and end == 0)
    ):
        end += 1
    if end and _is_fraction(tokens, end - 1):
        end += 2
    following = tokens[end] if end < len(tokens) else None
    if not end or (following is not None and following.kind in ("operator", "open")):
        return None
    return list(tokens[:end])


def _expression_left(tokens: Sequence[Token]) -> list[Token] | None:
    """Return the tokens of the longest expression that ends at an equals sign."""
    side = _without_units(tokens)
    for place in range(len(side)):
        if not _may_start(side, place):
            continue
        try:
            expression = parse(side[place:])
        except NotArithmetic:
            continue
        # "2/3 of the tank = 16" is a quantity with its name.
        named = len(side) - place == 3 and _is_fraction(side, place) and side[-1] != tokens[-1]
        is_statement = isinstance(expression, Operation) and not _has_letters(expression)
        return side[place:] if is_statement and not named else None
    return None


def _may_start(side: Sequence[Token], place: int) -> bool:
    first = side[place]
    if first.kind == "operator" and not (
        first.text == "-" and place + 1 < len(side) and first.end == side[place + 1].start
    ):
        return False
    if place == 0:
        return True
    before = side[place - 1].kind
    return before != "operator" and not (
        first.kind == "operator" and before in ("number", "close", "percent")
    )


def _has_letters(expression: Expression) -> bool:
    return any(isinstance(node, Unknown) for node in walk(expression))


def _without_units(tokens: Sequence[Token]) -> list[Token]:
    """Leave out a few words between an operand and the next operator: `4 apples + 3 apples`."""
    kept: list[Token] = []
    index = 0
    while index < len(tokens):
        end = index
        # A letter alone is an unknown: `2x + 3 = 7` is no statement about numbers.
        while end < len(tokens) and tokens[end].kind == "word" and len(tokens[end].text) > 1:
            end += 1
        after_operand = bool(kept) and kept[-1].kind in ("number", "close", "percent")
        leads_on = end == len(tokens) or tokens[end].kind in ("operator", "close")
        if 0 < end - index <= _MOST_UNITS and after_operand and leads_on:
            index = end
            continue
        kept.append(tokens[index])
        index += 1
    return kept


def _agree(
    expression: Expression, value: Fraction, tokens: Sequence[Token], stated: Fraction
) -> bool:
    """Tell whether a number is a value, as it is, or to the decimals that are stated.

    Percentages are written with and without their sign on either side: `20 / 50 = 40%`, and
    `40% + 10% = 50`.
    """
    numbers = [token.text for token in tokens if token.kind == "number"]
    decimals = len(numbers[0].partition(".")[2]) if len(numbers) == 1 else 9
    if tokens[-1].kind == "percent":
        return _rounds_to(value * 100, stated * 100, decimals) or _rounds_to(
            value, stated * 100, decimals
        )
    percent = any(isinstance(node, Percent) for node in walk(expression))
    return _rounds_to(value, stated, decimals) or (
        percent and _rounds_to(value * 100, stated, decimals)
    )


def _rounds_to(value: Fraction, stated: Fraction, decimals: int) -> bool:
    scale = 10**decimals
    if abs(value - stated) * scale <= Fraction(1, 2):
        return True
    return bool(math.trunc(value * scale) == stated * scale)
