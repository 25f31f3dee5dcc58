"""What a synthesis directory's rows say as a whole, by queries that stream over its columns."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb

from pad_ray.base.errors import DataError, reason_of
from pad_ray.base.pages import in_turn
from pad_ray.flow.parquet_folder import bounded_duckdb, view_of

__all__ = ["LONGEST", "RATE_BINS", "DatasetRows", "open_rows"]

RATE_BINS = 12
LONGEST = 40

_THREADS = 4
_SHOWN = "row_id question answer teacher completion program value error_type message reason"

# Nought and all have bins of their own, at the ends. A directory whose rows say no pass rate is
# counted: a duplicate is right too.
_PASS_RATES = """
with problems as (
  select coalesce(max(pass_rate), avg((coalesce(reason, 'duplicate') in
    ('duplicate', 'near_duplicate'))::int)) as rate
  from (select problem_id, pass_rate, reason from verified
        union all select problem_id, pass_rate, reason from rejected)
  group by hash(problem_id))
select case when rate <= 0 then 0 when rate >= 1 then $last
            else 1 + least($last - 2, floor(rate * ($last - 1)))::int end as bin, count(*)
from problems group by bin"""
_LENGTHS = """
select least($longest, length(text) - length(replace(text, chr(10), '')) + 1)::int as lines,
       count(*)
from (select rtrim(coalesce(program, chain_of_thought), chr(10) || ' ') as text from verified)
group by lines"""
_CHOSEN = "select coalesce(reason, ''), min_by(row_id, md5(row_id), $number) from {part} group by 1"


class DatasetRows:
    """The rows of one synthesis directory; made by `open_rows`."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection

    def pass_rates(self) -> list[int]:
        """Return how many problems have which pass rate.

        There are `RATE_BINS` counts: of 0, of equal steps between, and of 1.
        """
        found = dict(self._all(_PASS_RATES, last=RATE_BINS - 1))
        return [found.get(place, 0) for place in range(RATE_BINS)]

    def lengths(self) -> dict[int, int]:
        """Return how many verified programs, or texts, have how many lines.

        `LONGEST` stands for more too.
        """
        return dict(sorted(self._all(_LENGTHS, longest=LONGEST)))

    def samples(self, part: str, number: int) -> list[dict[str, Any]]:
        """Return so many rows of `verified` or `rejected`, the same ones each time.

        They are chosen by a hash of the row id, from every reason in turn.
        """
        groups = sorted(self._all(_CHOSEN.format(part=part), number=number))
        chosen = in_turn([row_ids for _, row_ids in groups])[:number]
        columns = _SHOWN.split()
        query = f"select {', '.join(columns)} from {part} where row_id in (select unnest($chosen))"
        rows = self._all(f"{query} order by row_id", chosen=chosen)
        return [dict(zip(columns, row, strict=True)) for row in rows]

    def _all(self, query: str, **values: Any) -> list[tuple[Any, ...]]:
        return self._connection.execute(query, values).fetchall()


@contextmanager
def open_rows(out: Path) -> Iterator[DatasetRows]:
    """Open the rows of a finished synthesis directory for queries in bounded memory.

    Raises `DataError` if its Parquet files cannot be read, also while it is open.
    """
    with TemporaryDirectory() as spill, bounded_duckdb(Path(spill)) as connection:
        try:
            connection.execute(f"set threads = {_THREADS}")
            for part in ("verified", "rejected"):
                view_of(connection, part, sorted((out / part).glob("*.parquet")))
            yield DatasetRows(connection)
        except (duckdb.Error, UnicodeDecodeError) as error:
            raise DataError(f"{out}: its rows cannot be read: {reason_of(error)}") from error
