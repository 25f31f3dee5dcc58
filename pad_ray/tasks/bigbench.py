"""Problem files of BIG-bench (arXiv 2206.04615) and of PAL's copies of them."""

from __future__ import annotations

from functools import partial

from pad_ray.base.errors import DataError
from pad_ray.base.records import Problem
from pad_ray.tasks.answers import equal, gold_text
from pad_ray.tasks.base import RowLoader, Task
from pad_ray.tasks.dates import DATES
from pad_ray.tasks.deduction import DEDUCTION
from pad_ray.tasks.rows import Row
from pad_ray.tasks.tables import TABLES

__all__ = ["BIGBENCH_TASKS"]


def _scores(row: Row) -> dict[str, float]:
    given = row.value("target_scores")
    # A column of Parquet has the answers of all its rows.
    scores = {
        answer: score
        for answer, score in (given.items() if isinstance(given, dict) else ())
        if score is not None
    }
    if not scores or not all(isinstance(score, int | float) for score in scores.values()):
        raise DataError(f"{row.place}: field 'target_scores' must give each answer a number")
    return scores


def _problem(task: str, choices: bool, row: Row) -> Problem:
    question = row.text("input").strip()
    if row.value("target_scores") is not None:
        scores = _scores(row)
        answer = max(scores, key=lambda choice: scores[choice])
        if choices:
            question = "\n".join([question, "Answer with one of these:", *scores])
    else:
        answer = row.text("target").strip()
    return row.problem(task, question, gold_text(answer))


def _loader(task: str, choices: bool) -> RowLoader:
    """Read `input` with `target_scores` (the best is the answer) or `target`.

    With `choices` the question lists the answers to choose from, where the file gives them.
    """
    return RowLoader(("input", "target"), partial(_problem, task, choices))


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
