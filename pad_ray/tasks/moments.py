"""Dates, times of day and lengths of time as answers write them; ISO 8601 among other forms.

A date with slashes is month first, as the United States write it, but where that cannot be; one
with full stops is day first. A moment at midnight is its date, and UTC's is one without a zone.
"""

from __future__ import annotations

import re
from calendar import month_name
from datetime import datetime, time
from fractions import Fraction

__all__ = ["read_moment", "read_span", "read_time"]

_CLOCK = r"(\d{1,2}):(\d\d)(?::(\d\d)(?:\.(\d{1,6})\d*)?)?"
_ISO = re.compile(
    rf"(\d{{4}})[-/](\d{{1,2}})[-/](\d{{1,2}})(?:(?:T|\s+){_CLOCK}\s*(?:Z|[+-]00:?00)?)?", re.I
)
_SLASHES = re.compile(r"(\d{1,2})/(\d{1,2})/(\d{4})")
_STOPS = re.compile(r"(\d{1,2})\.(\d{1,2})\.(\d{4})")
_WEEKDAY = re.compile(
    r"(?:mon|tues?|wed(?:nes)?|thu(?:rs?)?|fri|sat(?:ur)?|sun)(?:day)?\.?,?\s+", re.I
)
_MONTH_FIRST = re.compile(r"([a-z]{3,9})\.?\s+(\d{1,2})(?:st|nd|rd|th)?,?\s+(\d{4})", re.I)
_DAY_FIRST = re.compile(
    r"(?:the\s+)?(\d{1,2})(?:st|nd|rd|th)?(?:\s+of)?[\s-]+([a-z]{3,9})\.?,?[\s-]+(\d{4})", re.I
)
_TIME = re.compile(rf"(?:{_CLOCK}|(\d{{1,2}}))\s*(?:([ap])\.?\s?m\.?)?", re.I)
_DURATION = re.compile(
    r"(-?)P(?:(\d+)W)?(?:(\d+(?:\.\d+)?)D)?(?:T(?:(\d+(?:\.\d+)?)H)?(?:(\d+(?:\.\d+)?)M)?"
    r"(?:(\d+(?:\.\d+)?)S)?)?"
)
_LENGTHS = (604800, 86400, 3600, 60, 1)
# As Python writes a timedelta, with days or without.
_SPOKEN = re.compile(r"(?:(-?\d+) days?, )?(\d+):(\d\d)(?::(\d\d(?:\.\d+)?))?")
_PART = re.compile(
    r"(\d+(?:\.\d+)?)\s*(w(?:ee)?ks?|d(?:ays?)?|h(?:(?:ou)?rs?)?|m(?:in(?:ute)?s?)?|s(?:ec(?:ond)?s?)?)"
    r"(?![a-z])\.?(?:,?\s*(?:and\s+)?|$)",
    re.I,
)
_SECONDS = {"w": 604800, "d": 86400, "h": 3600, "m": 60, "s": 1}


def read_moment(text: str) -> datetime | None:
    """Return the day, at midnight, or the moment that a plain text names; None where it is none."""
    text = _WEEKDAY.sub("", text)
    if found := _ISO.fullmatch(text):
        return _moment(*found.groups())
    if found := _SLASHES.fullmatch(text):
        month, day, year = found.groups()
        return _moment(year, month, day) or _moment(year, day, month)
    if found := _STOPS.fullmatch(text):
        return _moment(found[3], found[2], found[1])
    if found := _MONTH_FIRST.fullmatch(text):
        return _moment(found[3], _month(found[1]), found[2])
    if found := _DAY_FIRST.fullmatch(text):
        return _moment(found[3], _month(found[2]), found[1])
    return None


def _month(name: str) -> int:
    name = name.casefold()
    return next((n for n, full in enumerate(month_name) if full.casefold().startswith(name)), 0)


def _moment(
    year: str,
    month: str | int,
    day: str | int,
    hour: str | None = None,
    minute: str | None = None,
    second: str | None = None,
    fraction: str | None = None,
) -> datetime | None:
    clock = (int(hour or 0), int(minute or 0), int(second or 0))
    try:
        return datetime(int(year), int(month), int(day), *clock, _microseconds(fraction))
    except ValueError:
        return None


def _microseconds(digits: str | None) -> int:
    return int((digits or "0").ljust(6, "0"))


def read_time(text: str) -> time | None:
    """Return the time of day that a plain text is: 15:40, 3:40 pm, 3 pm."""
    found = _TIME.fullmatch(text)
    if found is None:
        return None
    hour, minute, second, fraction, alone, half = found.groups()
    if hour is None and half is None:
        return None
    number = int(hour or alone)
    if half is not None:
        if not 1 <= number <= 12:
            return None
        number = number % 12 + (12 if half in "pP" else 0)
    try:
        return time(number, int(minute or 0), int(second or 0), _microseconds(fraction))
    except ValueError:
        return None


def read_span(text: str) -> Fraction | None:
    """Return the seconds of a plain text that is a length of time: PT2H30M, 2 h 30 min, 2:30."""
    if found := _DURATION.fullmatch(text):
        sign, *parts = found.groups()
        if not any(parts):
            return None
        pairs = zip(parts, _LENGTHS, strict=True)
        total = sum((Fraction(part) * length for part, length in pairs if part), Fraction())
        return -total if sign else total
    if found := _SPOKEN.fullmatch(text):
        days, hours, minutes, seconds = (Fraction(part or 0) for part in found.groups())
        return days * 86400 + hours * 3600 + minutes * 60 + seconds
    total, at = Fraction(), 0
    while at < len(text):
        part = _PART.match(text, at)
        if part is None:
            return None
        total += Fraction(part[1]) * _SECONDS[part[2][0].lower()]
        at = part.end()
    return total if text else None
