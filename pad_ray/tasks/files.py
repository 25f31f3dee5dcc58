"""Tasks whose problems come from a file: GSM8K, the PAL collections and a user's own rows."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from pad_ray.base.errors import DataError
from pad_ray.base.records import Problem
from pad_ray.tasks.answers import (
    equal,
    gold_text,
    marked_number,
    numbers_equal,
    plain_number,
)
from pad_ray.tasks.base import Exemplar, RowLoader, Task
from pad_ray.tasks.rows import Row

EXEMPLARS = (
    Exemplar(
        "A bakery fills 6 trays with 24 rolls each. By noon it has sold 95 rolls. "
        "How many rolls are left?",
        "def solution():\n"
        "    trays = 6\n"
        "    rolls_per_tray = 24\n"
        "    rolls_sold = 95\n"
        "    rolls_baked = trays * rolls_per_tray\n"
        "    rolls_left = rolls_baked - rolls_sold\n"
        "    return rolls_left\n",
        "The bakery fills 6 trays with 24 rolls each, so it bakes 6 * 24 = 144 rolls.\n"
        "It has sold 95 rolls, so 144 - 95 = 49 rolls are left.\n"
        "The answer is 49.",
    ),
    Exemplar(
        "Priya reads 18 pages a day on weekdays and twice as many on each weekend day. "
        "How many pages does she read in three weeks?",
        "def solution():\n"
        "    pages_per_weekday = 18\n"
        "    pages_per_weekend_day = pages_per_weekday * 2\n"
        "    pages_per_week = pages_per_weekday * 5 + pages_per_weekend_day * 2\n"
        "    pages_in_three_weeks = pages_per_week * 3\n"
        "    return pages_in_three_weeks\n",
        "On each weekend day Priya reads 18 * 2 = 36 pages.\n"
        "On the five weekdays she reads 18 * 5 = 90 pages.\n"
        "On the two weekend days she reads 36 * 2 = 72 pages.\n"
        "In a week she reads 90 + 72 = 162 pages.\n"
        "In three weeks she reads 162 * 3 = 486 pages.\n"
        "The answer is 486.",
    ),
    Exemplar(
        "A jacket costs $80. The shop takes 25% off and then adds 10% tax to the lower price. "
        "What does Omar pay, in dollars?",
        "def solution():\n"
        "    jacket_price = 80\n"
        "    discount = jacket_price * 25 / 100\n"
        "    price_after_discount = jacket_price - discount\n"
        "    tax = price_after_discount * 10 / 100\n"
        "    total_price = price_after_discount + tax\n"
        "    return total_price\n",
        "The discount is 80 * 25 / 100 = 20 dollars.\n"
        "The lower price is 80 - 20 = 60 dollars.\n"
        "The tax is 60 * 10 / 100 = 6 dollars.\n"
        "Omar pays 60 + 6 = 66 dollars.\n"
        "The answer is 66.",
    ),
    Exemplar(
        "Two buses carry 90 children to a museum. The large bus holds 14 more children than the "
        "small one. How many children ride in the small bus?",
        "def solution():\n"
        "    total_children = 90\n"
        "    extra_in_large_bus = 14\n"
        "    children_in_two_small_buses = total_children - extra_in_large_bus\n"
        "    children_in_small_bus = children_in_two_small_buses / 2\n"
        "    return children_in_small_bus\n",
        "Without the 14 more children in the large bus, both would hold the same number.\n"
        "Together that would be 90 - 14 = 76 children.\n"
        "The small bus holds half of them: 76 / 2 = 38 children.\n"
        "The answer is 38.",
    ),
)


# Columns of other people's data sets that stand for a field, the likelier first.
_QUESTION = ("question", "problem", "query", "prompt", "input", "instruction")
_ANSWER = ("answer", "target", "final_answer", "gold", "label", "solution", "output")
# Any of a list is right.
_ANSWERS = "answers"


def _refused(row: Row, field: str, text: str) -> DataError:
    return DataError(
        f"{row.place}: field '{field}' must hold a number, found {text.strip()[:40]!r}"
    )


def _gsm8k_problem(row: Row) -> Problem:
    """Read the public GSM8K format: `question`, and `answer` = worked solution + "#### gold"."""
    question = row.text("question")
    worked = row.text("answer")
    rationale, marker, gold = worked.rpartition("####")
    if not marker:
        raise DataError(f"{row.place}: field 'answer' has no '#### gold' line")
    answer = marked_number(worked)
    if answer is None:
        raise _refused(row, "answer", gold)
    return row.problem("gsm8k", question, answer, rationale=rationale.rstrip())


def _pal_problem(task: str, row: Row) -> Problem:
    """Read PAL's `input`/`target` format (SVAMP, ASDiv, MultiArith, GSM-Hard)."""
    question = row.text("input")
    target = row.text("target")
    answer = plain_number(target)
    if answer is None:
        raise _refused(row, "target", target)
    return row.problem(task, question, answer)


def _own_problem(row: Row) -> Problem:
    """Read a user's own rows; numbers, dates and texts are all answers, `answers` lists of such."""
    question = row.text(*_QUESTION)
    # JSON's own yes and no.
    told = {name: str(value) for name, value in row.values.items() if isinstance(value, bool)}
    answers = _own_answers(replace(row, values={**row.values, **told}))
    return row.problem("jsonl", question, [gold_text(answer) for answer in answers])


def _own_answers(row: Row) -> list[str]:
    """Return the acceptable answers: those of `answers` where `fields` or no other column says."""
    is_alone = "answer" not in row.fields and row.values.get(_ANSWERS) is not None
    if _ANSWERS in row.fields or (
        is_alone and all(row.values.get(name) is None for name in _ANSWER)
    ):
        return row.texts(_ANSWERS)
    answers = row.texts(*_ANSWER)
    if len(answers) > 1:
        raise DataError(
            f"{row.place}: the answer is a list of {len(answers)}; if any of them is right, say so "
            f"by the name of its column: --fields '{{{_ANSWERS}: answer}}'"
        )
    return answers


FILE_TASKS = (
    Task("gsm8k", numbers_equal, EXEMPLARS, load=RowLoader(("question", "answer"), _gsm8k_problem)),
    *(
        Task(
            name,
            numbers_equal,
            EXEMPLARS,
            load=RowLoader(("input", "target"), partial(_pal_problem, name)),
        )
        for name in ("svamp", "asdiv", "multiarith", "gsm_hard")
    ),
    Task("jsonl", equal, EXEMPLARS, load=RowLoader(("question", "answer", _ANSWERS), _own_problem)),
)
