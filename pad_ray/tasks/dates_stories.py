"""The stories of the dates task: ways to say what day today is."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from typing import NamedTuple, TypeAlias

from pad_ray.tasks.names import FIRST_NAMES

__all__ = ["STORIES", "Story", "Told", "code", "written"]

WEEKDAYS = tuple("Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split())
_ORDINALS = ("first", "second", "third", "fourth")


class Told(NamedTuple):
    """What the story says, and the statements that find `today` from it."""

    text: str
    lines: tuple[str, ...]


Tell: TypeAlias = Callable[[random.Random, date], Told | None]


@dataclass(frozen=True)
class Story:
    """A way to say what day today is; None where it cannot be said of that day."""

    name: str
    tell: Tell
    held_out: bool = False


def code(day: date) -> str:
    """Return the expression that makes a day."""
    return f"date({day.year}, {day.month}, {day.day})"


def written(rng: random.Random, day: date) -> str:
    """Return a day as people write it, month first where it is all numbers."""
    forms = ("%B {0}, %Y", "{0} %B %Y", "%m/%d/%Y", "%b {0}, %Y", "%A, %B {0}, %Y")
    return day.strftime(rng.choice(forms).format(day.day))


def _plain(text: str) -> Tell:
    def tell(rng: random.Random, today: date) -> Told:
        names = {"name": rng.choice(FIRST_NAMES), "day": written(rng, today)}
        return Told(text.format(**names), (f"today = {code(today)}",))

    return tell


def _shifted(text: str, given: str, least: int, most: int, unit: str = "days") -> Tell:
    """Tell of the day that is `{n}` units before (below 0: after), `given` in the program."""

    def tell(rng: random.Random, today: date) -> Told:
        units = rng.randint(least, most)
        day = today - timedelta(**{unit: units})
        sign, step = ("+", units) if units > 0 else ("-", -units)
        words = {"name": rng.choice(FIRST_NAMES), "day": written(rng, day), "n": step}
        lines = (f"{given} = {code(day)}", f"today = {given} {sign} timedelta({unit}={step})")
        return Told(text.format(**words), lines)

    return tell


def _day_first(rng: random.Random, today: date) -> Told:
    text = f"In the UK the day is written before the month, so today is {today:%d/%m/%Y} there."
    return Told(text, (f"today = {code(today)}",))


def _wrong_friend(rng: random.Random, today: date) -> Told:
    """Two people differ by a day, and one is right."""
    name, other = rng.sample(FIRST_NAMES, 2)
    wrong = today + timedelta(days=rng.choice((-1, 1)))
    told = [(name, today), (other, wrong)]
    rng.shuffle(told)
    (first, one), (second, two) = told
    text = (
        f"{first} thinks today is {written(rng, one)}, but {second} thinks it is "
        f"{written(rng, two)}. {name} is right."
    )
    return Told(text, (f"today = {code(today)}",))


def _anniversary(rng: random.Random, today: date) -> Told | None:
    """A day some years ago; there is no anniversary on February 29."""
    if (today.month, today.day) == (2, 29):
        return None
    name, other = rng.sample(FIRST_NAMES, 2)
    years = rng.randint(2, 60)
    wedding = today.replace(year=today.year - years)
    text = (
        f"{name} and {other} married on {written(rng, wedding)}. "
        f"Today they have been married for {years} years."
    )
    moved = f"today = date(wedding_day.year + {years}, wedding_day.month, wedding_day.day)"
    return Told(text, (f"wedding_day = {code(wedding)}", moved))


def _last_of_month(rng: random.Random, today: date) -> Told | None:
    following = today + timedelta(days=1)
    if following.day != 1:
        return None
    lines = (f"next_month = {code(following)}", "today = next_month - timedelta(days=1)")
    return Told(f"Today is the last day of {today:%B %Y}.", lines)


def _weekday_of_month(rng: random.Random, today: date) -> Told | None:
    """Today as the n-th of its weekdays in the month."""
    place = (today.day - 1) // 7
    if place >= len(_ORDINALS):
        return None
    text = f"Today is the {_ORDINALS[place]} {WEEKDAYS[today.weekday()]} of {today:%B %Y}."
    lines = (
        f"first_of_month = {code(today.replace(day=1))}",
        f"days_to_weekday = ({today.weekday()} - first_of_month.weekday()) % 7",
        f"today = first_of_month + timedelta(days=days_to_weekday + 7 * {place})",
    )
    return Told(text, lines)


STORIES = (
    Story("today_is", _plain("Today is {day}.")),
    Story("current_date", _plain("The current local time is 3:02 pm on {day}.")),
    Story("newspaper", _plain("{name} reads today's newspaper, which is dated {day}.")),
    Story("day_first", _day_first),
    Story("wrong_friend", _wrong_friend),
    Story("yesterday_was", _shifted("Yesterday was {day}.", "yesterday", 1, 1)),
    Story("tomorrow_is", _shifted("Tomorrow is {day}.", "tomorrow", -1, -1)),
    Story(
        "delayed",
        _shifted(
            "{name}'s concert was planned for {day}, but it was put off by {n} days, to today.",
            "planned_day",
            2,
            20,
        ),
    ),
    Story(
        "brought_forward",
        _shifted(
            "{name}'s exam was planned for {day}, but it was moved {n} days earlier, to today.",
            "planned_day",
            -20,
            -2,
        ),
    ),
    Story(
        "weeks_ago",
        _shifted(
            "{name} moved house on {day}, exactly {n} weeks ago.",
            "moving_day",
            2,
            12,
            "weeks",
        ),
    ),
    Story("anniversary", _anniversary),
    Story("last_of_month", _last_of_month),
    Story("weekday_of_month", _weekday_of_month),
    Story(
        "calendar_page",
        _plain("{name} tears a page off the calendar and sees {day}, which is the date today."),
        held_out=True,
    ),
    Story(
        "day_before_yesterday",
        _shifted("The day before yesterday was {day}.", "day_before_yesterday", 2, 2),
        held_out=True,
    ),
    Story(
        "appointment",
        _shifted(
            "{name} sees the dentist on {day}, which is {n} days from today.",
            "appointment",
            -40,
            -2,
        ),
        held_out=True,
    ),
    Story(
        "eggs",
        _shifted(
            "{name} bought eggs on {day}. They have been in the refrigerator for {n} days now.",
            "purchase_day",
            2,
            25,
        ),
        held_out=True,
    ),
)
