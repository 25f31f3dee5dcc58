"""An experiment's results as a page of Markdown with figures, and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table

from pad_ray.base.pages import page_template
from pad_ray.flow.stages import write_json, write_text
from pad_ray.pipeline.experiment.results import Answers, outcomes, pairs
from pad_ray.students.card import TEXT_FORMATS
from pad_ray.synthesis.step_accounting import steps_line

_AXES = ("student", "format", "variant", "strategy")


def write_results(
    out: Path, title: str, answers: Sequence[Answers], data: Sequence[dict[str, Any]]
) -> dict[str, Any]:
    """Write experiment.json, RESULTS.md and a figure a problem set; print the table."""
    found = outcomes(answers)
    rows = [outcome.row() for outcome in found]
    results = {"data": list(data), "cells": rows, "pairs": pairs(found)}
    write_json(out / "experiment.json", results)
    figures = {}
    for number, name in _problem_sets(rows).items():
        figures[name] = f"accuracy-{number}.svg"
        plot_accuracy([r for r in rows if r["evaluation"] == number], name, out / figures[name])
    page = page_template("experiment.md.j2").render(
        title=title,
        rows=rows,
        pairs=results["pairs"],
        data=data,
        figures=figures,
        findings=reached(rows),
        told=told,
        steps_line=steps_line,
        seeds=max(len(row["by_seed"]) for row in rows),
    )
    write_text(out / "RESULTS.md", page)
    print_cells(rows)
    print(f"experiment: results in {out / 'RESULTS.md'}, figures in {out / 'experiment.json'}")
    return results


def _problem_sets(rows: Sequence[dict[str, Any]]) -> dict[int, str]:
    return {row["evaluation"]: row["problem_set"] for row in rows}


def told(row: dict[str, Any], rows: Sequence[dict[str, Any]]) -> str:
    """Name a group by what sets it apart among others; its size is told elsewhere."""
    names = [str(row[axis]) for axis in _AXES if len({other[axis] for other in rows}) > 1]
    return ", ".join(names) or str(row["format"])


def plot_accuracy(rows: Sequence[dict[str, Any]], title: str, file: Path) -> None:
    """Draw accuracy against the problems learned from, a line for each other difference."""
    figure = Figure(figsize=(7.5, 5), layout="constrained")
    axes = figure.subplots()
    lines: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        lines.setdefault(told(row, rows), []).append(row)
    for name, points in lines.items():
        _line(axes, name, sorted(points, key=lambda row: row["learned_from"]))
    axes.set(title=title, xlabel="problems learned from", ylabel="accuracy", xscale="log")
    axes.set_ylim(-0.03, 1.03)
    axes.yaxis.set_major_formatter("{x:.0%}")
    axes.grid(alpha=0.3)
    axes.legend(fontsize="small")
    figure.savefig(file, metadata={"Date": None})


def _line(axes: Axes, name: str, points: Sequence[dict[str, Any]]) -> None:
    accuracy = [point["accuracy"] for point in points]
    low, high = zip(*(point["accuracy_95"] for point in points), strict=True)
    axes.errorbar(
        [point["learned_from"] for point in points],
        accuracy,
        [
            [max(0.0, a - b) for a, b in zip(accuracy, low, strict=True)],
            [max(0.0, b - a) for a, b in zip(accuracy, high, strict=True)],
        ],
        marker="o",
        capsize=3,
        label=name,
    )


def reached(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return how few problems students of programs need for what the others reach with all.

    One entry for each line of another format: the fewest problems with which programs do at least
    as well as it does at its best, or None.
    """
    found = []
    best: dict[tuple[Any, ...], dict[str, Any]] = {}
    for row in rows:
        if row["format"] in TEXT_FORMATS:
            key = _line_of(row)
            if key not in best or row["accuracy"] > best[key]["accuracy"]:
                best[key] = row
    for row in best.values():
        enough = [
            other
            for other in rows
            if other["format"] == "program"
            and _line_of(other)[1:] == _line_of(row)[1:]
            and other["accuracy"] >= row["accuracy"]
        ]
        fewest = min(enough, key=lambda other: other["learned_from"], default=None)
        found.append({"of": row, "program": fewest})
    return found


def _line_of(row: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(row[name] for name in ("format", "student", "variant", "strategy", "evaluation"))


def print_cells(rows: Sequence[dict[str, Any]]) -> None:
    """Print one line a group and problem set."""
    table = Table(
        "student", "format", "variant", "problems", "strategy", "asked", "accuracy", "95% interval"
    )
    for row in rows:
        low, high = row["accuracy_95"]
        table.add_row(
            row["student"],
            row["format"],
            row["variant"],
            str(row["learned_from"]),
            row["strategy"],
            row["problem_set"],
            f"{row['accuracy']:.1%}",
            f"{low:.1%} to {high:.1%}",
        )
    Console(markup=False, width=140).print(table)
