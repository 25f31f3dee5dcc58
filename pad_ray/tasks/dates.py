"""Date understanding, in the manner of BIG-bench: what day is told, and one that is asked for.

A problem is a story that says, often in a roundabout way, what day today is, and a question.
"""

from __future__ import annotations

import random
from calendar import monthrange
from collections.abc import Iterator
from datetime import date, timedelta

from pad_ray.base.records import Problem
from pad_ray.tasks.answers import equal
from pad_ray.tasks.base import Exemplar, Size, Split, Task
from pad_ray.tasks.dates_questions import QUESTIONS
from pad_ray.tasks.dates_stories import STORIES, code
from pad_ray.tasks.generation import answer_program, choose_pair, draw_templates, write_program

__all__ = ["DATES"]

_FIRST, _LAST = date(1905, 1, 1), date(2059, 12, 31)
_IMPORT = "from datetime import date, timedelta"


def _today(rng: random.Random) -> date:
    """Draw a day; ends of months, and of Februaries in leap years, more often than others."""
    day = _FIRST + timedelta(days=rng.randrange((_LAST - _FIRST).days))
    chance = rng.random()
    if chance < 0.15:
        return day.replace(day=rng.choice((1, monthrange(day.year, day.month)[1])))
    if chance < 0.25:
        leap = max(1908, day.year // 4 * 4)
        return date(leap, 2, 27) + timedelta(days=rng.randrange(5))
    return day


def _draw(rng: random.Random, held_out: bool, size: int) -> Problem | None:
    story, question = choose_pair(rng, STORIES, QUESTIONS, held_out)
    today = _today(rng)
    told, asked = story.tell(rng, today), question.ask(rng, today)
    if told is None or asked is None:
        return None
    return Problem.make(
        "dates",
        f"{told.text} {asked.text}",
        asked.answer,
        program=answer_program([_IMPORT, *told.lines, *asked.lines]),
        template=f"{story.name}/{question.name}",
    )


def generate_dates(count: int, split: Split, seed: int, size: Size) -> Iterator[Problem]:
    """Make date problems; "held_out" has a story or a question that is never trained on."""
    return draw_templates("dates", _draw, (), (1,), "", count, split, seed, size)


def _example(question: str, *lines: str, told: str) -> Exemplar:
    return Exemplar(question, write_program((_IMPORT, *lines)), told)


_EXEMPLARS = (
    _example(
        "In two days it will be New Year's Day of 2015. What is the date one week from today in "
        "MM/DD/YYYY?",
        f"new_year = {code(date(2015, 1, 1))}",
        "today = new_year - timedelta(days=2)",
        "one_week_from_today = today + timedelta(weeks=1)",
        'result = one_week_from_today.strftime("%m/%d/%Y")',
        "return result",
        told="In two days it is New Year's Day, 01/01/2015, so today is 12/30/2014.\n"
        "One week from today is seven days later, on 01/06/2015.\n"
        "The answer is 01/06/2015.",
    ),
    _example(
        "The ship was to sail on 06/01/1943, but the storm delayed it by one day, to today. What "
        "is the date 10 days ago in MM/DD/YYYY?",
        f"planned_day = {code(date(1943, 6, 1))}",
        "today = planned_day + timedelta(days=1)",
        "ten_days_ago = today - timedelta(days=10)",
        'result = ten_days_ago.strftime("%m/%d/%Y")',
        "return result",
        told="The ship was to sail on 06/01/1943 and sails a day later, so today is 06/02/1943.\n"
        "Ten days before that is 05/23/1943.\n"
        "The answer is 05/23/1943.",
    ),
    _example(
        "Ludovic turned 20 on February 28, 2012, which was yesterday. On which day of the week "
        "was he born?",
        f"yesterday = {code(date(2012, 2, 28))}",
        "birth_date = date(yesterday.year - 20, yesterday.month, yesterday.day)",
        'result = birth_date.strftime("%A")',
        "return result",
        told="Yesterday was February 28, 2012, Ludovic's twentieth birthday.\n"
        "He was born 20 years earlier, on February 28, 1992.\n"
        "That was a Friday.\n"
        "The answer is Friday.",
    ),
    _example(
        "Saoirse's library card was made out on 3 November 2020 and expires on 17 January 2021. "
        "For how many days is it good?",
        f"made_out = {code(date(2020, 11, 3))}",
        f"expires = {code(date(2021, 1, 17))}",
        "days_good = (expires - made_out).days",
        "return days_good",
        told="From 3 November to 30 November 2020 there are 30 - 3 = 27 days.\n"
        "December has 31 days and January adds 17.\n"
        "Together that is 27 + 31 + 17 = 75 days.\n"
        "The answer is 75.",
    ),
)

DATES = Task("dates", equal, _EXEMPLARS, generate=generate_dates)
