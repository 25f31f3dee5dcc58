"""Repair data by error injection: verified programs broken on purpose, executed, at scale."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from functools import cached_property
from typing import Any

import pyarrow as pa

from pad_ray.base.records import Outcome
from pad_ray.base.schemas import REPAIR_SCHEMA
from pad_ray.base.storage import locate, remove_folder
from pad_ray.flow.ready import join_for
from pad_ray.flow.rows import ActorStage, run_rows, write_requests
from pad_ray.flow.stages import Stage, open_stage, print_reasons
from pad_ray.sandbox import Sandbox
from pad_ray.synthesis.judges import outcome_columns, run_programs
from pad_ray.synthesis.repairs.injections.kinds import inject
from pad_ray.synthesis.repairs.rows import (
    as_json,
    copies_of,
    in_small_batches,
    key_of,
    read_verified,
    repeated_rows,
    tasks_of,
    write_repairs,
)
from pad_ray.synthesis.repairs.settings import DEFAULT_WEIGHTS, InjectionRun, InjectionSettings
from pad_ray.tasks import Task

_COLUMNS = ["row_id", "problem_id", "task", "question", "answer", "program"]


class InjectionStage:
    """Ray Data stage: rows with a right program in, executed repairs (`REPAIR_SCHEMA`) out."""

    def __init__(self, run: InjectionRun, tasks: dict[str, Task]) -> None:
        self._run = run
        self._tasks = tasks
        self._weights = {**DEFAULT_WEIGHTS, **run.weights}

    @cached_property
    def _sandbox(self) -> Sandbox:
        # Made with the first batch: an error in an actor's constructor reaches nobody.
        return self._run.sandbox.sandbox()

    def __call__(self, batch: pa.Table) -> pa.Table:
        rows = batch.to_pylist()
        for row in rows:
            self._break(row)
        broken = [row for row in rows if row["reason"] is None]
        outcomes = run_programs(self._sandbox, [row["broken"] for row in broken])
        for row, outcome in zip(broken, outcomes, strict=True):
            self._judge(row, outcome)
        return pa.Table.from_pylist(rows, schema=REPAIR_SCHEMA)

    def _break(self, row: dict[str, Any]) -> None:
        index = row["row_id"].rsplit("-", 1)[1]
        key = f"{self._run.seed}|{row['problem_id']}|{row['program']}|{index}".encode()
        rng = random.Random(hashlib.sha256(key).digest())
        made = inject(row["program"], row["question"], rng, self._weights, self._run.combine)
        row["origin"] = "injection"
        row["reason"] = "no_place" if made is None else None
        if made is not None:
            row.update(broken=made.text, broken_key=key_of(made.text), kinds="+".join(made.kinds))

    def _judge(self, row: dict[str, Any], outcome: Outcome) -> None:
        row.update(outcome_columns(outcome))
        if outcome.status == "ok":
            row["value"] = as_json(outcome.value)
            if self._tasks[row["task"]].is_right(outcome.value, row["answer"]):
                row["reason"] = "still_right"


def inject_errors(settings: InjectionSettings) -> dict[str, Any]:
    """Make the directory of repairs in `settings.out` and return its manifest.

    A finished directory with the same settings is returned as it is; an interrupted one goes on
    with the rows that are missing. With a higher `count` all are made again, the old ones alike.
    """
    stage = open_stage(locate(settings.out), "inject", settings, may_rise=["count"])
    if stage.complete is not None and not stage.grown:
        print(f"inject: {stage.out} is complete; nothing to do")
        return stage.complete
    programs = read_verified(settings.folders, _COLUMNS)
    tasks = tasks_of(settings.folders)
    run = InjectionRun(**settings.model_dump(include=set(InjectionRun.model_fields)))
    injecting = ActorStage(InjectionStage, {"run": run, "tasks": tasks}, settings.actors)
    join_for(stage.out, [injecting], settings.wait_for_resources)
    work = stage.out / "work"
    stage.claim()
    if stage.grown:
        remove_folder(work)
    stage.begin()
    print(f"inject: {programs.num_rows} verified programs x {settings.count} injections")
    write_requests(_requests(programs, settings), work)
    rows = run_rows([injecting], work, "inject")
    counts = write_repairs(in_small_batches(rows), repeated_rows(rows), stage.out)
    return _finish(stage, counts | {"programs": programs.num_rows})


def _requests(programs: pa.Table, settings: InjectionSettings) -> Iterator[pa.Table]:
    """Yield blocks of programs, each as often as it is to be broken."""
    for block in copies_of(programs, settings.count, settings.rows_per_block):
        yield block.rows.set_column(0, "row_id", block.ids)


def _finish(stage: Stage, counts: dict[str, Any]) -> dict[str, Any]:
    manifest = stage.finish({"counts": counts})
    remove_folder(stage.out / "work")
    print(
        f"inject: {counts['verified']} broken programs of {counts['rows']} injections kept, "
        f"written to {stage.out}"
    )
    print_reasons(counts["by_reason"])
    return manifest
