"""Students that vote: what several evaluated ones answered, each trusted as far as it has earned.

A vote weighs what its student's accuracy is on other problems, so that a student that is seldom
right cannot outvote one that mostly is.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pad_ray.base.config import resolve, resolve_all
from pad_ray.base.errors import ConfigError, DataError
from pad_ray.base.schemas import JUDGED_SCHEMA
from pad_ray.evaluation.run import measure, print_table
from pad_ray.evaluation.settings import EnsembleSettings
from pad_ray.flow.stages import open_stage, read_manifest
from pad_ray.tasks import get_task
from pad_ray.tasks.answers import Check, agreed

__all__ = ["elect", "vote_together"]


def vote_together(settings: EnsembleSettings) -> dict[str, Any]:
    """Write the ensemble's predictions into `settings.out` and return the manifest.

    `predictions.parquet` has a row a problem: the winning answer as the student of the greatest
    weight wrote it, with the tokens and seconds of all.
    """
    members, validation = resolve_all(settings.predictions), resolve_all(settings.validation)
    if validation and len(validation) != len(members):
        raise ConfigError(
            f"validation: {len(validation)} directories for {len(members)} of predictions"
        )
    stage = open_stage(resolve(settings.out), "ensemble", settings)
    if stage.complete is not None:
        print(f"ensemble: {stage.out} is complete; nothing to do")
        return stage.complete
    tables = [_predictions(folder) for folder in members]
    for folder, table in zip(members, tables, strict=True):
        if table["problem_id"].to_pylist() != tables[0]["problem_id"].to_pylist():
            raise DataError(f"predictions: {folder} and {members[0]} have other problems")
    weights = _weights(validation) if validation else [1.0] * len(members)
    asked = read_manifest(members[0])["config"]
    same = get_task(asked["task"]).answers_equal
    stage.begin()
    rows = [elect(row, weights, same) for row in zip(*(t.to_pylist() for t in tables), strict=True)]
    judged = pa.Table.from_pylist(rows, schema=JUDGED_SCHEMA)
    pq.write_table(judged, stage.out / "predictions.parquet")
    manifest = stage.finish(
        {
            "student": f"{len(members)} students that vote",
            "members": [str(read_manifest(folder)["student"]) for folder in members],
            "weights": [round(weight, 4) for weight in weights],
            "problem_set": {name: asked[name] for name in ("task", "split")},
            "metrics": measure(judged),
        }
    )
    print_table([manifest])
    return manifest


def _predictions(folder: Path) -> pa.Table:
    file = folder / "predictions.parquet"
    if not file.is_file():
        raise DataError(f"{folder} is not an evaluation's directory (no predictions.parquet)")
    return pq.read_table(file, schema=JUDGED_SCHEMA).sort_by("problem_id")


def _weights(validation: Sequence[Path]) -> list[float]:
    """Return each student's accuracy, with one right and one wrong answer added (Laplace)."""
    weights = []
    for folder in validation:
        metrics = read_manifest(folder)["metrics"]
        right = metrics["accuracy"] * metrics["problems"]
        weights.append((right + 1) / (metrics["problems"] + 2))
    return weights


def elect(
    rows: Sequence[dict[str, Any]], weights: Sequence[float], same: Check | None = None
) -> dict[str, Any]:
    """Return one problem's elected row of several students' rows (`JUDGED_SCHEMA`).

    Answers are one where `same`, the task's own check, says so. Those without a value have no
    vote. Where votes are even the answer with the strongest single supporter wins, then the first
    student's.
    """
    order = sorted(range(len(rows)), key=lambda index: -weights[index])
    votes: dict[str, float] = defaultdict(float)
    first: dict[str, int] = {}
    values = [json.loads(row["value"] or "null") for row in rows]
    voting = [index for index in order if values[index] is not None]
    for index, key in zip(voting, agreed([values[i] for i in voting], same), strict=True):
        votes[key] += weights[index]
        first.setdefault(key, index)
    # The first among equals is the one with the strongest supporter.
    winner = first[max(votes, key=lambda key: votes[key])] if votes else order[0]
    counted = {key: round(weight, 4) for key, weight in votes.items()}
    return rows[winner] | {
        "teacher_notes": json.dumps({"votes": counted, "elected": winner}),
        **{name: _sum(row[name] for row in rows) for name in ("completion_tokens", "solve_s")},
    }


def _sum(values: Any) -> Any:
    known = [value for value in values if value is not None]
    return sum(known) if known else None
