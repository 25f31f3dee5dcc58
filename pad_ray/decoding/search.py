"""What a strategy may ask for, and what it keeps of its search.

A strategy is a generator: it yields a request, is sent the answer, and returns when it is done.
The scheduler answers the requests of many searches at once, so that a strategy is written as if
it were alone, and its results never depend on others.

When a search's budget ends, a growth is answered by what is written: what is finished as it is, the
rest `truncated`, and ways that have no token yet are missing. What the strategy makes of that it
offers; it may still have programs judged and run, and is closed when it asks to write more.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field, replace
from itertools import takewhile
from typing import Any, TypeAlias, TypeVar

from pad_ray.decoding.growth import Grow
from pad_ray.decoding.hypothesis import Hypothesis, Step
from pad_ray.decoding.settings import SearchSettings, Weights
from pad_ray.programs.canonical import normalise_program
from pad_ray.sandbox import Outcome


@dataclass(frozen=True)
class Open:
    """Have the student read a prompt, behind the preamble that all of its prompts begin with.

    Answered by an empty hypothesis; None if too long.
    """

    source: str


@dataclass(frozen=True)
class Verify:
    """Score the fresh steps of each hypothesis; answered by them with `scores` filled in."""

    hypotheses: tuple[Hypothesis, ...]


@dataclass(frozen=True)
class Ahead:
    """Score, and meanwhile write on what will be kept unless it is cut.

    Answered by the judged hypotheses, and what was grown from them: None where the budget ended
    before that began. `on_judged` hears of the former at once, in the scheduler's thread.
    """

    verify: Verify
    grow: Grow
    on_judged: Callable[[Sequence[Hypothesis]], None]


@dataclass(frozen=True)
class Run:
    """Execute programs' texts; answered by an outcome each."""

    programs: tuple[str, ...]


# Why a program lost that ended before its last token.
OUT_OF_TOKENS = "ran out of tokens"

Request: TypeAlias = Grow | Open | Verify | Ahead | Run
T = TypeVar("T")
# A part of a search, with its result.
Part: TypeAlias = Generator[Request, Any, T]
Search: TypeAlias = Part[None]


@dataclass(frozen=True)
class Node:
    """Steps that were proposed: below which others, how they were judged, what became of them.

    `number` counts a tree's nodes from 0; `scores` are the last step's; `reason` says why it was
    not kept.
    """

    number: int
    parent: int | None
    code: str
    logprob: float
    tokens: int
    scores: dict[str, float]
    rank: float
    kept: bool
    reason: str


@dataclass
class Trail:
    """A search as it goes: the tree of proposals, and the best program so far.

    `reads_text` says that the student writes texts, whose stated answers take the place of
    programs that are run. `equal` is the task's own check of a value against a gold answer.
    `on_nodes` hears of each round of proposals, `on_settled` of steps that will stand whatever
    comes, in the scheduler's thread.
    """

    question: str
    settings: SearchSettings
    reads_text: bool = False
    equal: Callable[[object, str], bool] | None = None
    nodes: list[Node] = field(default_factory=list)
    best: Hypothesis | None = None
    outcome: Outcome | None = None
    notes: dict[str, Any] = field(default_factory=dict)
    on_nodes: Callable[[Sequence[Node]], None] | None = None
    on_settled: Callable[[Sequence[Step]], None] | None = None
    settled: int = 0
    _places: dict[int, int] = field(default_factory=dict)

    def offer(self, hypothesis: Hypothesis, outcome: Outcome | None = None) -> None:
        """Make this the best program so far; `outcome` where it has been run.

        One that is not finished, or ran out of tokens, is no answer: it is shown as partial.
        """
        self.best, self.outcome = hypothesis, outcome

    @property
    def is_answered(self) -> bool:
        """Tell whether the best program so far is a whole one."""
        return self.best is not None and self.best.finished and not self.best.truncated

    def settle(self, hopeful: Sequence[Hypothesis]) -> None:
        """Report the new steps that all programs which may still win have in common."""
        if self.on_settled is None or not hopeful:
            return
        steps = hopeful[0].steps
        columns = zip(*([step.code for step in h.steps] for h in hopeful), strict=False)
        shared = sum(1 for _ in takewhile(lambda codes: len(set(codes)) == 1, columns))
        if shared > self.settled:
            self.on_settled(steps[self.settled : shared])
            self.settled = shared

    def note(
        self,
        parent: Hypothesis,
        proposed: Sequence[Hypothesis],
        fates: Sequence[str],
        keep_best: bool = False,
    ) -> None:
        """Record what was proposed below a hypothesis; an empty fate means that it was kept.

        `keep_best`: of all nodes the best program's is kept, whatever was said of it before.
        """
        above = None if not parent.steps else self._place(parent)
        new = [
            Node(
                self._place(hypothesis),
                above,
                "".join(step.code for step in hypothesis.steps[-hypothesis.fresh :]),
                sum(step.logprob for step in hypothesis.steps[-hypothesis.fresh :]),
                sum(step.tokens for step in hypothesis.steps[-hypothesis.fresh :]),
                dict(hypothesis.steps[-1].scores),
                rank(hypothesis, self.settings.weights),
                not fate,
                fate,
            )
            for hypothesis, fate in zip(proposed, fates, strict=True)
        ]
        self.nodes += new
        if keep_best and self.best is not None:
            best = self._place(self.best)
            self.nodes = [_settled(node, node.number == best) for node in self.nodes]
            new = self.nodes[len(self.nodes) - len(new) :]
        if self.on_nodes is not None:
            self.on_nodes(new)

    def _place(self, hypothesis: Hypothesis) -> int:
        """Return a hypothesis's number in this tree, whatever else was searched before."""
        return self._places.setdefault(hypothesis.number, len(self._places))


def _settled(node: Node, kept: bool) -> Node:
    if node.kept == kept:
        return node
    return replace(node, kept=kept, reason="" if kept else "outvoted")


def rank(hypothesis: Hypothesis, weights: Weights) -> float:
    """Return the logarithm of the weighted product; comparable at any length.

    Probabilities and alignment are averaged, so that a program that ended early has no advantage
    over one that is still written, nor the other way round.
    """
    found = sources(hypothesis)
    return float(sum(getattr(weights, name) * value for name, value in found.items()))


def sources(hypothesis: Hypothesis) -> dict[str, float]:
    """Return the logarithm of what each source that was asked says of a program so far."""
    steps = hypothesis.steps
    if not steps:
        return {}
    found = {"logprob": hypothesis.logprob / max(1, hypothesis.tokens)}
    aligned = [_log(s.scores["alignment"]) for s in steps if "alignment" in s.scores]
    if aligned:
        found["alignment"] = sum(aligned) / len(aligned)
    if "value" in steps[-1].scores:
        found["value"] = _log(steps[-1].scores["value"])
    for name in ("grounding", "execution"):
        found[name] = sum(_log(s.scores.get(name, 1.0)) for s in steps)
    return found


def _log(score: float) -> float:
    return math.log(max(score, 1e-9))


def is_cut(hypothesis: Hypothesis) -> bool:
    """Tell whether execution has shown that the program cannot go on."""
    return bool(hypothesis.steps) and hypothesis.steps[-1].scores.get("execution") == 0.0


def key_of(hypothesis: Hypothesis) -> str:
    """Return what is equal for programs of the same normalised syntax tree."""
    return normalise_program(hypothesis.text, rename=hypothesis.finished)


def with_scores(hypothesis: Hypothesis, name: str, scores: Sequence[float]) -> Hypothesis:
    """Return the same hypothesis, its fresh steps judged by one scorer."""
    old = hypothesis.steps[: -hypothesis.fresh]
    judged = tuple(
        replace(step, scores={**step.scores, name: score})
        for step, score in zip(hypothesis.steps[-hypothesis.fresh :], scores, strict=True)
    )
    return replace(hypothesis, steps=(*old, *judged))


def grow(
    settings: SearchSettings,
    starts: Sequence[Hypothesis],
    width: int,
    *,
    whole: bool,
    temperature: float | None,
    stream: str = "",
    keep: Sequence[Hypothesis] = (),
    stands: bool = False,
) -> Grow:
    """Return the request to write on, within the settings' limits."""
    return Grow(
        tuple(starts),
        width,
        whole,
        temperature,
        settings.max_new_tokens,
        settings.interval,
        settings.longest_step,
        f"{settings.search_seed}/{stream}",
        tuple(keep),
        margin=math.inf if whole else settings.margin,
        # Where a budget ends must not depend on what could be guessed.
        guess=settings.budget_tokens is None,
        stands=stands,
    )


def write(
    trail: Trail, start: Hypothesis, *, keep: Sequence[Hypothesis] = (), stands: bool = False
) -> Part[Hypothesis | None]:
    """Write one program greedily; return None where the budget ended before its first token."""
    settings = trail.settings
    (found,) = yield grow(
        settings, [start], 1, whole=True, temperature=0.0, keep=keep, stands=stands
    )
    return found[0] if found else None
