"""The plan of a job: calibrate its stages on a sample, then reckon them up for the whole."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import ray

from pad_ray.base.config import resolve, validate_with
from pad_ray.base.errors import ConfigError
from pad_ray.flow.runtime import cluster_resources, connect
from pad_ray.flow.stages import read_manifest, write_json
from pad_ray.pipeline.planning.cluster import ClusterSettings
from pad_ray.pipeline.planning.evaluation_cost import estimate_evaluations, measure_evaluation
from pad_ray.pipeline.planning.jobs import PlannedJob, count_problems, read_job, share_out
from pad_ray.pipeline.planning.memory import RowsSeen
from pad_ray.pipeline.planning.paid import announce_paid
from pad_ray.pipeline.planning.quantities import Range
from pad_ray.pipeline.planning.report import Plan, print_plan
from pad_ray.pipeline.planning.rows_seen import see_rows, take_sample, verified_rows
from pad_ray.pipeline.planning.settings import PlanSettings, Spread, StageEstimate, spread_of
from pad_ray.pipeline.planning.synthesis_cost import (
    Observed,
    calibrate_synthesis,
    calibration_sizes,
    estimate_synthesis,
)
from pad_ray.pipeline.planning.training_cost import Pace, estimate_training, measure_pace
from pad_ray.training.settings import TrainingHyperparameters, TrainingSettings

__all__ = ["plan"]

# A free teacher's first calibration; it grows from there.
_PROBLEMS = 2000
_MODULES = {
    "pipeline": "pad_ray.pipeline.run",
    "synthesize": "pad_ray.synthesis.run",
    "train": "pad_ray.training.student",
}
_AT_MOST_ONE_OF = 5
_SAMPLE_ROWS = 5000
_SMALL_SHARE = 0.2


@dataclass(frozen=True)
class _Data:
    """Directories to calibrate training on, small and large, and rows of the job to the large."""

    small: list[Path]
    large: list[Path]
    factor: float


def plan(settings: PlanSettings) -> Plan:
    """Calibrate the job's stages here, print what the whole takes on the cluster, and return it.

    Raises `ConfigError` for a paid teacher without `calibration_problems`, after telling the cost,
    and what the job itself would raise.
    """
    job = read_job(resolve(settings.job))
    counts = [count_problems(run) for run in job.synthesis]
    wanted = share_out(settings.count, counts)
    sizes = _sizes(job, counts, settings)
    for source in job.data:
        verified_rows(source)
    spread = spread_of(settings.cluster, os.getloadavg()[0])
    start_s = _start(job.name)
    with TemporaryDirectory(prefix="pad-ray-plan-") as name:
        stages = _stages(job, wanted, sizes, settings, spread.share, Path(name))
    begun = StageEstimate("start", "", Range.around(start_s, spread.share))
    assumed = _assumptions(settings.cluster, spread, stages)
    made = Plan(job.name, settings.cluster, (begun, *stages), assumed)
    print_plan(made)
    if settings.out is not None:
        _write(made, resolve(settings.out))
    return made


def _sizes(job: PlannedJob, counts: Sequence[int], settings: PlanSettings) -> list[list[int]]:
    """Return the problems of each synthesis's calibration runs, telling first what they cost."""
    sizes = []
    for run, count in zip(job.synthesis, counts, strict=True):
        if run.teacher == "endpoint":
            announce_paid(run, settings.calibration_problems)
        chosen = min(count, settings.calibration_problems or _PROBLEMS)
        sizes.append(calibration_sizes(chosen, is_paid=run.teacher == "endpoint"))
    return sizes


def _start(job: str) -> float:
    """Join Ray; return the seconds of that and of importing what the job imports."""
    started = time.monotonic()
    # In a process of its own: this one has imported more than the job will.
    subprocess.run([sys.executable, "-c", f"import {_MODULES[job]}"], check=True)
    connect()
    return time.monotonic() - started


def _stages(
    job: PlannedJob,
    wanted: Sequence[int],
    sizes: Sequence[Sequence[int]],
    settings: PlanSettings,
    spread: float,
    folder: Path,
) -> list[StageEstimate]:
    seen: list[list[Observed]] = []
    estimates = []
    for i, run in enumerate(job.synthesis):
        print(f"plan: calibrating synthesis of {run.task} on {max(sizes[i]):,} problems")
        most = 0 if settings.calibration_problems else wanted[i] // _AT_MOST_ONE_OF
        seen.append(calibrate_synthesis(run, sizes[i], most, folder / f"synthesis-{i}"))
        estimates.append(estimate_synthesis(run, seen[i], wanted[i], settings.cluster, spread))
    if job.training is None:
        return estimates
    data = _made_data(seen, wanted) if seen else _given_data(job, settings, folder)
    rows, pace, training = _training(job, data, settings, spread, folder)
    estimates.append(training)
    if job.evaluation:
        measured = None
        if pace is not None and not job.evaluation[0].gpus_per_actor:
            first = job.evaluation[0]
            measured = measure_evaluation(first, pace.student, rows.target_tokens, folder)
        estimates.append(
            estimate_evaluations(job.evaluation, measured, rows, settings.cluster, spread)
        )
    return estimates


def _made_data(seen: Sequence[Sequence[Observed]], wanted: Sequence[int]) -> _Data:
    problems = sum(runs[-1].problems for runs in seen)
    small, large = ([runs[i].out for runs in seen] for i in (-2, -1))
    return _Data(small, large, sum(wanted) / problems)


def _given_data(job: PlannedJob, settings: PlanSettings, folder: Path) -> _Data:
    """Take samples of a training's directories, each in proportion."""
    rows = {source: verified_rows(source) for source in job.data}
    manifests = [read_manifest(source) for source in job.data]
    problems = sum(manifest.get("counts", {}).get("problems", 0) for manifest in manifests)
    if settings.count is not None and not problems:
        raise ConfigError("count: the manifests of data name no problems to count by")
    more = 1.0 if settings.count is None else settings.count / problems
    share = min(1.0, _SAMPLE_ROWS / sum(rows.values()))
    small, large = (
        [
            take_sample(source, number * share * part, folder / f"data-{part}-{i}")
            for i, (source, number) in enumerate(rows.items())
        ]
        for part in (_SMALL_SHARE, 1.0)
    )
    return _Data(small, large, more / share)


def _training(
    job: PlannedJob, data: _Data, settings: PlanSettings, spread: float, folder: Path
) -> tuple[RowsSeen, Pace | None, StageEstimate]:
    run = job.training
    assert run is not None
    place = folder / "unused"
    described = validate_with(TrainingSettings, run, data=data.large, out=place)
    rows = see_rows(described)
    pace = None
    if _runs_here(run, settings.cluster):
        print(f"plan: calibrating training with {settings.calibration_steps} steps")
        sources = [data.small, data.large]
        pace = measure_pace(run, sources, settings.calibration_steps, folder)
    whole = rows.scaled(data.factor)
    return rows, pace, estimate_training(run, whole, pace, settings.cluster, spread)


def _runs_here(run: TrainingHyperparameters, cluster: ClusterSettings) -> bool:
    """Tell whether a training's pace can be measured on the devices that it is planned for."""
    if run.gpus_per_worker == 0:
        return True
    here = cluster_resources()
    # Ray does not tell the memory of an A100 in its name.
    kinds = {group.gpu.split("-")[0] for group in cluster.nodes if group.gpu is not None}
    alike = all(f"accelerator_type:{kind}" in here for kind in kinds)
    return alike and here.get("GPU", 0) >= run.gpus_per_worker


def _assumptions(
    cluster: ClusterSettings, spread: Spread, stages: Sequence[StageEstimate]
) -> tuple[str, ...]:
    general = [
        "the first problems are like all the others, and stages run one after another",
        spread.reason,
    ]
    if not cluster.is_here:
        general.append("the cluster's cores and storage are as fast as those here")
    if cluster.usd_per_hour:
        general.append("the whole cluster is paid for from the start of the job to its end")
    if ray.nodes() and len(ray.nodes()) > 1:  # type: ignore[no-untyped-call]
        general.append("memory is that of the driver's node alone")
    named = [f"{stage.name}: {note}" for stage in stages for note in stage.notes]
    return (*general, *named)


def _write(made: Plan, out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
        write_json(out / "plan.json", made.as_json())
    except OSError as error:
        raise ConfigError(f"out: cannot write in {out}: {error.strerror}") from error
    print(f"plan: written to {out / 'plan.json'}")
