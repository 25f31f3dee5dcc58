"""Verified search step by step: propose statements, judge them, keep the best.

After PaD's step-wise beam search (arXiv 2305.13888, section 3.4) and, for `diverse`, the diverse
verifier tree search of search-and-learn.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from pad_ray.decoding.hypothesis import Hypothesis
from pad_ray.decoding.search import (
    Part,
    Request,
    Search,
    Trail,
    Verify,
    grow,
    is_cut,
    key_of,
    rank,
)


def stepwise(trail: Trail, root: Hypothesis) -> Search:
    """Keep the `width` best hypotheses after each round of steps, whoever they descend from.

    A hypothesis that a finished program outranks is given up: ranks compare at any length.
    """
    live: list[Hypothesis] = [root]
    finished: list[Hypothesis] = []
    while live:
        proposed = yield _propose(trail, live)
        (judged,) = yield from _judge([proposed], finished)
        kept = _best_first(trail, [*finished, *judged])[: trail.settings.width]
        _note(trail, live, proposed, judged, kept)
        finished = [h for h in kept if h.finished]
        live = _hopeful(trail, kept, finished)
        _offer(trail, finished, live)


def diverse(trail: Trail, root: Hypothesis) -> Search:
    """Let each of `width` first steps grow a tree of its own, of one hypothesis at a time."""
    width = trail.settings.width
    starts, finished = [root], list[Hypothesis]()
    while starts:
        first = starts == [root]
        wide = max(width, trail.settings.proposals) if first else None
        proposed = yield _propose(trail, starts, wide)
        trees = [proposed] if first else [[below] for below in proposed]
        judged = yield from _judge(trees, finished)
        kept = [h for tree in judged for h in _best_first(trail, tree)[: width if first else 1]]
        _note(trail, starts, proposed, [h for tree in judged for h in tree], kept)
        finished = _best_first(trail, finished + [h for h in kept if h.finished])
        starts = _hopeful(trail, kept, finished)
        _offer(trail, finished, starts)


def _propose(trail: Trail, live: Sequence[Hypothesis], width: int | None = None) -> Request:
    settings = trail.settings
    temperature = None if settings.proposal == "beam" else settings.temperature
    return grow(
        settings,
        live,
        width or settings.proposals,
        whole=False,
        temperature=temperature,
        stream=trail.question,
    )


Proposed = Sequence[Sequence[Hypothesis]]


def _judge(
    trees: Sequence[Proposed], finished: Sequence[Hypothesis]
) -> Part[list[list[Hypothesis]]]:
    """Return each tree's proposals that can go on, judged; of those that are the same, one."""
    seen = {key_of(h) for h in finished}
    unique: list[list[Hypothesis]] = []
    for tree in trees:
        likeliest = sorted((h for below in tree for h in below), key=lambda h: -h.logprob)
        unique.append([])
        for hypothesis in likeliest:
            if (key := key_of(hypothesis)) not in seen:
                seen.add(key)
                unique[-1].append(hypothesis)
    judged = iter((yield Verify(tuple(h for tree in unique for h in tree))))
    return [[next(judged) for _ in tree] for tree in unique]


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
    best = [*finished, *live]
    if best:
        trail.offer(best[0])
        trail.settle(best)
