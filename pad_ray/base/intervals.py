"""95% intervals of shares and means, and gains on the same problems."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

__all__ = ["mcnemar", "mean_interval", "paired_gain", "share_interval"]

_RESAMPLES = 10_000


def share_interval(right: Sequence[float | bool]) -> list[float]:
    """Return the 95% interval of a share of independent problems: Wilson's score interval.

    Problems may be means over seeds; where one is neither 0 nor 1, the interval is a bootstrap.
    """
    values = np.asarray(right, dtype=float)
    if not np.isin(values, (0.0, 1.0)).all():
        return mean_interval(right)
    # Here and below: synthesis, which counts too, need not wait for it.
    from scipy.stats import binomtest

    found = binomtest(int(values.sum()), len(values)).proportion_ci(method="wilson")
    # At the ends the bound is the share itself, but for rounding.
    share = float(values.mean())
    return [min(float(found.low), share), max(float(found.high), share)]


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


def mcnemar(won: int, lost: int) -> float:
    """Return the two-sided p of McNemar's exact test: won and lost problems are a fair coin's."""
    from scipy.stats import binomtest

    return float(binomtest(won, won + lost).pvalue) if won + lost else 1.0
