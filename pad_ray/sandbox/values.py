"""The plain values a program may return, and their JSON form on the result pipe.

The rule, by exact type (a subclass is refused, because its methods are the program's own code):

- None, bool, int, float, str stay as they are; lists, tuples and dicts of these too, and a tuple
  becomes a list. Dict keys are scalars.
- Decimal, Fraction, and the numbers of numpy and sympy become int where they are whole, else the
  nearest float; numpy's bool becomes bool.
- An int too long for Python to print (over 4300 digits) becomes a float infinity. Infinities and
  NaN stay floats.
- Dict keys that are ints have at most 60 bits: larger ones can be chosen to collide.
- Anything else, a str with lone surrogates, and nesting deeper than `MAX_DEPTH` are unsupported.
"""

from __future__ import annotations

import math
from decimal import Decimal
from fractions import Fraction
from typing import Any, TypeAlias

Scalar: TypeAlias = bool | int | float | str | None
Value: TypeAlias = Scalar | list["Value"] | dict[Scalar, "Value"]

MAX_DEPTH = 32
MAX_DIGITS = 4300
MAX_INT = 10**MAX_DIGITS  # first int that Python's own int-to-str limit refuses to print

# Python's hash of an int is its remainder by 2**61 - 1.
_KEY_BITS = 60


class UnsupportedValue(ValueError):
    """A result that cannot leave the sandbox; the message says why."""


def to_wire(value: object, max_chars: int, depth: int = 0) -> object:
    """Return `value` as what `json.dumps` takes: a dict becomes {"items": [[key, value], ...]}.

    `max_chars` bounds each str before it is copied. Raises UnsupportedValue.
    """
    kind = type(value)
    if kind in (list, tuple, dict):
        if depth == MAX_DEPTH:
            raise UnsupportedValue(f"the result nests deeper than {MAX_DEPTH} levels")
        if isinstance(value, dict):
            items = value.items()
            return {
                "items": [[_key(k, max_chars), to_wire(v, max_chars, depth + 1)] for k, v in items]
            }
        assert isinstance(value, list | tuple)
        return [to_wire(item, max_chars, depth + 1) for item in value]
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
        return {_key(k, max_chars): from_wire(v, max_chars, depth + 1) for k, v in items}
    return _scalar(wire, max_chars)


def _key(value: object, max_chars: int) -> Scalar:
    key = _scalar(value, max_chars)
    if type(key) is int and key.bit_length() > _KEY_BITS:
        raise UnsupportedValue(f"the result has a dict key of more than {_KEY_BITS} bits")
    return key


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
    return _plain_number(value)


def _plain_number(value: Any) -> bool | int | float:
    """Return the plain number that a number of another library stands for."""
    kind = type(value)
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
