"""What a search handles: programs in writing, step by step, and how they were judged."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from pad_ray.programs.statements import Scan

_numbers = itertools.count()


@dataclass(frozen=True)
class Step:
    """One completed statement, with what rides along above it.

    `logprob` is the sum of its tokens' log-probabilities (nats), `tokens` their number; `scores`
    holds each scorer's verdict in [0, 1] on the program up to and with this step, `logit` what a
    head on the student's states says, where there is one.
    """

    code: str
    logprob: float
    tokens: int
    scores: Mapping[str, float] = field(default_factory=dict)
    logit: float | None = None


@dataclass(frozen=True, eq=False)
class Hypothesis:
    """A program as far as it is written: what follows `ids` may be written in many ways.

    `finished` says that it has returned, or the student has ended it; `truncated` that it ran out
    of tokens first. `number` is unique in this process; `parent` is that of the hypothesis that it
    grew from by its last `fresh` steps, -1 for an empty one. `source` are the tokens of its prompt,
    `room` those that the student's context has beside them (None: without a limit).
    """

    steps: tuple[Step, ...] = ()
    ids: tuple[int, ...] = ()
    scan: Scan = field(default_factory=Scan)
    finished: bool = False
    truncated: bool = False
    parent: int = -1
    fresh: int = 0
    source: tuple[int, ...] = ()
    room: int | None = None
    number: int = field(default_factory=lambda: next(_numbers))

    @property
    def text(self) -> str:
        """The program's text so far."""
        return "".join(step.code for step in self.steps)

    @property
    def logprob(self) -> float:
        """Sum of all tokens' log-probabilities, in nats."""
        return math.fsum(step.logprob for step in self.steps)

    @property
    def tokens(self) -> int:
        """Tokens that the student wrote for it, an end-of-sequence token included."""
        return sum(step.tokens for step in self.steps)
