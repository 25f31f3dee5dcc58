"""What an answer can be read as, and when two answers are one.

An answer is a gold text, a program's value, or what a text states: all are read alike. It may be a
number, yes or no, a date, a time of day, a length of time, a list, a record, and words; two answers
are one where they agree as any of these.
"""

from __future__ import annotations

import ast
import json
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, time
from fractions import Fraction
from functools import lru_cache
from numbers import Rational
from typing import Any

from pad_ray.sandbox.values import MAX_DEPTH, UnsupportedValue, from_wire, to_wire
from pad_ray.tasks.moments import read_moment, read_span, read_time
from pad_ray.tasks.numerals import (
    KEPT_TEXT,
    RELATIVE,
    Number,
    close,
    numbers_agree,
    plain_text,
    read_number,
)

__all__ = ["Answer", "equal", "numbers_equal", "read", "read_words"]

_MOST_PLAIN = 15
_PLAIN = re.compile(r"-?\d+(?:\.\d+)?")
_MARKUP = re.compile(r"[\\$*_'\"`.]")
_LONGEST_MOMENT = 60
_LONGEST_LIST = 10_000
_TRUTHS = {"yes": True, "true": True, "no": False, "false": False}
_BRACKETS = {"[": "]", "(": ")", "{": "}"}
_NESTED = re.compile(r"[][(){}]")


@dataclass(frozen=True, slots=True)
class Answer:
    """The readings of an answer; those that it has not are None."""

    words: str | None = None
    number: Number | None = None
    truth: bool | None = None
    moment: datetime | None = None
    hour: time | None = None
    span: Fraction | None = None
    items: tuple[Answer, ...] | None = None
    fields: Mapping[str, Answer] | None = field(default=None, hash=False)


_UNREAD = Answer()


def equal(one: object, other: object) -> bool:
    """Tell whether two answers are one: gold texts, values of programs, or what texts state.

    Symmetric, and raises for no value of the sandbox. Whole numbers are compared exactly, others to
    1e-6 relative; a percentage is one with its number and with its share: 40% with 40 and 0.4.
    """
    if type(one) is str:
        one, other = other, one
    if type(other) is str:
        if type(one) is str and one == other:
            return True
        if (type(one) is int or type(one) is float) and len(other) <= _MOST_PLAIN:
            gold = _plainly(other)
            if gold is not None:
                return close(one, gold)
    return one is other or _agree(read(one), read(other))


def numbers_equal(value: object, answer: object) -> bool:
    """Compare answers as numbers alone; of a list its one element."""
    if type(answer) is str and len(answer) <= _MOST_PLAIN:
        gold = _plainly(answer)
        if gold is not None and (type(value) is int or type(value) is float):
            return close(value, gold)
    one, other = read(value).number, read(answer).number
    return one is not None and other is not None and numbers_agree(one, other)


@lru_cache(1 << 14)
def _plainly(text: str) -> int | float | None:
    """Return the number of a text that is digits alone, which most are: a short way to it."""
    if not text.isascii():
        return None
    if text.isdigit():
        return int(text)
    if _PLAIN.fullmatch(text) is None:
        return None
    number = float(text)
    # What is nearly nothing is told from nothing by exact numbers alone.
    return number if abs(number) > RELATIVE else None


def _agree(one: Answer, other: Answer) -> bool:
    if one.words is not None and one.words == other.words:
        return True
    if one.number and other.number and numbers_agree(one.number, other.number):
        return True
    for name in ("truth", "moment", "hour", "span"):
        found = getattr(one, name)
        if found is not None and found == getattr(other, name):
            return True
    if one.items is not None and other.items is not None:
        return len(one.items) == len(other.items) and all(map(_agree, one.items, other.items))
    if one.fields is not None and other.fields is not None:
        return one.fields.keys() == other.fields.keys() and all(
            _agree(found, other.fields[name]) for name, found in one.fields.items()
        )
    return False


def read(answer: object) -> Answer:
    """Return every reading of a value or text; none where it is no value of the sandbox."""
    return _read(answer, 0)


def _read(answer: object, depth: int) -> Answer:
    if type(answer) is str:
        return _kept(answer) if len(answer) <= KEPT_TEXT else _read_text(answer)
    if type(answer) is bool:
        return Answer(truth=answer)
    if type(answer) is int or type(answer) is float:
        return Answer(number=Number(answer))
    if depth > MAX_DEPTH:
        return _UNREAD
    if isinstance(answer, list | tuple):
        if len(answer) == 1:
            return _read(answer[0], depth + 1)
        return Answer(items=tuple(_read(item, depth + 1) for item in answer))
    if isinstance(answer, dict):
        pairs = ((read_words(str(key)), _read(one, depth + 1)) for key, one in answer.items())
        return Answer(fields=dict(pairs))
    if isinstance(answer, Rational):
        # Of numpy's as well, whose parts are no ints.
        return Answer(number=Number(Fraction(int(answer.numerator), int(answer.denominator))))
    return _read_foreign(answer, depth)


def _read_foreign(answer: object, depth: int) -> Answer:
    if answer is None:
        return _UNREAD
    if isinstance(answer, set | frozenset):
        return _read(sorted(answer, key=_in_order), depth + 1)
    try:
        if hasattr(answer, "tolist"):  # numpy's, pandas', torch's
            plain = answer.tolist()
        else:
            plain = from_wire(to_wire(answer, _LONGEST_LIST), _LONGEST_LIST)
    except (UnsupportedValue, ArithmeticError, TypeError, ValueError):
        return _UNREAD
    return _read(plain, depth + 1)


def _in_order(element: object) -> tuple[str, Any]:
    """Return what sorts a set's elements: numbers by value, others by how they are written."""
    return (
        ("", element)
        if isinstance(element, int | float)
        else (type(element).__name__, str(element))
    )


def _read_text(text: str) -> Answer:
    words = read_words(text)
    if text.isascii() and text.isalpha():
        return Answer(words, truth=_TRUTHS.get(words))
    if text.isascii() and text.isdigit() and len(text) <= _MOST_PLAIN:
        return Answer(words, Number(int(text)))
    plain = plain_text(text) if len(text) <= _LONGEST_LIST else ""
    short = plain if len(plain) <= _LONGEST_MOMENT else ""
    number = read_number(text)
    items, fields = (None, None) if number is not None else _parts(text, plain)
    if items is not None and len(items) == 1:
        return items[0]
    return Answer(
        words,
        number,
        _TRUTHS.get(words),
        read_moment(short),
        read_time(short),
        read_span(short),
        items,
        fields,
    )


_kept = lru_cache(1 << 14)(_read_text)


def read_words(text: str) -> str:
    """Return what is equal for texts that differ in case, spaces, markup and typography alone."""
    return _kept_words(text) if len(text) <= KEPT_TEXT else _words(text)


def _words(text: str) -> str:
    if text.isascii() and _MARKUP.search(text) is None:
        return " ".join(text.casefold().split())
    return (
        " ".join(unicodedata.normalize("NFC", plain_text(text)).casefold().split()) or text.strip()
    )


_kept_words = lru_cache(1 << 14)(_words)


def _parts(text: str, plain: str) -> tuple[tuple[Answer, ...] | None, Mapping[str, Answer] | None]:
    """Return the elements of a text that is a list, or the fields of one that is a JSON object."""
    text = text.strip()
    if text[:1] in _BRACKETS and len(text) <= _LONGEST_LIST:
        found = _parsed(text)
        if isinstance(found, list):
            return tuple(_read(item, 1) for item in found), None
        if isinstance(found, dict):
            return None, _read(found, 0).fields
    bracketed = _BRACKETS.get(plain[:1], "none") == plain[-1:]
    inside = plain[1:-1] if bracketed else plain
    if _NESTED.search(inside) or not (bracketed or "," in inside) or not inside.strip(" ,"):
        return None, None
    items = tuple(_item(item) for item in inside.removesuffix(",").split(","))
    return items, None


def _item(text: str) -> Answer:
    """Read an element, which is no list of its own."""
    return _read(text.strip(), 1)


def _parsed(text: str) -> Any:
    """Return what a text is in JSON, or as Python writes it."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        pass
    if "\\" in text:
        return None
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError, Warning):
        return None
