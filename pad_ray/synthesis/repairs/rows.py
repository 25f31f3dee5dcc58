"""Directories of repairs: how their rows are sorted into kept and rejected, and written."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pads

from pad_ray.base.errors import DataError
from pad_ray.base.schemas import REPAIR_SCHEMA
from pad_ray.flow.parquet_folder import ROWS_PER_BATCH, verified_rows, writing
from pad_ray.flow.stages import read_manifest
from pad_ray.synthesis.dataset.files import repeats_query
from pad_ray.tasks import Task, get_task


def read_verified(folders: Iterable[Path], columns: list[str]) -> pa.Table:
    """Read columns of the verified rows of synthesis directories; `DataError` if there are none."""
    tables = []
    for folder in folders:
        read_manifest(folder)
        table = verified_rows(folder, columns)
        if "program" in columns and table["program"].null_count:
            raise DataError(f"data: {folder} holds texts; this job needs a dataset of programs")
        tables.append(table)
    table = pa.concat_tables(tables, promote_options="default")
    if table.num_rows == 0:
        raise DataError("data: no verified rows")
    return table.sort_by("row_id")


def tasks_of(folders: Iterable[Path]) -> dict[str, Task]:
    """Return the tasks of synthesis directories, by the name that their rows carry."""
    return {task.name: task for task in map(get_task, task_names(folders))}


def task_names(folders: Iterable[Path]) -> list[str]:
    """Return the tasks of synthesis directories, each once, as settings name them."""
    names: list[str] = []
    for manifest in map(read_manifest, folders):
        # A directory of augmented rows may have several.
        names += manifest.get("tasks") or [manifest["config"]["task"]]
    return list(dict.fromkeys(names))


@dataclass(frozen=True)
class Copies:
    """A block of rows, each as often as it is to be worked on.

    `places` are the rows' own among all, `numbers` their copies', `ids` what row and copy are
    called.
    """

    rows: pa.Table
    places: list[int]
    numbers: list[int]
    ids: pa.Array


def copies_of(rows: pa.Table, count: int, rows_per_block: int) -> Iterator[Copies]:
    """Yield blocks of at most so many rows, but one row's copies at least."""
    per_block = max(1, rows_per_block // count)
    for start in range(0, rows.num_rows, per_block):
        stop = min(rows.num_rows, start + per_block)
        places = [place for place in range(start, stop) for _ in range(count)]
        numbers = [*range(count)] * (stop - start)
        copied = rows.take(places)
        # Numbered by their place too: two directories may hold the same row.
        ends = pa.array([f"{p:07d}-{n:06d}" for p, n in zip(places, numbers, strict=True)])
        ids = pc.binary_join_element_wise(copied["problem_id"], ends, "-")
        yield Copies(copied, places, numbers, ids)


def repeated_rows(rows: pads.Dataset) -> pa.ChunkedArray:
    """Return the row ids of repairs of a program that another row of the same problem has."""
    with duckdb.connect(":memory:") as base:
        base.register("repairs", rows)
        found: pa.Table = base.sql(repeats_query("repairs", "broken_key")).to_arrow_table()
        return found["row_id"]


@dataclass
class Tally:
    """What has been written so far, by reason, kind of error and class of failure."""

    reasons: Counter[str | None] = field(default_factory=Counter)
    kinds: Counter[tuple[str | None, bool]] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)

    def add(self, table: pa.Table, is_kept: pa.ChunkedArray, kept: pa.Table) -> None:
        """Count the rows of a table; `kept` are those of them to learn from."""
        self.reasons.update(table["reason"].to_pylist())
        self.kinds.update(zip(table["kinds"].to_pylist(), is_kept.to_pylist(), strict=True))
        self.errors.update(_errors(kept))

    def counts(self) -> dict[str, Any]:
        """Return the counts as a manifest has them."""
        rejected = Counter({k: n for k, n in self.reasons.items() if k is not None})
        return {
            "rows": self.reasons.total(),
            "verified": self.reasons[None],
            "rejected": rejected.total(),
            "by_reason": dict(rejected.most_common()),
            "errors_by_type": dict(self.errors.most_common()),
            "by_kind": _by_kind(self.kinds),
        }


def write_repairs(
    batches: Iterable[pa.RecordBatch], repeats: pa.Array | pa.ChunkedArray, out: Path
) -> dict[str, Any]:
    """Write verified/ and rejected/ batch by batch, and return the counts of rows.

    Rows named by `repeats` are rejected as duplicates.
    """
    tally = Tally()
    with (
        writing(out / "verified", REPAIR_SCHEMA) as keep,
        writing(out / "rejected", REPAIR_SCHEMA) as reject,
    ):
        for batch in batches:
            table = _judged(pa.Table.from_batches([batch], schema=REPAIR_SCHEMA), repeats)
            is_kept = pc.is_null(table["reason"])
            kept = table.filter(is_kept)
            keep(kept)
            reject(table.filter(pc.invert(is_kept)))
            tally.add(table, is_kept, kept)
    return tally.counts()


def _judged(table: pa.Table, repeats: pa.Array | pa.ChunkedArray) -> pa.Table:
    again = pc.and_(pc.is_in(table["row_id"], value_set=repeats), pc.is_null(table["reason"]))
    reason = pc.if_else(again, "duplicate", table["reason"])
    return table.set_column(table.schema.get_field_index("reason"), "reason", reason)


def _errors(kept: pa.Table) -> list[str]:
    """Return each row's class of failure: the exception's name, or what became of the program."""
    shown = pc.if_else(pc.equal(kept["status"], "ok"), "wrong_answer", kept["status"])
    return list(pc.coalesce(kept["error_type"], shown).to_pylist())


def _by_kind(kinds: Counter[tuple[str | None, bool]]) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for (kind, is_kept), count in sorted(kinds.items(), key=lambda item: str(item[0][0])):
        if kind is not None:
            entry = found.setdefault(kind, {"made": 0, "kept": 0})
            entry["made"] += count
            entry["kept"] += count * is_kept
    return found


def key_of(broken: str) -> str:
    """Return 16 hex digits that are equal for equal texts."""
    return hashlib.sha256(broken.encode("utf-8", errors="surrogatepass")).hexdigest()[:16]


def in_small_batches(rows: pads.Dataset) -> Iterator[pa.RecordBatch]:
    """Read rows in batches of which few are in memory at a time."""
    return iter(rows.to_batches(batch_size=ROWS_PER_BATCH, batch_readahead=2, fragment_readahead=2))


def as_json(value: object) -> str:
    """Return a program's value as the JSON text that rows carry."""
    return json.dumps(value, ensure_ascii=False)
