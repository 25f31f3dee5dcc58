"""Accuracy of decoding strategies against what they cost."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

_COSTS = (("tokens", "generated tokens a problem"), ("seconds", "seconds a problem"))


def plot_curves(rows: Sequence[dict[str, Any]], file: Path) -> None:
    """Draw accuracy against tokens and against seconds; votes of growing size are lines."""
    figure = Figure(figsize=(13, 5.5), layout="constrained")
    panels = figure.subplots(1, 2)
    for axes, (cost, label) in zip(panels, _COSTS, strict=True):
        _draw(axes, [row for row in rows if row.get(cost)], cost)
        axes.set_xscale("log")
        axes.set_xlabel(label)
        axes.set_ylabel("accuracy")
        axes.yaxis.set_major_formatter("{x:.0%}")
        axes.grid(alpha=0.3)
    figure.savefig(file)


def _draw(axes: Axes, rows: Sequence[dict[str, Any]], cost: str) -> None:
    curves = dict.fromkeys(row["curve"] for row in rows if "curve" in row)
    for curve in curves:
        points = [row for row in rows if row.get("curve") == curve]
        axes.plot(
            [row[cost] for row in points],
            [row["accuracy"] for row in points],
            "--" if curve.endswith("oracle") else "-",
            marker=".",
            label=curve,
        )
    for row in rows:
        if "curve" in row:
            continue
        low, high = row["accuracy_95"]
        axes.errorbar(
            row[cost],
            row["accuracy"],
            [[row["accuracy"] - low], [high - row["accuracy"]]],
            fmt="o",
            capsize=3,
        )
        axes.annotate(row["name"], (row[cost], row["accuracy"]), (5, 5), textcoords="offset points")
    if curves:
        axes.legend(loc="lower right", fontsize="small")
