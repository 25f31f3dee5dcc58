"""What evaluation takes: a student of the right size answers a few problems at two sizes.

The student has seen a few steps, so what it writes is worthless, and never ends by itself: it is
stopped at the length that the training programs have.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from pad_ray.base.config import validate_with
from pad_ray.evaluation.run import evaluate_student
from pad_ray.evaluation.settings import EvaluationRun, EvaluationSettings
from pad_ray.pipeline.planning.cluster import ClusterSettings
from pad_ray.pipeline.planning.jobs import count_problems
from pad_ray.pipeline.planning.memory import RowsSeen
from pad_ray.pipeline.planning.quantities import NOTHING, Line, Range, fit_line
from pad_ray.pipeline.planning.settings import StageEstimate

__all__ = ["estimate_evaluations", "measure_evaluation"]


# A trained student's answers may end sooner or later than the rows it learned from.
_LEAST_SPREAD = 0.6


def measure_evaluation(
    run: EvaluationRun, student: Path, target_tokens: float, folder: Path
) -> Line:
    """Return the seconds of an evaluation by its problems."""
    points = []
    for count in (run.batch_size, 3 * run.batch_size):
        out = folder / f"evaluation-{count}"
        settings = validate_with(
            EvaluationSettings,
            run,
            student=str(student),
            out=out,
            count=count,
            actors=1,
            gpus_per_actor=0.0,
            wait_for_resources=False,
            max_new_tokens=min(run.max_new_tokens, math.ceil(target_tokens)),
        )
        manifest = evaluate_student(str(student), settings, out)
        points.append((manifest["metrics"]["problems"], manifest["wall_s"]))
    return fit_line(points)


def estimate_evaluations(
    runs: Sequence[EvaluationRun],
    measured: Line | None,
    rows: RowsSeen,
    cluster: ClusterSettings,
    spread: float,
) -> StageEstimate:
    """Return what all evaluations take together, on the pace of the first."""
    counts = [count_problems(run) for run in runs]
    size = f"{sum(counts):,} problems in {len(runs)} set(s)"
    gpus = max(run.gpus_per_actor * run.actors for run in runs)
    if measured is None or gpus:
        note = "evaluation is not estimated: its student cannot run here as it will there"
        return StageEstimate("evaluation", size, NOTHING, gpus=gpus, notes=(note,))
    shared = [min(run.actors, max(1, cluster.cores // run.threads)) for run in runs]
    likely = sum(measured.at(count / actors) for count, actors in zip(counts, shared, strict=True))
    tokens = sum(counts) * rows.target_tokens
    return StageEstimate(
        name="evaluation",
        size=size,
        seconds=Range.around(likely, max(spread, _LEAST_SPREAD)),
        tokens=Range.around(tokens, 0.2),
        notes=(
            "evaluations take as long a problem as the first, with answers as long as the rows",
        ),
    )
