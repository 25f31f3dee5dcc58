"""Self-consistency over executed programs, or over the answers that texts state: the answer that
most of them, or the most trusted, agree on (Wang et al., arXiv 2203.11171; weighted by verifiers
as in Li et al., 2206.02336)."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from pad_ray.decoding.hypothesis import Hypothesis
from pad_ray.decoding.search import (
    OUT_OF_TOKENS,
    Part,
    Run,
    Search,
    Trail,
    Verify,
    grow,
    rank,
    sources,
)
from pad_ray.decoding.settings import READERS
from pad_ray.programs.extraction import extract_program
from pad_ray.sandbox import Outcome
from pad_ray.tasks.answers import agreed, stated_answer
from pad_ray.tasks.base import Task

_CUT = Outcome("invalid", error_type="Truncated", message="its tokens or its time ran out")
_UNREADABLE = Outcome("invalid", error_type="NoProgram", message="no program can be read")
# What speaks of a program as a whole; the others compare programs that are still written.
_VOTING = ("value", "grounding")


def vote_weight(said: Mapping[str, float], weights: Mapping[str, float]) -> float:
    """Return what a program's vote counts, by the logarithms that the sources say of it."""
    return math.exp(sum(weights.get(name, 0.0) * said.get(name, 0.0) for name in _VOTING))


def most_voted(votes: Iterable[tuple[str | None, float]]) -> str | None:
    """Return the answer of the most votes, on a tie the first; None where nothing answers."""
    total: defaultdict[str, float] = defaultdict(float)
    for answer, vote in votes:
        if answer is not None:
            total[answer] += vote
    return max(total, key=total.__getitem__) if total else None


@dataclass
class Ballot:
    """The programs so far, by the answer that they return.

    Answers are one where the task's own check says so, or else the grammar's (`answers.agreed`).
    """

    trail: Trail
    programs: dict[str, list[tuple[Hypothesis, Outcome]]] = field(default_factory=dict)
    failed: list[tuple[Hypothesis, Outcome]] = field(default_factory=list)
    samples: list[dict[str, Any]] = field(default_factory=list)
    _answered: list[tuple[Hypothesis, Outcome, dict[str, Any]]] = field(default_factory=list)

    def add(self, programs: Sequence[Hypothesis], outcomes: Sequence[Outcome]) -> None:
        """Count programs that were run."""
        for program, outcome in zip(programs, outcomes, strict=True):
            sample = {
                "answer": None,
                "vote": self._vote(program),
                "rank": rank(program, self.trail.settings.weights),
                "sources": sources(program),
                "tokens": program.tokens,
            }
            self.samples.append(sample)
            if outcome.status == "ok" and outcome.value is not None:
                self._answered.append((program, outcome, sample))
            else:
                self.failed.append((program, outcome))
        self._count()

    def _count(self) -> None:
        # Anew each time: an answer may be one with two that were apart.
        values = [outcome.value for _, outcome, _ in self._answered]
        self.programs = {}
        for key, (program, outcome, sample) in zip(
            agreed(values, self.trail.equal), self._answered, strict=True
        ):
            sample["answer"] = key
            self.programs.setdefault(key, []).append((program, outcome))

    def weight(self, key: str) -> float:
        """Return the votes for an answer: programs, or the sum of what verifiers say of them."""
        return sum(self._vote(program) for program, _ in self.programs[key])

    def _vote(self, program: Hypothesis) -> float:
        return vote_weight(sources(program), self.trail.settings.weights.model_dump())

    def share(self) -> float:
        """Return the winner's share of all votes, those of programs that failed among them."""
        if not self.programs:
            return 0.0
        weights = [self.weight(key) for key in self.programs]
        failed = sum(self._vote(program) for program, _ in self.failed)
        return max(weights) / (sum(weights) + failed or 1.0)

    def offer(self) -> None:
        """Offer the best program of the answer that wins."""
        self.trail.notes["samples"] = self.samples
        if not self.programs:
            if self.failed:
                self.trail.offer(*min(self.failed, key=lambda pair: pair[0].truncated))
            return
        # On a tie the answer that was found first wins.
        winner = max(self.programs, key=self.weight)
        by = self.trail.settings.weights
        # A task may take 18 and not "$18", so that the answer is spelled as most votes have it.
        spelled: defaultdict[str, float] = defaultdict(float)
        for program, outcome in self.programs[winner]:
            spelled[repr(outcome.value)] += self._vote(program)
        spelling = max(spelled, key=spelled.__getitem__)
        pairs = [pair for pair in self.programs[winner] if repr(pair[1].value) == spelling]
        # Of equal texts the first: their ranks differ by how sums were rounded, if at all.
        first = {pair[0].text: pair for pair in reversed(pairs)}
        self.trail.offer(*max(reversed(first.values()), key=lambda pair: rank(pair[0], by)))
        self.trail.notes["votes"] = {key: round(self.weight(key), 4) for key in self.programs}

    def note(self, root: Hypothesis, programs: Sequence[Hypothesis]) -> None:
        """Record the programs in the trail."""
        failed = {program.number: outcome for program, outcome in self.failed}
        fates = [
            OUT_OF_TOKENS
            if program.truncated
            else f"failed: {failed[program.number].status}"
            if program.number in failed
            else "outvoted"
            for program in programs
        ]
        self.trail.note(root, programs, fates, keep_best=True)


def vote(trail: Trail, root: Hypothesis) -> Search:
    """Sample `n` programs, run them, and take the answer with the most votes."""
    ballot = Ballot(trail)
    yield from sample_votes(trail, root, ballot, trail.settings.n, "vote")


def sample_votes(
    trail: Trail, root: Hypothesis, ballot: Ballot, count: int, stream: str, keep: bool = False
) -> Search:
    """Sample programs, run and judge them, and count them; offers the winner so far.

    `keep` says that there will be more samples.
    """
    settings = trail.settings
    (programs,) = yield grow(
        settings,
        [root],
        count,
        whole=True,
        temperature=settings.temperature,
        stream=f"{stream}/{trail.question}",
        keep=[root] if keep else [],
    )
    if not programs:
        return
    programs = yield from judged(trail, programs)
    outcomes = yield from run(trail, programs)
    ballot.add(programs, outcomes)
    ballot.offer()
    ballot.note(root, programs)


def judged(trail: Trail, programs: Sequence[Hypothesis]) -> Part[Sequence[Hypothesis]]:
    """Have whole programs judged where a weight asks for it; return them."""
    if any(getattr(trail.settings.weights, name) for name in READERS):
        programs = yield Verify(tuple(programs))
    return programs


def run(trail: Trail, programs: Sequence[Hypothesis]) -> Part[list[Outcome]]:
    """Run what can be read as a program, or read the answer of a text; return an outcome each."""
    if trail.reads_text:
        return [_CUT if text.truncated else _read(text) for text in programs]
    texts = [None if one.truncated else extract_program(one.text) for one in programs]
    outcomes = iter((yield Run(tuple(text for text in texts if text is not None))))
    missing = [_CUT if one.truncated else _UNREADABLE for one in programs]
    return [
        fault if text is None else next(outcomes)
        for text, fault in zip(texts, missing, strict=True)
    ]


def _read(text: Hypothesis) -> Outcome:
    answer = stated_answer(text.text)
    if answer is None:
        return Outcome("invalid", error_type="NoAnswer", message="the text states no answer")
    return Outcome("ok", value=answer)


def is_gold(task: Task, key: str | None, gold: str) -> bool:
    """Tell whether an answer's key is that of the gold answer, by the task's own check."""
    if key is None:
        return False
    readings: list[Any] = [key]
    with suppress(ValueError, RecursionError):
        readings.append(json.loads(key))
    for reading in readings:
        # A check that fails over a value is told when that value is judged.
        with suppress(Exception):
            if task.is_right(reading, gold):
                return True
    return False
