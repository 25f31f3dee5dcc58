"""One resumable Ray Data flow: request rows → actor stages → Parquet, each row done once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pyarrow as pa
import pyarrow.dataset as pads
import pyarrow.parquet as pq
import ray
from ray.data import ActorPoolStrategy, DataContext, SaveMode
from ray.data.checkpoint import CheckpointConfig

from pad_ray.base.storage import (
    arrow_filesystem,
    is_remote,
    key_of,
    parquet_dataset,
    remove_folder,
)
from pad_ray.flow.parquet_folder import footer_of, rows_of
from pad_ray.flow.progress import watch
from pad_ray.flow.runtime import connect

ROW_ID = "row_id"
REQUESTS = "requests"
DONE = "done"
CHECKPOINT = "checkpoint"
# The name that Hadoop and Spark give to the mark of a whole folder; readers of Parquet skip it.
WHOLE = "_SUCCESS"


@dataclass(frozen=True)
class ActorStage:
    """A callable class that maps a batch of rows (a `pyarrow.Table`) to another one.

    `actors` is a fixed pool size, or (least, most) for one that grows with the load. Without
    `batch_size` a batch is a block, as it was written in the requests. An actor is called with
    `at_once` batches at a time, in threads.
    """

    make: Callable[..., Any]
    arguments: dict[str, Any]
    actors: int | tuple[int, int]
    batch_size: int | None = None
    cpus: float = 1.0
    gpus: float = 0.0
    at_once: int = 1

    @property
    def least(self) -> int:
        """How many actors it starts with."""
        return self.actors[0] if isinstance(self.actors, tuple) else self.actors


@dataclass(frozen=True)
class DatasetStage:
    """A function of whole datasets, such as an engine that brings its own actors."""

    apply: Callable[[ray.data.Dataset], ray.data.Dataset]
    cpus: float
    gpus: float

    @property
    def least(self) -> int:
        return 1


FlowStage = ActorStage | DatasetStage
# A stage that is called in this process, and its batch size.
_Made = tuple[Callable[[pa.Table], pa.Table], int | None]


def run_rows(
    stages: Sequence[FlowStage],
    work: Path,
    title: str,
    remark: Callable[[], str] = lambda: "",
    may_drop: bool = False,
    here: bool = False,
) -> pads.Dataset:
    """Map every row of `write_requests` through the stages and return the written rows.

    A block is what an interruption costs at most. Called again with the same `work` directory,
    it runs only the rows that are not yet written; with `may_drop` stages may leave rows out,
    which then count as not yet written. `remark` is shown beside the progress. That the stages find
    room is for `join_for` to see, before anything is written: without, Ray Data waits for ever.
    With `here` this process does the work of all actors, for a task of Ray's that holds their room:
    nothing is started, and a batch is what an interruption costs.
    """
    shards = work / REQUESTS
    files = sorted(key_of(path) for path in shards.glob("*.parquet"))
    done = work / DONE
    checkpoint = work / CHECKPOINT
    total = rows_of([shards])
    counter = _RowsDone(checkpoint)
    # Else every actor would start, to find nothing to do.
    if done.is_dir() and _distinct_rows(done, total) == total:
        return parquet_dataset(done)
    with watch(title, total, lambda: (counter.rows(), remark())):
        if here:
            _run_here(stages, files, work)
        else:
            _run_on_actors(stages, files, work)
    lacking = total - _distinct_rows(done, total)
    if lacking and not may_drop:
        raise RuntimeError(f"{done}: {total - lacking} rows written, {total} wanted")
    done.mkdir(parents=True, exist_ok=True)  # where every row was dropped, there is none
    return parquet_dataset(done)


def _run_on_actors(stages: Sequence[FlowStage], files: Sequence[str], work: Path) -> None:
    connect()
    with _checkpointed(work / CHECKPOINT):
        # A block a file, as they were written: Ray would join small ones, and a resumed flow would
        # do more of them again.
        rows = ray.data.read_parquet(
            list(files), filesystem=arrow_filesystem(work), override_num_blocks=len(files)
        )
        for stage in stages:
            rows = stage.apply(rows) if isinstance(stage, DatasetStage) else _apply(rows, stage)
        # Appended: what an interrupted flow has written stays, and is not done again.
        rows.write_parquet(
            key_of(work / DONE), filesystem=arrow_filesystem(work), mode=SaveMode.APPEND
        )


def _run_here(stages: Sequence[FlowStage], files: Sequence[str], work: Path) -> None:
    """Do what actors would, and leave the same files: either may go on with the other's work."""
    storage = arrow_filesystem(work)
    checkpoint = work / CHECKPOINT
    there = [path for path in checkpoint.glob("*.parquet") if ".pending" not in path.name]
    ended = {key for path in there for key in _read(path, storage)[ROW_ID].to_pylist()}
    with ExitStack() as open_stages:
        calls = [open_stages.enter_context(_made(stage)) for stage in stages]
        for file in files:
            block = pq.read_table(file, filesystem=storage)
            wanted = [key not in ended for key in block[ROW_ID].to_pylist()]
            for rows in _batches(block.filter(pa.array(wanted, pa.bool_())), calls):
                name = f"{uuid4().hex}.parquet"
                _write(rows, work / DONE / name, storage)
                _write(rows.select([ROW_ID]), checkpoint / name, storage)


@contextmanager
def _made(stage: FlowStage) -> Iterator[_Made]:
    assert isinstance(stage, ActorStage), "an engine brings its own actors"
    call = stage.make(**stage.arguments)
    try:
        yield call, stage.batch_size
    finally:
        if hasattr(call, "close"):
            call.close()


def _batches(block: pa.Table, calls: Sequence[_Made]) -> Iterator[pa.Table]:
    """Yield what the stages make of a block, batch by batch of the first one's."""
    if not calls:
        yield block
        return
    (call, batch_size), *others = calls
    size = batch_size or block.num_rows
    for start in range(0, block.num_rows, size or 1):
        yield from _batches(call(block.slice(start, size)), others)


def _read(path: Path, storage: Any) -> pa.Table:
    return pq.read_table(key_of(path), filesystem=storage)


def _write(rows: pa.Table, place: Path, storage: Any) -> None:
    """Write a table at once or not at all."""
    place.parent.mkdir(parents=True, exist_ok=True)
    partial = place if is_remote(place) else place.with_name(f".{place.name}.partial")
    pq.write_table(rows, key_of(partial), filesystem=storage)
    if partial is not place:
        partial.replace(place)


def _distinct_rows(done: Path, total: int) -> int:
    """Count the rows that are done; of several with one id, the first stays.

    Actors of a killed run may write a block while the next run does it again.
    """
    rows = rows_of([done])
    if rows <= total:
        return rows
    seen: set[str] = set()
    for file in sorted(done.glob("*.parquet")):
        table = parquet_dataset(done, [file]).to_table()
        ids = table[ROW_ID].to_pylist()
        first = [not (key in seen or seen.add(key)) for key in ids]  # type: ignore[func-returns-value]
        if not all(first):
            _write(table.filter(pa.array(first)), file, arrow_filesystem(file))
    return len(seen)


def requests_are_written(work: Path) -> bool:
    """Tell whether all blocks of a flow are there."""
    return (work / REQUESTS / WHOLE).is_file()


def write_requests(requests: Iterable[pa.Table], work: Path) -> None:
    """Write the blocks of a flow, one table each, unless they are there.

    Each row has a unique `row_id`, which every stage keeps.
    """
    if requests_are_written(work):
        return
    folder = work / REQUESTS
    remove_folder(folder)
    folder.mkdir(parents=True)
    for index, table in enumerate(requests):
        place = key_of(folder / f"part-{index:06d}.parquet")
        pq.write_table(table, place, filesystem=arrow_filesystem(folder))
    # A run killed before this line writes its requests again.
    (folder / WHOLE).touch()


@contextmanager
def _checkpointed(path: Path) -> Iterator[None]:
    context = DataContext.get_current()
    before = context.checkpoint_config
    context.checkpoint_config = CheckpointConfig(
        id_column=ROW_ID,
        checkpoint_path=key_of(path),
        override_filesystem=arrow_filesystem(path),
        delete_checkpoint_on_success=False,
    )
    # The newer reader folds small files into one block, and a block is what is saved at once.
    reader, context.use_datasource_v2 = context.use_datasource_v2, False
    try:
        yield
    finally:
        context.checkpoint_config = before
        context.use_datasource_v2 = reader


def _apply(rows: ray.data.Dataset, stage: ActorStage) -> ray.data.Dataset:
    most = stage.actors[1] if isinstance(stage.actors, tuple) else stage.actors
    return rows.map_batches(
        stage.make,
        fn_constructor_kwargs=stage.arguments,
        batch_size=stage.batch_size,
        batch_format="pyarrow",
        zero_copy_batch=True,
        compute=ActorPoolStrategy(
            min_size=stage.least,
            max_size=most,
            max_concurrent_calls_per_actor=stage.at_once,
            enable_true_multi_threading=stage.at_once > 1,
        ),
        num_cpus=stage.cpus,
        num_gpus=stage.gpus or None,
    )


class _RowsDone:
    """Counts the row ids that are checkpointed, reading each file once."""

    def __init__(self, checkpoint: Path) -> None:
        self._checkpoint = checkpoint
        self._counted: dict[str, int] = {}

    def rows(self) -> int:
        for path in self._checkpoint.glob("*.parquet"):
            # A file may vanish while it is committed.
            with suppress(OSError, pa.ArrowInvalid):
                if path.name not in self._counted and ".pending" not in path.name:
                    self._counted[path.name] = footer_of(path).num_rows
        return sum(self._counted.values())
