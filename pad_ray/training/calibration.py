"""How far a judge's numbers can be trusted: calibration, and what tells right from wrong.

A judge is calibrated by a logistic curve over its log-odds (Platt, 1999).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

_POSITIONS = 10
_BINS = 10

# A program's logits at its steps' ends, and whether it is right.
Judged: TypeAlias = list[tuple[list[float], bool]]


def last_logits(judged: Judged) -> tuple[np.ndarray, np.ndarray]:
    """Return the logits of whole programs, and which are right as ones and zeros."""
    return (
        np.array([logits[-1] for logits, _ in judged]),
        np.array([right for _, right in judged], dtype=float),
    )


def platt(logits: np.ndarray, right: np.ndarray) -> tuple[float, float]:
    """Return scale and shift that make sigmoid(scale * logit + shift) calibrated (Platt)."""
    x = torch.tensor(logits, dtype=torch.float64)
    wins = float(right.sum())
    # Platt's own targets: a few programs that were all right do not make the next one certain.
    sure, unsure = (wins + 1) / (wins + 2), 1 / (len(right) - wins + 2)
    y = torch.tensor(np.where(right > 0, sure, unsure), dtype=torch.float64)
    weights = torch.tensor([1.0, 0.0], dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([weights], max_iter=100, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        value = torch.nn.functional.binary_cross_entropy_with_logits(
            weights[0] * x + weights[1], y
        ) + 1e-4 * ((weights[0] - 1) ** 2 + weights[1] ** 2)
        value.backward()  # type: ignore[no-untyped-call]
        return value

    optimizer.step(loss)  # type: ignore[no-untyped-call]
    scale, shift = weights.detach().tolist()
    # A negative scale would call the verifier's opinion its opposite.
    return max(scale, 1e-3), shift


def measure_values(judged: Judged, scale: float, shift: float) -> dict[str, Any]:
    """Return AUC and expected calibration error (10 bins) of whole programs and by step position.

    Position k counts steps from the first; the last row holds all later ones.
    """
    by_position: dict[int, list[tuple[float, bool]]] = {}
    for logits, right in judged:
        for position, logit in enumerate(logits):
            by_position.setdefault(min(position, _POSITIONS - 1), []).append((logit, right))
    last = [(logits[-1], right) for logits, right in judged]
    return {
        **_quality(last, scale, shift),
        "by_step": [
            {"step": position + 1, **_quality(pairs, scale, shift)}
            for position, pairs in sorted(by_position.items())
        ],
    }


def _quality(pairs: Sequence[tuple[float, bool]], scale: float, shift: float) -> dict[str, Any]:
    logits = np.array([logit for logit, _ in pairs])
    right = np.array([label for _, label in pairs])
    probabilities = 1 / (1 + np.exp(-(scale * logits + shift)))
    area = auc(logits, right)
    return {
        "programs": len(pairs),
        "right": round(float(right.mean()), 4),
        "auc": None if area is None else round(area, 4),
        "ece": round(calibration_error(probabilities, right), 4),
    }


def auc(scores: np.ndarray, right: np.ndarray) -> float | None:
    """Return the chance that a right program scores above a wrong one; None without both."""
    positives = int(right.sum())
    negatives = len(right) - positives
    if not positives or not negatives:
        return None
    order = np.argsort(scores, kind="stable")
    ranks = np.empty(len(scores))
    ranks[order] = np.arange(1, len(scores) + 1)
    # Equal scores share their mean rank.
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    sums = np.bincount(inverse, weights=ranks)
    ranks = (sums / counts)[inverse]
    return float(
        (ranks[right.astype(bool)].sum() - positives * (positives + 1) / 2)
        / (positives * negatives)
    )


def auc_within(scores: np.ndarray, right: np.ndarray, questions: Sequence[str]) -> dict[str, Any]:
    """Return the AUC among programs of the same question, and how many questions tell it.

    A verifier may know which questions are hard, which gives it a good AUC over all programs, and
    not which program of a question is right, which is all that search asks of it.
    """
    groups: dict[str, list[int]] = {}
    for row, question in enumerate(questions):
        groups.setdefault(question, []).append(row)
    total, pairs, told = 0.0, 0, 0
    for rows in groups.values():
        area = auc(scores[rows], right[rows])
        if area is not None:
            positives = int(right[rows].sum())
            weight = positives * (len(rows) - positives)
            total, pairs, told = total + area * weight, pairs + weight, told + 1
    return {"auc": round(total / pairs, 4) if pairs else None, "questions": told}


def calibration_error(probabilities: np.ndarray, right: np.ndarray) -> float:
    """Return the expected calibration error over equal-width bins."""
    bins = np.minimum((probabilities * _BINS).astype(int), _BINS - 1)
    total = 0.0
    for number in range(_BINS):
        inside = bins == number
        if inside.any():
            gap = abs(probabilities[inside].mean() - right[inside].mean())
            total += float(gap) * int(inside.sum())
    return total / len(probabilities)


def print_quality(manifest: dict[str, Any]) -> None:
    """Print AUC and calibration error by step position."""
    table = Table("programs of fresh problems", "number", "right", "AUC", "ECE")
    rows = [("whole", manifest)] + [(f"step {r['step']}", r) for r in manifest["by_step"]]
    for name, row in rows:
        area = "-" if row["auc"] is None else f"{row['auc']:.3f}"
        table.add_row(name, str(row["programs"]), f"{row['right']:.1%}", area, f"{row['ece']:.3f}")
    Console(markup=False, width=100).print(table)
    within = manifest["within_questions"]
    if within["auc"] is not None:
        print(
            f"among programs of one question, AUC {within['auc']:.3f} ({within['questions']} "
            "questions with right and wrong ones): 0.5 would be no help to a search"
        )
