"""Fitting the weights of the scorers, and what they are worth, on validation problems.

Programs of each problem are scored once by every source; the weights are those whose product picks
right programs most often, and of these the ones whose votes do. What picks among whole programs
also ranks programs in writing. How often the greedy program, and the answer that leads a vote, are
right at what is said of them, is what `auto` stops by.
"""

from __future__ import annotations

import itertools
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import pyarrow.parquet as pq
import yaml
from rich.console import Console
from rich.table import Table

from pad_ray.base.config import resolve, validate
from pad_ray.base.errors import DataError
from pad_ray.decoding.settings import Calibration, Scaling, Weights
from pad_ray.decoding.strategies.auto import odds_agreed, odds_alone, rounds
from pad_ray.decoding.strategies.vote import is_gold, most_voted, vote_weight
from pad_ray.evaluation.run import evaluate_student
from pad_ray.evaluation.settings import EvaluationSettings
from pad_ray.evaluation.tuning_settings import TuningSettings
from pad_ray.flow.stages import write_text
from pad_ray.tasks import get_task
from pad_ray.training.calibration import platt
from pad_ray.verifiers.base import calibrated

GRID = {
    "logprob": (0.0, 1.0, 3.0, 10.0),
    "alignment": (0.0, 1.0, 3.0, 10.0, 30.0),
    "value": (0.0, 0.3, 1.0, 3.0),
    "grounding": (0.0, 0.3, 1.0, 3.0),
}
_FOLDS = 5
# Right and wrong answers below which nothing is said of how sure one may be.
_FEWEST = 10


def tune(settings: TuningSettings) -> Weights:
    """Fit weights and calibration, write decoding.yaml and tuning.json, return the weights."""
    out = resolve(settings.out)
    asked = Weights(
        logprob=1,
        alignment=1 if settings.scorers.alignment else 0,
        value=1 if settings.scorers.value else 0,
        grounding=1,
    )
    # Never sure: it writes the greedy program and samples all others.
    unsure = {"strategy": "auto", "confidence": 1.0, "calibration": Calibration().model_dump()}
    values = settings.model_dump() | unsure | {"weights": asked.model_dump()}
    run = validate(EvaluationSettings, values | {"out": out / "samples"})
    evaluate_student(settings.student, run, run.out)
    drawn = _drawn(run)
    problems = _telling(drawn)
    names = [name for name in GRID if getattr(asked, name)]
    fitted = fit(problems, names)
    held_out = _cross_validated(problems, names)
    weights = Weights(**{**dict.fromkeys(GRID, 0.0), **fitted})
    calibration = calibrate(drawn, weights)
    stopping = _stopping(drawn, weights, settings.confidence)
    scorers = {k: str(v) for k, v in settings.scorers.model_dump().items() if v is not None}
    config = {"weights": weights.model_dump(), "scorers": scorers}
    config["calibration"] = calibration.model_dump()
    head = f"# Fitted on {len(drawn)} problems by tune_decoding.\n"
    write_text(out / "decoding.yaml", head + yaml.safe_dump(config, sort_keys=False))
    picking = _picking(problems, names, fitted, held_out)
    figures = {"problems": len(drawn), "picking": picking, "auto": stopping}
    write_text(out / "tuning.json", json.dumps(figures, indent=2) + "\n")
    _print(figures, len(problems), fitted)
    print(f"tune_decoding: weights and calibration in {out / 'decoding.yaml'}")
    return weights


@dataclass(frozen=True)
class Sample:
    """A program: the logarithm of each source, the key of its answer (if any), whether right."""

    sources: dict[str, float]
    answer: str | None
    right: bool


# A problem's programs, the greedy one first.
Drawn: TypeAlias = Sequence[Sample]


def _drawn(run: EvaluationSettings) -> list[Drawn]:
    """Return each problem's programs; a question that failed or was cut at once has none."""
    task = get_task(run.task)
    table = pq.read_table(run.out / "predictions.parquet", columns=["answer", "teacher_notes"])
    found: list[Drawn] = []
    for row in table.to_pylist():
        samples = [
            Sample(
                sample["sources"], sample["answer"], is_gold(task, sample["answer"], row["answer"])
            )
            for sample in json.loads(row["teacher_notes"] or "{}").get("samples", ())
        ]
        if samples:
            found.append(samples)
    return found


def _telling(drawn: Sequence[Drawn]) -> list[list[Sample]]:
    """Return each problem's programs that answer.

    Problems whose programs are all right or all wrong say nothing about weights.
    """
    answered = [[sample for sample in samples if sample.answer is not None] for samples in drawn]
    problems = [samples for samples in answered if len({s.right for s in samples}) == 2]
    if len(problems) < 2 * _FOLDS:
        raise DataError(
            f"tune_decoding: only {len(problems)} problems have both right and wrong samples; "
            "give more problems, or a higher temperature"
        )
    return problems


@dataclass(frozen=True)
class Lead:
    """The answer that leads after some programs: its log-odds of being right, and whether it is."""

    programs: int
    odds: float
    right: bool


def leads(samples: Drawn, weights: Weights) -> list[Lead | None]:
    """Return what leads where `auto` may stop, None where nothing answers.

    First the greedy program alone, then the vote after each round of sampling.
    """
    first, by = samples[0], weights.model_dump()
    alone = Lead(1, odds_alone(first.sources, weights), first.right)
    found = [None if first.answer is None else alone]
    for count in rounds(len(samples)):
        votes: defaultdict[str | None, float] = defaultdict(float)
        for sample in samples[:count]:
            votes[sample.answer] += vote_weight(sample.sources, by)
        winner = most_voted(votes.items())
        if winner is None:
            found.append(None)
            continue
        share = votes[winner] / (sum(votes.values()) or 1.0)
        right = next(sample.right for sample in samples if sample.answer == winner)
        found.append(Lead(count, odds_agreed(share, count), right))
    return found


def calibrate(drawn: Sequence[Drawn], weights: Weights) -> Calibration:
    """Return what makes probabilities of the two signs that `auto` stops by (Platt).

    A sign with hardly any right, or hardly any wrong answers stays as it is.
    """
    all_leads = [leads(samples, weights) for samples in drawn]
    return Calibration(
        alone=_scaling([found[0] for found in all_leads]),
        agreed=_scaling([lead for found in all_leads for lead in found[1:]]),
    )


def _scaling(found: Sequence[Lead | None]) -> Scaling:
    told = [lead for lead in found if lead is not None]
    right = sum(lead.right for lead in told)
    if min(right, len(told) - right) < _FEWEST:
        return Scaling()
    odds = np.array([lead.odds for lead in told])
    scale, shift = platt(odds, np.array([lead.right for lead in told], dtype=float))
    return Scaling(scale=scale, shift=shift)


def stop(samples: Drawn, weights: Weights, by: Calibration, confidence: float) -> Lead | None:
    """Return what `auto` would answer: the first lead that is trusted, else the last."""
    found = leads(samples, weights)
    for number, lead in enumerate(found):
        scaling = by.agreed if number else by.alone
        if lead is not None and (calibrated(lead.odds, scaling.scale, scaling.shift) >= confidence):
            return lead
    return found[-1]


def _stopping(drawn: Sequence[Drawn], weights: Weights, confidence: float) -> dict[str, float]:
    """Return what `auto` costs and gets right on problems that its calibration has not seen.

    `sure` is the share of problems where it stops early, `sure_right` how many of those are right.
    """
    stopped: list[tuple[Drawn, Lead | None]] = []
    for fold in range(_FOLDS):
        rest = [samples for i, samples in enumerate(drawn) if i % _FOLDS != fold]
        by = calibrate(rest, weights)
        stopped += [(s, stop(s, weights, by, confidence)) for s in drawn[fold::_FOLDS]]
    early = [lead for s, lead in stopped if lead is not None and lead.programs < len(s)]
    voted_right = [(leads(samples, weights)[-1]) for samples in drawn]
    return {
        "confidence": confidence,
        "programs": _mean(lead.programs if lead else len(s) for s, lead in stopped),
        "right": _mean(bool(lead and lead.right) for _, lead in stopped),
        "sure": len(early) / len(drawn),
        "sure_right": _mean(lead.right for lead in early),
        "vote_programs": _mean(len(samples) for samples in drawn),
        "vote_right": _mean(bool(lead and lead.right) for lead in voted_right),
    }


def _mean(values: Iterable[float]) -> float:
    found = list(values)
    return sum(found) / len(found) if found else 0.0


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


def _picking(
    problems: Sequence[Sequence[Sample]],
    names: Sequence[str],
    fitted: dict[str, float],
    held_out: float,
) -> dict[str, float]:
    """Return how often each way to rank picks a right program."""
    chance = float(np.mean([np.mean([s.right for s in samples]) for samples in problems]))
    return {
        "chance": chance,
        **{f"{name} alone": picked(problems, {name: 1.0}) for name in names},
        "fitted": picked(problems, fitted),
        "fitted, on problems left out": held_out,
        "majority": voted(problems, {}),
        "fitted, by vote": voted(problems, fitted),
    }


def _print(figures: Mapping[str, Any], telling: int, fitted: Mapping[str, float]) -> None:
    table = Table("ranked by", "weights", "picks a right program")
    shown = ", ".join(f"{name} {weight:g}" for name, weight in fitted.items() if weight)
    for name, share in figures["picking"].items():
        table.add_row(name, shown if name == "fitted" else "", f"{share:.1%}")
    console = Console(markup=False, width=100)
    console.print(f"of {telling} problems that have right and wrong samples:")
    console.print(table)
    auto = figures["auto"]
    console.print(
        f"auto at confidence {auto['confidence']:g}, on problems left out: {auto['right']:.1%} "
        f"right with {auto['programs']:.1f} programs a problem; sure of {auto['sure']:.1%}, of "
        f"which {auto['sure_right']:.1%} are right. Votes of all: {auto['vote_right']:.1%} with "
        f"{auto['vote_programs']:.1f}."
    )
