"""BIG-bench's own files, as task.json and as JSONL, and what is told of malformed ones."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pad_ray.base.errors import DataError
from pad_ray.tasks import TASKS, load_problems

DATE = {
    "input": "Yesterday was April 30, 2021. What is the date today in MM/DD/YYYY?",
    "target_scores": {"05/01/2021": 1, "02/23/2021": 0, "03/11/2021": 0},
}
ORDER = {
    "input": "On a shelf, there are three books: a red book, a gray book, and a white book.",
    "target_scores": {"The red book is the leftmost.": 0, "The gray book is the leftmost.": 1},
}
PENGUIN = {"input": "Here is a table ... How many penguins are there?", "target": "4"}


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_a_task_json_gives_the_best_scored_answer(tmp_path: Path) -> None:
    file = write(
        tmp_path / "task.json", json.dumps({"name": "dates", "examples": [DATE]}, indent=1)
    )
    one_line = write(tmp_path / "line.json", json.dumps({"name": "dates", "examples": [DATE]}))
    problems = load_problems(TASKS["date_understanding"], file, count=None)
    assert load_problems(TASKS["date_understanding"], one_line, count=None) == problems
    ((problem,), repeated) = problems
    assert (problem.question, problem.answer, repeated) == (DATE["input"], "05/01/2021", 0)
    assert TASKS["date_understanding"].answers_equal("5/1/2021", problem.answer)


def test_deductions_list_their_choices(tmp_path: Path) -> None:
    file = write(tmp_path / "rows.jsonl", json.dumps(ORDER) + "\n")
    ((problem,), _) = load_problems(TASKS["logical_deduction"], file, count=None)
    assert problem.answer == "The gray book is the leftmost."
    assert problem.question.endswith(
        "Answer with one of these:\nThe red book is the leftmost.\nThe gray book is the leftmost."
    )


def test_pals_rows_have_a_target(tmp_path: Path) -> None:
    file = write(tmp_path / "rows.jsonl", json.dumps(PENGUIN) + "\n")
    ((problem,), _) = load_problems(TASKS["penguins_in_a_table"], file, count=None)
    assert problem.answer == "4"
    assert TASKS["penguins_in_a_table"].answers_equal(4, problem.answer)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("task.json", "{", "task.json, line 1: malformed JSON: "),
        ("task.json", "[]", "task.json: holds no problems"),
        ("task.json", '{"examples": [1]}', "line 1: field 'input' is missing (found: examples)"),
        ("task.json", '{"examples": [{}]}', "row 1: field 'input' is missing"),
        ("rows.jsonl", '{"input": "a"}', "line 1: field 'target' is missing"),
        ("rows.jsonl", '{"input": "a", "target_scores": {"b": "c"}}', "must give each answer a"),
        ("rows.jsonl", '{"input": "a", "target_scores": {}}', "must give each answer a number"),
    ],
)
def test_a_malformed_file_is_one_clear_line(
    name: str, text: str, message: str, tmp_path: Path
) -> None:
    with pytest.raises(DataError) as caught:
        load_problems(TASKS["date_understanding"], write(tmp_path / name, text), count=None)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
