"""Trainings of a tiny student on 44 problems: seconds of work, minutes never."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from safetensors.torch import load_file

from pad_ray.base.records import row_id
from pad_ray.base.schemas import JUDGED_SCHEMA
from pad_ray.flow.stages import MANIFEST
from pad_ray.tasks import get_task
from pad_ray.training.run import open_training, prepare, run
from pad_ray.training.settings import TrainingSettings
from pad_ray.training.student import make_prepared

STEPS = 6


def write_verified(folder: Path) -> Path:
    """Write a synthesis directory of 44 problems with their gold programs, no chains of thought."""
    make = get_task("arithmetic").generate
    assert make is not None
    rows = [
        {
            "row_id": row_id(problem.problem_id, 0),
            "problem_id": problem.problem_id,
            "question": problem.question,
            "program": problem.program,
        }
        for problem in make(44, "train", 0, None)
    ]
    (folder / "verified").mkdir()
    table = pa.Table.from_pylist(rows, schema=JUDGED_SCHEMA)
    pq.write_table(table, folder / "verified" / "part-0.parquet")
    (folder / MANIFEST).write_text('{"job": "synthesize", "fingerprint": "00aa"}')
    return folder


def settings(data: Path, out: Path, **others: Any) -> TrainingSettings:
    """Return a short run whose epochs end in a batch that two workers cannot share evenly."""
    values: dict[str, Any] = {
        "student": "scratch:tiny",
        "data": data,
        "out": out,
        "max_steps": STEPS,
        "batch_size": 12,
        "micro_batch_size": 4,
        "learning_rate": 3e-3,
        "schedule": "constant_with_warmup",
        "warmup_ratio": 0.0,
        "weight_decay": 0.1,
        "validation_fraction": 0.1,
        "log_every": 1,
        "evaluate_every": 3,
    }
    return TrainingSettings(**{**values, **others})


def logged(out: Path, name: str) -> list[float]:
    """Return a metric's values in order of the steps."""
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    return [line[name] for line in lines if name in line]


def furthest_weights(one: Path, other: Path) -> float:
    """Return the largest difference between any weight of two saved students of one shape."""
    first, second = (load_file(out / "model.safetensors") for out in (one, other))
    assert first.keys() == second.keys()
    return max(float((first[n].float() - second[n].float()).abs().max()) for n in first)


def train_partly(settings: TrainingSettings, steps: int) -> None:
    """Leave a run's directory as an interruption after a checkpoint leaves it."""
    data, out = settings.folders[0], settings.out
    stage = open_training(out, "train", settings)
    initial = stage.out / "work" / "initial"
    prepared = prepare(stage, settings, lambda: make_prepared(settings, {data: False}, initial))
    run(settings, stage.out, {**prepared, "steps": steps}, "train")
