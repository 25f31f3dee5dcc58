"""What the cells of an experiment say together: accuracies, intervals, and paired differences."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pad_ray.base.intervals import mcnemar, paired_gain, share_interval
from pad_ray.evaluation.run import problem_set_of
from pad_ray.flow.stages import read_manifest


@dataclass(frozen=True)
class Group:
    """Cells that differ in their seed alone; `evaluation` numbers the problem set."""

    student: str
    format: str
    problems: int | None
    variant: str
    strategy: str
    evaluation: int


@dataclass(frozen=True)
class Answers:
    """One evaluated student: its place in the grid and its directories.

    `seed` is None for an ensemble; its `training` is its first member's.
    """

    group: Group
    seed: int | None
    predictions: Path
    training: Path


@dataclass(frozen=True)
class Outcome:
    """A group's answers. `right` has a row a seed and a column a problem."""

    group: Group
    problem_set: str
    seeds: tuple[int | None, ...]
    problem_ids: tuple[str, ...]
    right: np.ndarray
    manifests: tuple[dict[str, Any], ...]
    trainings: tuple[dict[str, Any], ...]

    @property
    def by_problem(self) -> list[float]:
        """Each problem's mean over seeds."""
        means: list[float] = self.right.mean(axis=0).tolist()
        return means

    def row(self) -> dict[str, Any]:
        """Return the group's line of the table.

        The interval is over problems, of their means over seeds; `by_seed` shows what the seed
        does.
        """
        metrics = [manifest["metrics"] for manifest in self.manifests]
        failures: dict[str, int] = {}
        for metric in metrics:
            for name, count in metric["failures"].items():
                failures[name] = failures.get(name, 0) + count
        return {
            **{f.name: getattr(self.group, f.name) for f in fields(Group)},
            "problem_set": self.problem_set,
            "rows": self.trainings[0]["counts"]["train"]["rows"],
            "learned_from": self.trainings[0]["counts"]["train"]["problems"],
            "steps": self.trainings[0]["steps"],
            "asked": self.right.shape[1],
            "accuracy": float(self.right.mean()),
            "accuracy_95": share_interval(self.by_problem),
            "by_seed": [float(value) for value in self.right.mean(axis=1)],
            "tokens": _mean([metric["tokens"] for metric in metrics]),
            "failures": dict(sorted(failures.items(), key=lambda item: -item[1])),
            "general_loss": self.trainings[0].get("general_loss"),
            "best_validation_loss": _mean([t["best_validation_loss"] for t in self.trainings]),
        }


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def outcomes(answers: Sequence[Answers]) -> list[Outcome]:
    """Read the predictions of all groups, in the order in which the grid names them."""
    by_group: dict[Group, list[Answers]] = {}
    for one in answers:
        by_group.setdefault(one.group, []).append(one)
    return [_outcome(group, found) for group, found in by_group.items()]


def _outcome(group: Group, found: Sequence[Answers]) -> Outcome:
    ids: list[str] = []
    right = []
    for one in found:
        table = pq.read_table(
            one.predictions / "predictions.parquet", columns=["problem_id", "reason"]
        ).sort_by("problem_id")
        ids = table["problem_id"].to_pylist()
        right.append(pc.is_null(table["reason"]).to_numpy(zero_copy_only=False))
    manifests = tuple(read_manifest(one.predictions) for one in found)
    return Outcome(
        group,
        problem_set_of(manifests[0]),
        tuple(one.seed for one in found),
        tuple(ids),
        np.array(right, dtype=float),
        manifests,
        tuple(read_manifest(one.training) for one in found),
    )


def pairs(found: Sequence[Outcome]) -> list[dict[str, Any]]:
    """Compare every two groups that differ in one axis and answered the same problems.

    `gain` is the second's accuracy less the first's with a 95% paired bootstrap interval over
    problems; `p` is McNemar's exact test over problems and seeds, two-sided. Where one of them is
    an ensemble each seed of the other meets it.
    """
    rows = []
    for first, second in itertools.combinations(found, 2):
        axis = _one_axis(first.group, second.group)
        seeds = first.seeds == second.seeds or (None,) in (first.seeds, second.seeds)
        if axis is not None and seeds and first.problem_ids == second.problem_ids:
            rows.append({"axis": axis, **_pair(first, second, axis)})
    return rows


def _one_axis(first: Group, second: Group) -> str | None:
    differing = [f.name for f in fields(Group) if getattr(first, f.name) != getattr(second, f.name)]
    return differing[0] if len(differing) == 1 and differing != ["evaluation"] else None


def _pair(first: Outcome, second: Outcome, axis: str) -> dict[str, Any]:
    won = int(((second.right == 1) & (first.right == 0)).sum())
    lost = int(((second.right == 0) & (first.right == 1)).sum())
    shared = {f.name: getattr(first.group, f.name) for f in fields(Group) if f.name != axis}
    return {
        **shared,
        "problem_set": first.problem_set,
        "first": getattr(first.group, axis),
        "second": getattr(second.group, axis),
        **paired_gain(first.by_problem, second.by_problem),
        "won": won,
        "lost": lost,
        "p": mcnemar(won, lost),
    }
