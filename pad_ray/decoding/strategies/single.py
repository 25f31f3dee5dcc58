"""Strategies that judge nothing: the likeliest token each time, and token-level beam search."""

from __future__ import annotations

from pad_ray.decoding.hypothesis import Hypothesis
from pad_ray.decoding.search import Search, Trail, grow


def greedy(trail: Trail, root: Hypothesis) -> Search:
    """Write the likeliest token at every position."""
    ((written,),) = yield grow(trail.settings, [root], 1, whole=True, temperature=0.0)
    trail.offer(written)


def beam(trail: Trail, root: Hypothesis) -> Search:
    """Search for the likeliest program, `width` hypotheses wide; the best mean token wins."""
    width = trail.settings.width
    (written,) = yield grow(trail.settings, [root], width, whole=True, temperature=None)
    best = max(written, key=lambda program: program.logprob / program.tokens)
    trail.note(root, written, ["" if program is best else "less likely" for program in written])
    trail.offer(best)
