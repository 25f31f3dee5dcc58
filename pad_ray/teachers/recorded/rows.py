"""The rows of recorded completions: reading, checking and naming what is wrong with them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from pad_ray.base.errors import DataError
from pad_ray.base.records import Completion
from pad_ray.tasks.rows import read_rows
from pad_ray.teachers.endpoint.chat import ChatAnswer, completions, error_in, one_line

__all__ = [
    "Entry",
    "line_entries",
    "parse_line",
    "question_key",
    "row_entries",
]

_CUSTOM_ID = re.compile(r"([0-9a-f]{16})(?:-([0-9]{1,9}))?")
_PROBLEM_ID = re.compile(r"[0-9a-f]{16}")
_EMPTY = "the recorded completion is empty"


class Entry(NamedTuple):
    """What one row says: completions of one problem from `sample_index` on (None: the next free).

    `place` names file and row for a message, `offset` is the byte where its line begins (0 in
    files whose rows cannot be read alone).
    """

    place: str
    offset: int
    key: str
    sample_index: int | None
    completions: list[Completion]


class _Row(BaseModel):
    model_config = ConfigDict(extra="ignore")

    completion: str | None
    problem_id: str | None = None
    question: str | None = None
    sample_index: int | None = Field(default=None, ge=0, lt=10**9)
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    chain_of_thought: str | None = None
    finish_reason: str | None = None

    @model_validator(mode="after")
    def _has_key(self) -> _Row:
        if not (self.problem_id or self.question):
            raise ValueError("problem_id or question is needed")
        return self


class _BatchResponse(BaseModel):
    status_code: int = 200
    body: Any = None


class _BatchRow(BaseModel):
    custom_id: str
    response: _BatchResponse | None = None
    error: Any = None

    @field_validator("custom_id")
    @classmethod
    def _names_a_problem(cls, value: str) -> str:
        if not _CUSTOM_ID.fullmatch(value):
            raise ValueError("must be a problem id of 16 hex digits, or one with -SAMPLE_INDEX")
        return value


def question_key(question: str) -> str:
    """Return the key of a problem of which only the question is known."""
    return f"question {question.strip()}"


def line_entries(path: Path) -> Iterator[Entry]:
    """Yield the entries of a JSONL file that is not compressed; DataError names a line at fault."""
    offset = 0
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if line.strip():
                yield _entry(f"{path}, line {number}", offset, _object(path, number, line))
            offset += len(line)


def row_entries(path: Path) -> Iterator[Entry]:
    """Yield the entries of a file of any other form; DataError names a row or column at fault."""
    for row in read_rows(path):
        # Every row of Parquet has all columns, with None where nothing is told.
        told = {name: value for name, value in row.values.items() if value is not None}
        if "completion" not in row.values and "custom_id" not in told:
            raise DataError(f"{row.place}: no column completion; it has {sorted(row.values)}")
        yield _entry(row.place, 0, {"completion": None} | told)


def parse_line(line: bytes) -> list[Completion]:
    """Return the completions of a line that `line_entries` has read before."""
    return _parse(json.loads(line))[2]


def _object(path: Path, number: int, line: bytes) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        fault = one_line(str(error), 100)
        raise DataError(f"{path}, line {number}: not a line of JSON ({fault})") from None
    if not isinstance(row, dict):
        raise DataError(f"{path}, line {number}: not a JSON object with named fields")
    return row


def _entry(place: str, offset: int, row: dict[str, Any]) -> Entry:
    try:
        return Entry(place, offset, *_parse(row))
    except ValidationError as error:
        raise DataError(f"{place}: {_first_fault(error)}") from None


def _parse(row: dict[str, Any]) -> tuple[str, int | None, list[Completion]]:
    return _batch_row(row) if "custom_id" in row else _plain_row(row)


def _plain_row(row: dict[str, Any]) -> tuple[str, int | None, list[Completion]]:
    read = _Row.model_validate(row, strict=True)
    key = read.problem_id or ""
    own_id = None if _PROBLEM_ID.fullmatch(key) else key or None
    if read.question and not _PROBLEM_ID.fullmatch(key):
        # An id of the user's own need not be in the problem file, and the question is.
        key = question_key(read.question)
    if not (read.completion or "").strip() and read.finish_reason != "length":
        empty = Completion("", read.prompt_tokens, read.completion_tokens, error=_EMPTY)
        return key, read.sample_index, [replace(empty, own_id=own_id)]
    completion = Completion(
        read.completion or "",
        read.prompt_tokens,
        read.completion_tokens,
        chain_of_thought=read.chain_of_thought,
        finish_reason=read.finish_reason,
        own_id=own_id,
    )
    return key, read.sample_index, [completion]


def _batch_row(row: dict[str, Any]) -> tuple[str, int | None, list[Completion]]:
    read = _BatchRow.model_validate(row)
    match = _CUSTOM_ID.fullmatch(read.custom_id)
    assert match is not None
    index = int(match[2]) if match[2] else None
    if read.response is None or read.response.status_code != 200 or read.error:
        return match[1], index, [Completion("", error=_batch_error(read))]
    if error_in(read.response.body) is not None:
        return match[1], index, [Completion("", error=_batch_error(read))]
    answer = ChatAnswer.model_validate(read.response.body)
    given = completions(answer, len(answer.choices))
    return match[1], index, given or [Completion("", error="the recorded answer has no choice")]


def _batch_error(row: _BatchRow) -> str:
    body = row.response.body if row.response else None
    error = row.error or (body.get("error") if isinstance(body, dict) else body)
    said = error.get("message") if isinstance(error, dict) else error
    status = f" (HTTP {row.response.status_code})" if row.response else ""
    return one_line(f"the batch reports an error{status}: {said or 'no message'}")


def _first_fault(error: ValidationError) -> str:
    fault = error.errors(include_url=False)[0]
    field = ".".join(map(str, fault["loc"]))
    said = fault["msg"].removeprefix("Value error, ")
    return f"field {field}: {said}" if field else said
