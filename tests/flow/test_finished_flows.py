"""A flow whose rows are all done needs no Ray, and gives each row once."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import ray

from pad_ray.flow.rows import DONE, run_rows, write_requests


def block(ids: str, by: str) -> pa.Table:
    return pa.table({"row_id": list(ids), "by": [by] * len(ids)})


def test_what_a_killed_runs_actors_wrote_late_counts_once(tmp_path: Path) -> None:
    write_requests([block("ab", ""), block("cd", "")], tmp_path)
    (tmp_path / DONE).mkdir()
    for name, ids in (("1", "ab"), ("2", "abc"), ("3", "dd")):
        pq.write_table(block(ids, name), tmp_path / DONE / f"{name}.parquet")
    connected = ray.is_initialized()
    rows = run_rows([], tmp_path, "rows").to_table().to_pylist()
    assert ray.is_initialized() is connected
    assert sorted((row["row_id"], row["by"]) for row in rows) == [
        *[("a", "1"), ("b", "1"), ("c", "2"), ("d", "3")]
    ]
    assert run_rows([], tmp_path, "rows").to_table().num_rows == 4
    assert sorted(path.name for path in (tmp_path / DONE).iterdir()) == [
        *["1.parquet", "2.parquet", "3.parquet"]
    ]
