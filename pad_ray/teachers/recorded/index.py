"""Where each recorded completion is: an index that spills to disk, texts left in their files."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import BinaryIO

from pad_ray.base.errors import DataError
from pad_ray.base.records import Completion
from pad_ray.tasks.rows import is_plain_jsonl
from pad_ray.teachers.endpoint.chat import one_line
from pad_ray.teachers.recorded.rows import Entry, line_entries, parse_line, row_entries

__all__ = ["RecordedIndex", "index_files"]

# An answer takes the place of an error; nothing takes the place of an answer.
_ADD = """
INSERT INTO samples VALUES (:key, :sample, :failed, :file, :offset, :choice, :held)
ON CONFLICT DO UPDATE SET failed = excluded.failed, file = excluded.file,
    offset = excluded.offset, choice = excluded.choice, held = excluded.held
WHERE samples.failed
"""


class RecordedIndex:
    """Completions by problem key and sample index.

    A line of JSONL is kept as its file and byte offset and read again when it is asked for; a row
    that cannot be read alone, of Parquet or a compressed file, is kept whole. Both are in a private
    SQLite database
    that the system's temporary folder takes what memory should not hold of.
    """

    def __init__(self, files: Sequence[Path]) -> None:
        self._files = list(files)
        self._open: dict[int, BinaryIO] = {}
        # Ray Data may build and use a stage in different threads, one at a time.
        self._database = sqlite3.connect("", check_same_thread=False)
        self._database.execute("PRAGMA journal_mode = OFF")
        self._database.execute(
            "CREATE TABLE samples (key BLOB, sample INTEGER, failed INTEGER, file INTEGER, "
            "offset INTEGER, choice INTEGER, held TEXT, PRIMARY KEY (key, sample)) WITHOUT ROWID"
        )

    def add(self, file: int, entry: Entry, keep: bool) -> None:
        """Add an entry of the file of that number; `keep` its texts here.

        Raises DataError where an answer to the same sample is there already.
        """
        start = self._next_free(entry.key) if entry.sample_index is None else entry.sample_index
        for choice, completion in enumerate(entry.completions):
            row = {
                "key": _blob(entry.key),
                "sample": start + choice,
                "failed": completion.error is not None,
                "file": file,
                "offset": entry.offset,
                "choice": choice,
                "held": json.dumps(asdict(completion)) if keep else None,
            }
            added = self._database.execute(_ADD, row).rowcount
            if not added and completion.error is None:
                raise DataError(
                    f"{entry.place}: sample {start + choice} of this problem is there already; "
                    "remove one of the two rows"
                )

    def samples(self, key: str, indices: Sequence[int]) -> dict[int, Completion] | None:
        """Return those of the samples that are there; None if the problem has none at all."""
        known = self._database.execute("SELECT 1 FROM samples WHERE key = ? LIMIT 1", (_blob(key),))
        if known.fetchone() is None:
            return None
        rows = self._database.execute(
            "SELECT sample, file, offset, choice, held FROM samples "
            "WHERE key = ? AND sample BETWEEN ? AND ?",
            (_blob(key), min(indices), max(indices)),
        ).fetchall()
        wanted = set(indices)
        return {
            sample: self._read(file, offset)[choice] if held is None else _held(held)
            for sample, file, offset, choice, held in rows
            if sample in wanted
        }

    def first_key(self) -> str:
        """Return one of the keys that are there."""
        (key,) = self._database.execute("SELECT key FROM samples LIMIT 1").fetchone()
        return bytes(key).decode("utf-8", "replace")

    def __len__(self) -> int:
        """Return the number of samples."""
        return int(self._database.execute("SELECT count(*) FROM samples").fetchone()[0])

    def _next_free(self, key: str) -> int:
        query = "SELECT max(sample) FROM samples WHERE key = ?"
        (last,) = self._database.execute(query, (_blob(key),)).fetchone()
        return 0 if last is None else last + 1

    def _read(self, file: int, offset: int) -> list[Completion]:
        path = self._files[file]
        try:
            if file not in self._open:
                self._open[file] = path.open("rb")
            self._open[file].seek(offset)
            return parse_line(self._open[file].readline())
        except (OSError, ValueError) as error:
            raise DataError(
                f"{path}: changed while it was replayed ({one_line(str(error), 100)}); start again"
            ) from None


def _blob(key: str) -> bytes:
    # JSON can write half of a surrogate pair, which SQLite's text cannot hold.
    return key.encode("utf-8", "surrogatepass")


def _held(text: str) -> Completion:
    return Completion(**json.loads(text))


def index_files(files: Sequence[Path]) -> RecordedIndex:
    """Read and check every row of the files; DataError names the file, row and field at fault."""
    index = RecordedIndex(files)
    for number, path in enumerate(files):
        in_place = is_plain_jsonl(path)
        for entry in line_entries(path) if in_place else row_entries(path):
            index.add(number, entry, keep=not in_place)
    if not len(index):
        named = ", ".join(map(str, files))
        raise DataError(f"{named}: no rows; give a file with at least one recorded completion")
    return index
