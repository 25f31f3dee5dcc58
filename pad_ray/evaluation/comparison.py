"""Decoding strategies side by side on the same problems: accuracy against tokens and time."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from rich.console import Console
from rich.table import Table

from pad_ray.base.config import resolve, validate
from pad_ray.base.intervals import share_interval
from pad_ray.decoding.strategies.vote import is_gold, most_voted
from pad_ray.evaluation.comparison_plot import plot_curves
from pad_ray.evaluation.comparison_settings import ComparisonSettings
from pad_ray.evaluation.run import evaluate_student
from pad_ray.evaluation.settings import EvaluationSettings
from pad_ray.flow.stages import stage_folder, write_json
from pad_ray.tasks import Task, get_task


def compare(settings: ComparisonSettings) -> list[dict[str, Any]]:
    """Evaluate every strategy with every seed; return a row a strategy, written to `out` too.

    Finished evaluations are not done again; an interrupted comparison goes on.
    """
    out = resolve(settings.out)
    task = get_task(settings.task)
    rows = []
    for name, changes in settings.strategies.items():
        found = [_predictions(_run(settings, name, changes, seed), out) for seed in settings.seeds]
        rows.append(_row(name, changes, [p for part in found for p in part]))
        rows += _resampled(name, task, [p for part in found for p in part])
    write_json(out / "comparison.json", rows)
    plot_curves(rows, out / "curves.svg")
    print_comparison(rows)
    print(f"compare: curves in {out / 'curves.svg'}, figures in {out / 'comparison.json'}")
    return rows


def _run(
    settings: ComparisonSettings, name: str, changes: dict[str, Any], seed: int
) -> EvaluationSettings:
    own = {"strategies", "seeds", "student", "out"}
    values = settings.model_dump(exclude=own) | {"seed": seed, "search_seed": seed}
    weights = {**values["weights"], **changes.get("weights", {})}
    values |= changes | {"weights": weights, "student": settings.student, "out": settings.out}
    run = validate(EvaluationSettings, values)
    plain_name = re.sub(r"[^A-Za-z0-9]+", "-", name)
    folder = stage_folder(resolve(settings.out), f"{plain_name}-{seed}", run)
    return run.model_copy(update={"out": folder})


def _predictions(run: EvaluationSettings, out: Path) -> list[dict[str, Any]]:
    evaluate_student(str(run.student), run, run.out)
    columns = ["problem_id", "answer", "reason", "status", "completion_tokens", "solve_s"]
    table = pq.read_table(run.out / "predictions.parquet", columns=[*columns, "teacher_notes"])
    return list(table.to_pylist())


def _row(name: str, changes: dict[str, Any], rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    return {
        "name": name,
        "settings": changes,
        **_accuracy(rows, [row["reason"] is None for row in rows]),
        "executes": _executes([row["status"] for row in rows]),
        "tokens": float(np.mean([row["completion_tokens"] for row in rows])),
        "seconds": float(np.mean([row["solve_s"] for row in rows])),
    }


def _executes(statuses: Sequence[str | None]) -> float | None:
    """Return the share that runs to its end; None where nothing was run."""
    ran = any(status is not None for status in statuses)
    return float(np.mean([status == "ok" for status in statuses])) if ran else None


def _accuracy(rows: Sequence[dict[str, Any]], right: Sequence[bool]) -> dict[str, Any]:
    """Return accuracy over problems, and its interval.

    A problem that several seeds asked counts once, as its mean: asking it again tells little of
    other problems.
    """
    by_problem: dict[str, list[bool]] = {}
    for row, is_right in zip(rows, right, strict=True):
        by_problem.setdefault(row["problem_id"], []).append(is_right)
    means = [float(np.mean(found)) for found in by_problem.values()]
    return {
        "problems": len(means),
        "accuracy": float(np.mean(means)),
        "accuracy_95": share_interval(means),
    }


def _resampled(name: str, task: Task, rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Read smaller votes, the plain majority and the oracle off the samples of a vote.

    The first k samples of n are what a vote with n = k would have drawn.
    """
    drawn = [(row, json.loads(row["teacher_notes"] or "{}").get("samples")) for row in rows]
    if not all(samples for _, samples in drawn):
        return []
    most = min(len(samples) for _, samples in drawn)
    sizes = [k for k in (1, 2, 4, 8, 16, 32, 64, 128) if k < most] + [most]
    found = []
    for k in sizes:
        cut = [(row, samples[:k]) for row, samples in drawn]
        tokens = float(np.mean([sum(s["tokens"] for s in samples) for _, samples in cut]))
        for kind, choose in (("majority", _majority), ("weighted", _weighted), ("best", _best)):
            right = [is_gold(task, choose(samples), row["answer"]) for row, samples in cut]
            found.append({"name": f"{name}: {kind} of {k}", "curve": f"{name}: {kind}", "n": k})
            found[-1] |= {**_accuracy(rows, right), "tokens": tokens}
        oracle = [any(is_gold(task, s["answer"], r["answer"]) for s in ss) for r, ss in cut]
        found.append({"name": f"{name}: oracle pass@{k}", "curve": f"{name}: oracle", "n": k})
        found[-1] |= {**_accuracy(rows, oracle), "tokens": tokens}
    return found


def _majority(samples: Sequence[dict[str, Any]]) -> str | None:
    return most_voted((s["answer"], 1.0) for s in samples)


def _weighted(samples: Sequence[dict[str, Any]]) -> str | None:
    return most_voted((s["answer"], s["vote"]) for s in samples)


def _best(samples: Sequence[dict[str, Any]]) -> str | None:
    answered = [s for s in samples if s["answer"] is not None]
    best = max(answered, key=lambda s: s["rank"], default=None)
    return None if best is None else str(best["answer"])


def print_comparison(rows: Sequence[dict[str, Any]]) -> None:
    """Print one line a strategy."""
    table = Table("strategy", "problems", "accuracy", "95% interval", "tokens", "s a problem")
    for row in rows:
        low, high = row["accuracy_95"]
        seconds = f"{row['seconds']:.2f}" if "seconds" in row else ""
        table.add_row(
            row["name"],
            str(row["problems"]),
            f"{row['accuracy']:.1%}",
            f"{low:.1%} to {high:.1%}",
            f"{row['tokens']:,.0f}",
            seconds,
        )
    Console(markup=False, width=120).print(table)
