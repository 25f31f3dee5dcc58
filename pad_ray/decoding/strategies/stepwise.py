"""Verified search step by step: propose statements, judge them, keep the best.

After PaD's step-wise beam search (arXiv 2305.13888, section 3.4) and, for `diverse`, the diverse
verifier tree search of search-and-learn.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from pad_ray.decoding.hypothesis import Hypothesis
from pad_ray.decoding.search import (
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
        judged = yield Verify(tuple(h for below in proposed for h in below))
        kept = _sift(trail, live, _below(proposed, judged), trail.settings.width, finished)
        finished = _best_first(trail, [h for h in kept if h.finished])
        live = _hopeful(trail, kept, finished)
        _offer(trail, finished, live)


def diverse(trail: Trail, root: Hypothesis) -> Search:
    """Let each of `width` first steps grow a tree of its own, of one hypothesis at a time."""
    width = trail.settings.width
    proposed = yield _propose(trail, [root], max(width, trail.settings.proposals))
    judged = yield Verify(tuple(proposed[0]))
    kept = _sift(trail, [root], [judged], width, [])
    finished = [h for h in kept if h.finished]
    live = _hopeful(trail, kept, finished)
    _offer(trail, _best_first(trail, finished), live)
    while live:
        proposed = yield _propose(trail, live)
        judged = yield Verify(tuple(h for below in proposed for h in below))
        kept = []
        for start, below in zip(live, _below(proposed, judged), strict=True):
            kept += _sift(trail, [start], [below], 1, [])
        finished = _best_first(trail, finished + [h for h in kept if h.finished])
        live = _hopeful(trail, kept, finished)
        _offer(trail, finished, live)


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


def _below(
    proposed: Sequence[Sequence[Hypothesis]], judged: Sequence[Hypothesis]
) -> list[list[Hypothesis]]:
    rest = iter(judged)
    return [[next(rest) for _ in below] for below in proposed]


def _sift(
    trail: Trail,
    starts: Sequence[Hypothesis],
    proposed: Sequence[Sequence[Hypothesis]],
    width: int,
    finished: Sequence[Hypothesis],
) -> list[Hypothesis]:
    """Return the best of the proposals and of what is finished; record why others lost."""
    weights = trail.settings.weights
    fates: dict[int, str] = {}
    seen = {key_of(h) for h in finished}
    candidates = list(finished)
    for hypothesis in sorted(
        (h for below in proposed for h in below), key=lambda h: -rank(h, weights)
    ):
        if is_cut(hypothesis):
            fates[hypothesis.number] = "cannot run"
        elif (key := key_of(hypothesis)) in seen:
            fates[hypothesis.number] = "same as another"
        else:
            seen.add(key)
            candidates.append(hypothesis)
    kept = _best_first(trail, candidates)[:width]
    numbers = {h.number for h in kept}
    for start, below in zip(starts, proposed, strict=True):
        trail.note(
            start,
            below,
            ["" if h.number in numbers else fates.get(h.number, "ranked lower") for h in below],
        )
    return kept


def _hopeful(
    trail: Trail, kept: Sequence[Hypothesis], finished: Sequence[Hypothesis]
) -> list[Hypothesis]:
    """Return what is to be written on: not finished, and ranked above all that is."""
    weights = trail.settings.weights
    bar = max((rank(h, weights) for h in finished if not h.truncated), default=-math.inf)
    return [h for h in kept if not h.finished and rank(h, weights) > bar]


def _best_first(trail: Trail, hypotheses: Sequence[Hypothesis]) -> list[Hypothesis]:
    # Programs that ran out of tokens come last: they have no answer.
    weights = trail.settings.weights
    return sorted(hypotheses, key=lambda h: (h.truncated, -rank(h, weights)))


def _offer(trail: Trail, finished: Sequence[Hypothesis], live: Sequence[Hypothesis]) -> None:
    best = [*finished, *live]
    if best:
        trail.offer(best[0])
