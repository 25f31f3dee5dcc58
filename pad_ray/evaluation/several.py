"""Several students on the same problems: which, and what each gains over the first of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq
from rich.console import Console
from rich.table import Table

from pad_ray.base.errors import ConfigError
from pad_ray.base.intervals import mcnemar, paired_gain
from pad_ray.flow.stages import write_json
from pad_ray.students.card import TEXT_FORMATS
from pad_ray.students.files import located

__all__ = ["Asked", "against_first", "baselines_of", "check_baseline", "compare", "print_gains"]


@dataclass(frozen=True)
class Asked:
    """A student of an evaluation, and the folder of its rows."""

    student: str
    out: Path


def baselines_of(students: Sequence[str], out: Path) -> list[Asked]:
    """Return what the students were trained from, each once, unless it is among them.

    Raises `ConfigError` where a student's card does not say, or nothing that can be compared.
    """
    origins: dict[str, None] = {}
    for student in students:
        card = located(student)[1]
        origin = card.origin
        if origin == student:
            raise ConfigError(f"baseline: {student} does not say what it was trained from")
        check_baseline(origin, student, card.format)
        origins[origin] = None
    others = [origin for origin in origins if origin not in students]
    return [
        Asked(origin, out / f"baseline-{index}-{Path(origin).name}")
        for index, origin in enumerate(others)
    ]


def check_baseline(origin: str, student: str, target_format: str) -> None:
    """Raise `ConfigError` where what a student was trained from is nothing to compare it with."""
    if origin.startswith("scratch:"):
        raise ConfigError(
            f"baseline: {student} was trained from {origin}, whose weights were drawn at "
            "random; it answers nothing"
        )
    is_of_programs = not located(origin, "baseline")[1].writes_text
    if target_format in TEXT_FORMATS and is_of_programs:
        raise ConfigError(
            f"baseline: {student} writes format '{target_format}', and {origin} would be asked "
            "for programs"
        )


def compare(manifests: Sequence[dict[str, Any]], folders: Sequence[Path], file: Path) -> None:
    """Write and print what each student reached, and what it gains over the first."""
    gains = against_first(folders)
    rows = [
        {
            "student": manifest["student"],
            **{name: manifest["metrics"][name] for name in ("problems", "accuracy", "accuracy_95")},
            **(gain or {}),
        }
        for manifest, gain in zip(manifests, [None, *gains], strict=True)
    ]
    write_json(file, rows)
    print_gains([Path(manifest["student"]).name for manifest in manifests], gains)


def against_first(folders: Sequence[Path]) -> list[dict[str, Any]]:
    """Compare each evaluation but the first with that one, problem by problem.

    Of each: `gain` in accuracy with its 95% paired bootstrap interval, the problems `won` (right
    here and wrong there) and `lost`, and `p` of McNemar's exact test, two-sided.
    """
    first, *others = map(_right, folders)
    rows = []
    for right in others:
        pairs = [(there, right[key]) for key, there in first.items() if key in right]
        won = sum(not there and here for there, here in pairs)
        lost = sum(there and not here for there, here in pairs)
        gain = paired_gain([there for there, _ in pairs], [here for _, here in pairs])
        rows.append({**gain, "won": won, "lost": lost, "p": mcnemar(won, lost)})
    return rows


def _right(folder: Path) -> dict[str, bool]:
    rows = pq.read_table(folder / "predictions.parquet", columns=["problem_id", "reason"])
    right = pc.is_null(rows["reason"]).to_pylist()
    return dict(zip(rows["problem_id"].to_pylist(), right, strict=True))


def print_gains(names: Sequence[str], gains: Sequence[dict[str, Any]]) -> None:
    """Print one line a student but the first."""
    first, *others = names
    table = Table(f"against {first}", "gain", "95% interval", "won", "lost", "p (McNemar)")
    for name, row in zip(others, gains, strict=True):
        low, high = row["gain_95"]
        table.add_row(
            name,
            f"{row['gain']:+.1%}",
            f"{low:+.1%} to {high:+.1%}",
            str(row["won"]),
            str(row["lost"]),
            f"{row['p']:.3g}",
        )
    # A name is no markup.
    Console(width=140, markup=False).print(table)
