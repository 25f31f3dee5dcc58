"""Fitting the weights of the scorers on validation problems.

Sampled programs are scored once by every source; the weights are those whose product picks right
programs most often, and of these the ones whose votes do. What picks among whole programs also
ranks programs in writing.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import yaml
from rich.console import Console
from rich.table import Table

from pad_ray.base.config import resolve, validate
from pad_ray.base.errors import DataError
from pad_ray.decoding.settings import Weights
from pad_ray.decoding.strategies.vote import is_gold, most_voted, vote_weight
from pad_ray.evaluation.run import evaluate_student
from pad_ray.evaluation.settings import EvaluationSettings
from pad_ray.evaluation.tuning_settings import TuningSettings
from pad_ray.flow.stages import write_text
from pad_ray.tasks import get_task

GRID = {
    "logprob": (0.0, 1.0, 3.0, 10.0),
    "alignment": (0.0, 1.0, 3.0, 10.0, 30.0),
    "value": (0.0, 0.3, 1.0, 3.0),
    "grounding": (0.0, 0.3, 1.0, 3.0),
}
_FOLDS = 5


def tune(settings: TuningSettings) -> Weights:
    """Fit the weights, write decoding.yaml, and return them."""
    out = resolve(settings.out)
    asked = Weights(
        logprob=1,
        alignment=1 if settings.scorers.alignment else 0,
        value=1 if settings.scorers.value else 0,
        grounding=1,
    )
    values = settings.model_dump() | {
        "strategy": "vote",
        "weights": asked.model_dump(),
        "out": out / "samples",
    }
    run = validate(EvaluationSettings, values)
    evaluate_student(settings.student, run, run.out)
    problems = _problems(run)
    names = [name for name in GRID if getattr(asked, name)]
    fitted = fit(problems, names)
    held_out = _cross_validated(problems, names)
    weights = Weights(**{**dict.fromkeys(GRID, 0.0), **fitted})
    scorers = {k: str(v) for k, v in settings.scorers.model_dump().items() if v is not None}
    config = {"weights": weights.model_dump(), "scorers": scorers}
    head = f"# Weights fitted on {len(problems)} problems by tune_decoding.\n"
    write_text(out / "decoding.yaml", head + yaml.safe_dump(config, sort_keys=False))
    _print(problems, names, fitted, held_out)
    print(f"tune_decoding: weights in {out / 'decoding.yaml'}")
    return weights


@dataclass(frozen=True)
class Sample:
    """A sampled program: the logarithm of each source, the key of its answer, whether right."""

    sources: dict[str, float]
    answer: str
    right: bool


def _problems(run: EvaluationSettings) -> list[list[Sample]]:
    """Return each problem's samples that answer.

    Problems whose samples are all right or all wrong say nothing about weights.
    """
    task = get_task(run.task)
    table = pq.read_table(run.out / "predictions.parquet", columns=["answer", "teacher_notes"])
    problems = []
    for row in table.to_pylist():
        samples = [
            Sample(
                sample["sources"], sample["answer"], is_gold(task, sample["answer"], row["answer"])
            )
            # A question that was cut short before its first program, or failed, has none.
            for sample in json.loads(row["teacher_notes"] or "{}").get("samples", ())
            if sample["answer"] is not None
        ]
        if len({sample.right for sample in samples}) == 2:
            problems.append(samples)
    if len(problems) < 2 * _FOLDS:
        raise DataError(
            f"tune_decoding: only {len(problems)} problems have both right and wrong samples; "
            "give more problems, or a higher temperature"
        )
    return problems


def fit(problems: Sequence[Sequence[Sample]], names: Sequence[str]) -> dict[str, float]:
    """Return the grid's weights that pick a right program most often.

    On a tie those that vote best, then the smallest.
    """
    grid = itertools.product(*(GRID[name] for name in names))
    return max(
        (dict(zip(names, weights, strict=True)) for weights in grid),
        key=lambda weights: (
            picked(problems, weights),
            voted(problems, weights),
            -sum(weights.values()),
        ),
    )


def picked(problems: Sequence[Sequence[Sample]], weights: dict[str, float]) -> float:
    """Return the share of problems whose best-ranked program is right; ties count in part."""
    total = 0.0
    for samples in problems:
        ranks = np.array([sum(weights[n] * s.sources[n] for n in weights) for s in samples])
        right = np.array([sample.right for sample in samples])
        total += float(right[ranks >= ranks.max() - 1e-9].mean())
    return total / len(problems)


def voted(problems: Sequence[Sequence[Sample]], weights: Mapping[str, float]) -> float:
    """Return the share of problems whose answer with the most weighted votes is right."""
    total = 0
    for samples in problems:
        winner = most_voted((s.answer, vote_weight(s.sources, weights)) for s in samples)
        total += next(sample.right for sample in samples if sample.answer == winner)
    return total / len(problems)


def _cross_validated(problems: Sequence[Sequence[Sample]], names: Sequence[str]) -> float:
    """Return the share picked right when each fifth is judged by weights fitted on the others."""
    total = 0.0
    for fold in range(_FOLDS):
        held = problems[fold::_FOLDS]
        rest = [p for i, p in enumerate(problems) if i % _FOLDS != fold]
        total += picked(held, fit(rest, names)) * len(held)
    return total / len(problems)


def _print(
    problems: Sequence[Sequence[Sample]],
    names: Sequence[str],
    fitted: dict[str, float],
    held_out: float,
) -> None:
    table = Table("ranked by", "weights", "picks a right program")
    chance = float(np.mean([np.mean([s.right for s in samples]) for samples in problems]))
    table.add_row("chance", "", f"{chance:.1%}")
    for name in names:
        table.add_row(f"{name} alone", "", f"{picked(problems, {name: 1.0}):.1%}")
    chosen: dict[str, Any] = {name: weight for name, weight in fitted.items() if weight}
    shown = ", ".join(f"{name} {weight:g}" for name, weight in chosen.items())
    table.add_row("fitted", shown, f"{picked(problems, fitted):.1%}")
    table.add_row("fitted, on problems left out", "", f"{held_out:.1%}")
    table.add_row("majority", "", f"{voted(problems, {}):.1%}")
    table.add_row("fitted, by vote", "", f"{voted(problems, fitted):.1%}")
    console = Console(width=100)
    console.print(f"of {len(problems)} problems that have right and wrong samples:")
    console.print(table)
