"""Little work where the student is sure, more where it is not."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from pad_ray.decoding.hypothesis import Hypothesis
from pad_ray.decoding.search import Search, Trail, sources, write
from pad_ray.decoding.settings import Scaling, Weights
from pad_ray.decoding.strategies.vote import Ballot, judged, run, sample_votes
from pad_ray.verifiers.base import calibrated

_FIRST_VOTES = 4


def auto(trail: Trail, root: Hypothesis) -> Search:
    """Write greedily; unless that is trusted, let growing samples vote until one answer is.

    Trust is the probability of being right that `calibration` makes of what the sources say of the
    greedy program, then of the winner's share of the votes.
    """
    settings = trail.settings
    written = yield from write(trail, root, keep=[root])
    if written is None:
        return
    (written,) = yield from judged(trail, [written])
    (outcome,) = yield from run(trail, [written])
    trail.offer(written, outcome)
    odds = odds_alone(sources(written), settings.weights)
    sure = outcome.status == "ok" and _trusted(odds, settings.calibration.alone, trail)
    trail.note(root, [written], ["" if sure else "not trusted alone"])
    trail.notes["asked"] = 1
    if sure:
        return
    ballot = Ballot(trail)
    ballot.add([written], [outcome])
    asked = 1
    for count in rounds(settings.n):
        more = count - asked
        last = count == settings.n
        yield from sample_votes(trail, root, ballot, more, f"auto/{asked}", keep=not last)
        asked = count
        trail.notes["asked"] = asked
        odds = odds_agreed(ballot.share(), asked)
        if _trusted(odds, settings.calibration.agreed, trail):
            return


def rounds(most: int) -> Iterator[int]:
    """Yield how many programs there are after each round of sampling, the greedy one included."""
    count = min(_FIRST_VOTES, most)
    while count > 1:
        yield count
        if count == most:
            return
        count = min(2 * count, most)


def odds_alone(said: Mapping[str, float], weights: Weights) -> float:
    """Return the log-odds that a program by itself is right, by what its sources say of it.

    They are those of the verifier's value (without a verifier, of the geometric mean of the tokens'
    probabilities), less grounding's penalties.
    """
    alone = said.get("value", -math.inf) if weights.value else said.get("logprob", -math.inf)
    grounded = weights.grounding * said.get("grounding", 0.0)
    return _log_odds(math.exp(alone + grounded), 1e-6)


def odds_agreed(share: float, votes: int) -> float:
    """Return the log-odds of an answer with a share of the votes; few that agree are less sure."""
    return _log_odds(share, 1 / (4 * votes))


def _log_odds(probability: float, least: float) -> float:
    inside = min(max(probability, least), 1 - least)
    return math.log(inside) - math.log1p(-inside)


def _trusted(odds: float, by: Scaling, trail: Trail) -> bool:
    return calibrated(odds, by.scale, by.shift) >= trail.settings.confidence
