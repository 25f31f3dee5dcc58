"""Many evaluations, some at a time: each in a cell that answers by itself where one actor would."""

from __future__ import annotations

from collections.abc import Mapping

from pad_ray.evaluation.run import evaluate_student
from pad_ray.evaluation.settings import EvaluationSettings
from pad_ray.flow.cells import Call, in_parallel
from pad_ray.flow.ready import Need, check_room
from pad_ray.flow.runtime import connect

__all__ = ["evaluate_at_once"]

# What `StudentStage` takes as an actor.
_CPUS = 1.0


def evaluate_at_once(runs: Mapping[str, EvaluationSettings], at_once: int) -> None:
    """Evaluate each run's one student into its `out`; skips what is complete.

    A process that has answered one problem set goes on to the next: starting one and importing what
    it needs takes longer than a small set. Raises `ResourceError` where none finds room.
    """
    connect()
    alone = [run for run in runs.values() if run.actors == 1]
    if alone:
        gpus = max(run.gpus_per_actor for run in alone)
        may_wait = any(run.wait_for_resources for run in alone)
        check_room([Need("evaluation", 1, _CPUS, gpus)], may_wait)
    in_parallel("evaluate", {name: _call(run) for name, run in runs.items()}, at_once)


def _call(run: EvaluationSettings) -> Call:
    (student,) = run.students
    if run.actors > 1:
        return Call(evaluate_student, (student, run, run.out))
    return Call(evaluate_student, (student, run, run.out, True), _CPUS, run.gpus_per_actor)
