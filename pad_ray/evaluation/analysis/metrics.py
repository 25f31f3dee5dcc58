"""Measures of an output space: of token distributions, sets of texts, and their embeddings."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial.distance import pdist

__all__ = [
    "dispersion",
    "distinct_n",
    "effective_support",
    "entropy",
    "participation_ratio",
    "self_bleu",
]

NUCLEUS = 0.95
_BLEU_ORDER = 4


def entropy(logprobs: torch.Tensor) -> torch.Tensor:
    """Return the entropies (nats) of distributions given by log-probabilities [..., vocabulary]."""
    return -(logprobs.exp() * logprobs.clamp(min=-1e9)).sum(dim=-1)


def effective_support(logprobs: torch.Tensor, mass: float = NUCLEUS) -> torch.Tensor:
    """Return how many of the likeliest tokens hold `mass` of each distribution [..., vocabulary].

    This is the size of the nucleus that top-p sampling draws from (Holtzman et al., 1904.09751).
    """
    reached = logprobs.exp().sort(dim=-1, descending=True).values.double().cumsum(dim=-1)
    # A token belongs to the nucleus while those before it hold less than the mass.
    return 1 + (reached[..., :-1] < mass - 1e-6).sum(dim=-1)


def distinct_n(texts: Sequence[Sequence[str]], n: int) -> float | None:
    """Return distinct n-grams over all n-grams of a set of texts (Li et al., 1510.03055)."""
    grams = [gram for words in texts for gram in _grams(words, n)]
    return len(set(grams)) / len(grams) if grams else None


def self_bleu(texts: Sequence[Sequence[str]]) -> float | None:
    """Return the mean BLEU of each text against all others, 0 to 1 (Zhu et al., 1802.01886).

    Clipped precisions of 1- to 4-grams, with add-one smoothing above 1 (Lin and Och 2004), and the
    brevity penalty for the closest length. None for fewer than two texts.
    """
    if len(texts) < 2:
        return None
    counts = [[Counter(_grams(t, n)) for n in range(1, _BLEU_ORDER + 1)] for t in texts]
    scores = []
    for place, text in enumerate(texts):
        others = [other for at, other in enumerate(counts) if at != place]
        lengths = [len(other) for at, other in enumerate(texts) if at != place]
        scores.append(_bleu(text, counts[place], others, lengths))
    return float(np.mean(scores))


def _bleu(
    text: Sequence[str],
    counts: Sequence[Counter[tuple[str, ...]]],
    others: Sequence[Sequence[Counter[tuple[str, ...]]]],
    lengths: Sequence[int],
) -> float:
    logs = []
    for order, own in enumerate(counts):
        most: Counter[tuple[str, ...]] = Counter()
        for other in others:
            most |= other[order]
        matched, total = (own & most).total(), own.total()
        extra = int(order > 0)
        if matched + extra == 0:
            return 0.0
        logs.append(math.log((matched + extra) / (total + extra)))
    closest = min(lengths, key=lambda length: (abs(length - len(text)), length))
    penalty = min(0.0, 1 - closest / len(text)) if text else 0.0
    return math.exp(penalty + sum(logs) / len(logs))


def _grams(words: Sequence[str], n: int) -> list[tuple[str, ...]]:
    return [tuple(words[i : i + n]) for i in range(len(words) - n + 1)]


def dispersion(vectors: NDArray[np.float64]) -> float | None:
    """Return the mean pairwise cosine distance of vectors [n, d], 0 to 2; None for fewer than 2."""
    if len(vectors) < 2:
        return None
    # First by the largest component: squares of tiny ones are zero.
    largest = np.abs(vectors).max(axis=1, keepdims=True)
    scaled = vectors / np.where(largest > 0, largest, 1.0)
    lengths = np.linalg.norm(scaled, axis=1, keepdims=True)
    unit = scaled / np.where(lengths > 0, lengths, 1.0)
    return float(np.mean(pdist(unit, "sqeuclidean")) / 2)


def participation_ratio(vectors: NDArray[np.float64]) -> float | None:
    """Return (sum of variances)^2 / sum of squared variances over principal axes of [n, d].

    It is 1 where the vectors lie on a line and at most min(n - 1, d); 0 where all are equal, None
    for fewer than two.
    """
    if len(vectors) < 2:
        return None
    centred = vectors - vectors.mean(axis=0)
    variances = np.linalg.svd(centred, compute_uv=False) ** 2
    if variances.sum() <= 1e-12 * max(1.0, float(np.abs(vectors).max()) ** 2):
        return 0.0
    return float(variances.sum() ** 2 / (variances**2).sum())
