"""Strategies that judge nothing: the likeliest token each time, and token-level beam search."""

from __future__ import annotations

from pad_ray.decoding.hypothesis import Hypothesis
from pad_ray.decoding.search import Search, Trail, grow, write


def greedy(trail: Trail, root: Hypothesis) -> Search:
    """Write the likeliest token at every position."""
    written = yield from write(trail, root, stands=True)
    if written is not None:
        trail.offer(written)


def beam(trail: Trail, root: Hypothesis) -> Search:
    """Search for the likeliest program, `width` hypotheses wide; the best mean token wins."""
    width = trail.settings.width
    (written,) = yield grow(trail.settings, [root], width, whole=True, temperature=None)
    if not written:
        return
    # A loop that ran out of tokens is likely at every token, and no program.
    best = max(written, key=lambda way: (not way.truncated, way.logprob / way.tokens))
    trail.note(root, written, ["" if program is best else "less likely" for program in written])
    trail.offer(best)
