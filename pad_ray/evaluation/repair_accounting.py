"""What repair did to a student's answers: round by round, and what it could have done at best."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from rich.console import Console
from rich.table import Table

from pad_ray.base.intervals import share_interval
from pad_ray.tasks import Task


@dataclass(frozen=True)
class Attempt:
    """A program of one question: whether it ran, whether its value is right, how it failed."""

    executes: bool
    right: bool
    failure: str | None


def repair_metrics(judged: pa.Table, task: Task) -> dict[str, Any]:
    """Return the accounting of an evaluation with strategy `repair`, one row a problem.

    `rounds`: after 0, 1, … repairs, accuracy with its 95% interval, share that executes
    and failures by class. `ceiling` is the accuracy if every program that failed to run had been
    repaired rightly. The other counts compare each problem's last program with its first:
    `failed` at first, of these `repaired_rightly`, `repaired_to_wrong` (it runs, and returns
    another value) and `still_failing`; `broken_by_repair` were right before.
    """
    histories = [
        attempts_of(row["teacher_notes"], row["answer"], task)
        for row in judged.select(["teacher_notes", "answer"]).to_pylist()
    ]
    most = max(len(history) for history in histories)
    rounds = [[history[min(k, len(history) - 1)] for history in histories] for k in range(most)]
    first, last = rounds[0], rounds[-1]
    pairs = [(a, b) for a, b in zip(first, last, strict=True) if not a.executes]
    return {
        "rounds": [_round(k, attempts) for k, attempts in enumerate(rounds)],
        "ceiling": float(np.mean([a.right or not a.executes for a in first])),
        "failed": len(pairs),
        "repaired_rightly": sum(after.right for _, after in pairs),
        "repaired_to_wrong": sum(after.executes and not after.right for _, after in pairs),
        "still_failing": sum(not after.executes for _, after in pairs),
        "broken_by_repair": sum(a.right and not b.right for a, b in zip(first, last, strict=True)),
    }


def attempts_of(notes: str | None, answer: str, task: Task) -> list[Attempt]:
    """Return a problem's attempts, judged against its gold answer; one at least."""
    found = []
    for attempt in json.loads(notes or "{}").get("attempts", ()):
        executes = attempt["status"] == "ok"
        right = executes and task.is_right(attempt["value"], answer)
        failure = attempt["error_type"] or attempt["status"]
        found.append(
            Attempt(executes, right, None if right else "wrong_answer" if executes else failure)
        )
    return found or [Attempt(False, False, "no_program")]


def _round(number: int, attempts: Sequence[Attempt]) -> dict[str, Any]:
    right = [attempt.right for attempt in attempts]
    failures = Counter(attempt.failure for attempt in attempts if attempt.failure is not None)
    return {
        "round": number,
        "accuracy": float(np.mean(right)),
        "accuracy_95": share_interval(right),
        "executes": float(np.mean([attempt.executes for attempt in attempts])),
        "failures": dict(failures.most_common()),
    }


def print_repairs(name: str, metrics: dict[str, Any]) -> None:
    """Print one line a round of repair, and what became of the programs that failed."""
    table = Table("repairs", "accuracy", "95% interval", "executes", "commonest failures")
    for row in metrics["rounds"]:
        low, high = row["accuracy_95"]
        table.add_row(
            str(row["round"]),
            f"{row['accuracy']:.1%}",
            f"{low:.1%} to {high:.1%}",
            f"{row['executes']:.1%}",
            ", ".join(f"{k} {n}" for k, n in list(row["failures"].items())[:4]) or "none",
        )
    console = Console(markup=False, width=120)
    console.print(f"repair of {name}:")
    console.print(table)
    print(
        f"of {metrics['failed']} that failed to run: {metrics['repaired_rightly']} repaired "
        f"rightly, {metrics['repaired_to_wrong']} to a wrong value, {metrics['still_failing']} "
        f"still fail; "
        f"broken by repair {metrics['broken_by_repair']}; ceiling {metrics['ceiling']:.1%}"
    )
