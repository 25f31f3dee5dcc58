"""Answers as people's files and models have them: each comes out right from file to verdict."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from pad_ray.base.sandbox_settings import SandboxSettings
from pad_ray.base.schemas import COMPLETED_SCHEMA
from pad_ray.synthesis.judges import ProgramJudge, TextJudge
from pad_ray.tasks import Task, get_task, iter_problems

FRACTIONS = [
    ("What share is left of one of two equal halves?", "1/2", "0.5"),
    ("How long is a piece, in feet?", "3 3/4", "3.75"),
    ("What fraction is three of eight?", r"\frac{3}{8}", "0.375"),
    ("What fraction is three of nine?", "1/3", "Fraction(3, 9)"),
]
PERCENT = [
    ("Of 50 seats 20 are taken. What percentage is that?", "40%", "40"),
    ("Of 50 seats 20 are taken. What share is that?", "40%", "0.4"),
    ("Of 50 seats 20 are taken. How much is that?", "40%", "'40%'"),
]
OTHERS = [
    ("It is 2 degrees and falls by 10. What is it?", "\u22128", "-8"),
    ("What does it cost?", "$0.65", "'$0.65'"),
    ("What does it cost now?", "15", "'15.00'"),
    ("Is it more?", "yes", "True"),
    ("When does it open?", "March 11, 2024", "date(2024, 3, 11)"),
    ("For how long is it open?", "3 days", "timedelta(days=3)"),
    ("How many are there?", "7", "[7]"),
]
HEAD = "from datetime import date, timedelta\nfrom fractions import Fraction\n"


def judged(task: Task, file: Path, completions: list[str]) -> list[dict[str, Any]]:
    """Load a file's problems, and judge a completion for each."""
    problems = list(iter_problems(task, file, count=None))
    rows = [
        {
            "row_id": f"{place}-0",
            "problem_id": problem.problem_id,
            "task": task.name,
            "question": problem.question,
            "answer": problem.answer,
            "completion": text,
        }
        for place, (problem, text) in enumerate(zip(problems, completions, strict=True))
    ]
    table = pa.Table.from_pylist(rows, schema=COMPLETED_SCHEMA)
    programs = "def solution" in completions[0]
    judge = ProgramJudge(task, SandboxSettings()) if programs else TextJudge(task)
    return judge(table).to_pylist()


def test_right_programs_are_kept_however_gold_and_value_are_written(tmp_path: Path) -> None:
    cases = [*FRACTIONS, *PERCENT, *OTHERS]
    file = tmp_path / "problems.jsonl"
    lines = [json.dumps({"question": question, "answer": gold}) for question, gold, _ in cases]
    file.write_text("\n".join(lines))
    right = [f"{HEAD}def solution():\n    return {value}\n" for _, _, value in cases]
    rows = judged(get_task("jsonl"), file, right)
    assert [(row["answer"], row["value"], row["reason"]) for row in rows if row["reason"]] == []
    wrong = [f"{HEAD}def solution():\n    return 4.1\n" for _ in cases]
    assert {row["reason"] for row in judged(get_task("jsonl"), file, wrong)} == {"wrong_answer"}


@pytest.mark.parametrize(
    ("worked", "gold"),
    [
        ("2 - 10 = <<2-10=-8>>\u22128\n#### \u22128", "-8"),
        ("3 boxes of 5 pens are 3 * 5 = 15 pens.\n#### 15\nThe answer is: 15", "15"),
        ("2 * 6 = 12.\n#### 12 rolls", "12"),
    ],
)
def test_gsm8k_rows_with_more_than_a_bare_number(tmp_path: Path, worked: str, gold: str) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text(json.dumps({"question": "How many?", "answer": worked}) + "\n")
    task = get_task("gsm8k")
    (problem,) = iter_problems(task, file, count=None)
    assert problem.answer == gold
    assert "####" not in (problem.rationale or "")
    (row,) = judged(task, file, [worked])
    assert (row["reason"], json.loads(row["value"])) == (None, int(gold))


@pytest.mark.parametrize(
    ("text", "gold"),
    [
        ("12 minus 4 leaves 8.\nThe answer is 12 - 4 = 8.", 8),
        ("The answer is 3/4.", 0.75),
        (r"The answer is \boxed{18}.", 18),
    ],
)
def test_texts_state_what_a_person_reads(tmp_path: Path, text: str, gold: float) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text(json.dumps({"question": "How many?", "answer": gold}) + "\n")
    (row,) = judged(get_task("jsonl"), file, [text])
    assert (row["reason"], json.loads(row["value"])) == (None, gold)
