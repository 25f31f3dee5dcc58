"""The days that date problems are about, and when an answer is one."""

from __future__ import annotations

import re
from calendar import isleap
from datetime import datetime

import pytest

from pad_ray.tasks.dates import DATES


@pytest.mark.parametrize(
    ("value", "answer", "equal"),
    [
        ("05/01/2021", "05/01/2021", True),
        ("5/1/2021", "05/01/2021", True),
        (" 05/01/2021 ", "05/01/2021", True),
        ("01/05/2021", "05/01/2021", False),
        ("2021-05-01", "05/01/2021", True),
        ("May 1, 2021", "05/01/2021", True),
        (None, "05/01/2021", False),
        ("friday", "Friday", True),
        ("Fri", "Friday", False),
        (75, "75", True),
        (75.0, "75", True),
        ("75", "75", True),
        (76, "75", False),
        (True, "1", False),
    ],
)
def test_dates_weekdays_and_numbers_are_compared(value: object, answer: str, equal: bool) -> None:
    assert DATES.answers_equal(value, answer) == equal


def test_month_ends_and_leap_days_are_common() -> None:
    assert DATES.generate is not None
    problems = list(DATES.generate(3000, "train", 0, None))
    shown = [p.answer for p in problems if re.fullmatch(r"\d\d/\d\d/\d{4}", p.answer)]
    days = [datetime.strptime(text, "%m/%d/%Y") for text in shown]
    assert len(days) > 1500
    assert sum((day.month, day.day) == (2, 29) for day in days) > 15
    assert all(isleap(day.year) for day in days if (day.month, day.day) == (2, 29))
    assert sum(day.day >= 28 or day.day == 1 for day in days) > 0.2 * len(days)


def test_the_story_tells_the_day_that_the_program_starts_from() -> None:
    """Where today is told in numbers and asked for, no reckoning is needed to check it."""
    assert DATES.generate is not None
    found = 0
    for problem in DATES.generate(6000, "train", 1, None):
        told = re.search(r"so today is (\d\d)/(\d\d)/(\d{4}) there\.", problem.question)
        if told and problem.template == "day_first/today":
            found += 1
            assert problem.answer == f"{told[2]}/{told[1]}/{told[3]}"
    assert found > 10
