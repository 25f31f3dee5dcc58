"""What training takes: a few real steps where they can run here, else FLOPs over a GPU's peak."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from pad_ray.base.config import validate_with
from pad_ray.flow.runtime import cluster_resources
from pad_ray.pipeline.planning.cluster import ClusterSettings, GPUKind
from pad_ray.pipeline.planning.fit import memory_of, training_misfits
from pad_ray.pipeline.planning.memory import RowsSeen
from pad_ray.pipeline.planning.quantities import Line, Range, fit_line
from pad_ray.pipeline.planning.settings import StageEstimate
from pad_ray.training.settings import TrainingHyperparameters, TrainingSettings
from pad_ray.training.student import train

__all__ = ["Pace", "estimate_training", "measure_pace", "steps_of"]

# Steps that are left out: the first ones load and allocate.
_WARM_UP = 2
# Of a GPU that is not here: the least time of a micro-batch (its kernels are started one by one),
# Ray Train's and the model's start, and what a checkpoint is written at.
_LEAST_MICRO_S = 0.05
_GPU_START_S = 60.0
_CHECKPOINT_GB_S = 0.5
# Validation reads as training does, without the way back.
_FORWARD_SHARE = 1 / 3


@dataclass(frozen=True)
class Pace:
    """Seconds of training's parts, measured with `workers`.

    `prepare` by rows read; `around`: what is neither steps nor validation nor checkpoint;
    `student`: the folder of what was trained.
    """

    workers: int
    prepare: Line
    around: float
    step: Range
    validation_row: float
    checkpoint: float
    student: Path


@dataclass(frozen=True)
class _Seen:
    rows: float
    prepare: float
    around: float
    steps: list[float]
    validation_row: float
    checkpoint: float


def measure_pace(
    run: TrainingHyperparameters, data: Sequence[Sequence[Path]], steps: int, folder: Path
) -> Pace:
    """Train on each of the data in turn, the last for `steps` steps and the others for a few."""
    workers = _workers_here(run)
    lengths = [2 * _WARM_UP + 4] * (len(data) - 1) + [steps]
    seen = [
        _train_once(run, [*folders], length, workers, folder / f"student-{i}")
        for i, (folders, length) in enumerate(zip(data, lengths, strict=True))
    ]
    last = seen[-1]
    return Pace(
        workers=workers,
        prepare=fit_line([(one.rows, one.prepare) for one in seen]),
        around=fmean(one.around for one in seen),
        step=_spread(last.steps),
        validation_row=last.validation_row,
        checkpoint=last.checkpoint,
        student=folder / f"student-{len(data) - 1}",
    )


def _workers_here(run: TrainingHyperparameters) -> int:
    room = ClusterSettings().cores / run.threads
    if run.gpus_per_worker:
        room = cluster_resources().get("GPU", 0.0) / run.gpus_per_worker
    return max(1, min(run.workers, int(room)))


def _train_once(
    run: TrainingHyperparameters, data: list[Path], steps: int, workers: int, out: Path
) -> _Seen:
    half = steps // 2
    changed: dict[str, Any] = {
        "data": data,
        "out": out,
        "max_steps": steps,
        "max_tokens": None,
        "workers": workers,
        "log_every": 1,
        "evaluate_every": half,
        "tensorboard": False,
        "wait_for_resources": False,
    }
    manifest = train(validate_with(TrainingSettings, run, **changed))
    text = (out / "metrics.jsonl").read_text(encoding="utf-8")
    return _read_steps([json.loads(line) for line in text.splitlines()], manifest, half)


def _read_steps(lines: list[dict[str, Any]], manifest: dict[str, Any], half: int) -> _Seen:
    """Take the seconds of steps, validation and checkpoint out of a run's metrics.

    There is one validation with its checkpoint after step `half` and one at the end.
    """
    at = {line["step"]: line["seconds"] for line in lines if "seconds" in line}
    validations = [line["validation_s"] for line in lines if "validation_s" in line]
    durations = {step: at[step] - at[step - 1] for step in at if step - 1 in at}
    gap = durations.pop(half + 1)
    steps = [seconds for step, seconds in durations.items() if step > _WARM_UP]
    mean = fmean(steps)
    checkpoint = max(0.0, gap - validations[0] - mean)
    counts, seconds = manifest["counts"], manifest["seconds"]
    rows = counts["train"]["rows"] + counts["validation"]["rows"]
    # The rest of the wall time: Ray Train's start, the first steps' excess, the last checkpoint.
    known = len(at) * mean + sum(validations) + 2 * checkpoint
    return _Seen(
        rows=rows,
        prepare=seconds["prepare"],
        around=max(0.0, seconds["steps"] - known) + seconds["finish"],
        steps=steps,
        validation_row=fmean(validations) / max(1, counts["validation"]["rows"]),
        checkpoint=checkpoint,
    )


def _spread(steps: Sequence[float]) -> Range:
    """Return the mean step, with the means of the slowest and of the fastest part of the run."""
    size = max(1, len(steps) // 5)
    parts = [fmean(steps[i : i + size]) for i in range(0, len(steps) - size + 1, size)]
    return Range(min(parts), fmean(steps), max(parts))


def steps_of(run: TrainingHyperparameters, rows: RowsSeen) -> int:
    """Return the optimizer steps that steps, tokens or epochs come to."""
    if run.max_steps is not None:
        return run.max_steps
    if run.max_tokens is not None:
        return max(1, math.ceil(run.max_tokens / (rows.tokens * run.batch_size)))
    return max(1, round(run.epochs * math.ceil(rows.train / run.batch_size)))


def estimate_training(
    run: TrainingHyperparameters,
    rows: RowsSeen,
    pace: Pace | None,
    cluster: ClusterSettings,
    spread: float,
) -> StageEstimate:
    """Return what training on these rows takes; without a pace, by FLOPs on the cluster's GPUs.

    Times that are measured are within `spread` of themselves.
    """
    steps = steps_of(run, rows)
    gpu = cluster.weakest_gpu
    if pace is not None:
        seconds, notes = _measured_s(run, rows, pace, steps, cluster, spread)
    elif gpu is not None:
        seconds, notes = _flops_s(run, rows, steps, gpu, cluster.utilisation)
    else:
        seconds, notes = Range(0.0, 0.0, 0.0), ["training is not estimated: no GPU to train on"]
    return StageEstimate(
        name="training",
        size=f"{rows.train:,.0f} rows, {steps:,} steps, {rows.shape.parameters / 1e6:,.1f} M",
        seconds=seconds,
        tokens=Range.around(steps * run.batch_size * rows.tokens, 0.02),
        memory_gb=memory_of(run, rows),
        gpus=run.workers * run.gpus_per_worker,
        misfits=tuple(training_misfits(run, rows, cluster)),
        notes=tuple(notes),
    )


def _measured_s(
    run: TrainingHyperparameters,
    rows: RowsSeen,
    pace: Pace,
    steps: int,
    cluster: ClusterSettings,
    spread: float,
) -> tuple[Range, list[str]]:
    slower = _slower(run, pace.workers, cluster)
    validations = math.ceil(steps / run.evaluate_every)
    others = (
        pace.prepare.at(rows.train + rows.validation)
        + pace.around
        + validations * (rows.validation * pace.validation_row * slower + pace.checkpoint)
    )
    step = pace.step.times(slower * steps)
    around = Range.around(others + step.likely, spread)
    seconds = Range(
        min(around.low, others + step.low), around.likely, max(around.high, others + step.high)
    )
    a_second = run.batch_size * rows.tokens / pace.step.likely / pace.workers
    return seconds, [
        f"{pace.workers} worker(s) here read {a_second:,.0f} tokens/s each; others are taken to be "
        "as fast, and time between them is not counted",
    ]


def _slower(run: TrainingHyperparameters, measured_workers: int, cluster: ClusterSettings) -> float:
    """Return a step's time on the cluster to that measured: by micro-batches in turn, and cores."""
    micro_batches = run.batch_size // run.micro_batch_size
    turns = math.ceil(micro_batches / run.workers) / math.ceil(micro_batches / measured_workers)
    crowded = max(1.0, run.workers * run.threads / cluster.cores)
    return turns * (1.0 if run.gpus_per_worker else crowded)


def _flops_s(
    run: TrainingHyperparameters, rows: RowsSeen, steps: int, gpu: GPUKind, utilisation: float
) -> tuple[Range, list[str]]:
    """Return seconds by 6 FLOPs a parameter and token (Kaplan et al. 2020, arXiv 2001.08361)."""
    micro_batches = math.ceil(run.batch_size / run.micro_batch_size / run.workers)
    peak = (gpu.bf16_tflops if run.precision == "bf16" else gpu.fp32_tflops) * 1e12
    flops = 6 * rows.shape.parameters * run.micro_batch_size * rows.tokens
    validations = math.ceil(steps / run.evaluate_every)
    turns = math.ceil(rows.validation / run.micro_batch_size / run.workers) * _FORWARD_SHARE
    micro = {
        name: max(_LEAST_MICRO_S if name != "low" else _LEAST_MICRO_S / 3, flops / peak / share)
        for name, share in (
            ("low", min(1.0, utilisation * 1.7)),
            ("likely", utilisation),
            ("high", utilisation / 3),
        )
    }
    number = steps * micro_batches + validations * turns
    fixed = _GPU_START_S + validations * rows.shape.parameters * 14 / 1e9 / _CHECKPOINT_GB_S
    seconds = Range(*(fixed + number * value for value in micro.values()))
    return seconds, [
        f"not measured: 6 x parameters x tokens at {utilisation:.0%} of {peak / 1e12:,.0f} TFLOP/s "
        f"(from {utilisation * 1.7:.0%} to {utilisation / 3:.0%}), {_LEAST_MICRO_S:g} s a "
        f"micro-batch at least, {_GPU_START_S:g} s to start, checkpoints at {_CHECKPOINT_GB_S:g} "
        "GB/s, no time between workers",
    ]
