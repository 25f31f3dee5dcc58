"""Whether a training fits a cluster, and the setting with which it would."""

from __future__ import annotations

import math
from typing import Any

from pad_ray.pipeline.planning.cluster import ClusterSettings
from pad_ray.pipeline.planning.memory import RowsSeen, training_memory
from pad_ray.pipeline.planning.quantities import Range
from pad_ray.training.settings import TrainingHyperparameters

__all__ = ["memory_of", "training_misfits"]


def memory_of(run: TrainingHyperparameters, rows: RowsSeen) -> Range:
    """Return the GB of a worker, from rows of usual length to the longest."""
    longest = min(rows.longest, run.max_source_tokens + run.max_target_tokens)
    return training_memory(
        rows.shape,
        zero_stage=run.zero_stage,
        precision=run.precision,
        workers=run.workers,
        micro_batch_size=run.micro_batch_size,
        row_tokens=Range(rows.tokens * 0.8, rows.tokens, max(rows.tokens, longest)),
    )


def training_misfits(
    run: TrainingHyperparameters, rows: RowsSeen, cluster: ClusterSettings
) -> list[str]:
    """Return what the cluster cannot give, each with a change that was found to be enough."""
    faults = []
    cpus, gpus = run.workers * run.cpus_per_worker, run.workers * run.gpus_per_worker
    if cpus > cluster.slots:
        faults.append(
            f"its workers need {cpus:g} CPUs, the cluster has {cluster.slots}: lower workers or "
            "cpus_per_worker, or add nodes"
        )
    if gpus > cluster.gpus:
        faults.append(
            f"its workers need {gpus:g} GPUs, the cluster has {cluster.gpus}: lower workers or "
            "gpus_per_worker, or add GPUs"
        )
    have = _memory_of_a_worker(run, cluster)
    need = memory_of(run, rows).high
    if need > have:
        faults.append(
            f"a worker needs up to {need:,.1f} GB and has {have:,.1f}: {_remedy(run, rows, have)}"
        )
    return faults


def _memory_of_a_worker(run: TrainingHyperparameters, cluster: ClusterSettings) -> float:
    """Return the GB of the smallest GPU, or of a node shared by the workers it holds."""
    if run.gpus_per_worker:
        gpu = cluster.weakest_gpu
        return math.inf if gpu is None else gpu.memory_gb
    group = min(cluster.groups, key=lambda group: group.memory_gb / group.cpus)
    nodes = sum(group.nodes for group in cluster.groups)
    # Ray packs workers: a node takes as many as its CPUs allow.
    slots = cluster.slots if nodes == 1 else group.cpus
    return group.memory_gb / max(1, min(run.workers, int(slots / run.cpus_per_worker)))


def _remedy(run: TrainingHyperparameters, rows: RowsSeen, have: float) -> str:
    changes: list[dict[str, Any]] = []
    if run.precision == "fp32":
        changes.append({"precision": "bf16"})
    changes += [{"zero_stage": stage} for stage in range(run.zero_stage + 1, 4)]
    smaller = [size for size in (4, 2, 1) if size < run.micro_batch_size]
    changes += [{"micro_batch_size": size} for size in smaller]
    changes.append({"precision": "bf16", "zero_stage": 3, "micro_batch_size": 1})
    for change in changes:
        if memory_of(run.model_copy(update=change), rows).high <= have:
            return " ".join(f"--{name} {value}" for name, value in change.items()) + " fits"
    return "no setting of this job fits; take a smaller student, more workers or larger devices"
