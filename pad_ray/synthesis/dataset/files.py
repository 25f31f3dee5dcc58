"""The end of a synthesis: judged rows sorted into verified/ and rejected/, and counted.

DuckDB does what needs a problem's rows together (repeats of a program, pass rates) and their order,
in parts that fit into a bounded memory; what is written streams through.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import duckdb
import pyarrow as pa

from pad_ray.base.schemas import JUDGED_SCHEMA
from pad_ray.base.storage import is_remote
from pad_ray.flow.parquet_folder import (
    ROWS_PER_BATCH,
    bounded_duckdb,
    footer_of,
    view_of,
    writing,
)

__all__ = ["JudgedRows", "repeats_query"]

_ROWS_PER_PART = 200_000
_BYTES_PER_PART = 150_000_000


class JudgedRows:
    """All judged rows of a dataset, whichever round wrote them.

    `schema` is `JUDGED_SCHEMA`, or one with further columns.
    """

    def __init__(
        self, folders: Sequence[Path], spill: Path, schema: pa.Schema = JUDGED_SCHEMA
    ) -> None:
        # A database spills onto a disk.
        self._spill = Path(mkdtemp()) if is_remote(spill) else spill
        self._schema = schema
        self._base = bounded_duckdb(self._spill)
        # By itself it would hold half a million rows before it writes any.
        self._base.execute(f"SET partitioned_write_flush_threshold = {ROWS_PER_BATCH}")
        self._files = [path for folder in folders for path in sorted(folder.glob("*.parquet"))]
        footers = [footer_of(file) for file in self._files]
        self._rows_in = sum(footer.num_rows for footer in footers)
        self._bytes_in = sum(
            footer.row_group(group).total_byte_size
            for footer in footers
            for group in range(footer.num_row_groups)
        )
        view_of(self._base, "judged", self._files)

    def __enter__(self) -> JudgedRows:
        return self

    def __exit__(self, *_: object) -> None:
        self._base.close()
        shutil.rmtree(self._spill, ignore_errors=True)

    def unmet(self, want: int) -> dict[str, int]:
        """Return the problems with fewer than `want` distinct verified programs.

        By id, with the samples of each that were asked for.
        """
        return dict(
            self._base.execute(
                "SELECT problem_id, max(sample_index) + 1 FROM judged GROUP BY problem_id "
                "HAVING count(DISTINCT program_key) FILTER (reason IS NULL) < ?",
                [want],
            ).fetchall()
        )

    def write(self, out: Path, drop_near: bool) -> dict[str, Any]:
        """Write verified/ and rejected/ into `out`, in order of row id, and return the counts.

        Of a problem's rows with one program the first by sample index is kept; its pass rate
        counts all that are right.
        """
        counts = _Counts()
        # Rows come sorted, so that these do not depend on how they are batched.
        digest, rejected = hashlib.sha256(), hashlib.sha256()
        with (
            writing(out / "verified", self._schema) as keep,
            writing(out / "rejected", self._schema) as reject,
        ):
            for files in self._parts():
                self._open(files, drop_near)
                for batch in self._rows("IS NULL"):
                    keep(batch)
                    _add_rows(digest, batch)
                for batch in self._rows("IS NOT NULL"):
                    reject(batch)
                    _add_rows(rejected, batch)
                counts.add(self._base)
        digest.update(rejected.digest())
        return {**counts.result(), "rows_fingerprint": digest.hexdigest()[:16]}

    def _parts(self) -> Iterator[Sequence[Path]]:
        """Yield files whose rows are together all, by rising problem id.

        Whatever a problem's rows have to do with each other is then within a part, and a part
        fits into memory, however many there are.
        """
        parts = 1 + max(self._rows_in // _ROWS_PER_PART, self._bytes_in // _BYTES_PER_PART)
        if parts == 1:
            yield self._files
            return
        self._spill.mkdir(parents=True, exist_ok=True)
        target = str(self._spill / "parts").replace("'", "''")
        # Ids are hashes, so a range of their first digits is an even share.
        self._base.execute(
            f"COPY (SELECT *, ('0x' || problem_id[:4])::INT * {parts} // 65536 AS part FROM judged)"
            f" TO '{target}' (FORMAT parquet, PARTITION_BY (part))"
        )
        for part in range(parts):
            folder = self._spill / "parts" / f"part={part}"
            if folder.is_dir():
                yield sorted(folder.glob("*.parquet"))
                shutil.rmtree(folder)

    def _open(self, files: Sequence[Path], drop_near: bool) -> None:
        """Make the files' rows the table `sorted`, repeats marked and pass rates filled in."""
        view_of(self._base, "part", files)
        repeats = repeats_query("part", "program_key")
        self._base.execute(
            f"CREATE OR REPLACE TEMP TABLE repeats AS SELECT row_id, 'duplicate' AS repeated "
            f"FROM ({repeats})"
        )
        if drop_near:
            others = "(SELECT * FROM part WHERE row_id NOT IN (SELECT row_id FROM repeats))"
            near = repeats_query(others, "near_key")
            self._base.execute(f"INSERT INTO repeats SELECT row_id, 'near_duplicate' FROM ({near})")
        self._base.execute(
            "CREATE OR REPLACE TEMP TABLE rates AS SELECT problem_id, "
            "avg(CASE WHEN reason IS NULL THEN 1.0 ELSE 0.0 END) AS rate "
            "FROM part GROUP BY problem_id"
        )
        self._base.execute(
            "CREATE OR REPLACE TEMP VIEW sorted AS SELECT part.* REPLACE ("
            "coalesce(reason, repeated) AS reason, rate AS pass_rate) "
            "FROM part LEFT JOIN repeats USING (row_id) JOIN rates USING (problem_id)"
        )

    def _rows(self, kept: str) -> Iterator[pa.Table]:
        # The rows of an earlier version lack columns.
        known = self._base.table("sorted").columns
        columns = ", ".join(n if n in known else f"NULL AS {n}" for n in self._schema.names)
        found = self._base.sql(f"SELECT {columns} FROM sorted WHERE reason {kept} ORDER BY row_id")
        reader: pa.RecordBatchReader = found.to_arrow_reader(ROWS_PER_BATCH)
        for batch in reader:
            yield pa.Table.from_batches([batch]).cast(self._schema)


def _add_rows(digest: hashlib._Hash, rows: pa.Table) -> None:
    """Add to a digest what a later stage learns from rows."""
    columns = ("row_id", "answer", "program", "chain_of_thought", "reason")
    for row in zip(*(rows[name].to_pylist() for name in columns), strict=True):
        digest.update(repr(row).encode())


class _Counts:
    """Adds up what a manifest says of the rows, part by part."""

    def __init__(self) -> None:
        self._sums: Counter[str] = Counter()
        self._cost: float | None = None
        self._by: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self._notes: Counter[str] = Counter()
        self._steps: Counter[str] = Counter()

    def add(self, base: duckdb.DuckDBPyConnection) -> None:
        """Count the rows of the table `sorted`."""
        row = base.execute(
            "SELECT count(*), count(*) FILTER (reason IS NULL), count(DISTINCT problem_id), "
            "count(DISTINCT problem_id) FILTER (reason IS NULL), "
            "coalesce(sum(prompt_tokens), 0), coalesce(sum(completion_tokens), 0), sum(cost_usd) "
            "FROM sorted"
        ).fetchone()
        assert row is not None
        self._sums.update(dict(zip(_SUMS, map(int, row[:-1]), strict=True)))
        if row[-1] is not None:
            self._cost = (self._cost or 0.0) + row[-1]
        steps = base.execute(_STEPS).fetchone()
        assert steps is not None
        self._steps.update(dict(zip(_STEP_SUMS, map(int, steps), strict=True)))
        for name, column, where in _GROUPS:
            found = base.execute(
                f"SELECT {column}, count(*) FROM sorted WHERE {where} GROUP BY {column} "
                f"ORDER BY count(*) DESC LIMIT {_MOST_GROUPS}"
            )
            self._by[name].update(dict(found.fetchall()))
        found = base.execute(
            "SELECT teacher_notes, count(*) FROM sorted WHERE teacher_notes IS NOT NULL "
            "GROUP BY teacher_notes"
        )
        while rows := found.fetchmany(ROWS_PER_BATCH):
            for notes, times in rows:
                for name, count in json.loads(notes).items():
                    self._notes[name] += count * times

    def result(self) -> dict[str, Any]:
        """Return `counts`, `tokens`, `cost_usd` and `teacher` of a manifest."""
        groups = {name: dict(self._by[name].most_common(_MOST_GROUPS)) for name, *_ in _GROUPS}
        sums = {name: self._sums[name] for name in _SUMS}
        tokens = {name: sums.pop(name) for name in ("prompt_tokens", "completion_tokens")}
        teacher = ", ".join(groups.pop("teacher"))
        rejected = sums["rows"] - sums["verified"]
        steps = {name: self._steps[name] for name in _STEP_SUMS}
        return {
            "counts": {
                **sums,
                "rejected": rejected,
                **groups,
                "teacher_notes": dict(self._notes),
                "steps": steps if steps["texts"] else None,
            },
            "tokens": tokens,
            "cost_usd": None if self._cost is None else round(self._cost, 6),
            "teacher": teacher,
        }


_SUMS = (
    *("rows", "verified", "asked_problems", "solved_problems"),
    *("prompt_tokens", "completion_tokens"),
)
# Of the calculations in kept chains of thought.
_STEP_SUMS = ("texts", "texts_stating", "texts_wrong", "checked", "wrong")
_STEPS = (
    "SELECT count(steps_checked), count(*) FILTER (steps_checked > 0), "
    "count(*) FILTER (steps_wrong > 0), coalesce(sum(steps_checked), 0), "
    "coalesce(sum(steps_wrong), 0) FROM sorted WHERE reason IS NULL"
)
# What is counted by value: its name in the manifest, the column, and of which rows.
_GROUPS = (
    ("by_reason", "reason", "reason IS NOT NULL"),
    ("errors_by_type", "error_type", "error_type IS NOT NULL"),
    ("teacher_errors", "message", "reason = 'teacher_error'"),
    ("teacher", "teacher", "teacher IS NOT NULL"),
)
_MOST_GROUPS = 100


def repeats_query(rows: str, key: str) -> str:
    """Return SQL for the row ids of kept rows whose problem has an earlier one with equal `key`."""
    return (
        f"SELECT row_id FROM (SELECT row_id, row_number() OVER (PARTITION BY problem_id, {key} "
        f"ORDER BY row_id) AS place FROM {rows} WHERE reason IS NULL AND {key} IS NOT NULL) "
        "WHERE place > 1"
    )
