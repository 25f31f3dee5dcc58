"""The plain values a program may return, and their JSON form on the result pipe.

Rules: None, bool, int, float, str, and lists, tuples and dicts of these, by exact type (a subclass
is refused, because its methods are the program's own code). Tuples become lists. Dict keys are
None, bool, int, float or str. NaN, infinities and ints of more than 4300 digits have no JSON form
that every reader takes, and a str with lone surrogates no UTF-8 one: all are refused.
"""

from __future__ import annotations

import math
from typing import TypeAlias

Scalar: TypeAlias = bool | int | float | str | None
Value: TypeAlias = Scalar | list["Value"] | dict[Scalar, "Value"]

MAX_DEPTH = 32
MAX_INT = 10**4300  # first int that Python's own int-to-str limit refuses to print


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
                "items": [
                    [_scalar(k, max_chars), to_wire(v, max_chars, depth + 1)] for k, v in items
                ]
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
        return {_scalar(k, max_chars): from_wire(v, max_chars, depth + 1) for k, v in items}
    return _scalar(wire, max_chars)


def _scalar(value: object, max_chars: int) -> Scalar:
    kind = type(value)
    if value is None or kind is bool:
        return value  # type: ignore[return-value]
    if kind is int and isinstance(value, int):
        if not -MAX_INT < value < MAX_INT:
            raise UnsupportedValue("the result holds an int of more than 4300 digits")
        return value
    if kind is float and isinstance(value, float):
        if not math.isfinite(value):
            raise UnsupportedValue(f"the result holds {value}, which is no number JSON can hold")
        return value
    if kind is str and isinstance(value, str):
        if len(value) > max_chars:
            raise UnsupportedValue(f"the result holds a str of {len(value)} characters")
        if not value.isascii() and any("\ud800" <= char <= "\udfff" for char in value):
            raise UnsupportedValue("the result holds a str with lone surrogates")
        return value
    raise UnsupportedValue(f"a result of type {kind.__name__} cannot be returned")
