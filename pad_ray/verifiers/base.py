"""What every step scorer is: question and program so far in, a score in [0, 1] out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Candidate:
    """Proposed steps: `before` is the program's text above them.

    `number` names the program with the steps, `parent` the one without them, `search` the search
    that they belong to, for scorers that go on from what they have read. `finished` says that the
    program ends with them; `forbid_negative` that its quantities are counts. `logits` are what a
    head on the student's states said at each step, where there is one.
    """

    search: int
    parent: int
    number: int
    question: str
    before: str
    steps: tuple[str, ...]
    finished: bool = False
    forbid_negative: bool = False
    logits: tuple[float, ...] = ()

    @property
    def program(self) -> str:
        """The program so far, with the steps."""
        return self.before + "".join(self.steps)


def calibrated(logit: float, scale: float, shift: float) -> float:
    """Return sigmoid(`scale` * logit + `shift`), the probability that the answer will be right."""
    return 1 / (1 + math.exp(-max(-50.0, min(50.0, scale * logit + shift))))


class StepScorer(Protocol):
    """Scores steps of many searches in one batch."""

    def score(self, candidates: Sequence[Candidate]) -> list[list[float]]:
        """Return a score in [0, 1] for each candidate's every step, independent of the others.

        Within a search, only the last call's candidates are gone on from.
        """
        ...

    def forget(self, search: int) -> None:
        """Let go of what is kept for a search that has ended."""
        ...
