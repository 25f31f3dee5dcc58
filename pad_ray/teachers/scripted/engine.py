"""An offline stand-in for a teacher: varies a gold program and injects faults at stated rates."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from pad_ray.base.errors import ConfigError
from pad_ray.base.records import Completion, Problem
from pad_ray.teachers.base import Request
from pad_ray.teachers.prompts import Format
from pad_ray.teachers.scripted.edits import (
    add_forbidden_call,
    add_loop,
    break_syntax,
    change_number,
    change_operator,
    undefine_name,
    vary_program,
)
from pad_ray.teachers.scripted.texts import write_text

__all__ = ["DEFAULT_FAULTS", "ScriptedTeacher"]

DEFAULT_FAULTS: Final[Mapping[str, float]] = {
    "wrong_operator": 0.06,
    "wrong_number": 0.06,
    "undefined_name": 0.04,
    "syntax_error": 0.04,
    "endless_loop": 0.02,
    "forbidden_call": 0.02,
    "prose": 0.03,
    "no_code": 0.03,
}

FENCED_SHARE = 0.5

_EDITS: Final[Mapping[str, Callable[[str, random.Random], str]]] = {
    "wrong_operator": change_operator,
    "wrong_number": change_number,
    "undefined_name": undefine_name,
    "syntax_error": break_syntax,
    "endless_loop": add_loop,
    "forbidden_call": add_forbidden_call,
}
FAULTS: Final = (*_EDITS, "prose", "no_code")

_OPENINGS = (
    "Let's work through the problem step by step.",
    "Here is a Python program that solves it:",
    "Sure! I will write a function that returns the answer.",
)
_CLOSINGS = (
    "Calling solution() returns the answer.",
    "Each line follows one sentence of the question.",
    "I hope this helps!",
)
_REFUSALS = (
    "I am not sure how to turn this into a program.",
    "The answer follows directly from the question, so no code is needed.",
    "First add up what is given, then compare it with what is asked for.",
)


@dataclass(frozen=True)
class ScriptedTeacher:
    """A simulated teacher for generated tasks; no model is asked.

    `format` "cot" tells the gold program's steps in words (see `scripted_texts`).

    A sample is varied with probability `vary` and carries at most one of `faults` (name to rate).
    It depends on (`seed`, problem id, sample index) alone, not on how requests are batched. A
    wrong operator or number may by chance still give the right answer; "prose" wraps a right
    program in talk. Raises ConfigError on an unknown fault or a rate out of range.
    """

    seed: int
    faults: Mapping[str, float] = field(default_factory=lambda: dict(DEFAULT_FAULTS))
    vary: float = 0.3
    format: Format = "program"
    name: str = field(default="scripted (simulated)", init=False)

    def __post_init__(self) -> None:
        for fault, rate in self.faults.items():
            if fault not in FAULTS:
                raise ConfigError(f"faults: unknown fault {fault!r}; known: {', '.join(FAULTS)}")
            _check_share(f"faults.{fault}", rate)
        _check_share("faults in total", sum(self.faults.values()))
        _check_share("vary", self.vary)

    def check(self) -> None:
        """Do nothing: all that can be wrong was checked when the teacher was made."""

    def complete(self, requests: Sequence[Request]) -> list[list[Completion]]:
        """Write one completion for each sample index asked for."""
        return [[self._sample(r.problem, index) for index in r.sample_indices] for r in requests]

    def _sample(self, problem: Problem, index: int) -> Completion:
        key = f"{self.seed}|{problem.problem_id}|{index}".encode()
        rng = random.Random(hashlib.sha256(key).digest())
        fault = self._draw_fault(rng)
        try:
            return Completion(self._write(problem, fault, rng))
        except SyntaxError as error:
            name = f"problem {problem.problem_id} of task {problem.task!r}"
            return Completion(
                "", error=f"the scripted teacher needs a generated task: {name}: {error.msg}"
            )

    def _write(self, problem: Problem, fault: str | None, rng: random.Random) -> str:
        if problem.program is None:
            raise SyntaxError("no gold program")
        program = problem.program
        varied = rng.random() < self.vary
        if varied:
            program = vary_program(program, rng)
        if self.format == "cot":
            return write_text(program, fault, varied, rng)
        edit = _EDITS.get(fault) if fault else None
        return _wrap(edit(program, rng) if edit else program, fault, rng)

    def _draw_fault(self, rng: random.Random) -> str | None:
        point = rng.random()
        # Sorted, so that the order in which the faults were written down changes nothing.
        for fault in sorted(self.faults):
            point -= self.faults[fault]
            if point < 0:
                return fault
        return None


def _check_share(name: str, share: float) -> None:
    if not 0 <= share <= 1 + 1e-9:
        raise ConfigError(f"{name} is {share:g}: give a share between 0 and 1")


def _wrap(program: str, fault: str | None, rng: random.Random) -> str:
    if fault == "no_code":
        return rng.choice(_REFUSALS)
    text = f"```python\n{program}\n```" if rng.random() < FENCED_SHARE else program
    if fault != "prose":
        return text
    parts = [rng.choice(_OPENINGS), text, rng.choice(_CLOSINGS)]
    drop = rng.choice((None, 0, 2))
    return "\n\n".join(part for place, part in enumerate(parts) if place != drop)
