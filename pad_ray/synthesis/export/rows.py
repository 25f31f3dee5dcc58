"""Verified rows as examples for other trainers: read in order, chosen, and written out."""

from __future__ import annotations

import hashlib
import heapq
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

import pyarrow as pa
import pyarrow.parquet as pq

from pad_ray.base.errors import DataError, reason_of
from pad_ray.synthesis.export.settings import Choice, Written

__all__ = [
    "RowWriter",
    "Tally",
    "chosen_rows",
    "in_validation",
]

Row = dict[str, Any]

COLUMNS = ("row_id", "problem_id", "question", "program_key", "pass_rate")
_BATCH = 8_192
_HASH_RANGE = 2**64


@dataclass
class Tally:
    """Rows that were read, and those of them that were left out, by why."""

    read: int = 0
    pass_rate: int = 0
    repeated: int = 0
    per_problem: int = 0


def chosen_rows(
    folders: Sequence[Path], written: Written, choice: Choice, tally: Tally
) -> Iterator[Row]:
    """Yield the verified rows of synthesis directories that are taken, by problem and sample.

    `written` names the column that holds what is learned. Of samples that are equal
    (`program_key`) within a problem the first is taken. Memory does not grow with the rows. Raises
    `DataError` for a directory that cannot be read in this way.
    """
    streams = [_ordered_rows(folder, written) for folder in folders]
    ordered = heapq.merge(*streams, key=itemgetter("row_id"))
    for _, rows in groupby(ordered, key=itemgetter("problem_id")):
        yield from _of_problem(rows, choice, tally)


def _of_problem(rows: Iterable[Row], choice: Choice, tally: Tally) -> Iterator[Row]:
    taken: set[str] = set()
    for row in rows:
        tally.read += 1
        if choice.asks_pass_rate and not _passes(row, choice):
            tally.pass_rate += 1
        elif row["program_key"] in taken:
            tally.repeated += 1
        elif choice.per_problem is not None and len(taken) == choice.per_problem:
            tally.per_problem += 1
        else:
            taken.add(row["program_key"])
            yield row


def _passes(row: Row, choice: Choice) -> bool:
    if row["pass_rate"] is None:
        raise DataError(
            f"data: row {row['row_id']} has no pass_rate; make the dataset again, or leave out "
            "--pass_rate_min and --pass_rate_max"
        )
    return choice.pass_rate_min <= float(row["pass_rate"]) <= choice.pass_rate_max


def _ordered_rows(folder: Path, written: Written) -> Iterator[Row]:
    last = ""
    for batch in _batches(folder / "verified", [*COLUMNS, written]):
        for row in batch.to_pylist():
            if row["row_id"] <= last:
                raise DataError(
                    f"{folder / 'verified'}: row {row['row_id']} is out of order; rows must be "
                    "sorted by row_id, as synthesize writes them"
                )
            last = row["row_id"]
            yield row


def _batches(verified: Path, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    for path in sorted(verified.glob("*.parquet")):
        try:
            # Read as it comes: with a buffer ahead, or as a dataset, whole row groups are held.
            with pq.ParquetFile(path, pre_buffer=False) as file:
                missing = [name for name in columns if name not in file.schema_arrow.names]
                if missing:
                    raise DataError(f"{path}: column '{missing[0]}' is missing")
                yield from file.iter_batches(batch_size=_BATCH, columns=list(columns))
        except (OSError, pa.ArrowException) as error:
            raise DataError(f"{path}: cannot be read: {reason_of(error)}") from error


def in_validation(question: str, fraction: float) -> bool:
    """Tell whether a problem belongs to the validation split, by a hash of its question.

    The same question is on the same side in every export, whatever its task and the other rows.
    """
    digest = hashlib.sha256(question.strip().encode()).digest()
    return int.from_bytes(digest[:8], "big") < fraction * _HASH_RANGE


@dataclass
class RowWriter:
    """Writes examples to one file, made with the first of them, which appears when it is whole."""

    path: Path
    schema: pa.Schema
    rows: int = 0
    _waiting: list[Row] = field(default_factory=list)
    _file: IO[str] | pq.ParquetWriter | None = None

    def __enter__(self) -> Self:
        self._partial.unlink(missing_ok=True)
        self.path.unlink(missing_ok=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        if kind is None:
            self._flush()
        if self._file is not None:
            self._file.close()
            if kind is None:
                self._partial.replace(self.path)

    @property
    def _partial(self) -> Path:
        return self.path.with_name(f".{self.path.name}.partial")

    def write(self, row: Row) -> None:
        """Add an example."""
        self.rows += 1
        self._waiting.append(row)
        if len(self._waiting) == _BATCH:
            self._flush()

    def _flush(self) -> None:
        if not self._waiting:
            return
        if self._file is None:
            self._file = self._open()
        if isinstance(self._file, pq.ParquetWriter):
            self._file.write_table(pa.Table.from_pylist(self._waiting, schema=self.schema))
        else:
            dump: Callable[[Row], str] = json.JSONEncoder(ensure_ascii=False).encode
            self._file.writelines(f"{dump(row)}\n" for row in self._waiting)
        self._waiting.clear()

    def _open(self) -> IO[str] | pq.ParquetWriter:
        if self.path.suffix == ".parquet":
            return pq.ParquetWriter(self._partial, self.schema, compression="zstd")
        return self._partial.open("w", encoding="utf-8")
