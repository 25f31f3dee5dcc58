"""Bootstrap intervals of means, and of gains on the same problems."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

_RESAMPLES = 10_000


def mean_interval(values: Sequence[float | bool]) -> list[float]:
    """Return the 95% percentile bootstrap interval of a mean.

    Resampling n values with replacement draws how often each distinct one comes.
    """
    found, counts = np.unique(np.asarray(values, dtype=float), return_counts=True)
    n = len(values)
    drawn = np.random.default_rng(0).multinomial(n, counts / n, _RESAMPLES)
    low, high = np.percentile(drawn @ found / n, [2.5, 97.5])
    return [float(low), float(high)]


def paired_gain(before: Sequence[float | bool], after: Sequence[float | bool]) -> dict[str, Any]:
    """Return the gain in accuracy on the same problems, with its 95% paired bootstrap interval."""
    gains = [float(b) - float(a) for a, b in zip(before, after, strict=True)]
    return {"gain": float(np.mean(gains)), "gain_95": mean_interval(gains)}
