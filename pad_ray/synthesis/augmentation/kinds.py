"""The kinds of augmentation, and which of them is tried first."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TypeAlias

from pad_ray.base.weights import drawn
from pad_ray.synthesis.augmentation.names import other_names
from pad_ray.synthesis.augmentation.numbers import other_numbers
from pad_ray.synthesis.augmentation.rewritten import Rewritten

__all__ = ["DEFAULT_WEIGHTS", "EDITS", "PARAPHRASE", "Edit", "rewrite"]

Edit: TypeAlias = Callable[[str, str, random.Random], Rewritten | None]
"""(question, program, rng) -> the new problem, or None where the kind does not apply."""

PARAPHRASE = "paraphrase"
EDITS: Mapping[str, Edit] = MappingProxyType({"numbers": other_numbers, "names": other_names})
DEFAULT_WEIGHTS: Mapping[str, float] = MappingProxyType(
    {"numbers": 2.0, "names": 1.0, PARAPHRASE: 1.0}
)


def rewrite(
    question: str, program: str, rng: random.Random, weights: Mapping[str, float]
) -> tuple[str, Rewritten | None] | None:
    """Make a new problem by one kind, drawn by weight, and return the kind too.

    Kinds are drawn until one applies; None if none does. A paraphrase always applies: it comes
    without a problem, which a teacher is to write.
    """
    for kind in drawn(weights, rng):
        if kind == PARAPHRASE:
            return kind, None
        made = EDITS[kind](question, program, rng)
        if made is not None:
            return kind, made
    return None
