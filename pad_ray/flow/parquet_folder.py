"""Folders of Parquet files: streamed out, there only when whole, queried in bounded memory."""

from __future__ import annotations

import glob
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from pad_ray.base.errors import DataError
from pad_ray.base.storage import (
    arrow_filesystem,
    is_remote,
    key_of,
    parquet_dataset,
    remove_folder,
    storage_of,
)

__all__ = [
    "ROWS_PER_BATCH",
    "bounded_duckdb",
    "footer_of",
    "null_count",
    "rows_of",
    "verified_rows",
    "view_of",
    "writing",
]

ROWS_PER_BATCH = 16_384
_ROWS_PER_FILE = 1_000_000
_MEMORY = "512MB"


def verified_rows(folder: Path, columns: Sequence[str], optional: Sequence[str] = ()) -> pa.Table:
    """Return columns of a synthesis directory's verified rows, sorted by row_id, which is one.

    Raises `DataError` where it is none, or lacks a column that is not `optional`.
    """
    place = folder / "verified"
    if not place.is_dir():
        raise DataError(
            f"data: {folder} is not a synthesis directory (no verified/*.parquet in it)"
        )
    rows = parquet_dataset(place)
    wanted = list(dict.fromkeys(["row_id", *columns]))
    missing = set(wanted) - set(rows.schema.names)
    if missing:
        raise DataError(f"{place}: column '{min(missing)}' is missing")
    wanted += [name for name in optional if name in rows.schema.names]
    return rows.to_table(columns=wanted).sort_by("row_id")


@contextmanager
def writing(folder: Path, schema: pa.Schema) -> Iterator[Callable[[pa.Table], None]]:
    """Yield a function that appends tables; a local folder appears when it is whole.

    In object storage it is the manifest, written after it, that tells that it is whole.
    """
    remote = is_remote(folder)
    partial = folder if remote else folder.with_name(f".{folder.name}.partial")
    remove_folder(partial)
    partial.mkdir(exist_ok=remote)
    parts = _Parts(partial, schema)
    try:
        yield parts.write
    finally:
        parts.close()
    if not remote:
        remove_folder(folder)
        partial.rename(folder)


class _Parts:
    """Files of a folder, each with a bounded number of rows; at least one."""

    def __init__(self, folder: Path, schema: pa.Schema) -> None:
        self._folder = folder
        self._schema = schema
        self._number = -1
        self._rows = 0
        self._next()

    def _next(self) -> None:
        self._number += 1
        self._rows = 0
        path = self._folder / f"part-{self._number:05d}.parquet"
        self._writer = pq.ParquetWriter(
            key_of(path), self._schema, filesystem=arrow_filesystem(path)
        )

    def write(self, table: pa.Table) -> None:
        if self._rows + table.num_rows > _ROWS_PER_FILE:
            self.close()
            self._next()
        self._writer.write_table(table, row_group_size=ROWS_PER_BATCH)
        self._rows += table.num_rows

    def close(self) -> None:
        self._writer.close()


def bounded_duckdb(spill: Path) -> duckdb.DuckDBPyConnection:
    """Return a database that holds a bounded part of its rows in memory, others in `spill`."""
    base = duckdb.connect(":memory:")
    base.execute(f"SET memory_limit = '{_MEMORY}'")
    base.execute("SET temp_directory = $spill", {"spill": str(spill)})
    base.execute("SET preserve_insertion_order = false")
    base.execute("SET autoinstall_known_extensions = false")
    return base


def rows_of(folders: Iterable[Path]) -> int:
    """Count the rows of Parquet folders by their footers."""
    files = (path for folder in folders for path in folder.glob("*.parquet"))
    return sum(footer_of(path).num_rows for path in files)


def footer_of(path: Path) -> pq.FileMetaData:
    """Return a Parquet file's footer."""
    return pq.read_metadata(key_of(path), filesystem=arrow_filesystem(path))


def null_count(folder: Path, column: str) -> int:
    """Count a folder's rows without a value in a column.

    By DuckDB: `pyarrow.dataset`'s filtered count (pyarrow 26, ScalarAggregateNode) has crashed in
    processes that run Ray Data, which changes the number of Arrow's threads.
    """
    with duckdb.connect(":memory:") as base:
        view_of(base, "rows", sorted(folder.glob("*.parquet")))
        found = base.execute(f'SELECT count(*) FROM rows WHERE "{column}" IS NULL').fetchone()
    assert found is not None
    return int(found[0])


def view_of(base: duckdb.DuckDBPyConnection, name: str, files: Sequence[Path]) -> None:
    """Let `name` stand for the rows of Parquet files, whatever is in their paths.

    A column that a file lacks, one of an earlier version, is null in its rows.
    """
    escaped = [glob.escape(str(file)) for file in files]
    remote = next((file for file in files if is_remote(file)), None)
    if remote is not None:
        storage = storage_of(remote)
        if not set(base.list_filesystems()) & set(storage.protocol):
            base.register_filesystem(storage)
    found = base.read_parquet(escaped, hive_partitioning=False, union_by_name=True)
    found.create_view(name)
