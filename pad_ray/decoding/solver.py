"""Solving questions: a student, its scorers and a sandbox behind one call."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import torch

from pad_ray.base.config import validate
from pad_ray.base.errors import ConfigError, PadError
from pad_ray.decoding.engine import Engine
from pad_ray.decoding.scheduler import Job, Scheduler
from pad_ray.decoding.search import Trail
from pad_ray.decoding.settings import MODELLED, SCORERS, SearchSettings, check_text_search
from pad_ray.decoding.solution import Solution
from pad_ray.programs.extraction import extract_program
from pad_ray.sandbox import Limits, Outcome, OutcomeCache, Sandbox, Value
from pad_ray.students.models import (
    DTYPES,
    Student,
    load_student,
    longest_text,
    prompt_fits,
    tokenise_source,
)
from pad_ray.tasks.answers import stated_answer
from pad_ray.verifiers.base import StepScorer
from pad_ray.verifiers.loading import load_scorers
from pad_ray.verifiers.settings import ScorerSettings
from pad_ray.verifiers.states import StateScorer


class Solver:
    """A loaded student with scorers and a sandbox; close it, or use it with `with`.

    The sandbox is its own, of `limits` and `modules`, unless one is given. `scorers` are judges by
    the names of `Weights`, or where they come from. `max_rows` bounds the programs that are in
    writing at a time. Not thread-safe. Raises `ConfigError` for a scorer that has no weight.
    """

    def __init__(
        self,
        student: Student,
        limits: Limits | None = None,
        *,
        modules: Sequence[str] = (),
        scorers: Mapping[str, StepScorer] | ScorerSettings | None = None,
        max_rows: int = 64,
        sandbox: Sandbox | None = None,
    ) -> None:
        self.student = student
        given = ScorerSettings() if scorers is None else scorers
        if not isinstance(given, ScorerSettings):
            _check_names(given)
        self._owns_sandbox = sandbox is None
        self.sandbox = Sandbox(limits, modules=modules) if sandbox is None else sandbox
        self._outcomes = OutcomeCache(self.sandbox)
        try:
            if isinstance(given, ScorerSettings):
                given = load_scorers(given, self._outcomes, student.model.device)
            self.scorers = given
            self._max_rows = max_rows
            self.engine, self.scheduler = self._begun()
        except BaseException:
            self._close_sandbox()
            raise

    @classmethod
    def from_pretrained(
        cls,
        source: str | Path,
        *,
        limits: Limits | None = None,
        modules: Sequence[str] = (),
        scorers: ScorerSettings | None = None,
        precision: str = "fp32",
        device: str | torch.device | None = None,
        max_rows: int = 64,
        threads: int | None = None,
    ) -> Solver:
        """Load a student from a folder, hub id or GGUF file; `StudentError` if that fails.

        `precision` is fp32 or bf16, `ConfigError` for another. Without a `device` it is put on a
        GPU where there is one. `threads` is how many this process computes with on a CPU from then
        on; torch's own number, one a core, unless given.
        """
        if threads is not None:
            if threads < 1:
                raise ConfigError(f"threads: {threads} is less than 1")
            torch.set_num_threads(threads)
        if precision not in DTYPES:
            raise ConfigError(f"precision: '{precision}' is not one of {', '.join(DTYPES)}")
        student = load_student(source, dtype=DTYPES[precision])
        student.model.to(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        return cls(student, limits, modules=modules, scorers=scorers, max_rows=max_rows)

    def solve(
        self, question: str, *, settings: SearchSettings | None = None, **changes: Any
    ) -> Solution:
        """Answer one question; `changes` are fields of `SearchSettings`, such as `strategy`.

        Raises `ConfigError` for a question or settings that this student cannot serve.
        """
        job = self.submit(question, _changed(settings, changes))
        self._run()
        if job.error is not None:
            raise job.error
        return self.solution(job)

    def solve_batch(
        self,
        questions: Sequence[str],
        *,
        settings: SearchSettings | None = None,
        equal: Callable[[object, str], bool] | None = None,
        **changes: Any,
    ) -> list[Solution]:
        """Answer questions together; each answer is what `solve` gives for it alone.

        `equal` is a task's `answers_equal`, by which programs vote for the same answer. What is
        wrong with one question is its solution's `error`. Raises `ConfigError` for settings that
        this student cannot serve.
        """
        search = _changed(settings, changes)
        self._check(search)
        jobs: list[Job | ConfigError] = []
        for question in questions:
            try:
                jobs.append(self.submit(question, search, equal=equal))
            except ConfigError as error:
                jobs.append(error)
        self._run()
        return [
            _failed(question, search, job) if isinstance(job, ConfigError) else self.solution(job)
            for question, job in zip(questions, jobs, strict=True)
        ]

    def _run(self) -> None:
        try:
            self.scheduler.run()
        except BaseException:
            self.reset()
            raise

    def reset(self) -> None:
        """Forget all searches with their rows, after an error in the midst of them."""
        self.scheduler.close()
        self.engine, self.scheduler = self._begun()

    def _begun(self) -> tuple[Engine, Scheduler]:
        value = self.scorers.get("value")
        head = value.head if isinstance(value, StateScorer) else None
        engine = Engine(self.student, head=head, max_rows=self._max_rows)
        return engine, Scheduler(engine, self.scorers, self._outcomes)

    def submit(
        self,
        question: str,
        settings: SearchSettings,
        *,
        on_done: Callable[[Job], None] | None = None,
        deadline: float = math.inf,
        **hooks: Any,
    ) -> Job:
        """Queue a question with the scheduler; `hooks` are those of its trail.

        `deadline` (`time.monotonic`) counts the time in the queue. Raises `ConfigError` for a
        question or settings that this student cannot serve.
        """
        self._check(settings)
        source = self._source(question)
        trail = Trail(question, settings, self.student.card.writes_text, **hooks)
        return self.scheduler.submit(source, trail, on_done=on_done, deadline=deadline)

    def _check(self, settings: SearchSettings) -> None:
        if self.student.card.writes_text:
            check_text_search(settings)
        for name in settings.weights.scorers():
            if name in MODELLED and name not in self.scorers and _judges(settings):
                raise ConfigError(f"weights.{name}: needs scorers.{name}, which names its model")

    def _source(self, question: object) -> str:
        if not isinstance(question, str):
            raise ConfigError(f"question: is no text but {type(question).__name__}")
        if not question.strip():
            raise ConfigError("question: is empty")
        source = self.student.card.prompt(question)
        if not prompt_fits(self.student, source):
            tokens = self.prompt_tokens(question)
            verb = "read" if self.student.is_encoder_decoder else "read and write"
            raise ConfigError(
                f"question: is too long: {tokens} tokens with its prompt, and this student "
                f"can {verb} {longest_text(self.student)} in all"
            )
        return source

    def prompt_tokens(self, question: str) -> int:
        """Return how many tokens the student reads of a question, with its prompt."""
        source = self.student.card.prompt(question)
        encodes = self.student.is_encoder_decoder
        return len(tokenise_source(self.student.tokenizer, source, encodes))

    def solution(self, job: Job) -> Solution:
        """Return the solution of a search that is done."""
        trail, best = job.trail, job.trail.best
        if job.error is not None:
            return _failed(trail.question, trail.settings, job.error)
        text = "" if best is None else best.text
        outcome: Outcome | None = None
        program: str | None = None
        answer: Value = None
        if trail.is_answered and trail.reads_text:
            answer = stated_answer(text)
        elif trail.is_answered:
            program = extract_program(text)
            outcome = trail.outcome
            answer = outcome.value if outcome is not None and outcome.status == "ok" else None
        return Solution(
            trail.question,
            text,
            program,
            () if best is None else best.steps,
            outcome,
            answer,
            trail.settings.strategy,
            job.tokens,
            job.truncated or (best is not None and best.truncated),
            tuple(trail.nodes),
            dict(trail.notes),
            finished=trail.is_answered,
        )

    def close(self) -> None:
        """End the scheduler's thread, and the sandbox if it is its own."""
        self.scheduler.close()
        self._close_sandbox()

    def _close_sandbox(self) -> None:
        if self._owns_sandbox:
            self.sandbox.close()

    def __enter__(self) -> Solver:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def _check_names(scorers: Mapping[str, StepScorer]) -> None:
    for name in scorers:
        if name not in SCORERS:
            raise ConfigError(
                f"scorers: '{name}' has no weight; a judge of your own takes the place of one of "
                f"{', '.join(SCORERS)}"
            )


def _judges(settings: SearchSettings) -> bool:
    return settings.strategy in ("stepwise", "diverse", "vote", "auto")


def _changed(settings: SearchSettings | None, changes: Mapping[str, Any]) -> SearchSettings:
    search = settings or SearchSettings()
    return validate(SearchSettings, {**search.model_dump(), **changes}) if changes else search


def _failed(question: str, settings: SearchSettings, error: Exception) -> Solution:
    said = str(error) if isinstance(error, PadError) else f"{type(error).__name__}: {error}"
    return Solution(question, "", None, (), None, None, settings.strategy, error=said)
