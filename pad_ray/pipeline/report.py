"""The report of a pipeline run: one HTML file with no script and nothing to load."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, count, groupby
from pathlib import Path
from typing import Any, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pad_ray.base.errors import DataError
from pad_ray.base.pages import in_turn, page_template, shown_value
from pad_ray.base.plots import (
    Bar,
    accuracy_figure,
    funnel_figure,
    loss_figure,
    loss_points,
)
from pad_ray.evaluation.run import failure_class, problem_set_of
from pad_ray.evaluation.several import against_first
from pad_ray.flow.stages import write_text
from pad_ray.synthesis.dataset.card import holds_texts
from pad_ray.synthesis.dataset.funnel import funnel_bars
from pad_ray.synthesis.reasons import REASONS
from pad_ray.tasks import short_name
from pad_ray.training.metrics import metric_lines

__all__ = ["StageResult", "write_report"]

_EXAMPLES = 10
_FIRST_FAILURES = 3
_EXAMPLE_COLUMNS = [
    *("row_id", "question", "answer", "program", "completion", "value"),
    *("error_type", "message", "reason", "teacher_notes"),
]


@dataclass(frozen=True)
class StageResult:
    """One finished stage: its directory, and its manifest as `stages.Stage.finish` writes it."""

    folder: Path
    manifest: dict[str, Any]


# A stage under the name that the report has for it.
Named: TypeAlias = tuple[str, StageResult]


def write_report(
    path: Path,
    title: str,
    synthesis: Sequence[StageResult],
    training: StageResult,
    evaluation: Sequence[StageResult],
    baselines: Sequence[StageResult] = (),
) -> None:
    """Write the report of finished stages to `path`.

    `baselines` are the first evaluations again, of the student before training, or none.
    Raises `DataError` if a stage's metrics.jsonl or predictions.parquet cannot be read.
    """
    sources = _names(synthesis, [_source_name(result.manifest) for result in synthesis])
    sets = _names(evaluation, _set_names([result.manifest for result in evaluation]))
    metrics = [result.manifest["metrics"] for result in evaluation]
    stages = [*synthesis, training, *evaluation, *baselines]
    before = [f"{name}, before training" for name in sets[: len(baselines)]]
    rows = _in_pairs(
        list(zip(before, baselines, strict=True)), list(zip(sets, evaluation, strict=True))
    )
    answered = [
        [{**row, "order": order} for row in _reasons(result.folder)]
        for order, result in enumerate(evaluation)
    ]
    text = page_template("report.html.j2").render(
        title=title,
        synthesis=list(map(_synthesis, sources, synthesis, count())),
        simulated=any("simulated" in result.manifest["teacher"] for result in synthesis),
        training=_training(training),
        evaluation=[{"name": n, **r.manifest} for n, r in zip(sets, evaluation, strict=True)],
        rows=[{"name": n, **r.manifest} for n, r in rows],
        gains=_gains(sets, baselines, evaluation),
        accuracy=_accuracy(rows),
        failing=list(dict.fromkeys(chain.from_iterable(m["failures"] for m in metrics))),
        failures=_shown(_commonest_failures(answered), sets, evaluation),
        examples=_shown(_examples(answered), sets, evaluation),
        wall_s=[
            sum(r.manifest["wall_s"] for r in part)
            for part in (synthesis, [*evaluation, *baselines])
        ],
        finished_at=max(result.manifest["finished_at"] for result in stages),
        versions=_versions(stages),
        reasons=REASONS,
    )
    write_text(path, text)


def _source_name(manifest: Mapping[str, Any]) -> str:
    return f"{short_name(manifest['config']['task'])}, teacher {manifest['teacher']}"


def _set_names(manifests: Sequence[dict[str, Any]]) -> list[str]:
    """Name problem sets, and beside a student of programs those that one of texts was asked."""
    in_words = [manifest["metrics"]["executes"] is None for manifest in manifests]
    told = not all(in_words)
    return [
        problem_set_of(manifest) + (", answered in words" if told and texts else "")
        for manifest, texts in zip(manifests, in_words, strict=True)
    ]


def _names(results: Sequence[StageResult], names: Sequence[str]) -> list[str]:
    """Tell stages of the same name apart by the settings in which they differ."""
    told_apart = []
    for result, name in zip(results, names, strict=True):
        config = result.manifest["config"]
        others = [r.manifest["config"] for r, n in zip(results, names, strict=True) if n == name]
        differing = [key for key in config if any(config[key] != c.get(key) for c in others)]
        if "strategy" in differing and len({c["strategy"] for c in others}) == len(others):
            differing = ["strategy"]
        told_apart.append(", ".join([name, *(f"{key} {config[key]}" for key in differing)]))
    return told_apart


def _synthesis(name: str, result: StageResult, index: int) -> dict[str, Any]:
    figure = funnel_figure(
        f"funnel-{index}",
        f"Samples left after each step, {name}; the table below has the numbers",
        funnel_bars(result.manifest["counts"], holds_texts(result.manifest)),
    )
    return {"name": name, "figure": figure, **result.manifest}


def _training(result: StageResult) -> dict[str, Any]:
    lines = metric_lines(result.folder / "metrics.jsonl")
    train = list(loss_points(lines, "loss"))
    validation = list(loss_points(lines, "validation_loss"))
    best = result.manifest["best_step"]
    title = "Training and validation loss by optimizer step"
    return {
        **result.manifest,
        "figure": loss_figure("loss", title, train, validation, best)
        if train or validation
        else None,
        "final_loss": train[-1].loss if train else None,
        "tokens_per_s": next(
            (line["tokens_per_s"] for line in reversed(lines) if "tokens_per_s" in line), None
        ),
    }


def _in_pairs(before: Sequence[Named], after: Sequence[Named]) -> list[Named]:
    """Return each problem set's results, those before training first where there are any."""
    pairs = chain.from_iterable(zip(before, after, strict=False))
    return [*pairs, *after[len(before) :]]


def _gains(
    names: Sequence[str], baselines: Sequence[StageResult], evaluation: Sequence[StageResult]
) -> list[dict[str, Any]]:
    """Return what training gained on each problem set, problem by problem."""
    if not baselines:
        return []
    return [
        {"name": name, **against_first([before.folder, after.folder])[0]}
        for name, before, after in zip(names, baselines, evaluation, strict=False)
    ]


def _accuracy(rows: Sequence[Named]) -> str:
    bars = []
    for name, result in rows:
        metrics = result.manifest["metrics"]
        low, high = metrics["accuracy_95"]
        bars.append(
            Bar(name, metrics["accuracy"], f"{metrics['accuracy']:.1%}", interval=(low, high))
        )
    title = "Accuracy of the student on each problem set with its 95% interval"
    return accuracy_figure("accuracy", title, bars)


def _commonest_failures(answered: Sequence[Sequence[dict[str, Any]]]) -> list[dict[str, Any]]:
    """Return a problem of each of the commonest kinds of failure, with `times` and `of`.

    A kind is a class of failure in one problem set; a set that has failures shows one of them
    before another set shows two, as far as there is room.
    """
    of_sets = []
    for rows in answered:
        kinds: dict[str, list[dict[str, Any]]] = {}
        for row in rows:
            if row["reason"] is not None:
                kinds.setdefault(row["failure"], []).append(row)
        ordered = sorted(kinds.values(), key=len, reverse=True)
        of_sets.append([{**kind[0], "times": len(kind), "of": len(rows)} for kind in ordered])
    of_sets.sort(key=lambda kinds: -sum(kind["times"] / kind["of"] for kind in kinds))
    return in_turn(of_sets)[:_FIRST_FAILURES]


def _examples(answered: Sequence[Sequence[dict[str, Any]]]) -> list[dict[str, Any]]:
    """Choose problems over all sets, failures of different classes among them, by row id."""
    right = [[row for row in rows if row["reason"] is None] for rows in answered]
    wrong = [_classes_in_turn([r for r in rows if r["reason"] is not None]) for rows in answered]
    rights, wrongs = in_turn(right), in_turn(wrong)
    failing = wrongs[: max(_EXAMPLES // 2, _EXAMPLES - len(rights))]
    chosen = [*failing, *rights[: _EXAMPLES - len(failing)]]
    return sorted(chosen, key=lambda row: (row["order"], row["reason"] is not None, row["row_id"]))


def _shown(
    chosen: Sequence[dict[str, Any]], names: Sequence[str], evaluation: Sequence[StageResult]
) -> list[dict[str, Any]]:
    """Return the chosen rows with all that is shown of them, in their order."""
    rows = {}
    for index, (name, result) in enumerate(zip(names, evaluation, strict=True)):
        ids = [row["row_id"] for row in chosen if row["order"] == index]
        for row in _predictions(result.folder, ids) if ids else []:
            rows[index, row["row_id"]] = {**row, "set": name}
    return [{**row, **rows[row["order"], row["row_id"]]} for row in chosen]


def _reasons(folder: Path) -> list[dict[str, Any]]:
    """Return of every row its id and, where it failed, how, by row id."""
    table = _columns(folder, ["row_id", "reason", "error_type"])
    return [
        {**row, "failure": failure_class(row) if row["reason"] else None}
        for row in table.sort_by("row_id").to_pylist()
    ]


def _predictions(folder: Path, ids: Sequence[str]) -> list[dict[str, Any]]:
    """Return rows as they are shown; no others are read, for their trees are long."""
    table = _columns(folder, _EXAMPLE_COLUMNS, pc.field("row_id").isin(list(ids)))
    return [
        {
            **row,
            "failure": failure_class(row) if row["reason"] else None,
            "given": shown_value(row["value"]),
            "tree": _tree(row["teacher_notes"]),
        }
        for row in table.to_pylist()
    ]


def _columns(folder: Path, columns: list[str], where: pc.Expression | None = None) -> pa.Table:
    path = folder / "predictions.parquet"
    try:
        return pq.read_table(path, columns=columns, filters=where)
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read: {error}") from error


def _tree(notes: str | None) -> list[dict[str, Any]]:
    """Return the first steps that a search proposed, each with those below it as `below`."""
    nodes = json.loads(notes or "{}").get("tree", [])
    below: dict[int | None, list[dict[str, Any]]] = {None: []}
    for node in nodes:
        below[node["number"]] = node["below"] = []
    for node in nodes:
        below[node["parent"]].append(node)
    return below[None]


def _classes_in_turn(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    ordered = sorted(rows, key=lambda row: str(row["failure"]))
    return in_turn([list(group) for _, group in groupby(ordered, lambda row: row["failure"])])


def _versions(stages: Iterable[StageResult]) -> dict[str, str]:
    """Return each package's version, or all of them where stages ran with different ones."""
    found: dict[str, dict[str, None]] = {}
    for result in stages:
        for package, version in result.manifest["versions"].items():
            found.setdefault(package, {})[version] = None
    return {package: ", ".join(used) for package, used in found.items()}
