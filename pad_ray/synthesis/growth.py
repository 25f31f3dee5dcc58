"""Adding to a dataset: more samples of its problems and more problems, none asked for again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pad_ray.base.records import Problem
from pad_ray.base.schemas import JUDGED_SCHEMA
from pad_ray.base.storage import parquet_dataset
from pad_ray.flow.ledger import Totals
from pad_ray.flow.parquet_folder import ROWS_PER_BATCH, view_of
from pad_ray.flow.rows import DONE, ROW_ID, write_requests
from pad_ray.synthesis.reasons import REPEATED

__all__ = ["Grown", "earlier_spending", "keep_earlier_rows"]

_COLUMNS = "problem_id, max(sample_index) + 1, any_value(answer)"


class Grown:
    """What is wanted of problems beyond what was asked for before.

    `folders` hold the rows that were, asked for or judged.
    """

    def __init__(self, folders: Iterable[Path], samples: int) -> None:
        self._samples = samples
        self._asked: dict[int, tuple[int, int]] = {}
        files = [file for folder in folders for file in sorted(folder.glob("*.parquet"))]
        if files:
            with duckdb.connect(":memory:") as base:
                view_of(base, "rows", files)
                found = base.execute(f"SELECT {_COLUMNS} FROM rows GROUP BY problem_id")
                while rows := found.fetchmany(ROWS_PER_BATCH):
                    self._asked |= {int(key, 16): (n, hash(answer)) for key, n, answer in rows}
        self._is_other = False

    def wanted(self, problems: Iterable[Problem]) -> Iterator[tuple[Problem, range]]:
        """Yield each problem that lacks samples, with their indices."""
        for problem in problems:
            answer = hash(problem.answer)
            asked, then = self._asked.pop(int(problem.problem_id, 16), (0, answer))
            self._is_other |= asked > self._samples or then != answer
            if asked < self._samples:
                yield problem, range(asked, self._samples)

    @property
    def is_other(self) -> bool:
        """Whether something that was asked for is not wanted so any more; known after `wanted`."""
        return self._is_other or bool(self._asked)


def keep_earlier_rows(folders: Sequence[Path], work: Path) -> None:
    """Write the judged rows of a finished stage into `work` as a flow that is done.

    What was left out as a repeat is judged again: it is one among other rows.
    """
    parts = map(parquet_dataset, folders)
    batches = (batch for rows in parts for batch in rows.to_batches(batch_size=ROWS_PER_BATCH))
    (work / DONE).mkdir(parents=True)

    def ids() -> Iterator[pa.Table]:
        with pq.ParquetWriter(str(work / DONE / "earlier.parquet"), JUDGED_SCHEMA) as writer:
            for batch in batches:
                rows = _as_judged(pa.Table.from_batches([batch]))
                if rows.num_rows:
                    writer.write_table(rows)
                    yield rows.select([ROW_ID])

    write_requests(ids(), work)


def _as_judged(rows: pa.Table) -> pa.Table:
    """Return a dataset's rows, an earlier version's too, as the judge left them."""
    columns = {
        field.name: rows[field.name].cast(field.type)
        if field.name in rows.column_names
        else pa.nulls(rows.num_rows, field.type)
        for field in JUDGED_SCHEMA
    }
    repeated = pc.is_in(columns["reason"], value_set=pa.array(sorted(REPEATED)))
    none = pa.scalar(None, pa.string())
    columns["reason"] = pc.if_else(pc.fill_null(repeated, False), none, columns["reason"])
    return pa.table(columns, schema=JUDGED_SCHEMA)


def earlier_spending(work: Path) -> Totals:
    """Return what the rows that `keep_earlier_rows` wrote have cost."""
    rows = parquet_dataset(work / DONE, sorted((work / DONE).glob("*.parquet")))
    totals = Totals()
    if "cost_usd" in rows.schema.names:
        for batch in rows.to_batches(columns=["prompt_tokens", "completion_tokens", "cost_usd"]):
            totals.prompt_tokens += pc.sum(batch["prompt_tokens"]).as_py() or 0
            totals.completion_tokens += pc.sum(batch["completion_tokens"]).as_py() or 0
            totals.cost_usd += pc.sum(batch["cost_usd"]).as_py() or 0.0
    return totals
