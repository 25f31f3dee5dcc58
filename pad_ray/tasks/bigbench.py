"""Problem files of BIG-bench (arXiv 2206.04615) and of PAL's copies of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from pad_ray.base.errors import DataError, reason_of
from pad_ray.base.records import Problem
from pad_ray.tasks.answers import equal, gold_text
from pad_ray.tasks.base import Task
from pad_ray.tasks.dates import DATES
from pad_ray.tasks.deduction import DEDUCTION
from pad_ray.tasks.files import read_jsonl, text_field
from pad_ray.tasks.tables import TABLES

__all__ = ["BIGBENCH_TASKS"]


def _rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the examples of a `task.json`, numbered from 1, or the lines of a JSONL file."""
    if path.suffix != ".json":
        yield from read_jsonl(path)
        return
    try:
        task = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path}: cannot be read: {reason_of(error)}") from error
    examples = task.get("examples") if isinstance(task, dict) else None
    if not isinstance(examples, list) or not all(isinstance(one, dict) for one in examples):
        raise DataError(f"{path}: expected a BIG-bench task with a list of objects in 'examples'")
    yield from enumerate(examples, start=1)


def _scores(path: Path, number: int, row: dict[str, Any]) -> dict[str, float]:
    scores = row["target_scores"]
    numbers = isinstance(scores, dict) and all(
        isinstance(score, int | float) for score in scores.values()
    )
    if not numbers or not scores:
        raise DataError(
            f"{path}, line {number}: field 'target_scores' must give each answer a number"
        )
    return dict(scores)


def _problem(task: str, choices: bool, path: Path, number: int, row: dict[str, Any]) -> Problem:
    question = text_field(path, number, row, "input").strip()
    if "target_scores" in row:
        scores = _scores(path, number, row)
        answer = max(scores, key=lambda choice: scores[choice])
        if choices:
            question = "\n".join([question, "Answer with one of these:", *scores])
    else:
        answer = text_field(path, number, row, "target").strip()
    return Problem.make(task, question, gold_text(answer))


def _loader(task: str, choices: bool) -> Callable[[Path], Iterator[Problem]]:
    """Read `input` with `target_scores` (the best is the answer) or `target`.

    With `choices` the question lists the answers to choose from, where the file gives them.
    """

    def load(path: Path) -> Iterator[Problem]:
        for number, row in _rows(path):
            yield _problem(task, choices, path, number, row)

    return load


BIGBENCH_TASKS = (
    Task(
        "date_understanding",
        equal,
        DATES.exemplars,
        load=_loader("date_understanding", choices=False),
    ),
    Task(
        "penguins_in_a_table",
        equal,
        TABLES.exemplars,
        load=_loader("penguins_in_a_table", choices=False),
    ),
    Task(
        "logical_deduction",
        equal,
        DEDUCTION.exemplars,
        load=_loader("logical_deduction", choices=True),
    ),
)
