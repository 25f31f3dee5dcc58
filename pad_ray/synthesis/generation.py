"""The stage that asks a teacher: request rows in, completed rows out."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa
from ray.util.metrics import Counter

from pad_ray.base.records import Completion, Problem
from pad_ray.base.schemas import COMPLETED_SCHEMA, PROBLEM_SCHEMA
from pad_ray.flow.ledger import LedgerLike, NotedRow, Rates, note_rows
from pad_ray.synthesis.journal import Journal, Sample
from pad_ray.synthesis.reasons import is_cut
from pad_ray.teachers.base import PaidTeacher, Request, Schedule, Teacher

__all__ = ["TeacherStage"]

_BY_TEACHER: Any = ("teacher",)
# As which the ledger knows the rows that a teacher answers.
_PART = "teacher"
_CUT = "truncated: cut at the limit of tokens; raise that with --retry_errors true"


class TeacherStage:
    """Ray Data stage: request rows in, the same rows with completions out.

    Answers of a paid teacher are written to a journal in `kept` before they go on, and taken from
    there when a row comes again; with `retry_errors` only those that are no errors. Rows that the
    budget has no room for are dropped. Raises `FailuresError` where too many rows of the run fail.
    """

    def __init__(
        self,
        teacher: Teacher,
        schedule: Schedule,
        kept: Path,
        ledger: LedgerLike,
        retry_errors: bool = False,
    ) -> None:
        self._teacher: Teacher = teacher
        if isinstance(teacher, PaidTeacher):
            self._teacher = teacher.with_ledger(ledger)
        self._schedule = schedule
        self._kept = kept
        self._ledger = ledger
        self._retry_errors = retry_errors

    def __call__(self, batch: pa.Table) -> pa.Table:
        started = time.perf_counter()
        rows = batch.to_pylist()
        if isinstance(self._teacher, PaidTeacher):
            answers = self._paid(self._teacher, rows)
        else:
            answers = self._complete(self._teacher, self._requests(rows))
        answered = [row for row in rows if _sample(row) in answers]
        for row in answered:
            self._record(row, answers[_sample(row)])
        self._metrics.add(self._teacher.name, answered)
        completed = pa.Table.from_pylist(answered, schema=COMPLETED_SCHEMA)
        self._ledger.busy("teacher", time.perf_counter() - started)
        return completed

    def _complete(self, teacher: Teacher, requests: Sequence[Request]) -> dict[Sample, Completion]:
        if self._ledger.reserve(teacher.name, Rates(), 0) is None:
            return {}
        found = {
            (request.problem.problem_id, index): completion
            for request, completions in zip(requests, teacher.complete(requests), strict=True)
            for index, completion in zip(request.sample_indices, completions, strict=True)
        }
        prompt = sum(one.prompt_tokens or 0 for one in found.values())
        completion = sum(one.completion_tokens or 0 for one in found.values())
        self._ledger.record(teacher.name, Rates(), 0, prompt, completion, 0.0)
        note_rows(self._ledger, _PART, _noted(found))
        return found

    def _paid(self, teacher: PaidTeacher, rows: list[dict[str, Any]]) -> dict[Sample, Completion]:
        names = {row["block"] for row in rows}
        journals = {name: Journal(self._kept / name) for name in names}
        homes = {_sample(row): journals[row["block"]] for row in rows}
        asked = {
            (request.problem.problem_id, index): teacher.asks(request, index)
            for request in self._requests(rows)
            for index in request.sample_indices
        }
        answers: dict[Sample, Completion] = {}
        limit = teacher.most_tokens
        for journal in journals.values():
            answers |= journal.read(asked, limit)
        if self._retry_errors:
            answers = {sample: one for sample, one in answers.items() if one.error is None}
        missing = [row for row in rows if _sample(row) not in answers]
        try:
            for request, indices, completions in teacher.complete_each(self._requests(missing)):
                found = {
                    (request.problem.problem_id, index): completion
                    for index, completion in zip(indices, completions, strict=True)
                }
                # What cost nothing is asked for again, should the run end before its block is done.
                if any(_was_paid(one) for one in completions):
                    homes[next(iter(found))].append(found, asked, limit)
                answers |= found
                # Too many failures leave no room in the ledger; what is in flight still comes.
                self._ledger.note(_PART, _noted(found))
        finally:
            for journal in journals.values():
                journal.sync()
        note_rows(self._ledger, _PART, ())
        return answers

    def _requests(self, rows: list[dict[str, Any]]) -> list[Request]:
        wanted: dict[tuple[str, int], list[dict[str, Any]]] = {}
        for row in rows:
            wanted.setdefault((row["problem_id"], row["round"]), []).append(row)
        return [
            Request(
                _problem(group[0]),
                tuple(row["sample_index"] for row in group),
                number,
                self._schedule.of(number),
            )
            for (_, number), group in wanted.items()
        ]

    def _record(self, row: dict[str, Any], completion: Completion) -> None:
        row.update(
            teacher=completion.by or self._teacher.name,
            completion=completion.text,
            chain_of_thought=completion.chain_of_thought,
            prompt_tokens=completion.prompt_tokens,
            completion_tokens=completion.completion_tokens,
            cost_usd=completion.cost_usd,
            solve_s=completion.latency_s,
            retries=completion.retries,
            finish_reason=completion.finish_reason,
            served_model=completion.served_model,
            teacher_notes=json.dumps(completion.notes) if completion.notes else None,
            error=completion.error,
            own_id=row.get("own_id") or completion.own_id,
        )

    @cached_property
    def _metrics(self) -> _Metrics:
        return _Metrics()


class _Metrics:
    """Prometheus counters of one actor; Ray exports them with its own."""

    def __init__(self) -> None:
        self._samples = Counter(
            "pad_ray_teacher_samples", "Samples answered by a teacher.", _BY_TEACHER
        )
        self._tokens = Counter(
            "pad_ray_teacher_tokens", "Prompt and completion tokens.", _BY_TEACHER
        )
        self._cost = Counter("pad_ray_teacher_cost_usd", "Dollars by price.", _BY_TEACHER)

    def add(self, teacher: str, rows: Sequence[dict[str, Any]]) -> None:
        for counter, amount in zip(
            (self._samples, self._tokens, self._cost), _amounts(rows), strict=True
        ):
            if amount:
                counter.inc(amount, {"teacher": teacher})


def _amounts(rows: Sequence[dict[str, Any]]) -> Iterator[float]:
    yield len(rows)
    yield sum((row["prompt_tokens"] or 0) + (row["completion_tokens"] or 0) for row in rows)
    yield sum(row["cost_usd"] or 0.0 for row in rows)


def _noted(found: Mapping[Sample, Completion]) -> list[NotedRow]:
    return [(problem, _fault(completion)) for (problem, _), completion in found.items()]


def _fault(completion: Completion) -> str | None:
    if completion.error is None and is_cut(completion.text, completion.finish_reason):
        return _CUT
    return completion.error


def _was_paid(completion: Completion) -> bool:
    return completion.error is None or bool(completion.completion_tokens)


def _sample(row: dict[str, Any]) -> Sample:
    return row["problem_id"], row["sample_index"]


def _problem(row: dict[str, Any]) -> Problem:
    # The requests of an earlier version lack columns.
    values: dict[str, Any] = {name: row.get(name) for name in PROBLEM_SCHEMA.names}
    return Problem(**values)
