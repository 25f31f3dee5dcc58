"""One resumable Ray Data flow: request rows → actor stages → Parquet, each row done once."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.dataset as pads
import pyarrow.parquet as pq
import ray
from ray.data import ActorPoolStrategy, DataContext, SaveMode
from ray.data.checkpoint import CheckpointConfig

from pad_ray.errors import ResourceError
from pad_ray.progress import watch
from pad_ray.runtime import cluster_resources, connect

ROW_ID = "row_id"


@dataclass(frozen=True)
class ActorStage:
    """A callable class that maps a batch of rows (a `pyarrow.Table`) to another one.

    `actors` is a fixed pool size, or (least, most) for one that grows with the load.
    """

    make: Callable[..., Any]
    arguments: dict[str, Any]
    actors: int | tuple[int, int]
    batch_size: int
    cpus: float = 1.0
    gpus: float = 0.0


def run_rows(
    requests: Iterator[pa.Table], stages: Sequence[ActorStage], work: Path, title: str
) -> pads.Dataset:
    """Map every request row through the stages and return the written rows.

    `requests` yields one table a block; each has a unique `row_id` column that every stage keeps.
    A block is what an interruption costs at most. Called again with the same `work` directory,
    it runs only the rows that are not yet written.
    """
    connect()
    shards = _write_requests(requests, work / "requests")
    files = sorted(str(path) for path in shards.glob("*.parquet"))
    done = work / "done"
    _check_actors_fit(stages)
    checkpoint = work / "checkpoint"
    total = pads.dataset(shards, format="parquet").count_rows()
    with _checkpointed(checkpoint), watch(title, total, lambda: (_rows_done(checkpoint), "")):
        rows = ray.data.read_parquet(files, override_num_blocks=len(files))
        for stage in stages:
            rows = _apply(rows, stage)
        rows.write_parquet(str(done), mode=SaveMode.APPEND)
    return _complete_rows(done, total)


def _write_requests(requests: Iterator[pa.Table], folder: Path) -> Path:
    if folder.is_dir():
        return folder
    partial = folder.with_name(folder.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    for index, table in enumerate(requests):
        pq.write_table(table, partial / f"part-{index:06d}.parquet")
    # Renamed when whole: a run killed before this line writes its requests again.
    partial.rename(folder)
    return folder


@contextmanager
def _checkpointed(path: Path) -> Iterator[None]:
    context = DataContext.get_current()
    before = context.checkpoint_config
    context.checkpoint_config = CheckpointConfig(
        id_column=ROW_ID, checkpoint_path=str(path), delete_checkpoint_on_success=False
    )
    # The newer reader folds small files into one block, and a block is what is saved at once.
    reader, context.use_datasource_v2 = context.use_datasource_v2, False
    try:
        yield
    finally:
        context.checkpoint_config = before
        context.use_datasource_v2 = reader


def _apply(rows: ray.data.Dataset, stage: ActorStage) -> ray.data.Dataset:
    least, most = stage.actors if isinstance(stage.actors, tuple) else (stage.actors, stage.actors)
    return rows.map_batches(
        stage.make,
        fn_constructor_kwargs=stage.arguments,
        batch_size=stage.batch_size,
        batch_format="pyarrow",
        zero_copy_batch=True,
        compute=ActorPoolStrategy(min_size=least, max_size=most),
        num_cpus=stage.cpus,
        num_gpus=stage.gpus or None,
    )


def _check_actors_fit(stages: Sequence[ActorStage]) -> None:
    have = cluster_resources()
    for kind, field in (("CPU", "cpus"), ("GPU", "gpus")):
        need = sum(
            (stage.actors[0] if isinstance(stage.actors, tuple) else stage.actors)
            * float(getattr(stage, field))
            for stage in stages
        )
        # Reading and the row checkpoint's filter each take a CPU beside the actors.
        need += 2 if kind == "CPU" else 0
        if need > have.get(kind, 0):
            raise ResourceError(
                f"the actors need {need:g} {kind}, the cluster has {have.get(kind, 0):g}; "
                "lower the number of actors or add nodes"
            )


def _rows_done(checkpoint: Path) -> int:
    """Count the row ids that are checkpointed; a file may vanish while it is committed."""
    done = 0
    for path in checkpoint.glob("*.parquet"):
        with suppress(OSError, pa.ArrowInvalid):
            if ".pending" not in path.name:
                done += pq.read_metadata(path).num_rows
    return done


def _complete_rows(done: Path, wanted: int) -> pads.Dataset:
    rows = pads.dataset(done, format="parquet")
    if rows.count_rows() != wanted:
        raise RuntimeError(f"{done}: {rows.count_rows()} rows written, {wanted} wanted")
    return rows
