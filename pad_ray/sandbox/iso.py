"""Dates and times as ISO 8601 text, which their `isoformat` has for all but lengths of time."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta, timezone


def iso_text(value: object) -> str | None:
    """Return the text of a date, a time of day, both, or a length of time: "P1DT2H" is 26 hours.

    None for anything else, subclasses among them and times of a zone that is no fixed offset.
    """
    kind = type(value)
    if kind is date and isinstance(value, date):
        return value.isoformat()
    # Other zones are the program's own code.
    if kind in (datetime, time) and isinstance(value, datetime | time):
        return value.isoformat() if type(value.tzinfo) in (type(None), timezone) else None
    if kind is timedelta and isinstance(value, timedelta):
        return _duration(value)
    return None


def _duration(length: timedelta) -> str:
    sign = "-" if length < timedelta() else ""
    length = abs(length)
    minutes, seconds = divmod(length.seconds, 60)
    hours, minutes = divmod(minutes, 60)
    exact = f"{seconds}.{length.microseconds:06}".rstrip("0") if length.microseconds else seconds
    days = f"{length.days}D" if length.days else ""
    parts = ((hours, "H"), (minutes, "M"), (exact, "S"))
    clock = "".join(f"{part}{letter}" for part, letter in parts if part)
    return f"{sign}P{days}T{clock}" if clock else f"{sign}P{days or '0D'}"
