"""Intervals of means are as wide as theory says, and the same each time."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pad_ray.base.intervals import mean_interval


@given(st.lists(st.booleans(), min_size=1, max_size=300))
def test_interval_holds_the_mean(right: list[bool]) -> None:
    low, high = mean_interval(right)
    assert 0 <= low <= sum(right) / len(right) <= high <= 1


@pytest.mark.parametrize(("right", "wrong"), [(50, 50), (190, 10), (300, 700)])
def test_interval_is_as_wide_as_theory_says(right: int, wrong: int) -> None:
    n, mean = right + wrong, right / (right + wrong)
    low, high = mean_interval([True] * right + [False] * wrong)
    half_width = 1.96 * (mean * (1 - mean) / n) ** 0.5
    assert high - low == pytest.approx(2 * half_width, rel=0.15)


def test_interval_is_reproducible_and_certain_at_the_ends() -> None:
    some = [True, False, True]
    assert mean_interval(some) == mean_interval(some)
    assert mean_interval([True] * 9) == [1.0, 1.0]
    assert mean_interval([False] * 9) == [0.0, 0.0]


@pytest.mark.parametrize("spread", [1.0, 1e-9, 1e9])
def test_interval_of_measurements_is_as_wide_as_theory_says(spread: float) -> None:
    values = np.random.default_rng(4).normal(spread, spread, 400)
    low, high = mean_interval(values.tolist())
    assert low < values.mean() < high
    assert high - low == pytest.approx(2 * 1.96 * values.std() / 20, rel=0.1)
