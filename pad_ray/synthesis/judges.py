"""Judging what teachers and students write: programs by their values, texts by their answers."""

from __future__ import annotations

import hashlib
import json
import time
from collections import Counter
from collections.abc import Sequence
from functools import cache, cached_property, lru_cache
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from pad_ray.base.errors import ResourceError
from pad_ray.base.records import Outcome
from pad_ray.base.sandbox_settings import SandboxSettings
from pad_ray.base.schemas import JUDGED_SCHEMA
from pad_ray.flow.ledger import LedgerLike, note_rows
from pad_ray.programs.canonical import near_key, program_key
from pad_ray.programs.extraction import extract_program
from pad_ray.sandbox import Sandbox, SandboxError
from pad_ray.synthesis.judge_settings import Rule
from pad_ray.synthesis.reasons import CUT_SHORT, UNJUDGED, is_cut, reason_of
from pad_ray.synthesis.step_accounting import record_steps
from pad_ray.tasks import Task, answers_equal_rounded
from pad_ray.tasks.answers import judged_answer
from pad_ray.teachers.endpoint.chat import one_line

if TYPE_CHECKING:
    from ray.util import metrics

EXACT = Rule()
_NOT_JUDGED = UNJUDGED - {"judge_error"}
# Samples of a problem repeat each other.
_program_key = lru_cache(4096)(program_key)


class ProgramJudge:
    """Ray Data stage: completions in, executed and judged rows (`JUDGED_SCHEMA`) out."""

    def __init__(
        self,
        task: Task,
        sandbox: SandboxSettings,
        rule: Rule | None = None,
        ledger: LedgerLike | None = None,
        notes_teacher: bool = False,
    ) -> None:
        self._task = task
        self._notes_teacher = notes_teacher
        self._settings = sandbox
        self._rule = rule or EXACT
        self._ledger = ledger
        self._reasons = _Reasons(ledger)

    @cached_property
    def _sandbox(self) -> Sandbox:
        # Made with the first batch: an error in an actor's constructor reaches nobody.
        return self._settings.sandbox()

    def __call__(self, batch: pa.Table) -> pa.Table:
        started = time.perf_counter()
        rows = batch.to_pylist()
        # Samples of a problem repeat each other; what is read out of equal texts is equal.
        read = cache(extract_program)
        for row in rows:
            unread = row["error"] or is_cut(row["completion"], row["finish_reason"])
            row["program"] = None if unread else read(row["completion"])
        runnable = [row["program"] for row in rows if row["program"] is not None]
        outcomes = iter(run_programs(self._sandbox, runnable))
        for row in rows:
            outcome = None if row["program"] is None else next(outcomes)
            judge_program(row, outcome, self._task, self._rule)
        judged = pa.Table.from_pylist(rows, schema=JUDGED_SCHEMA)
        self._reasons.add(rows)
        note_judged(self._ledger, rows, self._notes_teacher)
        if self._ledger is not None:
            self._ledger.busy("sandbox", time.perf_counter() - started)
        return judged


class TextJudge:
    """Ray Data stage: texts in, rows (`JUDGED_SCHEMA`) judged by the answers that they state.

    `value` is the stated answer, `chain_of_thought` the text, and `program_key` equal for texts
    that differ in their whitespace alone.
    """

    def __init__(
        self,
        task: Task,
        rule: Rule | None = None,
        ledger: LedgerLike | None = None,
        notes_teacher: bool = False,
    ) -> None:
        self._task = task
        self._notes_teacher = notes_teacher
        self._rule = rule or EXACT
        self._ledger = ledger
        self._reasons = _Reasons(ledger)

    def __call__(self, batch: pa.Table) -> pa.Table:
        rows = batch.to_pylist()
        for row in rows:
            judge_text(row, self._task, self._rule)
        self._reasons.add(rows)
        note_judged(self._ledger, rows, self._notes_teacher)
        return pa.Table.from_pylist(rows, schema=JUDGED_SCHEMA)


def judge_program(
    row: dict[str, Any], outcome: Outcome | None, task: Task, rule: Rule = EXACT
) -> None:
    """Write into a row, of a completion and its `program`, what became of it.

    `outcome` is None where the row has no program, or an `error` in place of a completion.
    """
    record_steps(row)
    if outcome is None:
        cut = is_cut(row["completion"], row.get("finish_reason"))
        row["message"] = row["error"] or (CUT_SHORT if cut else None)
        row["reason"] = reason_of(row["message"]) if row["message"] else "no_program"
        return
    row["program_key"] = _program_key(row["program"])
    row.update(outcome_columns(outcome))
    if outcome.status != "ok":
        row["reason"] = outcome.status
        return
    _record_value(row, outcome.value, task, rule)
    if rule.near_keys and row["reason"] is None:
        row["near_key"] = near_key(row["program"])


def judge_text(row: dict[str, Any], task: Task, rule: Rule = EXACT) -> None:
    """Write into a row, of a completion or an `error` in its place, what the text states."""
    fault = row["error"] or (CUT_SHORT if row.get("finish_reason") == "length" else None)
    if fault:
        row.update(reason=reason_of(fault), message=fault)
        return
    text = row["completion"].strip()
    row["chain_of_thought"] = text
    row["program_key"] = text_key(text)
    record_steps(row)
    try:
        value, _ = judged_answer(text, row["answer"], task.is_right)
    except Exception as error:
        _blame_rule(row, task, error)
        return
    if value is None:
        row["reason"] = "no_answer"
        return
    _record_value(row, value, task, rule)


def _record_value(row: dict[str, Any], value: object, task: Task, rule: Rule) -> None:
    record_value(row, value, task)
    if rule.accept == "rounded" and row["rounded_match"]:
        row["reason"] = None


def text_key(text: str) -> str:
    """Return 16 hex digits that are equal for texts which differ in their whitespace alone."""
    words = " ".join(text.split()).encode(errors="surrogatepass")
    return hashlib.sha256(words).hexdigest()[:16]


class _Reasons:
    """Counts rows by reason, in the run's ledger and as a metric; without a ledger not at all."""

    def __init__(self, ledger: LedgerLike | None) -> None:
        self._ledger = ledger

    def add(self, rows: Sequence[dict[str, Any]]) -> None:
        if self._ledger is None:
            return
        reasons = Counter(row["reason"] or "" for row in rows)
        self._ledger.count(reasons)
        for reason, count in reasons.items():
            self._outcomes.inc(count, {"reason": reason or "kept"})

    @cached_property
    def _outcomes(self) -> metrics.Counter:
        from ray.util import metrics

        by_reason: Any = ("reason",)
        return metrics.Counter(
            "pad_ray_judged_samples", "Samples judged, by the reason to reject them.", by_reason
        )


def run_programs(sandbox: Sandbox, programs: Sequence[str]) -> list[Outcome]:
    """Run programs in order; `ResourceError` where the sandbox itself cannot work."""
    try:
        return sandbox.run(programs)
    except SandboxError as error:
        raise ResourceError(f"sandbox: {error}") from error


def outcome_columns(outcome: Outcome) -> dict[str, Any]:
    """Return what a row says of an outcome, but for its value."""
    return {
        "status": outcome.status,
        "error_type": outcome.error_type,
        "error_line": outcome.error_line,
        "message": outcome.message,
        "cpu_s": outcome.cpu_s,
        "wall_s": outcome.wall_s,
    }


def record_value(row: dict[str, Any], value: object, task: Task) -> None:
    """Write a value and the task's verdict on it into a row."""
    row["value"] = json.dumps(value, ensure_ascii=False)
    try:
        exact = task.is_right(value, row["answer"])
    except Exception as error:
        _blame_rule(row, task, error)
        return
    row["rounded_match"] = answers_equal_rounded(value, row["answer"], exact)
    row["reason"] = None if exact else "wrong_answer"


def _blame_rule(row: dict[str, Any], task: Task, error: Exception) -> None:
    """Make a row's reason what a task's own rule raised: it is the user's code."""
    said = one_line(f"{type(error).__name__}: {error}")
    row["reason"] = "judge_error"
    row["message"] = f"answers_equal of task '{task.name}' raised {said}"


def note_judged(
    ledger: LedgerLike | None, rows: Sequence[dict[str, Any]], notes_teacher: bool = False
) -> None:
    """Note the rows that were judged; raises `FailuresError` where too many could not be.

    With `notes_teacher` those without an answer too: a teacher that is no stage of ours notes none.
    Another has noted its own, but for those of an earlier run, which end no second one.
    """
    if ledger is None:
        return
    faults = UNJUDGED if notes_teacher else {"judge_error"}
    noted = [
        (row["problem_id"], row["message"] if row["reason"] in faults else None)
        for row in rows
        if notes_teacher or row["reason"] not in _NOT_JUDGED
    ]
    note_rows(ledger, "judge", noted)
