"""Prometheus metrics of a solver replica; Ray exports them with its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ray.serve import metrics

from pad_ray.decoding.solution import Solution

if TYPE_CHECKING:
    from pad_ray.decoding.solver import Solver

# Ray types tag keys as tuples of one.
_BY_STRATEGY: Any = ("student", "strategy")
_BY_CLASS: Any = ("student", "strategy", "class")
_BY_PART: Any = ("student", "part")
_SECONDS = [0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 60, 120]


class ReplicaMetrics:
    """Counts of one replica. Labels are few: student, strategy, part, status, class."""

    def __init__(self) -> None:
        self._latency = metrics.Histogram(
            "pad_ray_solve_seconds",
            description="Seconds from a question's arrival at a replica to its answer.",
            boundaries=_SECONDS,
            tag_keys=_BY_STRATEGY,
        )
        self._tokens = metrics.Counter(
            "pad_ray_tokens", description="Tokens written.", tag_keys=("student",)
        )
        self._steps = metrics.Counter(
            "pad_ray_steps", description="Steps of answers.", tag_keys=("student",)
        )
        self._answers = metrics.Counter(
            "pad_ray_answers",
            description="Answers by class: ok, truncated, no_program or the exception's name.",
            tag_keys=_BY_CLASS,
        )
        self._outcomes = metrics.Counter(
            "pad_ray_sandbox_outcomes",
            description="What running the answers' programs gave.",
            tag_keys=("status",),
        )
        self._parts = metrics.Counter(
            "pad_ray_part_seconds",
            description="Seconds of a replica's work by part: generate, run, each scorer.",
            tag_keys=_BY_PART,
        )
        self._searches = metrics.Gauge(
            "pad_ray_searches", description="Searches in work.", tag_keys=("student",)
        )
        self._rows = metrics.Gauge(
            "pad_ray_rows", description="Programs in writing (the batch).", tag_keys=("student",)
        )
        self._seen: dict[tuple[str, str], float] = {}

    def answered(self, student: str, solution: Solution, seconds: float) -> None:
        """Count an answer."""
        names = {"student": student, "strategy": solution.strategy}
        self._latency.observe(seconds, tags=names)
        self._answers.inc(1, tags={**names, "class": answer_class(solution)})
        _add(self._tokens, solution.tokens, {"student": student})
        _add(self._steps, len(solution.steps), {"student": student})
        if solution.outcome is not None:
            self._outcomes.inc(1, tags={"status": solution.outcome.status})

    def at_border(self, student: str, solver: Solver, searches: int) -> None:
        """Take a replica's measures between two steps."""
        self._searches.set(searches, tags={"student": student})
        self._rows.set(solver.engine.rows_in_use, tags={"student": student})
        for part, seconds in solver.scheduler.seconds.items():
            spent = seconds - self._seen.get((student, part), 0.0)
            self._seen[student, part] = seconds
            _add(self._parts, spent, {"student": student, "part": part})


def _add(counter: metrics.Counter, amount: float, tags: Mapping[str, str]) -> None:
    # Ray refuses to count nothing.
    if amount > 0:
        counter.inc(amount, tags=dict(tags))


def answer_class(solution: Solution) -> str:
    """Return a solution's class: ok, truncated, no_program, or what its program ended in."""
    outcome = solution.outcome
    if outcome is not None and outcome.status == "ok":
        return "ok"
    if outcome is None and solution.answer is not None:
        return "ok"
    if solution.truncated:
        return "truncated"
    if outcome is None:
        return "no_program"
    return outcome.error_type or outcome.status
