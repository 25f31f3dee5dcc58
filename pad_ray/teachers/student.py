"""A student as a teacher: samples of its own, right and wrong, for verifiers and repair."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import Field

from pad_ray.config import Settings, resolve
from pad_ray.decoding.engine import Engine, Grow
from pad_ray.decoding.hypothesis import Hypothesis
from pad_ray.decoding.scheduler import Scheduler
from pad_ray.decoding.search import Search, Trail
from pad_ray.decoding.settings import SearchSettings
from pad_ray.errors import TeacherError
from pad_ray.records import Completion
from pad_ray.students import (
    DTYPES,
    format_source,
    load_student,
    longest_text,
    tokenise_source,
)
from pad_ray.teachers.base import Request


class StudentTeacherSettings(Settings):
    """Which student writes samples, and how."""

    path: str
    """Student folder, hub id or .gguf file."""
    temperature: float = Field(0.7, ge=0, le=5)
    """Of sampling; 0 takes the likeliest token."""
    max_new_tokens: int = Field(512, ge=1)
    """Longest program, in tokens."""
    precision: Literal["fp32", "bf16"] = "fp32"
    """Number format of the weights."""
    threads: int = Field(1, ge=1)
    """Threads a CPU actor computes with."""
    gpus: float = Field(0.0, ge=0)
    """GPUs that each actor reserves."""
    max_rows: int = Field(64, ge=1)
    """Programs in writing at a time."""


class StudentTeacher:
    """Samples from a student; the sample of an index does not depend on what else is asked."""

    def __init__(self, settings: StudentTeacherSettings, seed: int) -> None:
        local = Path(settings.path)
        self._source = str(resolve(local)) if local.exists() else settings.path
        self._settings = settings
        self._seed = seed

    @property
    def name(self) -> str:
        return f"student:{Path(self._source).name}@{self._settings.temperature:g}"

    def check(self) -> None:
        """Raise StudentError now if the student cannot be loaded."""
        load_student(self._source)

    @cached_property
    def _scheduler(self) -> Scheduler:
        student = load_student(self._source, dtype=DTYPES[self._settings.precision])
        if student.card.format != "program":
            raise TeacherError(f"student: {self._source} writes no programs")
        if torch.cuda.is_available():
            student.model.to("cuda")
        else:
            torch.set_num_threads(self._settings.threads)
        return Scheduler(Engine(student), {}, None, self._settings.max_rows)

    def complete(self, requests: Sequence[Request]) -> list[list[Completion]]:
        """Return one completion a sample index; a question that is too long is an error."""
        scheduler = self._scheduler
        jobs = []
        for request in requests:
            source = self._prompt(request.problem.question)
            sampling = Sampling(self._settings, request.sample_indices, self._seed)
            trail = Trail(request.problem.question, sampling.size())
            job = None if source is None else scheduler.submit(source, trail, sampling)
            jobs.append((request, job))
        scheduler.run()
        return [
            [Completion("", error="the question is too long for the student")]
            * len(request.sample_indices)
            if job is None
            else [Completion(h.text, None, h.tokens) for h in job.trail.notes["programs"]]
            for request, job in jobs
        ]

    def _prompt(self, question: str) -> str | None:
        student = self._scheduler.engine.student
        source = student.card.preamble + format_source(question, "program")
        limit = longest_text(student)
        tokens = len(tokenise_source(student.tokenizer, source, student.is_encoder_decoder))
        return None if limit is not None and tokens + 16 > limit else source


class Sampling:
    """The search of a `StudentTeacher`: programs by sample index, nothing judged."""

    def __init__(self, settings: StudentTeacherSettings, indices: Sequence[int], seed: int) -> None:
        self._settings = settings
        self._indices = tuple(indices)
        self._seed = seed

    def size(self) -> SearchSettings:
        """Return settings by which the scheduler knows how many rows this takes."""
        return SearchSettings(strategy="vote", n=len(self._indices))

    def __call__(self, trail: Trail, root: Hypothesis) -> Search:
        answer: Any = yield Grow(
            (root,),
            len(self._indices),
            True,
            self._settings.temperature,
            self._settings.max_new_tokens,
            seed=f"{self._seed}/{trail.question}",
            ways=self._indices,
        )
        trail.notes["programs"] = answer[0]
