"""Intervals of shares and means are as wide as theory says, and the same each time."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pad_ray.base.intervals import mcnemar, mean_interval, share_interval


@settings(max_examples=40)
@given(st.lists(st.booleans(), min_size=1, max_size=300))
def test_interval_holds_the_share(right: list[bool]) -> None:
    low, high = share_interval(right)
    assert 0 <= low <= sum(right) / len(right) <= high <= 1
    assert low < high


@settings(max_examples=40)
@given(st.lists(st.booleans(), min_size=1, max_size=300))
def test_interval_of_a_share_is_wilsons(right: list[bool]) -> None:
    """The bounds are the true shares from which this one is 1.96 standard errors away."""
    n, share = len(right), sum(right) / len(right)
    for bound in share_interval(right):
        away = abs(share - bound) - 1.959964 * math.sqrt(bound * (1 - bound) / n)
        assert away == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(
    ("right", "of", "low", "high"),
    [(0, 100, 0.0, 0.0370), (20, 20, 0.8389, 1.0), (0, 30, 0.0, 0.1135), (1, 2, 0.0945, 0.9055)],
)
def test_no_share_is_certain(right: int, of: int, low: float, high: float) -> None:
    found = share_interval([True] * right + [False] * (of - right))
    assert found == pytest.approx([low, high], abs=5e-5)


def test_interval_holds_a_rate_as_often_as_it_says() -> None:
    """Of a rate near the end the percentile bootstrap holds 87%."""
    drawn = np.random.default_rng(0).binomial(200, 0.99, 300)
    found = [share_interval([1.0] * k + [0.0] * (200 - k)) for k in drawn]
    assert np.mean([low <= 0.99 <= high for low, high in found]) > 0.92


def test_means_over_seeds_are_no_counts() -> None:
    means = [0.0, 1 / 3, 2 / 3, 1.0] * 25
    assert share_interval(means) == mean_interval(means)
    low, high = share_interval(means)
    whole = share_interval([0.0, 1.0] * 50)
    assert whole[0] < low < 0.5 < high < whole[1]


def test_interval_is_reproducible() -> None:
    some = [1.0, 0.25, 3.0]
    assert mean_interval(some) == mean_interval(some)


@pytest.mark.parametrize("spread", [1.0, 1e-9, 1e9])
def test_interval_of_measurements_is_as_wide_as_theory_says(spread: float) -> None:
    values = np.random.default_rng(4).normal(spread, spread, 400)
    low, high = mean_interval(values.tolist())
    assert low < values.mean() < high
    assert high - low == pytest.approx(2 * 1.96 * values.std() / 20, rel=0.1)


@given(st.integers(0, 60), st.integers(0, 60))
def test_mcnemar_is_the_two_tailed_coin(won: int, lost: int) -> None:
    count, less = won + lost, min(won, lost)
    tail = sum(math.comb(count, k) for k in range(less + 1)) / 2**count
    assert mcnemar(won, lost) == pytest.approx(min(1.0, 2 * tail))
