"""What comes of a question; apart from the solver, for who passes answers on and loads no model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from pad_ray.decoding.hypothesis import Step
from pad_ray.decoding.search import Node
from pad_ray.sandbox import Outcome, Value


@dataclass(frozen=True)
class Solution:
    """An answered question, a part of an answer, or why there is none.

    text: what the student wrote; program: what could be read from it (None for a student of
        texts, where there is none, and where the text is not finished).
    steps: its statements, each with log-probability (nats), tokens and scores.
    outcome: the sandbox's verdict; answer: the program's value, or what a text states.
    strategy, tokens: how it was searched, and the tokens that this took, dropped ones too.
    truncated: whether tokens, time or the student's context ran out before the search was done;
        its answer is the best of what was finished by then.
    tree: all that was proposed, for strategies that choose; notes: what the strategy counted, such
        as the `attempts` of repair, each program with its outcome, or that `stepwise` met a
        `dead_end`.
    error: why this question could not be searched; others are not affected.
    finished: whether the text is whole.
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
    error: str | None = None
    finished: bool = True

    @property
    def state(self) -> Literal["finished", "partial", "failed"]:
        """Whether there is a whole program (it may still have failed to run), or a part, or none.

        A part has no answer.
        """
        if self.error is not None:
            return "failed"
        return "finished" if self.finished else "partial"
