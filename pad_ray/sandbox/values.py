"""The plain values a program may return, and their JSON form on the result pipe.

The rule, by exact type (a subclass is refused, because its methods are the program's own code):

- None, bool, int, float, str stay as they are; lists, tuples and dicts of these too, and a tuple
  becomes a list. Dict keys are scalars.
- Counter, defaultdict and OrderedDict become dicts, in their order, and a deque a list.
- A namedtuple becomes a list of its fields, and a member of an enum its value.
- date, time, datetime and timedelta become their text in ISO 8601 (`iso.py`).
- Decimal, Fraction, and the numbers of numpy and sympy become int where they are whole, else the
  nearest float; numpy's bool becomes bool.
- An int too long for Python to print (over 4300 digits) becomes a float infinity. Infinities and
  NaN stay floats.
- Dict keys that are ints have at most 60 bits: larger ones can be chosen to collide.
- Anything else is unsupported: sets, which have no order that can be relied on, bytes, complex
  numbers, iterators, objects; a str with lone surrogates; nesting deeper than `MAX_DEPTH`; a dict
  two of whose keys become one.
"""

from __future__ import annotations

import math
from collections import Counter, OrderedDict, defaultdict, deque
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from typing import Any, TypeAlias

from pad_ray.sandbox.iso import iso_text

Scalar: TypeAlias = bool | int | float | str | None
Value: TypeAlias = Scalar | list["Value"] | dict[Scalar, "Value"]

MAX_DEPTH = 32
MAX_DIGITS = 4300
MAX_INT = 10**MAX_DIGITS  # first int that Python's own int-to-str limit refuses to print

_PLAIN = frozenset({type(None), bool, int, float, str})
_DICTS = (dict, Counter, defaultdict, OrderedDict)
_LISTS = (list, tuple, deque)

# Python's hash of an int is its remainder by 2**61 - 1.
_KEY_BITS = 60


class UnsupportedValue(ValueError):
    """A result that cannot leave the sandbox; the message says why."""


def to_wire(value: Any, max_chars: int, depth: int = 0) -> object:
    """Return `value` as what `json.dumps` takes: a dict becomes {"items": [[key, value], ...]}.

    `max_chars` bounds each str before it is copied. Raises UnsupportedValue.
    """
    kind = type(value)
    if kind in _PLAIN:
        return _scalar(value, max_chars)
    if depth == MAX_DEPTH:
        raise UnsupportedValue(f"the result nests deeper than {MAX_DEPTH} levels")
    if kind in _DICTS:
        pairs = [[_key(k, max_chars), to_wire(v, max_chars, depth + 1)] for k, v in value.items()]
        if len({key for key, _ in pairs}) < len(pairs):
            raise UnsupportedValue("the result has two dict keys that become one")
        return {"items": pairs}
    if kind in _LISTS:
        return [to_wire(item, max_chars, depth + 1) for item in value]
    if issubclass(kind, tuple) and hasattr(kind, "_fields"):
        # Not by an __iter__ of the program's own.
        return [to_wire(item, max_chars, depth + 1) for item in tuple.__iter__(value)]
    if issubclass(kind, Enum):
        return to_wire(value._value_, max_chars, depth + 1)
    return _scalar(value, max_chars)


def from_wire(wire: object, max_chars: int, depth: int = 0) -> Value:
    """Return the value of a parsed wire form; raises UnsupportedValue on anything malformed."""
    if isinstance(wire, list | dict) and depth == MAX_DEPTH:
        raise UnsupportedValue(f"nests deeper than {MAX_DEPTH} levels")
    if isinstance(wire, list):
        return [from_wire(item, max_chars, depth + 1) for item in wire]
    if isinstance(wire, dict):
        items = wire.get("items")
        if not isinstance(items, list) or not all(
            isinstance(pair, list) and len(pair) == 2 for pair in items
        ):
            raise UnsupportedValue("not a dict of the wire form")
        return {_own(_key(k, max_chars)): from_wire(v, max_chars, depth + 1) for k, v in items}
    return _scalar(wire, max_chars)


def _key(value: Any, max_chars: int) -> Scalar:
    key = _scalar(value._value_ if issubclass(type(value), Enum) else value, max_chars)
    if type(key) is int and key.bit_length() > _KEY_BITS:
        raise UnsupportedValue(f"the result has a dict key of more than {_KEY_BITS} bits")
    return key


def _own(key: Scalar) -> Scalar:
    """Return the key; each NaN as an object of its own, for by that alone two NaNs are two keys."""
    return float("nan") if key != key else key


def _scalar(value: object, max_chars: int) -> Scalar:
    kind = type(value)
    if value is None or kind is bool:
        return value  # type: ignore[return-value]
    if kind is int and isinstance(value, int):
        return value if -MAX_INT < value < MAX_INT else _infinity(value)
    if kind is float:
        return value  # type: ignore[return-value]
    if kind is str and isinstance(value, str):
        if len(value) > max_chars:
            raise UnsupportedValue(f"the result holds a str of {len(value)} characters")
        if not value.isascii() and any("\ud800" <= char <= "\udfff" for char in value):
            raise UnsupportedValue("the result holds a str with lone surrogates")
        return value
    return _scalar_of_library(value)


def _scalar_of_library(value: Any) -> Scalar:
    """Return what stands for a date, or for a number of another library."""
    kind = type(value)
    text = iso_text(value)
    if text is not None:
        return text
    if kind is Decimal:
        if not value.is_finite() or value.adjusted() >= MAX_DIGITS:
            return float(value)
        return int(value) if value == value.to_integral_value() else float(value)
    if kind is Fraction:
        return _ratio(value.numerator, value.denominator)
    library = kind.__module__.partition(".")[0]
    if library == "numpy" and hasattr(value, "item"):
        return _number_of(value.item())
    if library == "sympy" and getattr(value, "is_Rational", False):
        return _ratio(int(value.p), int(value.q))
    if library == "sympy" and getattr(value, "is_number", False) and value.is_extended_real:
        return float(value)
    if library == "sympy" and getattr(value, "is_Boolean", False) and value in (True, False):
        return bool(value)
    raise UnsupportedValue(f"a result of type {kind.__name__} cannot be returned")


def _number_of(item: object) -> bool | int | float:
    if type(item) not in (bool, int, float):
        raise UnsupportedValue(f"a result of type {type(item).__name__} cannot be returned")
    return item  # type: ignore[return-value]


def _ratio(numerator: int, denominator: int) -> int | float:
    if denominator == 1:
        return numerator if abs(numerator) < MAX_INT else _infinity(numerator)
    try:
        return numerator / denominator
    except OverflowError:
        return _infinity(numerator)


def _infinity(like: int) -> float:
    return math.inf if like > 0 else -math.inf
