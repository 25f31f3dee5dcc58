"""Verified search step by step: propose statements, judge them, keep the best.

After PaD's step-wise beam search (arXiv 2305.13888, section 3.4) and, for `diverse`, the diverse
verifier tree search of search-and-learn.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from pad_ray.decoding.growth import Grow
from pad_ray.decoding.hypothesis import Hypothesis
from pad_ray.decoding.search import (
    OUT_OF_TOKENS,
    Ahead,
    Part,
    Search,
    Trail,
    Verify,
    grow,
    is_cut,
    key_of,
    rank,
    write,
)

Proposed: TypeAlias = Sequence[Sequence[Hypothesis]]
# Where nothing that was proposed can go on, so many times as much is proposed.
_WIDER = 4
_MOST_PROPOSALS = 64


def stepwise(trail: Trail, root: Hypothesis) -> Search:
    """Keep the `width` best hypotheses after each round of steps, whoever they descend from.

    A hypothesis that a finished program outranks is given up: ranks compare at any length. Where
    nothing can go on and nothing is finished, more is proposed, and at last the student writes
    greedily; `notes` tell of such a `dead_end`.
    """
    live: list[Hypothesis] = [root]
    finished: list[Hypothesis] = []
    ahead: Proposed | None = None
    while live:
        found = yield from _round(
            trail, live, finished, trail.settings.proposals, goes_ahead=True, ahead=ahead
        )
        proposed, (judged,), ahead = found.proposed, found.trees, found.ahead
        kept = _best_first(trail, [*finished, *judged])[: trail.settings.width]
        _note(trail, live, proposed, judged, kept)
        finished = [h for h in kept if h.finished]
        live = _hopeful(trail, kept, finished)
        _offer(trail, finished, live)
    yield from _fall_back(trail, root, finished)


def diverse(trail: Trail, root: Hypothesis) -> Search:
    """Let each of `width` first steps grow a tree of its own, of one hypothesis at a time.

    No tree sees what another holds: each goes on to its own end, and the best of these is the
    answer. A dead end is met as `stepwise` does.
    """
    width = trail.settings.width
    starts, finished = [root], list[Hypothesis]()
    while starts:
        first = starts == [root]
        wide = max(width, trail.settings.proposals) if first else trail.settings.proposals
        found = yield from _round(trail, starts, finished, wide, apart=not first)
        proposed, judged = found.proposed, found.trees
        kept = [h for tree in judged for h in _best_first(trail, tree)[: width if first else 1]]
        _note(trail, starts, proposed, [h for tree in judged for h in tree], kept)
        finished = _best_first(trail, finished + [h for h in kept if h.finished])
        starts = [h for h in kept if not h.finished]
        _offer(trail, finished, starts)
    yield from _fall_back(trail, root, finished)


@dataclass(frozen=True)
class Round:
    """A round of a search: what was proposed, by start, and what of it was judged, by tree.

    `ahead` is what was proposed meanwhile below the only hypothesis that can go on.
    """

    proposed: Proposed
    trees: list[list[Hypothesis]]
    ahead: Proposed | None = None


def _round(
    trail: Trail,
    starts: Sequence[Hypothesis],
    finished: Sequence[Hypothesis],
    width: int,
    apart: bool = False,
    goes_ahead: bool = False,
    ahead: Proposed | None = None,
) -> Part[Round]:
    """Propose steps, unless that was done `ahead`, and judge them.

    Where none can go on more of them are proposed, once. With `apart` each start is a tree. With
    `goes_ahead` a hypothesis without rivals is written on while it is judged.
    """
    propose = _propose(trail, starts, width)
    proposed = (yield propose) if ahead is None else ahead
    trees = _trees(proposed, finished, apart)
    flat = [h for tree in trees for h in tree]
    if goes_ahead and len(flat) == 1 and not finished and _may_go_ahead(trail, flat[0]):
        judged, ahead = yield from _judged_ahead(trail, flat[0], width)
        if not is_cut(judged):
            return Round(proposed, [[judged]], ahead)
        trees = [[judged]]
    else:
        trees = yield from _judge(trees)
    flat = [h for tree in trees for h in tree]
    if not flat or _answers(finished) or any(not is_cut(h) for h in flat):
        return Round(proposed, trees)
    _note(trail, starts, proposed, flat, [])
    proposed = yield replace(propose, width=_wider(width), margin=math.inf)
    trail.notes["dead_end"] = "wider"
    trees = yield from _judge(_trees(proposed, finished, apart))
    return Round(proposed, trees)


def _may_go_ahead(trail: Trail, hypothesis: Hypothesis) -> bool:
    # Where a budget ends must not depend on what was written in vain.
    return not hypothesis.finished and trail.settings.budget_tokens is None


def _judged_ahead(
    trail: Trail, hypothesis: Hypothesis, width: int
) -> Part[tuple[Hypothesis, Proposed | None]]:
    """Judge the only hypothesis of a round, and propose what follows it meanwhile."""

    def offer(judged: Sequence[Hypothesis]) -> None:
        if not is_cut(judged[0]):
            _offer(trail, [], judged)

    propose = _propose(trail, [hypothesis], width)
    (judged,), grown = yield Ahead(Verify((hypothesis,)), propose, offer)
    if grown is None:
        return judged, None
    # They have grown from the steps as they were before these were judged.
    count = len(judged.steps)
    below = [replace(h, steps=(*judged.steps, *h.steps[count:])) for h in grown[0]]
    return judged, [below]


def _wider(width: int) -> int:
    return max(width, min(_MOST_PROPOSALS, width * _WIDER))


def _answers(finished: Sequence[Hypothesis]) -> bool:
    return any(not h.truncated for h in finished)


def _fall_back(trail: Trail, root: Hypothesis, finished: Sequence[Hypothesis]) -> Search:
    """Where no program is finished, let the student write one unjudged."""
    if _answers(finished):
        return
    written = yield from write(trail, root)
    trail.notes["dead_end"] = "greedy"
    if written is not None and not written.truncated:
        trail.note(root, [written], [""])
        trail.offer(written)


def _propose(trail: Trail, live: Sequence[Hypothesis], width: int) -> Grow:
    settings = trail.settings
    temperature = None if settings.proposal == "beam" else settings.temperature
    return grow(
        settings,
        live,
        width,
        whole=False,
        temperature=temperature,
        stream=trail.question,
    )


def _trees(
    proposed: Proposed, finished: Sequence[Hypothesis], apart: bool
) -> list[list[Hypothesis]]:
    """Return each tree's proposals, the likeliest first; of those that are the same, one."""
    known = set() if apart else {key_of(h) for h in finished}
    trees: list[list[Hypothesis]] = []
    for tree in [[below] for below in proposed] if apart else [proposed]:
        seen = set(known)
        likeliest = sorted((h for below in tree for h in below), key=lambda h: -h.logprob)
        trees.append([])
        for hypothesis in likeliest:
            if (key := key_of(hypothesis)) not in seen:
                seen.add(key)
                trees[-1].append(hypothesis)
    return trees


def _judge(trees: Sequence[Sequence[Hypothesis]]) -> Part[list[list[Hypothesis]]]:
    """Return the trees with all judged that can go on."""
    # What ran out of tokens is no program to judge, and no answer.
    whole = [h for tree in trees for h in tree if not h.truncated]
    judged = iter((yield Verify(tuple(whole))) if whole else ())
    return [[h if h.truncated else next(judged) for h in tree] for tree in trees]


def _note(
    trail: Trail,
    starts: Sequence[Hypothesis],
    proposed: Proposed,
    judged: Sequence[Hypothesis],
    kept: Sequence[Hypothesis],
) -> None:
    """Record what was proposed, and why what was not kept lost."""
    found = {h.number: h for h in judged}
    numbers = {h.number for h in kept}
    for start, below in zip(starts, proposed, strict=True):
        fates = []
        for hypothesis in below:
            known = found.get(hypothesis.number)
            if known is None:
                fates.append("same as another")
            elif known.truncated:
                fates.append(OUT_OF_TOKENS)
            elif known.number in numbers:
                fates.append("")
            else:
                fates.append("cannot run" if is_cut(known) else "ranked lower")
        trail.note(start, [found.get(h.number, h) for h in below], fates)


def _hopeful(
    trail: Trail, kept: Sequence[Hypothesis], finished: Sequence[Hypothesis]
) -> list[Hypothesis]:
    """Return what is to be written on: not finished, and ranked above all that is."""
    weights = trail.settings.weights
    bar = max((rank(h, weights) for h in finished if not h.truncated), default=-math.inf)
    return [h for h in kept if not h.finished and rank(h, weights) > bar]


def _best_first(trail: Trail, hypotheses: Sequence[Hypothesis]) -> list[Hypothesis]:
    """Return those that can run, best first; what ran out of tokens has no answer, and is last."""
    weights = trail.settings.weights
    able = [h for h in hypotheses if not is_cut(h)]
    return sorted(able, key=lambda h: (h.truncated, -rank(h, weights)))


def _offer(trail: Trail, finished: Sequence[Hypothesis], live: Sequence[Hypothesis]) -> None:
    cut = [h for h in finished if h.truncated]
    best = [*(h for h in finished if not h.truncated), *live, *cut]
    if best:
        trail.offer(best[0])
        trail.settle(best)
