"""The rows of a program are those that the question shows, whatever the way they are written."""

from __future__ import annotations

import ast
import re
from typing import Any

import pytest

from pad_ray.base.records import Problem
from pad_ray.tasks.base import Split
from pad_ray.tasks.tables import TABLES
from pad_ray.tasks.tables_domains import DOMAINS

KEYS = {domain.plural: domain.key for domain in DOMAINS}


def shown_rows(question: str, key: str) -> list[dict[str, Any]]:
    """Read the table back from the question's text, without the row that is added later."""
    if sentences := re.findall(r"(\w+): ((?:\w+ \w+, )+\w+ \w+)\.", question):
        rows = [
            {key: name, **dict(pair.split(" ") for pair in rest.split(", "))}
            for name, rest in sentences
        ]
    else:
        lines = [
            [cell.strip() for cell in re.split(r"[|,]", line.strip(" |"))]
            for line in question.split("\n")[:-1]
            if not line.endswith(":")
        ]
        rows = [dict(zip(lines[0], line, strict=True)) for line in lines[1:]]
    return [{k: int(v) if v.isdigit() else v for k, v in row.items()} for row in rows]


def program_rows(problem: Problem) -> list[dict[str, Any]]:
    statements = ast.parse(problem.program or "").body[0].body  # type: ignore[attr-defined]
    values = [s.value for s in statements if isinstance(s, ast.Assign)]
    return [ast.literal_eval(value) for value in values if isinstance(value, ast.Dict)]


@pytest.mark.parametrize("split", ["train", "held_out"])
def test_the_program_holds_the_table_of_the_question(split: Split) -> None:
    assert TABLES.generate is not None
    for problem in TABLES.generate(400, split, 5, None):
        key = KEYS[(problem.template or "").split("/")[0]]
        assert program_rows(problem) == shown_rows(problem.question, key), problem.question


def test_both_changes_of_a_table_and_none_are_drawn() -> None:
    assert TABLES.generate is not None
    questions = [problem.question for problem in TABLES.generate(1000, "train", 6, None)]
    added = sum("We then add a row" in question for question in questions)
    removed = sum("We then remove" in question for question in questions)
    assert 60 < added < 200 and 50 < removed < 200


@pytest.mark.parametrize("size", [2, 5, 8])
def test_size_is_the_number_of_rows(size: int) -> None:
    assert TABLES.generate is not None
    for problem in TABLES.generate(60, "train", 7, size):
        removed = "We then remove" in problem.question
        assert len(program_rows(problem)) == size + removed
