"""The page of an output-space analysis: one HTML file with its pictures inside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from pad_ray.base.pages import page_template
from pad_ray.base.plots import SERIES, loss_figure, loss_points, render
from pad_ray.evaluation.analysis.student import POSITIONS, ProblemMeasures
from pad_ray.evaluation.analysis.tokens import CLASSES
from pad_ray.flow.stages import read_manifest, write_text
from pad_ray.training.metrics import metric_lines

__all__ = ["planes", "write_analysis_report"]

_MARKS = "os^DvP"
# t-SNE needs more points than its perplexity; PCA takes any two.
_LEAST_TSNE = 30
_MOST_POINTS = 1500
_EXAMPLES = 3


def write_analysis_report(
    out: Path,
    result: Mapping[str, Any],
    headlines: Mapping[str, str],
    measured: Sequence[Sequence[ProblemMeasures]],
    folders: Sequence[Path],
) -> None:
    """Write report.html into `out`; `folders` are the students', whose losses are drawn too."""
    students = result["students"]
    kinds = ("reference", "sampled")
    has_reference = any(s["measures"].get("reference_entropy") for s in students)
    shown = kinds if has_reference else ("sampled",)
    text = page_template("analysis.html.j2").render(
        result=result,
        headlines=headlines,
        classes=CLASSES,
        kinds=shown,
        positions={kind: _positions_figure(kind, students) for kind in shown},
        support={kind: _classes_figure(kind, students) for kind in shown},
        clouds=_clouds(result, measured),
        losses=_losses(students, folders),
        examples=[
            [(one.problem_id, one.texts[:_EXAMPLES]) for one in found[:_EXAMPLES]]
            for found in measured
        ],
    )
    write_text(out / "report.html", text)


def _axes(height: float = 2.8) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(4.5, height), layout="constrained")
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", linewidth=0.8, alpha=0.3)
    return figure, axes


def _label(student: Mapping[str, Any]) -> str:
    return f"{student['name']} ({student['format']})"


def _positions_figure(kind: str, students: Sequence[Mapping[str, Any]]) -> str:
    def draw() -> Figure:
        figure, axes = _axes()
        for number, student in enumerate(students):
            points = [student["measures"].get(f"{kind}_entropy.position_{i}") for i in _TENTHS]
            known = [(i, p) for i, p in zip(_TENTHS, points, strict=True) if p is not None]
            color = SERIES[number % len(SERIES)]
            places = [i * 10 + 5 for i, _ in known]
            low, high = (
                zip(*(p["interval_95"] for _, p in known), strict=True) if known else ((),) * 2
            )
            axes.fill_between(places, low, high, color=color, alpha=0.2, linewidth=0)
            means = [p["mean"] for _, p in known]
            mark = _MARKS[number % len(_MARKS)]
            axes.plot(places, means, color=color, marker=mark, label=_label(student))
        axes.set(xlabel="place in the text, in percent", ylabel="entropy (nats)", ylim=(0, None))
        figure.legend(loc="outside upper left", frameon=False)
        return figure

    return render(f"positions-{kind}", f"Entropy by place, {kind} texts", draw)


_TENTHS = range(POSITIONS)


def _classes_figure(kind: str, students: Sequence[Mapping[str, Any]]) -> str:
    def draw() -> Figure:
        figure, axes = _axes()
        width = 0.8 / len(students)
        for number, student in enumerate(students):
            for place, name in enumerate(CLASSES):
                value = student["measures"].get(f"{kind}_entropy.{name}")
                if value is None:
                    continue
                low, high = value["interval_95"]
                at = place + (number - (len(students) - 1) / 2) * width
                color = SERIES[number % len(SERIES)]
                axes.bar(at, value["mean"], width * 0.9, color=color)
                axes.plot([at, at], [low, high], color=SERIES[-1], linewidth=1)
            axes.bar(0, 0, color=SERIES[number % len(SERIES)], label=_label(student))
        axes.set_xticks(range(len(CLASSES)), CLASSES)
        axes.set_ylabel("entropy (nats)")
        figure.legend(loc="outside upper left", frameon=False)
        return figure

    return render(f"classes-{kind}", f"Entropy by class of token, {kind} texts", draw)


def planes(vectors: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    """Return points in the plane for vectors [n, d], by method: PCA, and t-SNE for 30 or more."""
    # Loading it takes longer than a small analysis.
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE

    found: dict[str, NDArray[np.float64]] = {}
    if min(vectors.shape) >= 2:
        found["PCA"] = PCA(n_components=2, random_state=0).fit_transform(vectors)
    if len(vectors) >= _LEAST_TSNE:
        perplexity = min(30.0, len(vectors) / 4)
        # From the principal axes, which all-equal vectors have none of.
        spread = float(vectors.std()) > 1e-9
        if spread:
            method = TSNE(perplexity=perplexity, init="pca", random_state=0)
            found["t-SNE"] = method.fit_transform(vectors)
    return found


def _clouds(
    result: Mapping[str, Any], measured: Sequence[Sequence[ProblemMeasures]]
) -> list[tuple[str, str]]:
    """Return titled pictures: of all students in one space, or of each one in its own."""
    students = result["students"]
    shared = not result["embedding"].startswith("the student's own")
    groups = [list(range(len(students)))] if shared else [[i] for i in range(len(students))]
    pictures = []
    for number, group in enumerate(groups):
        clouds = [np.concatenate([one.vectors for one in measured[i]]) for i in group]
        clouds = [cloud[:: -(-len(cloud) // _MOST_POINTS)] for cloud in clouds]
        owners = np.repeat(group, [len(cloud) for cloud in clouds])
        for method, points in planes(np.concatenate(clouds)).items():
            title = f"{method} of samples: {', '.join(_label(students[i]) for i in group)}"
            name = f"cloud-{number}-{method}"
            pictures.append((title, _cloud_figure(name, title, points, owners, students)))
    return pictures


def _cloud_figure(
    name: str,
    title: str,
    points: NDArray[np.float64],
    owners: NDArray[np.int64],
    students: Sequence[Mapping[str, Any]],
) -> str:
    def draw() -> Figure:
        figure, axes = _axes(3.4)
        for number in dict.fromkeys(owners.tolist()):
            mine = points[owners == number]
            color, mark = SERIES[number % len(SERIES)], _MARKS[number % len(_MARKS)]
            axes.scatter(
                mine[:, 0],
                mine[:, 1],
                s=7,
                color=color,
                marker=mark,
                label=_label(students[number]),
            )
        axes.set(xticks=[], yticks=[])
        figure.legend(loc="outside upper left", frameon=False)
        return figure

    return render(name, title, draw)


def _losses(
    students: Sequence[Mapping[str, Any]], folders: Sequence[Path]
) -> list[tuple[str, str]]:
    """Return the loss curves of the students that keep a training run's metrics."""
    pictures = []
    for number, (student, folder) in enumerate(zip(students, folders, strict=True)):
        if not (folder / "metrics.jsonl").is_file() or not (folder / "manifest.json").is_file():
            continue
        lines = metric_lines(folder / "metrics.jsonl")
        train = list(loss_points(lines, "loss"))
        validation = list(loss_points(lines, "validation_loss"))
        if train or validation:
            title = f"Loss of {_label(student)}"
            best = int(read_manifest(folder)["best_step"])
            pictures.append((title, loss_figure(f"loss-{number}", title, train, validation, best)))
    return pictures
