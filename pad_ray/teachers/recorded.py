"""A teacher that replays completions from a file.

Two kinds of file are read: OpenAI Batch output (JSONL), whose `custom_id` is a problem id, alone
or followed by `-` and a sample index; and JSONL or Parquet rows with `completion`, `problem_id` or
`question`, and optionally `sample_index`, `prompt_tokens`, `completion_tokens` and
`chain_of_thought`, so that an earlier run's own rows can be replayed. Rows without an index take
the next free one of their problem, in file order. The whole file is held in memory.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from pad_ray.errors import DataError
from pad_ray.records import Completion
from pad_ray.teachers.base import Request
from pad_ray.teachers.chat import ChatAnswer, completions, one_line

__all__ = ["RecordedTeacher"]

_CUSTOM_ID = re.compile(r"([0-9a-f]{16})(?:-(\d+))?")
_EMPTY = "the recorded completion is empty"
_MISSING = Completion("", error="no recorded completion")

_Samples = dict[str, dict[int, Completion]]


class _Row(BaseModel):
    model_config = ConfigDict(extra="ignore")

    completion: str | None
    problem_id: str | None = None
    question: str | None = None
    sample_index: int | None = Field(default=None, ge=0)
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    chain_of_thought: str | None = None

    @model_validator(mode="after")
    def _has_key(self) -> _Row:
        if not (self.problem_id or self.question):
            raise ValueError("problem_id or question is needed")
        return self


class _BatchResponse(BaseModel):
    status_code: int = 200
    body: dict[str, Any]


class _BatchRow(BaseModel):
    custom_id: str
    response: _BatchResponse | None = None
    error: dict[str, Any] | None = None

    @field_validator("custom_id")
    @classmethod
    def _names_a_problem(cls, value: str) -> str:
        if not _CUSTOM_ID.fullmatch(value):
            raise ValueError("must be a problem id of 16 hex digits, or one with -SAMPLE_INDEX")
        return value


@dataclass(frozen=True)
class RecordedTeacher:
    """Replays `path`; the file is read at first use, once per process."""

    path: Path

    name = "recorded"

    def __reduce__(self) -> tuple[type[RecordedTeacher], tuple[Path]]:
        return RecordedTeacher, (self.path,)

    @cached_property
    def _samples(self) -> _Samples:
        return _read_samples(self.path)

    def check(self) -> None:
        """Read the file; raises DataError naming the row and field at fault."""
        _ = self._samples

    def complete(self, requests: Sequence[Request]) -> list[list[Completion]]:
        """Return the recorded completions, matched by problem id, else by question text."""
        found = [
            self._samples.get(request.problem.problem_id)
            or self._samples.get(_question_key(request.problem.question), {})
            for request in requests
        ]
        return [
            [samples.get(index, _MISSING) for index in request.sample_indices]
            for request, samples in zip(requests, found, strict=True)
        ]


def _question_key(question: str) -> str:
    return f"question {question.strip()}"


def _read_samples(path: Path) -> _Samples:
    if not path.is_file():
        raise DataError(f"{path}: no such file; give the file with the recorded completions")
    samples: _Samples = {}
    rows = _parquet_rows(path) if path.suffix == ".parquet" else _json_rows(path)
    for place, row in rows:
        try:
            key, index, given = _batch_row(row) if "custom_id" in row else _plain_row(row)
        except ValidationError as error:
            raise DataError(f"{path}, {place}: {_first_fault(error)}") from None
        of_problem = samples.setdefault(key, {})
        start = _next_free(of_problem) if index is None else index
        for offset, completion in enumerate(given):
            if start + offset in of_problem:
                raise DataError(
                    f"{path}, {place}: sample {start + offset} of this problem is there already; "
                    "remove one of the two rows"
                )
            of_problem[start + offset] = completion
    if not samples:
        raise DataError(f"{path}: no rows; give a file with at least one recorded completion")
    return samples


def _next_free(taken: dict[int, Completion]) -> int:
    return max(taken, default=-1) + 1


def _json_rows(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except (ValueError, RecursionError) as error:
                fault = one_line(str(error), 100)
                raise DataError(f"{path}, line {number}: not a line of JSON ({fault})") from None
            if not isinstance(row, dict):
                raise DataError(f"{path}, line {number}: not a JSON object with named fields")
            yield f"line {number}", row


def _parquet_rows(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    try:
        with pq.ParquetFile(path) as file:
            columns = [name for name in file.schema_arrow.names if name in _Row.model_fields]
            if "completion" not in columns:
                raise DataError(f"{path}: no column completion; it has {file.schema_arrow.names}")
            number = 0
            for batch in file.iter_batches(columns=columns):
                for row in batch.to_pylist():
                    number += 1
                    yield f"row {number}", row
    except (pa.ArrowInvalid, OSError) as error:
        raise DataError(f"{path}: not a Parquet file ({one_line(str(error), 100)})") from None


def _plain_row(row: dict[str, Any]) -> tuple[str, int | None, list[Completion]]:
    read = _Row.model_validate(row, strict=True)
    key = read.problem_id or _question_key(read.question or "")
    if not (read.completion or "").strip():
        empty = Completion("", read.prompt_tokens, read.completion_tokens, error=_EMPTY)
        return key, read.sample_index, [empty]
    completion = Completion(
        read.completion or "",
        read.prompt_tokens,
        read.completion_tokens,
        chain_of_thought=read.chain_of_thought,
    )
    return key, read.sample_index, [completion]


def _batch_row(row: dict[str, Any]) -> tuple[str, int | None, list[Completion]]:
    read = _BatchRow.model_validate(row)
    match = _CUSTOM_ID.fullmatch(read.custom_id)
    assert match is not None
    index = int(match[2]) if match[2] else None
    if read.response is None or read.response.status_code != 200 or read.error:
        return match[1], index, [Completion("", error=_batch_error(read))]
    answer = ChatAnswer.model_validate(read.response.body)
    given = completions(answer, len(answer.choices))
    return match[1], index, given or [Completion("", error="the recorded answer has no choice")]


def _batch_error(row: _BatchRow) -> str:
    body = row.response.body if row.response else {}
    error = row.error or body.get("error")
    said = error.get("message") if isinstance(error, dict) else error
    status = f" (HTTP {row.response.status_code})" if row.response else ""
    return one_line(f"the batch reports an error{status}: {said or 'no message'}")


def _first_fault(error: ValidationError) -> str:
    fault = error.errors(include_url=False)[0]
    field = ".".join(map(str, fault["loc"]))
    said = fault["msg"].removeprefix("Value error, ")
    return f"field {field}: {said}" if field else said
