"""Kinds that are drawn by weight: which weights make sense, and the drawing."""

from __future__ import annotations

import random
from collections.abc import Collection, Iterator, Mapping
from math import isfinite

from pad_ray.base.errors import ConfigError

__all__ = ["check_kinds", "drawn"]


def check_kinds(weights: Mapping[str, float], known: Collection[str], what: str) -> None:
    """Raise ConfigError unless the weights are of known kinds, none negative, one above zero.

    `what` is the word for one kind.
    """
    unknown = [name for name in weights if name not in known]
    if unknown:
        raise ConfigError(f"weights: unknown {what} {unknown[0]!r}; known: {', '.join(known)}")
    for name, weight in weights.items():
        if not isfinite(weight) or weight < 0:
            raise ConfigError(f"weights: {name} must be a number from 0, not {weight!r}")
    if not any(weights.values()):
        raise ConfigError(f"weights: all are zero; give one {what} a weight above 0")


def drawn(weights: Mapping[str, float], rng: random.Random) -> Iterator[str]:
    """Draw kinds by weight without replacement; those without a weight above zero never come."""
    left = {name: weight for name, weight in weights.items() if weight > 0}
    while left:
        (name,) = rng.choices(list(left), list(left.values()))
        del left[name]
        yield name
