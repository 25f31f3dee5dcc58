"""The funnel of a synthesis: how many samples are left after each step, by its counts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pad_ray.base.plots import Bar

__all__ = ["funnel_bars"]

_FUNNEL = (
    "A program was found",
    "It ran to its end",
    "Its answer is right",
    "Verified: kept for training",
)
_TEXT_FUNNEL = (
    "The teacher answered",
    "An answer is stated",
    "It is right",
    "Verified: kept for training",
)
_RUN = 1
# The step of `_FUNNEL` in which a sample is lost; every other reason is an outcome of its run.
_LOST_IN = {
    "teacher_error": 0,
    "student_error": 0,
    "too_long": 0,
    "truncated": 0,
    "no_program": 0,
    "wrong_answer": 2,
    "judge_error": 2,
    "duplicate": 3,
    "near_duplicate": 3,
}


def funnel_bars(counts: Mapping[str, Any], texts: bool = False) -> list[Bar]:
    """Return one bar a step, from all samples to the verified ones.

    `counts` are those of a synthesis manifest; a reason that is not known here is an outcome of the
    program's run, and of a dataset of texts that there is no answer in one.
    """
    total, left = counts["rows"] or 1, counts["rows"]
    bars = [Bar("Samples", 1.0, f"{left:,}")]
    for step, label in enumerate(_TEXT_FUNNEL if texts else _FUNNEL):
        lost = {n: c for n, c in counts["by_reason"].items() if _LOST_IN.get(n, _RUN) == step}
        before, left = left, left - sum(lost.values())
        note = ", ".join(f"{samples:,} {name}" for name, samples in lost.items())
        value = f"{left:,} ({left / total:.1%})"
        bars.append(Bar(label, left / total, value, before / total, note=note and f"− {note}"))
    return bars
