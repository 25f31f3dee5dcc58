"""The rule for values (docs/sandbox.md) once more, as what a plain interpreter prints."""

from __future__ import annotations

import math
from collections import Counter, OrderedDict, defaultdict, deque
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum
from fractions import Fraction

UNIT = "\x1e"


class Unsupported(Exception):
    """What the rule has no plain value for."""


def tell(answer):
    """Print the plain value of a program's answer, or that there is none."""
    try:
        print(f"{UNIT}ok {as_plain(answer)!a}")
    except (Unsupported, RecursionError):
        print(f"{UNIT}unsupported")


def as_plain(value, depth=0):
    """Return what a program's value comes out as."""
    kind = type(value)
    if isinstance(value, Enum):
        return as_plain(value.value, depth + 1)
    if depth <= 32 and (kind in (list, tuple, deque) or hasattr(kind, "_fields")):
        items = tuple.__iter__(value) if isinstance(value, tuple) else value
        return [as_plain(item, depth + 1) for item in items]
    if depth <= 32 and kind in (dict, Counter, defaultdict, OrderedDict):
        pairs = [(_key(key), as_plain(item, depth + 1)) for key, item in value.items()]
        if len(dict(pairs)) < len(pairs):
            raise Unsupported
        return dict(pairs)
    return _scalar(value)


def _key(value):
    key = _scalar(value.value if isinstance(value, Enum) else value)
    if type(key) is int and abs(key) >= 2**60:
        raise Unsupported
    return key


def _infinity(like):
    return math.inf if like > 0 else -math.inf


def _scalar(value):
    kind = type(value)
    if kind in (Decimal, Fraction):
        try:
            whole = value == int(value)
        except (OverflowError, ValueError):
            return float(value)
        try:
            value = int(value) if whole else float(value)
        except OverflowError:
            value = _infinity(value)
        kind = type(value)
    if kind is int:
        return value if abs(value) < 10**4300 else _infinity(value)
    if kind is str:
        if any("\ud800" <= char <= "\udfff" for char in value):
            raise Unsupported
        return value
    if value is None or kind in (bool, float):
        return value
    if kind is date or (kind in (time, datetime) and type(value.tzinfo) in (type(None), timezone)):
        return value.isoformat()
    if kind is timedelta:
        return _duration(value)
    raise Unsupported


def _duration(value):
    total = round(value.total_seconds() * 10**6)
    seconds, micro = divmod(abs(total), 10**6)
    days, seconds = divmod(seconds, 86400)
    text = f"{days}D" * bool(days)
    hours, seconds = divmod(seconds, 3600)
    minutes, seconds = divmod(seconds, 60)
    point = f".{micro:06}".rstrip("0") if micro else ""
    clock = f"{hours}H" * bool(hours) + f"{minutes}M" * bool(minutes)
    clock += f"{seconds}{point}S" * bool(seconds or micro)
    return "-" * (total < 0) + "P" + (text or "0D" * (not clock)) + ("T" + clock) * bool(clock)
