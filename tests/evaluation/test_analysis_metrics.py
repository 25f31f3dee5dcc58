"""Measures of an output space: known values, bounds, and what they do not depend on."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pad_ray.evaluation.analysis.metrics import (
    dispersion,
    distinct_n,
    effective_support,
    entropy,
    participation_ratio,
    self_bleu,
)

WORDS = st.lists(st.sampled_from("a b c d e".split()), max_size=12)
VECTORS = st.tuples(st.integers(2, 8), st.integers(1, 6)).flatmap(
    lambda shape: arrays(np.float64, shape, elements=st.floats(-100, 100))
)


@given(st.integers(1, 500))
def test_a_uniform_distribution_has_the_largest_entropy_and_support(size: int) -> None:
    logprobs = torch.full((1, size), -math.log(size))
    assert entropy(logprobs).item() == pytest.approx(math.log(size), abs=1e-4)
    assert effective_support(logprobs).item() == math.ceil(round(0.95 * size, 6))


@given(st.integers(0, 9))
def test_a_certain_token_has_no_entropy_and_is_its_own_nucleus(place: int) -> None:
    logprobs = torch.full((10,), -math.inf)
    logprobs[place] = 0.0
    assert entropy(logprobs).item() == 0.0
    assert effective_support(logprobs).item() == 1


@given(arrays(np.float32, 12, elements=st.floats(-8, 8, width=32)))
def test_entropy_and_support_keep_their_bounds(logits: np.ndarray) -> None:
    logprobs = torch.log_softmax(torch.tensor(logits), dim=-1)
    assert -1e-5 <= entropy(logprobs).item() <= math.log(12) + 1e-4
    assert 1 <= effective_support(logprobs).item() <= 12


@given(VECTORS)
def test_participation_ratio_keeps_its_bounds(vectors: np.ndarray) -> None:
    found = participation_ratio(vectors)
    assert found is not None
    most = min(len(vectors) - 1, vectors.shape[1])
    assert found == 0 or 1 - 1e-6 <= found <= most + 1e-6


def test_participation_ratio_counts_equal_axes() -> None:
    assert participation_ratio(np.concatenate([np.eye(4), -np.eye(4)])) == pytest.approx(4)
    assert participation_ratio(np.outer([1.0, 2.0, 5.0], [1.0, 1.0])) == pytest.approx(1)
    assert participation_ratio(np.ones((3, 2))) == 0
    assert participation_ratio(np.ones((1, 2))) is None


@given(VECTORS, st.floats(0.1, 10))
def test_dispersion_does_not_depend_on_lengths(vectors: np.ndarray, scale: float) -> None:
    # What scaling would make subnormal loses digits, and with them its direction.
    vectors[np.abs(vectors) < 1e-300] = 0
    found = dispersion(vectors)
    assert found is not None
    assert -1e-9 <= found <= 2 + 1e-9
    assert dispersion(vectors * scale) == pytest.approx(found, abs=1e-6)


def test_dispersion_of_equal_and_of_opposite_vectors() -> None:
    assert dispersion(np.ones((4, 3))) == pytest.approx(0, abs=1e-12)
    assert dispersion(np.array([[1.0, 0.0], [-1.0, 0.0]])) == pytest.approx(2)
    assert dispersion(np.array([[1.0, 0.0], [0.0, 1.0]])) == pytest.approx(1)


@given(st.lists(WORDS, min_size=2, max_size=5))
def test_text_measures_keep_their_bounds(texts: list[list[str]]) -> None:
    bleu = self_bleu(texts)
    assert bleu is not None and 0 <= bleu <= 1 + 1e-9
    for n in (1, 2):
        share = distinct_n(texts, n)
        assert share is None or 0 < share <= 1


def test_equal_texts_are_the_least_diverse() -> None:
    text = "one two three four five six".split()
    assert self_bleu([text] * 3) == pytest.approx(1)
    assert distinct_n([text] * 3, 1) == pytest.approx(1 / 3)
    assert self_bleu([["a", "b"], ["c", "d"]]) == 0
    assert distinct_n([["a", "b"], ["c", "d"]], 2) == 1
    assert self_bleu([text]) is None
