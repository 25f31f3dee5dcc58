"""Solving one question: decode, run the program, show its steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from pad_ray.answers import stated_answer
from pad_ray.decoding.strategies import get_strategy
from pad_ray.errors import ConfigError
from pad_ray.extraction import extract_program
from pad_ray.sandbox import Limits, Outcome, Sandbox, Value
from pad_ray.students import (
    Student,
    format_source,
    load_student,
    target_logprobs,
    tokenise_target,
)


@dataclass(frozen=True)
class Step:
    """One line that the student wrote, with the sum of its tokens' log-probabilities (nats)."""

    code: str
    logprob: float


@dataclass(frozen=True)
class Solution:
    """An answered question.

    `text` is what the student wrote; `program` what could be read from it (None for a
    chain-of-thought student or where there is none); `outcome` the sandbox's verdict; `answer`
    the program's value, or the answer that chain-of-thought text states.
    """

    question: str
    text: str
    program: str | None
    steps: tuple[Step, ...]
    outcome: Outcome | None
    answer: Value


class Solver:
    """A loaded student with a sandbox of its own; close it, or use it as a context manager."""

    def __init__(self, student: Student, limits: Limits | None = None) -> None:
        self.student = student
        self._sandbox = Sandbox(limits or Limits())

    @classmethod
    def from_pretrained(cls, source: str | Path, *, limits: Limits | None = None) -> Solver:
        """Load a student from a folder, hub id or GGUF file; `StudentError` if that fails."""
        return cls(load_student(source), limits)

    def solve(
        self, question: str, *, strategy: str = "greedy", max_new_tokens: int = 512
    ) -> Solution:
        """Answer one question."""
        return self.solve_batch([question], strategy=strategy, max_new_tokens=max_new_tokens)[0]

    def solve_batch(
        self, questions: Sequence[str], *, strategy: str = "greedy", max_new_tokens: int = 512
    ) -> list[Solution]:
        """Answer questions together; each answer is what `solve` gives for it alone."""
        if not all(question.strip() for question in questions):
            raise ConfigError("question: is empty")
        write = get_strategy(strategy)
        texts = write(self.student, questions, max_new_tokens=max_new_tokens)
        if self.student.card.format == "cot":
            return [
                Solution(q, text, None, self._steps(q, text), None, stated_answer(text))
                for q, text in zip(questions, texts, strict=True)
            ]
        programs = [extract_program(text) for text in texts]
        outcomes = iter(self._sandbox.run([p for p in programs if p is not None]))
        return [
            self._solution(q, text, program, next(outcomes) if program is not None else None)
            for q, text, program in zip(questions, texts, programs, strict=True)
        ]

    def _solution(
        self, question: str, text: str, program: str | None, outcome: Outcome | None
    ) -> Solution:
        answer = outcome.value if outcome is not None and outcome.status == "ok" else None
        return Solution(question, text, program, self._steps(question, text), outcome, answer)

    def _steps(self, question: str, text: str) -> tuple[Step, ...]:
        tokenizer = self.student.tokenizer
        ids = tokenise_target(tokenizer, text)
        source = format_source(question, self.student.card.format)
        logprobs = target_logprobs(self.student, source, ids)
        steps: list[Step] = []
        start = 0
        for end in range(1, len(ids) + 1):
            if end == len(ids) or "\n" in tokenizer.decode([ids[end]]):
                piece = tokenizer.decode(ids[start:end], skip_special_tokens=True)
                if piece.strip():
                    steps.append(Step(piece.strip("\n"), sum(logprobs[start:end])))
                start = end
        return tuple(steps)

    def close(self) -> None:
        """End the sandbox's process."""
        self._sandbox.close()

    def __enter__(self) -> Solver:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
