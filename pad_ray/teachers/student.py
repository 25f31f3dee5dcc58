"""A local model as a teacher: a student's samples, right and wrong, or those of a small LLM."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from pad_ray.base.config import resolve
from pad_ray.base.errors import TeacherError
from pad_ray.base.records import Completion
from pad_ray.decoding.engine import Engine
from pad_ray.decoding.growth import Grow
from pad_ray.decoding.hypothesis import Hypothesis
from pad_ray.decoding.scheduler import Scheduler
from pad_ray.decoding.search import Search, Trail
from pad_ray.decoding.settings import SearchSettings
from pad_ray.students.card import TargetFormat, few_shot_preamble
from pad_ray.students.models import DTYPES, Student, load_student, prompt_fits
from pad_ray.tasks.base import Exemplar
from pad_ray.teachers.base import Request
from pad_ray.teachers.prompts import Format, exemplars_of_round
from pad_ray.teachers.student_settings import StudentTeacherSettings


class StudentTeacher:
    """Samples from a student; the sample of an index does not depend on what else is asked."""

    def __init__(
        self,
        settings: StudentTeacherSettings,
        exemplars: Sequence[Exemplar],
        seed: int,
        format: Format = "program",
    ) -> None:
        local = Path(settings.path)
        self._source = str(resolve(local)) if local.exists() else settings.path
        self._settings = settings
        self._exemplars = tuple(exemplars)
        self._seed = seed
        self._format: TargetFormat = format

    @property
    def name(self) -> str:
        return f"student:{Path(self._source).name}@{self._settings.temperature:g}"

    def check(self) -> None:
        """Raise StudentError now if the student cannot be loaded, or writes another format."""
        self._load()

    def _load(self) -> Student:
        student = load_student(self._source, dtype=DTYPES[self._settings.precision])
        if student.card.format != self._format:
            raise TeacherError(
                f"student: {self._source} writes format '{student.card.format}', and the dataset "
                f"is of format '{self._format}'"
            )
        return student

    @cached_property
    def _scheduler(self) -> Scheduler:
        student = self._load()
        if torch.cuda.is_available():
            student.model.to("cuda")
        else:
            torch.set_num_threads(self._settings.threads)
        return Scheduler(Engine(student, max_rows=self._settings.max_rows), {}, None)

    def complete(self, requests: Sequence[Request]) -> list[list[Completion]]:
        """Return one completion a sample index; a question that is too long is an error."""
        scheduler = self._scheduler
        jobs = []
        for request in requests:
            source = self._prompt(request)
            settings = self._settings
            if request.temperature is not None:
                settings = settings.model_copy(update={"temperature": request.temperature})
            sampling = Sampling(settings, request.sample_indices, self._seed)
            trail = Trail(request.problem.question, sampling.size())
            job = None if source is None else scheduler.submit(source, trail, sampling)
            jobs.append((request, job))
        scheduler.run()
        return [
            [Completion("", error="too_long: the question is longer than the student can read")]
            * len(request.sample_indices)
            if job is None
            else [_completion(one) for one in job.trail.notes["programs"]]
            for request, job in jobs
        ]

    def _prompt(self, request: Request) -> str | None:
        student = self._scheduler.engine.student
        shown = exemplars_of_round(self._exemplars, self._settings.shots, request.round)
        # Worked examples are programs.
        shown = shown if self._format == "program" else ()
        examples = few_shot_preamble((one.question, one.program) for one in shown)
        source = examples + student.card.prompt(request.problem.question)
        return source if prompt_fits(student, source) else None


def _completion(written: Hypothesis) -> Completion:
    ended = "length" if written.truncated else "stop"
    return Completion(written.text, None, written.tokens, finish_reason=ended)


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
