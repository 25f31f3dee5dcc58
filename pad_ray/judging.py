"""Executing programs and judging their values: the stage that synthesis and evaluation share."""

from __future__ import annotations

import json
from functools import cached_property
from typing import Any

import pyarrow as pa
from pydantic import Field

from pad_ray.config import Settings
from pad_ray.errors import ResourceError
from pad_ray.extraction import extract_program
from pad_ray.programs import program_key
from pad_ray.records import JUDGED_SCHEMA, Outcome
from pad_ray.sandbox import Limits, Sandbox, SandboxError
from pad_ray.tasks import Task, answers_equal_rounded


class SandboxSettings(Settings):
    """Limits of one program's run."""

    wall_s: float = Field(5.0, gt=0)
    """Seconds of wall time."""
    cpu_s: float = Field(2.0, gt=0)
    """Seconds of CPU time."""
    memory_mb: int = Field(256, ge=16)
    """Megabytes of address space beyond the interpreter's own."""
    output_kb: int = Field(64, ge=1)
    """Kilobytes of a returned value, and of printed text."""
    required: tuple[str, ...] = ()
    """Layers without which nothing runs, besides seccomp: landlock, unprivileged_user."""
    modules: tuple[str, ...] = ()
    """What programs may import besides parts of the standard library: sympy, dateutil, numpy."""

    def limits(self) -> Limits:
        """Return the limits as the sandbox takes them."""
        return Limits(
            wall_s=self.wall_s,
            cpu_s=self.cpu_s,
            memory_mb=self.memory_mb,
            output_kb=self.output_kb,
            required=frozenset(self.required),
        )

    def sandbox(self) -> Sandbox:
        """Return a sandbox for these settings; the caller closes it."""
        return Sandbox(self.limits(), modules=self.modules)


class ProgramJudge:
    """Ray Data stage: completions in, executed and judged rows (`JUDGED_SCHEMA`) out."""

    def __init__(self, task: Task, sandbox: SandboxSettings) -> None:
        self._task = task
        self._settings = sandbox

    @cached_property
    def _sandbox(self) -> Sandbox:
        # Made with the first batch: an error in an actor's constructor reaches nobody.
        return self._settings.sandbox()

    def __call__(self, batch: pa.Table) -> pa.Table:
        rows = batch.to_pylist()
        for row in rows:
            row["program"] = None if row["error"] else extract_program(row["completion"])
        runnable = [row for row in rows if row["program"] is not None]
        try:
            outcomes = self._sandbox.run([row["program"] for row in runnable])
        except SandboxError as error:
            raise ResourceError(f"sandbox: {error}") from error
        for row, outcome in zip(runnable, outcomes, strict=True):
            row["program_key"] = program_key(row["program"])
            self._record(row, outcome)
        for row in rows:
            if row["program"] is None:
                row["reason"] = "teacher_error" if row["error"] else "no_program"
                row["message"] = row["error"]
        return pa.Table.from_pylist(rows, schema=JUDGED_SCHEMA)

    def _record(self, row: dict[str, Any], outcome: Outcome) -> None:
        row.update(
            status=outcome.status,
            error_type=outcome.error_type,
            error_line=outcome.error_line,
            message=outcome.message,
            cpu_s=outcome.cpu_s,
            wall_s=outcome.wall_s,
        )
        if outcome.status != "ok":
            row["reason"] = outcome.status
            return
        record_value(row, outcome.value, self._task)


def record_value(row: dict[str, Any], value: object, task: Task) -> None:
    """Write a value and the task's verdict on it into a row."""
    row["value"] = json.dumps(value, ensure_ascii=False)
    exact = task.answers_equal(value, row["answer"])
    row["rounded_match"] = answers_equal_rounded(value, row["answer"], exact)
    row["reason"] = None if exact else "wrong_answer"
