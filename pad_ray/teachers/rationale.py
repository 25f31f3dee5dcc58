"""The rationale teacher: programs from a data set's own worked solutions, no language model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pad_ray.errors import TeacherError
from pad_ray.records import Completion, Problem
from pad_ray.teachers.base import Request
from pad_ray.teachers.rationale_conversion import convert_rationale


@dataclass(frozen=True)
class RationaleTeacher:
    """Converts GSM8K-style rationales; a problem's every sample is the same program."""

    task: str

    @property
    def name(self) -> str:
        return "rationale"

    def check(self) -> None:
        if self.task != "gsm8k":
            raise TeacherError(
                f"teacher: 'rationale' reads gsm8k's worked solutions; task '{self.task}' has none"
            )

    def complete(self, requests: Sequence[Request]) -> list[list[Completion]]:
        return [[_convert(r.problem)] * len(r.sample_indices) for r in requests]


def _convert(problem: Problem) -> Completion:
    # The conversion reads the gold number for the chain of thought's last sentence alone.
    rationale = f"{problem.rationale or ''}\n#### {problem.answer}"
    conversion = convert_rationale(problem.question, rationale)
    return Completion(
        text=conversion.program or "",
        chain_of_thought=conversion.chain_of_thought,
        error=conversion.reason,
        notes={
            "linked_operands": conversion.linked,
            "ambiguous_links": conversion.ambiguous_links,
            "programs_with_ambiguous_links": int(conversion.ambiguous_links > 0),
        },
    )
