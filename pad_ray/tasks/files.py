"""Tasks whose problems come from a file: GSM8K, the PAL collections and a user's own JSONL."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from pad_ray.base.errors import DataError, reason_of
from pad_ray.base.records import Problem
from pad_ray.tasks.answers import (
    equal,
    gold_text,
    marked_number,
    numbers_equal,
    plain_number,
)
from pad_ray.tasks.base import Exemplar, Task

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


def read_jsonl(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield (line number from 1, object) of a JSONL file; `DataError` names a malformed line."""
    try:
        with path.open(encoding="utf-8-sig") as lines:
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    yield number, _parse_object(path, number, line)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {reason_of(error)}") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: is not UTF-8 text: {error.reason}") from error


def _parse_object(path: Path, number: int, line: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}, line {number}: malformed JSON: {reason_of(error)}") from error
    if not isinstance(row, dict):
        raise DataError(f"{path}, line {number}: expected a JSON object, found {line.strip()[:40]}")
    return row


def text_field(path: Path, number: int, row: dict[str, Any], field: str) -> str:
    """Return a row's text or number as text; `DataError` names the line and field otherwise."""
    value = row.get(field)
    if value is None:
        found = ", ".join(sorted(map(str, row))) or "nothing"
        raise DataError(f"{path}, line {number}: field '{field}' is missing (found: {found})")
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise DataError(f"{path}, line {number}: field '{field}' must be text or a number")
    text = _float_text(value) if isinstance(value, float) else str(value)
    if not text.strip():
        raise DataError(f"{path}, line {number}: field '{field}' is empty")
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise DataError(f"{path}, line {number}: field '{field}' is not valid Unicode")
    return text


def _float_text(value: float) -> str:
    """Return a number of a JSON file without the noise of its last digits, if it counts singly."""
    return repr(value) if abs(value) > 2**53 else format(value, ".15g")


def _refused(path: Path, number: int, field: str, text: str) -> DataError:
    return DataError(
        f"{path}, line {number}: field '{field}' must hold a number, found {text.strip()[:40]!r}"
    )


def load_gsm8k(path: Path) -> Iterator[Problem]:
    """Read the public GSM8K format: `question`, and `answer` = worked solution + "#### gold"."""
    for number, row in read_jsonl(path):
        question = text_field(path, number, row, "question")
        worked = text_field(path, number, row, "answer")
        rationale, marker, gold = worked.rpartition("####")
        if not marker:
            raise DataError(f"{path}, line {number}: field 'answer' has no '#### gold' line")
        answer = marked_number(worked)
        if answer is None:
            raise _refused(path, number, "answer", gold)
        yield Problem.make("gsm8k", question, answer, rationale=rationale.rstrip())


def _pal_loader(task: str) -> Callable[[Path], Iterator[Problem]]:
    """Read PAL's `input`/`target` format (SVAMP, ASDiv, MultiArith, GSM-Hard)."""

    def load(path: Path) -> Iterator[Problem]:
        for number, row in read_jsonl(path):
            question = text_field(path, number, row, "input")
            target = text_field(path, number, row, "target")
            answer = plain_number(target)
            if answer is None:
                raise _refused(path, number, "target", target)
            yield Problem.make(task, question, answer)

    return load


def load_jsonl(path: Path) -> Iterator[Problem]:
    """Read a user's own `question`/`answer` rows; numbers, dates and texts are all answers."""
    for number, row in read_jsonl(path):
        question = text_field(path, number, row, "question")
        # JSON's own yes and no.
        told = {"answer": str(row["answer"])} if isinstance(row.get("answer"), bool) else row
        answer = text_field(path, number, told, "answer")
        yield Problem.make("jsonl", question, gold_text(answer))


FILE_TASKS = (
    Task("gsm8k", numbers_equal, EXEMPLARS, load=load_gsm8k),
    *(
        Task(name, numbers_equal, EXEMPLARS, load=_pal_loader(name))
        for name in ("svamp", "asdiv", "multiarith", "gsm_hard")
    ),
    Task("jsonl", equal, EXEMPLARS, load=load_jsonl),
)
