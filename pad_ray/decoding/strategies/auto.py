"""Little work where the student is sure, more where it is not."""

from __future__ import annotations

import math

from pad_ray.decoding.hypothesis import Hypothesis
from pad_ray.decoding.search import Search, Trail, sources, write
from pad_ray.decoding.strategies.vote import Ballot, judged, run, sample_votes

_FIRST_VOTES = 4


def auto(trail: Trail, root: Hypothesis) -> Search:
    """Write greedily; unless that is trusted, let growing samples vote until one answer is.

    Trust is the verifier's value of the greedy program (without a verifier, the geometric mean
    of its tokens' probabilities) less grounding's penalties, then the winner's share of the votes.
    """
    settings = trail.settings
    written = yield from write(trail, root, keep=[root])
    if written is None:
        return
    (written,) = yield from judged(trail, [written])
    (outcome,) = yield from run(trail, [written])
    trail.offer(written, outcome)
    trusted = outcome.status == "ok" and _trust(trail, written) >= settings.confidence
    trail.note(root, [written], ["" if trusted else "not trusted alone"])
    trail.notes["asked"] = 1
    if trusted:
        return
    ballot = Ballot(trail)
    ballot.add([written], [outcome])
    count, more = 1, _FIRST_VOTES - 1
    while count < settings.n:
        more = min(more, settings.n - count)
        last = count + more >= settings.n
        yield from sample_votes(trail, root, ballot, more, f"auto/{count}", keep=not last)
        count += more
        more = count
        trail.notes["asked"] = count
        if ballot.share() >= settings.confidence:
            return


def _trust(trail: Trail, written: Hypothesis) -> float:
    weights, found = trail.settings.weights, sources(written)
    alone = found.get("value", -math.inf) if weights.value else found["logprob"]
    return math.exp(alone + weights.grounding * found["grounding"])
