"""Repair data from a student's own failures, each beside the right program closest to it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
from rapidfuzz.distance import Levenshtein

from pad_ray.base.config import resolve, resolve_all
from pad_ray.base.errors import DataError
from pad_ray.base.schemas import REPAIR_SCHEMA
from pad_ray.base.storage import parquet_dataset
from pad_ray.flow.stages import input_fingerprints, open_stage, print_reasons, refuse_augmented
from pad_ray.synthesis.reasons import REPEATED, UNJUDGED
from pad_ray.synthesis.repairs.rows import key_of, read_verified, write_repairs
from pad_ray.synthesis.repairs.settings import FailureRun, FailureSettings

_COLUMNS = ["row_id", "problem_id", "task", "question", "answer", "program", "status", "value"]
_COLUMNS += ["error_type", "error_line", "message", "reason"]
# Rejected rows that are no failures: repeats of a right program, and what was not judged.
_NO_FAILURE = REPEATED | UNJUDGED


def collect_failures(settings: FailureSettings) -> dict[str, Any]:
    """Make the directory of repairs in `settings.out` and return its manifest."""
    samples = resolve_all(settings.samples)
    right = [*resolve_all(settings.data), *samples]
    inputs = input_fingerprints("data", right)
    refuse_augmented("samples", samples, "give a student's own samples")
    stage = open_stage(resolve(settings.out), "collect_failures", settings, inputs)
    if stage.complete is not None:
        print(f"collect_failures: {stage.out} is complete; nothing to do")
        return stage.complete
    rows = [row for folder in samples for row in _failures(folder)]
    if not rows:
        raise DataError("samples: no failed programs; sample at a higher temperature")
    stage.begin()
    judged = judge_failures(rows, _right_programs(right), settings)
    table = pa.Table.from_pylist(list(judged), schema=REPAIR_SCHEMA)
    counts = write_repairs(table.to_batches(), pa.array([], pa.string()), stage.out)
    manifest = stage.finish({"counts": counts})
    print(
        f"collect_failures: {counts['verified']} of {counts['rows']} failures paired with a right "
        f"program; written to {stage.out}"
    )
    print_reasons(counts["by_reason"])
    return manifest


def _failures(folder: Path) -> list[dict[str, Any]]:
    place = folder / "rejected"
    if not place.is_dir():
        raise DataError(f"samples: {folder} is not a synthesis directory (no rejected/ in it)")
    table = parquet_dataset(place).to_table(columns=_COLUMNS).sort_by("row_id")
    return [row for row in table.to_pylist() if row["reason"] not in _NO_FAILURE]


def _right_programs(folders: Sequence[Path]) -> dict[str, list[str]]:
    """Return the verified programs by question; a question may stand under two tasks."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    for row in read_verified(folders, ["row_id", "question", "program"]).to_pylist():
        if row["program"] not in found[row["question"]]:
            found[row["question"]].append(row["program"])
    return found


def judge_failures(
    rows: Sequence[dict[str, Any]], right: dict[str, list[str]], run: FailureRun
) -> Iterator[dict[str, Any]]:
    """Give each failed row the closest right program, or the reason why it is not kept."""
    seen: set[tuple[str, str]] = set()
    kept: Counter[str] = Counter()
    for index, row in enumerate(rows):
        question, broken = row["question"], row["program"]
        reason = _reason(row, run)
        if reason is None and question not in right:
            reason = "unsolved"
        elif reason is None and (question, broken) in seen:
            reason = "duplicate"
        elif reason is None and kept[question] == run.per_problem:
            reason = "surplus"
        if reason is None:
            seen.add((question, broken))
            kept[question] += 1
        yield {
            **row,
            "row_id": f"{row['row_id']}-{index:07d}",
            "origin": "failure",
            "broken": broken,
            "broken_key": None if broken is None else key_of(broken),
            "program": closest(broken, right[question]) if reason is None else None,
            "reason": reason,
        }


def _reason(row: dict[str, Any], run: FailureRun) -> str | None:
    """Return why a failure shows nothing that could be repaired."""
    if row["program"] is None:
        return "no_program"
    if row["status"] == "ok" and not run.wrong_answers:
        return "wrong_answer"
    return None


def closest(broken: str, programs: Sequence[str]) -> str:
    """Return the program with the smallest edit distance (characters); the first of equal ones."""
    return min(programs, key=lambda program: Levenshtein.distance(broken, program))
