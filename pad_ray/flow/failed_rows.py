"""The failed rows of a flow: counted, and forgotten so that they are asked for again."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from uuid import uuid4

import duckdb
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pad_ray.base.errors import FailuresError
from pad_ray.base.storage import arrow_filesystem, key_of, parquet_dataset
from pad_ray.flow.failures import FAILED, ended
from pad_ray.flow.parquet_folder import view_of
from pad_ray.flow.rows import CHECKPOINT, DONE, ROW_ID

__all__ = ["failed_count", "forget_failed", "refuse_all_failed"]

_PENDING = ".pending"
_REASONS = ", ".join(f"'{reason}'" for reason in sorted(FAILED))
# What failed to be judged was run before, and its message is then the program's.
_IS_FAILED = f"reason IN ({_REASONS})"


def failed_count(folders: list[Path]) -> tuple[int, int, str]:
    """Return how many rows of Parquet folders failed, of how many, and the commonest message."""
    files = [file for folder in folders for file in sorted(folder.glob("*.parquet"))]
    if not files:
        return 0, 0, ""
    with duckdb.connect(":memory:") as base:
        view_of(base, "rows", files)
        found = base.execute(
            f"SELECT count(*) FILTER ({_IS_FAILED}), count(*), "
            f"mode(message) FILTER ({_IS_FAILED}) FROM rows"
        ).fetchone()
    assert found is not None
    return int(found[0]), int(found[1]), str(found[2] or "no message")


def refuse_all_failed(folders: list[Path], max_failures: int | None, can_retry: bool = True) -> int:
    """Return how many rows failed; `FailuresError` where all did, unless so many may."""
    failed, rows, fault = failed_count(folders)
    if failed and failed == rows and max_failures is None:
        raise FailuresError(ended(f"all {rows} rows failed", fault, can_retry))
    return failed


def forget_failed(work: Path, reasons: Collection[str] = FAILED) -> int:
    """Take a flow's rows with these reasons out of what is done; return how many there were.

    A file of rows and the file of their ids in Ray's checkpoint, which begin with one name, give
    way to files of the other rows. Ray takes back what a name with `.pending` stands for: whatever
    ends this in the middle, a row is done once more or not, but never twice there.
    """
    forgotten = 0
    for ids in sorted((work / CHECKPOINT).glob("*.parquet")):
        if _PENDING in ids.name:
            continue
        files = sorted((work / DONE).glob(f"{ids.stem}*.parquet"))
        rows = parquet_dataset(work / DONE, files).to_table()
        failed = pc.is_in(rows["reason"], value_set=pc.cast(sorted(reasons), rows["reason"].type))
        count = pc.sum(failed).as_py() or 0
        if not count:
            continue
        forgotten += count
        _replace(work, ids, files, rows.filter(pc.invert(failed)))
    return forgotten


def _replace(work: Path, ids: Path, files: list[Path], kept: pq.Table) -> None:
    name = f"kept-{uuid4().hex}"
    fresh = work / CHECKPOINT / f"{name}{_PENDING}.parquet"
    if kept.num_rows:
        files_of = arrow_filesystem(work)
        pq.write_table(kept.select([ROW_ID]), key_of(fresh), filesystem=files_of)
        pq.write_table(kept, key_of(work / DONE / f"{name}_000000.parquet"), filesystem=files_of)
    old = ids.with_name(f"{ids.stem}{_PENDING}.parquet")
    ids.rename(old)
    if kept.num_rows:
        fresh.rename(work / CHECKPOINT / f"{name}.parquet")
    for file in (*files, old):
        file.unlink()
