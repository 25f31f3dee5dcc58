"""A completion that ran out of tokens is `truncated`: a part of it is never judged as a whole."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from pad_ray.base.records import Problem, problem_id
from pad_ray.base.sandbox_settings import SandboxSettings
from pad_ray.base.schemas import COMPLETED_SCHEMA
from pad_ray.synthesis.judges import ProgramJudge, TextJudge
from pad_ray.synthesis.reasons import CUT_SHORT, REASONS, remedy
from pad_ray.tasks import get_task
from pad_ray.teachers.base import Request
from pad_ray.teachers.endpoint.chat import ChatAnswer, completions
from pad_ray.teachers.recorded.engine import RecordedTeacher

# With a `return b` of ours it would be right.
PART = "```python\ndef solution():\n    a = 30\n    b = a + 5"
WHOLE = PART + "\n    return b\n```"


def completed(text: str, finish_reason: str | None) -> pa.Table:
    row = {"row_id": "p-0", "problem_id": "p", "task": "jsonl", "question": "q", "answer": "35"}
    row |= {"completion": text, "finish_reason": finish_reason}  # type: ignore[dict-item]
    return pa.Table.from_pylist([row], schema=COMPLETED_SCHEMA)


@pytest.mark.parametrize(
    ("text", "finish_reason", "reason"),
    [
        (PART, "length", "truncated"),
        # What a teacher says below a whole block is no part of the program.
        (WHOLE + "\nThis adds", "length", None),
        ("", "length", "truncated"),
        (WHOLE, "stop", None),
        (WHOLE, None, None),
        ("I cannot say.", "stop", "no_program"),
    ],
)
def test_a_cut_program_is_not_run(text: str, finish_reason: str | None, reason: str | None) -> None:
    judge = ProgramJudge(get_task("jsonl"), SandboxSettings())
    (row,) = judge(completed(text, finish_reason)).to_pylist()
    assert (row["reason"], row["finish_reason"]) == (reason, finish_reason)
    if reason == "truncated":
        assert (row["program"], row["status"], row["message"]) == (None, None, CUT_SHORT)


def test_a_cut_text_states_no_answer() -> None:
    text = "So 30 + 5 = 35.\nThe answer is 35"
    (cut,) = TextJudge(get_task("jsonl"))(completed(text, "length")).to_pylist()
    (whole,) = TextJudge(get_task("jsonl"))(completed(text, "stop")).to_pylist()
    assert (cut["reason"], cut["value"]) == ("truncated", None)
    assert whole["reason"] is None


@pytest.mark.parametrize("content", [PART, None, ""])
def test_the_endpoints_word_is_kept(content: str | None) -> None:
    choice = {"message": {"content": content}, "finish_reason": "length"}
    (found,) = completions(ChatAnswer.model_validate({"choices": [choice]}), 1)
    # Tokens that all went into reasoning are no fault of the teacher's.
    assert (found.text, found.finish_reason, found.error) == (content or "", "length", None)


@pytest.mark.parametrize("batch", [False, True])
def test_the_word_of_recorded_rows_is_kept(tmp_path: Path, batch: bool) -> None:
    key = problem_id("jsonl", "q")
    choice = {"message": {"content": PART}, "finish_reason": "length"}
    row: dict[str, Any] = {"question": "q", "completion": PART, "finish_reason": "length"}
    if batch:
        row = {"custom_id": key, "response": {"status_code": 200, "body": {"choices": [choice]}}}
    path = tmp_path / "recorded.jsonl"
    path.write_text(json.dumps(row) + "\n")
    request = Request(Problem.make("jsonl", "q", "35"), (0,))
    ((found,),) = RecordedTeacher(path).complete([request])
    assert (found.text, found.finish_reason) == (PART, "length")


def test_the_remedy_names_the_flag_of_the_teacher() -> None:
    assert remedy("endpoint").startswith("--endpoint.max_tokens higher, with --retry_errors true")
    assert remedy("student").startswith("--student.max_new_tokens higher, with --retry_errors true")
    assert "--max_new_tokens" in REASONS["truncated"]
