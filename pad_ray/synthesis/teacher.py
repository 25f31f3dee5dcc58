"""A teacher as a synthesis asks for it."""

from __future__ import annotations

import random

from pad_ray.base.errors import ConfigError
from pad_ray.base.storage import locate_all
from pad_ray.synthesis.settings import SynthesisRun
from pad_ray.tasks import Task
from pad_ray.teachers.base import Teacher
from pad_ray.teachers.endpoint.engine import EndpointTeacher
from pad_ray.teachers.prompts import PROMPTS
from pad_ray.teachers.rationale.engine import RationaleTeacher
from pad_ray.teachers.recorded.engine import RecordedTeacher
from pad_ray.teachers.scripted.engine import ScriptedTeacher
from pad_ray.teachers.scripted.telling import tell
from pad_ray.teachers.vllm import VLLMTeacher


def make_teacher(settings: SynthesisRun, task: Task) -> Teacher | VLLMTeacher:
    """Return the engine that the settings name."""
    match settings.teacher:
        case "scripted":
            if task.generate is None:
                raise ConfigError(
                    f"teacher: 'scripted' needs gold programs; task '{task.name}' has none"
                )
            if settings.format == "cot":
                _check_told(task)
            return ScriptedTeacher(settings.seed, settings.faults, settings.vary, settings.format)
        case "rationale":
            keep = settings.calculator_marks == "keep"
            return RationaleTeacher(task.name, settings.format, keep)
        case "endpoint":
            assert settings.endpoint is not None
            return EndpointTeacher(
                settings.endpoint, task.exemplars, settings.seed, prompt=PROMPTS[settings.format]
            )
        case "student":
            assert settings.student is not None
            from pad_ray.teachers.student import StudentTeacher

            return StudentTeacher(settings.student, task.exemplars, settings.seed, settings.format)
        case "recorded":
            assert settings.completions is not None
            return RecordedTeacher(tuple(locate_all(settings.completions)))
        case "vllm":
            assert settings.vllm is not None
            return VLLMTeacher(
                settings.vllm, task, settings.seed, settings.schedule, PROMPTS[settings.format]
            )


def _check_told(task: Task) -> None:
    assert task.generate is not None
    first = next(iter(task.generate(1, "train", 0, None)))
    try:
        tell(first.program or "", random.Random(0))
    except SyntaxError:
        raise ConfigError(
            f"format: 'scripted' has no words for the programs of task '{task.name}'; it tells "
            "straight-line ones of numbers and letters, such as arithmetic's"
        ) from None
