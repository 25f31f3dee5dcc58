"""The rationale teacher: programs from a data set's own worked solutions, no language model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pad_ray.base.errors import TeacherError
from pad_ray.base.records import Completion, Problem
from pad_ray.tasks.answers import answer_sentence
from pad_ray.tasks.quantities.text import read_marks
from pad_ray.teachers.base import Request
from pad_ray.teachers.prompts import Format
from pad_ray.teachers.rationale.conversion import convert_rationale


@dataclass(frozen=True)
class RationaleTeacher:
    """Converts GSM8K-style rationales; a problem's every sample is the same.

    `format` "cot" takes the worked solution as it is, ending in the sentence that states the
    answer. `keep_marks` keeps the calculator marks (`<<48/2=24>>`) in it.
    """

    task: str
    format: Format = "program"
    keep_marks: bool = False

    @property
    def name(self) -> str:
        return "rationale"

    def check(self) -> None:
        if self.task != "gsm8k":
            raise TeacherError(
                f"teacher: 'rationale' reads gsm8k's worked solutions; task '{self.task}' has none"
            )

    def complete(self, requests: Sequence[Request]) -> list[list[Completion]]:
        write = self._text if self.format == "cot" else self._program
        return [[write(r.problem)] * len(r.sample_indices) for r in requests]

    def _text(self, problem: Problem) -> Completion:
        if not problem.rationale:
            return Completion("", error="the problem has no worked solution")
        return Completion(self._thought(problem))

    def _program(self, problem: Problem) -> Completion:
        # The conversion reads the gold number for the chain of thought's last sentence alone.
        rationale = f"{problem.rationale or ''}\n#### {problem.answer}"
        conversion = convert_rationale(problem.question, rationale)
        return Completion(
            text=conversion.program or "",
            chain_of_thought=self._thought(problem),
            error=conversion.reason,
            notes={
                "linked_operands": conversion.linked,
                "ambiguous_links": conversion.ambiguous_links,
                "programs_with_ambiguous_links": int(conversion.ambiguous_links > 0),
            },
        )

    def _thought(self, problem: Problem) -> str:
        rationale = problem.rationale or ""
        text = rationale if self.keep_marks else read_marks(rationale)[0]
        return f"{text.partition('####')[0].strip()}\n{answer_sentence(problem.answer)}".strip()
