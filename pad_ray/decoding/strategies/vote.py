"""Self-consistency over executed programs: the answer that most of them, or the most trusted,
agree on (Wang et al., arXiv 2203.11171; weighted by a verifier as in Li et al., 2206.02336)."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from pad_ray.decoding.hypothesis import Hypothesis
from pad_ray.decoding.search import Part, Run, Search, Trail, Verify, grow, rank, sources
from pad_ray.extraction import extract_program
from pad_ray.sandbox import Outcome, Value
from pad_ray.tasks.base import Task


@dataclass
class Ballot:
    """The programs so far, by the answer that they return."""

    trail: Trail
    programs: dict[str, list[tuple[Hypothesis, Outcome]]] = field(
        default_factory=lambda: defaultdict(list)
    )
    failed: list[tuple[Hypothesis, Outcome]] = field(default_factory=list)
    samples: list[dict[str, Any]] = field(default_factory=list)

    def add(self, programs: Sequence[Hypothesis], outcomes: Sequence[Outcome]) -> None:
        """Count programs that were run."""
        for program, outcome in zip(programs, outcomes, strict=True):
            answered = outcome.status == "ok" and outcome.value is not None
            self.samples.append(
                {
                    "answer": answer_key(outcome.value) if answered else None,
                    "vote": self._vote(program),
                    "rank": rank(program, self.trail.settings.weights),
                    "sources": sources(program),
                    "tokens": program.tokens,
                }
            )
            if answered:
                self.programs[answer_key(outcome.value)].append((program, outcome))
            else:
                self.failed.append((program, outcome))

    def weight(self, key: str) -> float:
        """Return the votes for an answer: programs, or the sum of the verifier's values."""
        return sum(self._vote(program) for program, _ in self.programs[key])

    def _vote(self, program: Hypothesis) -> float:
        if not self.trail.settings.weights.value:
            return 1.0
        value = program.steps[-1].scores.get("value", 1.0)
        return float(value**self.trail.settings.weights.value)

    def share(self) -> float:
        """Return the winner's share of all votes; those that failed count as one each way."""
        if not self.programs:
            return 0.0
        weights = [self.weight(key) for key in self.programs]
        return max(weights) / (sum(weights) or 1.0)

    def offer(self) -> None:
        """Offer the best program of the answer that wins."""
        self.trail.notes["samples"] = self.samples
        if not self.programs:
            if self.failed:
                self.trail.offer(*self.failed[0])
            return
        # On a tie the answer that was found first wins.
        winner = max(self.programs, key=self.weight)
        by = self.trail.settings.weights
        self.trail.offer(*max(self.programs[winner], key=lambda pair: rank(pair[0], by)))
        self.trail.notes["votes"] = {key: round(self.weight(key), 4) for key in self.programs}

    def note(self, root: Hypothesis, programs: Sequence[Hypothesis]) -> None:
        """Record the programs in the trail."""
        best = self.trail.best
        failed = {program.number: outcome for program, outcome in self.failed}
        fates = [
            ""
            if best is not None and program.number == best.number
            else f"failed: {failed[program.number].status}"
            if program.number in failed
            else "outvoted"
            for program in programs
        ]
        self.trail.note(root, programs, fates)


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
    programs = yield from judged(trail, programs)
    outcomes = yield from run(programs)
    ballot.add(programs, outcomes)
    ballot.offer()
    ballot.note(root, programs)


def judged(trail: Trail, programs: Sequence[Hypothesis]) -> Part[Sequence[Hypothesis]]:
    """Have whole programs judged where a weight asks for it; return them."""
    if trail.settings.weights.value or trail.settings.weights.alignment:
        programs = yield Verify(tuple(programs))
    return programs


def run(programs: Sequence[Hypothesis]) -> Part[list[Outcome]]:
    """Run what can be read as a program; return an outcome for each."""
    texts = [extract_program(program.text) for program in programs]
    outcomes = iter((yield Run(tuple(text for text in texts if text is not None))))
    missing = Outcome("invalid", error_type="NoProgram", message="no program can be read")
    return [missing if text is None else next(outcomes) for text in texts]


def is_gold(task: Task, key: str | None, gold: str) -> bool:
    """Tell whether an answer's key is that of the gold answer."""
    if key is None:
        return False
    if key == answer_key(gold):
        return True
    try:
        return task.answers_equal(float(key), gold)
    except ValueError:
        return False


def answer_key(value: Value) -> str:
    """Return what is equal for answers that count as the same."""
    if isinstance(value, bool | int | float):
        return f"{float(value):.9g}" if abs(value) < 1e300 else str(value)
    if isinstance(value, str):
        return value.strip().casefold()
    return json.dumps(value, sort_keys=True)
