"""Finished stage directories, made by the real stages in this process, without Ray."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pad_ray.base.config import Settings
from pad_ray.base.sandbox_settings import SandboxSettings
from pad_ray.flow.ledger import Ledger, Totals
from pad_ray.flow.stages import Stage, open_stage
from pad_ray.pipeline.report import StageResult
from pad_ray.synthesis import run as synthesis
from pad_ray.synthesis.generation import TeacherStage
from pad_ray.synthesis.judges import ProgramJudge
from pad_ray.synthesis.requests import request_tables
from pad_ray.synthesis.run import Round
from pad_ray.synthesis.settings import SynthesisSettings
from pad_ray.synthesis.teacher import make_teacher
from pad_ray.tasks import get_task
from pad_ray.teachers.base import NO_SCHEDULE, Teacher

QUICK = {"wall_s": 0.2, "cpu_s": 0.2}


@cache
def judge_of(task: str) -> ProgramJudge:
    return ProgramJudge(get_task(task), SandboxSettings(**QUICK))


def opened(out: Path, job: str, settings: Settings, inputs: dict[str, str] | None = None) -> Stage:
    stage = open_stage(out, job, settings, inputs)
    stage.begin()
    (out / "work").mkdir()
    return stage


def teacher_stage(teacher: Teacher, folder: Path) -> TeacherStage:
    """Return the stage that asks a teacher, with a ledger of its own."""
    return TeacherStage(teacher, NO_SCHEDULE, folder, Ledger())


def synthesised(out: Path, **changes: Any) -> StageResult:
    """Run the synthesis stages in this process, without Ray, into a finished directory."""
    settings = SynthesisSettings(
        **{"task": "arithmetic", "teacher": "scripted", "count": 12, "samples": 3}
        | {"sandbox": QUICK, "out": out}
        | changes
    )
    task, problems, repeated = settings.load()
    stage = opened(out, "synthesize", settings)
    write, judge = teacher_stage(make_teacher(settings, task), out), judge_of(task.name)
    judged = pa.concat_tables(
        judge(write(block)) for block in request_tables(problems, settings.samples, 64)
    )
    done = Round(out / "work/round-000", settings.samples, judged.num_rows, judged.num_rows)
    done.rows.mkdir(parents=True)
    pq.write_table(judged, done.rows / "rows.parquet")
    counts = {"problems": len(problems), "repeated_questions": repeated, "contaminated": 0}
    manifest = synthesis._finish(stage, [done], counts, settings, Totals())
    return StageResult(out, manifest)
