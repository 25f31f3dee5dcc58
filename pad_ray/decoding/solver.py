"""Solving questions: a student, its scorers and a sandbox behind one call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import torch

from pad_ray.base.config import validate
from pad_ray.base.errors import ConfigError
from pad_ray.decoding.engine import Engine
from pad_ray.decoding.hypothesis import Step
from pad_ray.decoding.scheduler import Job, Scheduler
from pad_ray.decoding.search import Node, Trail
from pad_ray.decoding.settings import MODELLED, SearchSettings, check_text_search
from pad_ray.programs.extraction import extract_program
from pad_ray.sandbox import Limits, Outcome, Sandbox, Value
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


@dataclass(frozen=True)
class Solution:
    """An answered question.

    text: what the student wrote; program: what could be read from it (None for a
        student of texts or where there is none).
    steps: its statements, each with log-probability (nats), tokens and scores.
    outcome: the sandbox's verdict; answer: the program's value, or what a text states.
    strategy, tokens: how it was searched, and the tokens that this took, dropped ones too.
    truncated: whether tokens or time ran out first.
    tree: all that was proposed, for strategies that choose; notes: what the strategy counted, such
        as the `attempts` of repair: each program with its outcome.
    """

    question: str
    text: str
    program: str | None
    steps: tuple[Step, ...]
    outcome: Outcome | None
    answer: Value
    strategy: str = "greedy"
    tokens: int = 0
    truncated: bool = False
    tree: tuple[Node, ...] = ()
    notes: Mapping[str, Any] = field(default_factory=dict)


class Solver:
    """A loaded student with scorers and a sandbox of its own; close it, or use it with `with`.

    `max_rows` bounds the programs that are in writing at a time. Not thread-safe.
    """

    def __init__(
        self,
        student: Student,
        limits: Limits | None = None,
        *,
        scorers: Mapping[str, StepScorer] | ScorerSettings | None = None,
        max_rows: int = 64,
    ) -> None:
        self.student = student
        self.sandbox = Sandbox(limits or Limits())
        try:
            given = ScorerSettings() if scorers is None else scorers
            if isinstance(given, ScorerSettings):
                given = load_scorers(given, self.sandbox, student.model.device)
            self.scorers = given
            self._max_rows = max_rows
            self.reset()
        except BaseException:
            self.sandbox.close()
            raise

    @classmethod
    def from_pretrained(
        cls,
        source: str | Path,
        *,
        limits: Limits | None = None,
        scorers: ScorerSettings | None = None,
        precision: str = "fp32",
        device: str | torch.device | None = None,
        max_rows: int = 64,
    ) -> Solver:
        """Load a student from a folder, hub id or GGUF file; `StudentError` if that fails."""
        student = load_student(source, dtype=DTYPES[precision])
        if device is not None:
            student.model.to(device)
        return cls(student, limits, scorers=scorers, max_rows=max_rows)

    def solve(
        self, question: str, *, settings: SearchSettings | None = None, **changes: Any
    ) -> Solution:
        """Answer one question; `changes` are fields of `SearchSettings`, such as `strategy`."""
        return self.solve_batch([question], settings=settings, **changes)[0]

    def solve_batch(
        self, questions: Sequence[str], *, settings: SearchSettings | None = None, **changes: Any
    ) -> list[Solution]:
        """Answer questions together; each answer is what `solve` gives for it alone."""
        search = settings or SearchSettings()
        if changes:
            search = validate(SearchSettings, {**search.model_dump(), **changes})
        jobs = [self.submit(question, search) for question in questions]
        try:
            self.scheduler.run()
        except BaseException:
            self.reset()
            raise
        return self.solutions(jobs)

    def reset(self) -> None:
        """Forget all searches with their rows, after an error in the midst of them."""
        value = self.scorers.get("value")
        head = value.head if isinstance(value, StateScorer) else None
        self.engine = Engine(self.student, head=head)
        self.scheduler = Scheduler(self.engine, self.scorers, self.sandbox, self._max_rows)

    def submit(self, question: str, settings: SearchSettings, **hooks: Any) -> Job:
        """Queue a question with the scheduler; `hooks` are those of its trail and `on_done`.

        Raises `ConfigError` for a question or settings that this student cannot serve.
        """
        source = self._source(question)
        if self.student.card.writes_text:
            check_text_search(settings)
        for name in settings.weights.scorers():
            if name in MODELLED and name not in self.scorers and _judges(settings):
                raise ConfigError(f"weights.{name}: needs scorers.{name}, which names its model")
        on_done = hooks.pop("on_done", None)
        trail = Trail(question, settings, self.student.card.writes_text, **hooks)
        return self.scheduler.submit(source, trail, on_done=on_done)

    def _source(self, question: str) -> str:
        if not question.strip():
            raise ConfigError("question: is empty")
        source = self.student.card.prompt(question)
        if not prompt_fits(self.student, source):
            tokens = len(tokenise_source(self.student.tokenizer, source, False))
            raise ConfigError(
                f"question: is too long: {tokens} tokens with its prompt, and this student "
                f"can read and write {longest_text(self.student)} in all"
            )
        return source

    def solutions(self, jobs: Sequence[Job]) -> list[Solution]:
        """Return the solutions of searches that are done; runs the programs that were not yet."""
        found = [job.trail.best for job in jobs]
        texts = ["" if best is None else best.text for best in found]
        if self.student.card.writes_text:
            return [
                _solution(job, text, None, None, stated_answer(text))
                for job, text in zip(jobs, texts, strict=True)
            ]
        programs = [extract_program(text) for text in texts]
        known = [job.trail.outcome for job in jobs]
        pending = [
            program
            for program, outcome in zip(programs, known, strict=True)
            if program is not None and outcome is None
        ]
        fresh = iter(self.sandbox.run(pending))
        outcomes = [
            next(fresh) if program is not None and outcome is None else outcome
            for program, outcome in zip(programs, known, strict=True)
        ]
        return [
            _solution(job, text, program, outcome, _value(outcome))
            for job, text, program, outcome in zip(jobs, texts, programs, outcomes, strict=True)
        ]

    def close(self) -> None:
        """End the sandbox's process."""
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


def _judges(settings: SearchSettings) -> bool:
    return settings.strategy in ("stepwise", "diverse", "vote", "auto")


def _value(outcome: Outcome | None) -> Value:
    return outcome.value if outcome is not None and outcome.status == "ok" else None


def _solution(
    job: Job, text: str, program: str | None, outcome: Outcome | None, answer: Value
) -> Solution:
    trail = job.trail
    best = trail.best
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
    )
