"""Rows of files as people have them: JSONL, a JSON array or Parquet, compressed or not.

What a file holds is told by its first bytes, not by its name.
"""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import math
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, time
from decimal import Decimal
from itertools import chain
from pathlib import Path
from typing import IO, Any

from pad_ray.base.errors import DataError, reason_of
from pad_ray.base.records import Problem

__all__ = ["ID_FIELD", "Row", "is_plain_jsonl", "read_rows"]

_COMPRESSED = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd", b"BZh": "bz2", b"\xfd7zXZ": "xz"}
_PARQUET = b"PAR1"
_HEAD = 1 << 16
_BOM = b"\xef\xbb\xbf"
ID_FIELD = "id"
_OWN_IDS = (
    *("own_id", ID_FIELD, "question_id", "problem_id", "unique_id", "example_id", "task_id"),
    *("qid", "uid", "uuid", "idx", "index"),
)
_HOLDERS = ("examples", "data", "rows", "problems", "questions", "train", "test")


@dataclass(frozen=True)
class Row:
    """One row of a file: where it stands (`FILE, line 3`), and its values by column.

    `fields` names the columns that stand for a task's own fields; `used` are those that were read.
    """

    place: str
    values: Mapping[str, Any]
    fields: Mapping[str, str] = field(default_factory=dict)
    used: set[str] = field(default_factory=set, compare=False, repr=False)

    def problem(
        self,
        task: str,
        question: str,
        answer: str | Sequence[str],
        *,
        rationale: str | None = None,
    ) -> Problem:
        """Return a problem of this row, which carries the row's own id and further columns along.

        Of several answers any is right. The id is the text or number of the column that `fields`
        names for `id`, else of one that is called `id`, or `ID`, `question_id` and the like.
        Further columns are all that have a value and were not read; dates and decimals become
        text, binary ones are left out.
        """
        own_id = self._own_id()
        others = {name: value for name, value in self.values.items() if name not in self.used}
        try:
            carried = _as_json(others)
            extra = json.dumps(carried) if carried else None
        except RecursionError as error:
            raise DataError(f"{self.place}: its columns are nested too deep") from error
        return Problem.make(task, question, answer, rationale=rationale, own_id=own_id, extra=extra)

    def _own_id(self) -> str | None:
        if ID_FIELD in self.fields:
            return self.text(ID_FIELD)
        columns = {str(name).casefold(): name for name in self.values if name not in self.used}
        for column in filter(None, map(columns.get, _OWN_IDS)):
            text = _as_text(self.values[column])
            if text is not None and _is_unicode(text) and text.strip():
                self.used.add(column)
                return text
        return None

    def value(self, *names: str) -> Any:
        """Return the value of the first of these columns that has one; None where none has."""
        found = next((one for one in names if self.values.get(one) is not None), None)
        if found is None:
            return None
        self.used.add(found)
        return self.values[found]

    def text(self, *names: str) -> str:
        """Return the text, or the number as text, of the first of these columns that has one.

        `DataError` names place and field where there is none, or it is something else.
        """
        column, value = self._found(names)
        return self._checked(column, value, "text or a number")

    def texts(self, *names: str) -> list[str]:
        """Return the texts and numbers of a list, of the first of these columns that has a value.

        One text or number is a list of itself. `DataError` as of `text`.
        """
        column, value = self._found(names)
        found = value if isinstance(value, list) else [value]
        if not found:
            raise DataError(f"{self.place}: field '{column}' is empty")
        return [self._checked(column, one, "text, a number, or a list of them") for one in found]

    def _found(self, names: Sequence[str]) -> tuple[str, Any]:
        """Return the first of these columns that has a value, and the value."""
        names = (self.fields[names[0]],) if names[0] in self.fields else names
        column = next((one for one in names if self.values.get(one) is not None), names[0])
        value = self.value(column)
        if value is None:
            there = ", ".join(sorted(map(str, self.values))) or "nothing"
            raise DataError(f"{self.place}: field '{column}' is missing (found: {there})")
        return column, value

    def _checked(self, field: str, value: object, wanted: str) -> str:
        text = _as_text(value)
        if text is None:
            raise DataError(f"{self.place}: field '{field}' must be {wanted}")
        if not text.strip():
            raise DataError(f"{self.place}: field '{field}' is empty")
        if not _is_unicode(text):
            raise DataError(f"{self.place}: field '{field}' is not valid Unicode")
        return text


def _as_text(value: object) -> str | None:
    """Return a text, or a number or date as text; None for what is neither."""
    if isinstance(value, bool):
        return None
    if isinstance(value, float):
        # Without the noise of a JSON file's last digits, where it counts singly.
        return repr(value) if abs(value) > 2**53 else format(value, ".15g")
    # The latter are Parquet's.
    return str(value) if isinstance(value, str | int | Decimal | date | datetime | time) else None


def _is_unicode(text: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in text)


def _as_json(value: Any) -> Any:
    """Return a value as JSON has it: no binary columns, and no NaN, which stands for none."""
    if isinstance(value, dict):
        kept = {name: _as_json(one) for name, one in value.items() if not isinstance(one, bytes)}
        return {str(name): one for name, one in kept.items() if one is not None}
    if isinstance(value, list | tuple):
        return [_as_json(one) for one in value if not isinstance(one, bytes)]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if isinstance(value, str | int | float | None) else str(value)


def read_rows(path: Path) -> Iterator[Row]:
    """Yield a file's rows in order; `DataError` names the file, and a row at fault.

    JSONL and Parquet are read row by row, a JSON list as a whole.
    """
    try:
        with path.open("rb") as raw:
            if _is_parquet(path, _head(raw)):
                yield from _parquet_rows(path, raw)
                return
            with _decompressed(raw) as file:
                yield from _json_rows(path, file)
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: is not UTF-8 text: {error.reason}") from error
    except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
        raise DataError(f"{path}: cannot be read: {reason_of(error)}") from error


def is_plain_jsonl(path: Path) -> bool:
    """Tell whether a file's lines can be read where they are: JSONL that is not compressed."""
    with path.open("rb") as raw:
        head = _head(raw)
    packed = head.startswith(tuple(_COMPRESSED)) or _is_parquet(path, head)
    return not packed and not _begins_list(head)


def _is_parquet(path: Path, head: bytes) -> bool:
    return head.startswith(_PARQUET) or path.suffix == ".parquet"


def _head(raw: IO[bytes]) -> bytes:
    head = raw.read(_HEAD)
    raw.seek(0)
    return head


def _begins_list(head: bytes) -> bool:
    return head.removeprefix(_BOM).lstrip()[:1] == b"["


@contextmanager
def _decompressed(raw: IO[bytes]) -> Iterator[IO[bytes]]:
    head = _head(raw)
    kind = next((kind for magic, kind in _COMPRESSED.items() if head.startswith(magic)), None)
    if kind is None:
        yield raw
    elif kind == "zstd":
        # Here: what every settings model imports must not wait for it.
        import pyarrow as pa

        with pa.CompressedInputStream(pa.PythonFile(raw, "r"), "zstd") as stream:
            yield stream
    else:
        openers: dict[str, Any] = {"gzip": gzip.open, "bz2": bz2.open, "xz": lzma.open}
        with openers[kind](raw, "rb") as stream:
            yield stream


def _json_rows(path: Path, file: IO[bytes]) -> Iterator[Row]:
    lines = enumerate(io.TextIOWrapper(file, encoding="utf-8-sig"), start=1)
    filled = ((number, line) for number, line in lines if line.strip())
    number, line = next(filled, (0, ""))
    if not line:
        return
    if line.lstrip().startswith("["):
        yield from _listed(path, _parsed(path, line + "".join(more for _, more in filled)))
        return
    following = next(filled, None)
    if following is None or not _is_json(line):
        # One object, over one line or several, may hold the rows.
        text = line + "".join(more for _, more in ([following] if following else []))
        text += "".join(more for _, more in filled)
        rows = _rows_inside(text)
        if rows is not None:
            yield from _listed(path, rows)
            return
    yield _line_row(path, number, line)
    for number, line in () if following is None else chain([following], filled):
        yield _line_row(path, number, line)


def _line_row(path: Path, number: int, line: str) -> Row:
    return _row(f"{path}, line {number}", _parsed(f"{path}, line {number}", line), line)


def _parsed(place: object, text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{place}: malformed JSON: {reason_of(error)}") from error


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _rows_inside(text: str) -> list[Any] | None:
    """Return the only list of objects, under a name of such, in a file that is one object."""
    try:
        whole = json.loads(text)
    except (ValueError, RecursionError):
        return None
    values = [whole.get(name) for name in _HOLDERS] if isinstance(whole, dict) else []
    lists = [
        value
        for value in values
        if isinstance(value, list) and value and all(isinstance(one, dict) for one in value)
    ]
    return lists[0] if len(lists) == 1 else None


def _listed(path: Path, rows: list[Any]) -> Iterator[Row]:
    for number, row in enumerate(rows, start=1):
        yield _row(f"{path}, row {number}", row, json.dumps(row))


def _row(place: str, row: Any, text: str) -> Row:
    if not isinstance(row, dict):
        raise DataError(f"{place}: expected a JSON object, found {text.strip()[:40]}")
    return Row(place, row)


def _parquet_rows(path: Path, raw: IO[bytes]) -> Iterator[Row]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(raw) as file:
            number = 0
            for batch in file.iter_batches():
                for values in batch.to_pylist():
                    number += 1
                    yield Row(f"{path}, row {number}", values)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OSError) as error:
        raise DataError(f"{path}: not a Parquet file ({reason_of(error)})") from error
