"""Data synthesis: problems → teacher → sandbox → verified and rejected rows, on Ray Data."""

from __future__ import annotations

import json
import os
import shutil
from collections import Counter
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pads
import pyarrow.parquet as pq
from pydantic import Field, model_validator

from pad_ray.config import resolve
from pad_ray.errors import ConfigError
from pad_ray.judging import ProgramJudge, SandboxSettings
from pad_ray.problems import COMPLETED_SCHEMA, ProblemSettings, request_tables
from pad_ray.records import PROBLEM_SCHEMA, Completion, Problem
from pad_ray.rowflow import ActorStage, run_rows
from pad_ray.stages import Stage, file_fingerprint, open_stage
from pad_ray.tasks import Task
from pad_ray.teachers import (
    EndpointSettings,
    EndpointTeacher,
    RationaleTeacher,
    RecordedTeacher,
    Request,
    ScriptedTeacher,
    StudentTeacher,
    StudentTeacherSettings,
    Teacher,
)
from pad_ray.teachers.scripted import DEFAULT_FAULTS

_ROWS_PER_FILE = 1_000_000


class SynthesisRun(ProblemSettings):
    """Which teacher writes programs for which problems."""

    runtime_fields: ClassVar[frozenset[str]] = frozenset(
        {"out", "problems", "teacher_actors", "sandbox_actors", "rows_per_block"}
    )

    teacher: Literal["scripted", "rationale", "endpoint", "recorded", "student"]
    """Engine that writes the programs; `scripted` is simulated."""
    samples: int = Field(1, ge=1)
    """Programs asked for a problem."""
    endpoint: EndpointSettings | None = None
    """Settings of the endpoint teacher."""
    student: StudentTeacherSettings | None = None
    """Settings of the student teacher, which samples from a trained student."""
    completions: Path | None = None
    """File that the recorded teacher replays."""
    faults: dict[str, float] = Field(default_factory=lambda: dict(DEFAULT_FAULTS))
    """Scripted teacher: rate of each injected fault."""
    vary: float = Field(0.3, ge=0, le=1)
    """Scripted teacher: share of samples whose program differs from the gold one."""
    sandbox: SandboxSettings = SandboxSettings()
    """Limits of one program's run."""
    teacher_actors: int = Field(1, ge=1)
    """Actors that ask the teacher."""
    sandbox_actors: int = Field(1, ge=1)
    """Actors that run programs."""
    rows_per_block: int = Field(256, ge=1)
    """Rows an interruption costs at most, per running task."""

    @model_validator(mode="after")
    def _teacher_has_its_settings(self) -> Self:
        if self.teacher == "endpoint" and self.endpoint is None:
            raise ValueError("endpoint: teacher 'endpoint' needs --endpoint.base_url and .model")
        if self.teacher == "student" and self.student is None:
            raise ValueError("student: teacher 'student' needs --student.path")
        if self.teacher == "recorded" and self.completions is None:
            raise ValueError("completions: teacher 'recorded' needs a file")
        if self.samples > 1 and self.teacher == "rationale":
            raise ValueError("samples: teacher 'rationale' writes one program a problem")
        return self

    def inputs(self) -> dict[str, str]:
        inputs = super().inputs()
        if self.completions is not None:
            inputs["completions"] = file_fingerprint(self.completions)
        return inputs


class SynthesisSettings(SynthesisRun):
    """Make a verified dataset: a teacher writes programs, the sandbox runs them."""

    out: Path
    """Directory for verified/, rejected/ and manifest.json."""


def make_teacher(settings: SynthesisRun, task: Task) -> Teacher:
    """Return the engine that the settings name."""
    match settings.teacher:
        case "scripted":
            if task.generate is None:
                raise ConfigError(
                    f"teacher: 'scripted' needs gold programs; task '{task.name}' has none"
                )
            return ScriptedTeacher(settings.seed, settings.faults, settings.vary)
        case "rationale":
            return RationaleTeacher(task.name)
        case "endpoint":
            assert settings.endpoint is not None
            return EndpointTeacher(settings.endpoint, task.exemplars, settings.seed)
        case "student":
            assert settings.student is not None
            return StudentTeacher(settings.student, settings.seed)
        case "recorded":
            assert settings.completions is not None
            return RecordedTeacher(resolve(settings.completions))


class TeacherStage:
    """Ray Data stage: request rows in, the same rows with completions out."""

    def __init__(self, teacher: Teacher) -> None:
        self._teacher = teacher

    def __call__(self, batch: pa.Table) -> pa.Table:
        rows = batch.to_pylist()
        wanted: dict[str, list[dict[str, Any]]] = {}
        for row in rows:
            wanted.setdefault(row["problem_id"], []).append(row)
        requests = [
            Request(_problem(group[0]), tuple(row["sample_index"] for row in group))
            for group in wanted.values()
        ]
        answers = self._teacher.complete(requests)
        for group, completions in zip(wanted.values(), answers, strict=True):
            for row, completion in zip(group, completions, strict=True):
                self._record(row, completion)
        return pa.Table.from_pylist(rows, schema=COMPLETED_SCHEMA)

    def _record(self, row: dict[str, Any], completion: Completion) -> None:
        row.update(
            teacher=self._teacher.name,
            completion=completion.text,
            chain_of_thought=completion.chain_of_thought,
            prompt_tokens=completion.prompt_tokens,
            completion_tokens=completion.completion_tokens,
            teacher_notes=json.dumps(completion.notes) if completion.notes else None,
            error=completion.error,
        )


def _problem(row: dict[str, Any]) -> Problem:
    return Problem(**{name: row[name] for name in PROBLEM_SCHEMA.names})


def synthesize(settings: SynthesisSettings) -> dict[str, Any]:
    """Make the dataset in `settings.out` and return its manifest.

    A finished directory with the same settings is returned as it is; an interrupted one goes on
    with the rows that are missing.
    """
    out = resolve(settings.out)
    task, problems, repeated = settings.load()
    stage = open_stage(out, "synthesize", settings, settings.inputs())
    if stage.complete is not None:
        print(f"synthesize: {out} is complete; nothing to do")
        return stage.complete
    teacher = make_teacher(settings, task)
    teacher.check()
    stage.begin()
    print(
        f"synthesize: {len(problems)} problems x {settings.samples} samples, teacher {teacher.name}"
    )
    requests = request_tables(problems, settings.samples, settings.rows_per_block)
    judged = run_rows(requests, _stages(teacher, task, settings), out / "work", "synthesize")
    return _finish(stage, judged, problems, repeated, settings)


def _stages(teacher: Teacher, task: Task, settings: SynthesisSettings) -> list[ActorStage]:
    # The task itself travels, not its name: workers may lack the file that defines it.
    judge = {"task": task, "sandbox": settings.sandbox}
    block = max(settings.rows_per_block, settings.samples)
    return [
        ActorStage(
            TeacherStage,
            {"teacher": teacher},
            settings.teacher_actors,
            block,
            cpus=0.5,
            gpus=0.0 if settings.student is None else settings.student.gpus,
        ),
        ActorStage(ProgramJudge, judge, settings.sandbox_actors, block),
    ]


def _finish(
    stage: Stage,
    judged: pads.Dataset,
    problems: list[Problem],
    repeated: int,
    settings: SynthesisSettings,
) -> dict[str, Any]:
    table = mark_duplicates(judged.to_table().sort_by("row_id"))
    kept = table.filter(pc.field("reason").is_null())
    rejected = table.filter(pc.field("reason").is_valid())
    _write_rows(kept, stage.out / "verified")
    _write_rows(rejected, stage.out / "rejected")
    counts = {
        "problems": len(problems),
        "samples_per_problem": settings.samples,
        "rows": table.num_rows,
        "verified": kept.num_rows,
        "rejected": rejected.num_rows,
        "solved_problems": pc.count_distinct(kept["problem_id"]).as_py(),
        "repeated_questions": repeated,
        "by_reason": _counts(rejected["reason"]),
        "errors_by_type": _counts(rejected["error_type"].drop_null()),
        "teacher_errors": _counts(
            rejected.filter(pc.field("reason") == "teacher_error")["message"]
        ),
        "teacher_notes": _sum_notes(table["teacher_notes"]),
    }
    tokens = {
        name: pc.sum(table[name]).as_py() or 0 for name in ("prompt_tokens", "completion_tokens")
    }
    manifest = stage.finish({"counts": counts, "tokens": tokens, "teacher": _teacher_name(table)})
    shutil.rmtree(stage.out / "work")
    print_counts(manifest, stage.out)
    return manifest


def mark_duplicates(table: pa.Table) -> pa.Table:
    """Give reason `duplicate` to verified rows whose program the same problem has already.

    The first by sample index is kept; programs are equal when their `program_key`s are.
    """
    index = pa.array(range(table.num_rows))
    verified = table.append_column("position", index).filter(pc.field("reason").is_null())
    firsts = verified.group_by(["problem_id", "program_key"]).aggregate([("position", "min")])
    is_first = pc.is_in(index, value_set=firsts["position_min"].combine_chunks())
    repeats = pc.and_(pc.is_null(table["reason"]), pc.invert(is_first))
    reason = pc.if_else(repeats, "duplicate", table["reason"])
    return table.set_column(table.schema.get_field_index("reason"), "reason", reason)


def _write_rows(table: pa.Table, folder: Path) -> None:
    partial = folder.with_name(f".{folder.name}.{os.getpid()}.partial")
    shutil.rmtree(folder, ignore_errors=True)
    partial.mkdir()
    for index, start in enumerate(range(0, max(1, table.num_rows), _ROWS_PER_FILE)):
        part = table.slice(start, _ROWS_PER_FILE)
        pq.write_table(part, partial / f"part-{index:05d}.parquet")
    partial.rename(folder)


def _counts(column: pa.ChunkedArray) -> dict[str, int]:
    return dict(Counter(column.to_pylist()).most_common())


def _sum_notes(column: pa.ChunkedArray) -> dict[str, int]:
    total: Counter[str] = Counter()
    for notes in column.drop_null().to_pylist():
        total.update(json.loads(notes))
    return dict(total)


def _teacher_name(table: pa.Table) -> str:
    return str(table["teacher"][0].as_py())


def print_counts(manifest: dict[str, Any], out: Path) -> None:
    """Print a synthesis directory's funnel, a line a reason."""
    counts = manifest["counts"]
    print(
        f"synthesize: kept {counts['verified']} of {counts['rows']} samples, "
        f"{counts['solved_problems']} of {counts['problems']} problems solved; written to {out}"
    )
    for reason, count in counts["by_reason"].items():
        print(f"  {reason:<14}{count}")
