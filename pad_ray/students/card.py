"""What a student reads and writes, in training and at inference, and the card that says so."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pad_ray.base.errors import ConfigError, StudentError
from pad_ray.tasks import Task

# What a student writes: a program, a chain of thought that ends in the answer, or that alone.
TargetFormat = Literal["program", "cot", "answer"]


TEXT_FORMATS: frozenset[str] = frozenset({"cot", "answer"})


CARD_FILE = "pad_ray_student.json"


_SOURCES: dict[TargetFormat, str] = {
    "program": "Question: {question}\nProgram:\n",
    "cot": "Question: {question}\nAnswer:\n",
    "answer": "Question: {question}\nFinal answer:\n",
}


_LONGEST_VALUE = 60


@dataclass(frozen=True)
class StudentCard:
    """What a saved student was trained to write, kept beside its weights.

    `preamble` is text that every prompt begins with: worked examples, for a student that was not
    fine-tuned.
    """

    format: TargetFormat
    origin: str
    preamble: str = ""

    @property
    def writes_text(self) -> bool:
        """Whether what it writes is read for a stated answer, not run."""
        return self.format in TEXT_FORMATS

    def prompt(self, question: str) -> str:
        """Return all that the student reads of a question, in training and at inference."""
        return self.preamble + format_source(question, self.format)


def format_source(question: str, target_format: TargetFormat) -> str:
    """Return what the student reads; the same text in training and at inference."""
    return _SOURCES[target_format].format(question=question.strip())


def question_in(source: str) -> str:
    """Return the question of what `format_source` made of it for a program."""
    return source.removeprefix("Question: ").removesuffix("\nProgram:\n")


def format_repair(question: str, program: str, error: str) -> str:
    """Return what a student reads that is to repair its program."""
    source = format_source(question, "program").removesuffix("Program:\n")
    return f"{source}Broken program:\n{program.strip()}\nError: {error}\nProgram:\n"


def format_plan(question: str) -> str:
    """Return what a student reads that is to name the sub-questions of a question."""
    return format_source(question, "program").removesuffix("Program:\n") + "Plan:\n"


def format_part(question: str, known: Sequence[str], name: str) -> str:
    """Return what a student reads that is to find one quantity; `known` are found before it."""
    source = format_source(question, "program").removesuffix("Program:\n")
    return f"{source}Known: {', '.join(known) or 'nothing'}\nFind: {name}\nProgram:\n"


def describe_error(
    status: str, error_type: str | None, error_line: int | None, message: str | None, value: str
) -> str:
    """Return what went wrong with a program as a repair prompt shows it.

    The fields are an `Outcome`'s, `value` its value as JSON: a program that runs is wrong by it.
    """
    if status == "ok":
        return f"WrongAnswer: returned {value[:_LONGEST_VALUE]}"
    line = f" (line {error_line})" if error_line else ""
    return f"{error_type or status}: {message or status}{line}"


def few_shot_preamble(exemplars: Iterable[tuple[str, str]]) -> str:
    """Return worked (question, program) examples as the text before a prompt."""
    return "".join(
        f"{format_source(question, 'program')}{program.strip()}\n\n"
        for question, program in exemplars
    )


def read_card(folder: Path, origin: str) -> StudentCard:
    """Return the card saved in a folder; a student without one is asked for programs."""
    file = folder / CARD_FILE
    if not file.is_file():
        return StudentCard("program", origin)
    try:
        card = StudentCard(**json.loads(file.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise StudentError(f"student: {file}: is not a student's card: {error}") from error
    if card.format not in _SOURCES:
        raise StudentError(f"student: {file}: unknown format '{card.format}'")
    return card


def worked_examples(task: Task, few_shot: int) -> str:
    """Return the text that shows a student so many of a task's examples before each question.

    Raises `ConfigError` where the task has fewer.
    """
    shown = task.exemplars[:few_shot]
    if len(shown) < few_shot:
        raise ConfigError(f"few_shot: {task.name} has {len(shown)} worked examples")
    return few_shot_preamble((e.question, e.program) for e in shown)
