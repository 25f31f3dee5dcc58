"""The questions of the dates task, each of a day that is reckoned from `today`."""

from __future__ import annotations

import random
from calendar import monthrange
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from typing import NamedTuple, TypeAlias

from pad_ray.tasks.dates_stories import code, written

__all__ = ["QUESTIONS", "Asked", "Question"]

_FORMAT = "%m/%d/%Y"


class Asked(NamedTuple):
    """A question, the statements that answer it once `today` is known, and the gold answer."""

    text: str
    lines: tuple[str, ...]
    answer: str


Ask: TypeAlias = Callable[[random.Random, date], Asked | None]


@dataclass(frozen=True)
class Question:
    """A kind of question; None where it makes no sense on that day."""

    name: str
    ask: Ask
    held_out: bool = False


def _date(text: str, name: str, line: str, day: date) -> Asked:
    lines = (f"{name} = {line}", f'result = {name}.strftime("{_FORMAT}")')
    return Asked(f"What is the date {text} in MM/DD/YYYY?", lines, day.strftime(_FORMAT))


def _moved(text: str, name: str, least: int, most: int, unit: str = "days", step: int = 1) -> Ask:
    """Ask for the day `{n}` units after today (below 0: before), a multiple of `step`."""

    def ask(rng: random.Random, today: date) -> Asked:
        units = rng.randint(least, most) * step
        sign = "+" if units > 0 else "-"
        line = f"today {sign} timedelta({unit}={abs(units)})"
        words = text.format(n=abs(units))
        return _date(words, name, line, today + timedelta(**{unit: units}))

    return ask


def _same_day(rng: random.Random, today: date) -> Asked:
    return _date("today", "day_asked", "today", today)


def _years(text: str, name: str, sign: int) -> Ask:
    def ask(rng: random.Random, today: date) -> Asked | None:
        if (today.month, today.day) == (2, 29):
            return None
        years = rng.choice((1, 1, 2, 5, 10))
        words = text.format(n="one year" if years == 1 else f"{years} years")
        line = f"date(today.year {'+' if sign > 0 else '-'} {years}, today.month, today.day)"
        return _date(words, name, line, today.replace(year=today.year + sign * years))

    return ask


def _months(text: str, sign: int) -> Ask:
    """Ask for the same day of another month, where every month has that day."""

    def ask(rng: random.Random, today: date) -> Asked | None:
        if today.day > 28:
            return None
        months = rng.choice((1, 1, 2, 3, 5))
        words = text.format(n="a month" if months == 1 else f"{months} months")
        year, month = divmod(today.year * 12 + today.month - 1 + sign * months, 12)
        day = today.replace(year=year, month=month + 1)
        count = f"today.year * 12 + today.month - 1 {'+' if sign > 0 else '-'} {months}"
        asked = _date(words, "day_asked", "date(months // 12, months % 12 + 1, today.day)", day)
        return asked._replace(lines=(f"months = {count}", *asked.lines))

    return ask


def _month_edge(text: str, last: bool) -> Ask:
    """Ask for the first day of the next month, or for the last one of this."""

    def ask(rng: random.Random, today: date) -> Asked:
        # The 28th plus four days is in the next month, whatever the month.
        start = "(today.replace(day=28) + timedelta(days=4)).replace(day=1)"
        end = today.replace(day=monthrange(today.year, today.month)[1])
        if not last:
            return _date(text, "next_month", start, end + timedelta(days=1))
        asked = _date(text, "last_day", "next_month - timedelta(days=1)", end)
        return asked._replace(lines=(f"next_month = {start}", *asked.lines))

    return ask


def _weekday(text: str, name: str, least: int, most: int) -> Ask:
    def ask(rng: random.Random, today: date) -> Asked:
        days = rng.randint(least, most)
        sign = "+" if days >= 0 else "-"
        day = today + timedelta(days=days)
        moved = f"{name} = today {sign} timedelta(days={abs(days)})"
        lines = (*([moved] if days else []), f'weekday = {name}.strftime("%A")')
        return Asked(text.format(n=abs(days)), lines, day.strftime("%A"))

    return ask


def _days_between(text: str, sign: int) -> Ask:
    def ask(rng: random.Random, today: date) -> Asked:
        days = rng.randint(3, 400)
        day = today + timedelta(days=sign * days)
        name = "target_day" if sign > 0 else "past_day"
        difference = f"({name} - today).days" if sign > 0 else f"(today - {name}).days"
        lines = (f"{name} = {code(day)}", f"days_between = {difference}")
        return Asked(text.format(day=written(rng, day)), lines, str(days))

    return ask


QUESTIONS = (
    Question("today", _same_day),
    Question("days_ago", _moved("{n} days ago", "day_asked", -60, -2)),
    Question("days_later", _moved("{n} days from now", "day_asked", 2, 60)),
    Question("weeks_ago", _moved("{n} weeks ago", "day_asked", -12, -2, "weeks")),
    Question("weeks_later", _moved("{n} weeks from today", "day_asked", 2, 12, "weeks")),
    Question("one_week_ago", _moved("one week ago from today", "day_asked", -1, -1, "weeks")),
    Question("tomorrow", _moved("tomorrow", "tomorrow_asked", 1, 1)),
    Question("yesterday", _moved("yesterday", "yesterday_asked", -1, -1)),
    Question("hours_later", _moved("{n} hours later", "day_asked", 1, 4, "hours", step=24)),
    Question("years_ago", _years("{n} ago", "day_asked", -1)),
    Question("years_later", _years("{n} from now", "day_asked", 1)),
    Question("months_ago", _months("{n} ago", -1)),
    Question("last_of_month", _month_edge("of the last day of this month", True)),
    Question("weekday_today", _weekday("What day of the week is it today?", "today", 0, 0)),
    Question(
        "weekday_later",
        _weekday("What day of the week will it be in {n} days?", "day_asked", 2, 200),
    ),
    Question("days_until", _days_between("How many days are left until {day}?", 1)),
    Question(
        "fortnight", _moved("a fortnight from today", "day_asked", 2, 2, "weeks"), held_out=True
    ),
    Question(
        "before_yesterday",
        _moved("of the day before yesterday", "day_asked", -2, -2),
        held_out=True,
    ),
    Question("months_later", _months("{n} from now", 1), held_out=True),
    Question("next_month", _month_edge("of the first day of next month", False), held_out=True),
    Question(
        "weekday_ago",
        _weekday("What day of the week was it {n} days ago?", "day_asked", -200, -2),
        held_out=True,
    ),
    Question(
        "days_since", _days_between("How many days have passed since {day}?", -1), held_out=True
    ),
)
