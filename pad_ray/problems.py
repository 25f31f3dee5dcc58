"""Which problems a job works on, and the request rows made of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import pyarrow as pa
from pydantic import Field

from pad_ray.config import Settings
from pad_ray.records import PROBLEM_SCHEMA, Problem, row_id
from pad_ray.stages import file_fingerprint
from pad_ray.storage import locate
from pad_ray.tasks import ProblemCounts, Split, Task, get_task, iter_problems

# `block` names the rows that are done at once, `round` counts from 0.
REQUEST_SCHEMA = pa.schema(
    [
        ("row_id", pa.string()),
        *PROBLEM_SCHEMA,
        ("sample_index", pa.int32()),
        ("round", pa.int32()),
        ("block", pa.string()),
    ]
)

_ASKED_ONLY = {"program", "round", "block"}

# A request row with what a teacher or student wrote for it.
COMPLETED_SCHEMA = pa.schema(
    [
        *(field for field in REQUEST_SCHEMA if field.name not in _ASKED_ONLY),
        ("teacher", pa.string()),
        ("completion", pa.string()),
        ("chain_of_thought", pa.string()),
        ("prompt_tokens", pa.int32()),
        ("completion_tokens", pa.int32()),
        ("cost_usd", pa.float64()),
        ("solve_s", pa.float64()),
        ("teacher_notes", pa.string()),
        ("error", pa.string()),
    ]
)

# A block is also held in memory at once; long texts make it shorter.
_BLOCK_CHARS = 32_000_000
_BLOCKS_OF_A_SIZE = 8


class ProblemSettings(Settings):
    """Which problems of a task."""

    task: str
    """Task name, or your own file.py:TASK."""
    problems: Path | None = None
    """Problem file of a file-based task."""
    count: int | None = Field(None, ge=1)
    """First problems of the file (default all), or how many to generate (default 1000)."""
    split: Split = "train"
    """Part of a generated task: train, test, or held_out (templates never trained on)."""
    size: int | None = Field(None, ge=1)
    """Names (symbolic tasks), steps (arithmetic), rows (tables), objects (deduction) or records
    (extraction) of a generated problem; the task's default."""
    seed: int = 0
    """Run seed: of generated problems and of every sample."""

    def load(self) -> tuple[Task, list[Problem], int]:
        """Return the task, its problems, and how many repeated questions were left out."""
        counts = ProblemCounts()
        task = get_task(self.task)
        return task, list(self.stream(task, counts)), counts.repeated

    def stream(self, task: Task, counts: ProblemCounts) -> Iterator[Problem]:
        """Yield the problems one by one; `counts` is filled on the way."""
        path = None if self.problems is None else locate(self.problems)
        return iter_problems(
            task,
            path,
            count=self.count,
            split=self.split,
            seed=self.seed,
            size=self.size,
            counts=counts,
        )

    def inputs(self) -> dict[str, str]:
        """Return the fingerprint of the problem file, if there is one."""
        path = None if self.problems is None else locate(self.problems)
        return {} if path is None or not path.is_file() else {"problems": file_fingerprint(path)}


def request_tables(
    problems: Iterable[Problem],
    samples: int,
    rows_per_block: int,
    *,
    start: int = 0,
    round_number: int = 0,
    first_rows: int | None = None,
) -> Iterator[pa.Table]:
    """Yield blocks of request rows (`REQUEST_SCHEMA`), one row a problem and sample index.

    The sample indices are `samples` many from `start` on.

    A problem's samples of a round stay in one block, so that one request can ask for all of them.
    Blocks have at most `rows_per_block` rows (but one problem at least); where `first_rows` is
    smaller, they start with so many and double in size: a short run then has several blocks to
    share out, and a long one few of them.
    """
    block: list[Problem] = []
    number = chars = 0
    size = min(first_rows or rows_per_block, rows_per_block)
    indices = range(start, start + samples)
    for problem in problems:
        block.append(problem)
        chars += _chars(problem) * samples
        if (len(block) + 1) * samples > size or chars > _BLOCK_CHARS:
            yield _request_table(block, indices, round_number, number)
            block, chars, number = [], 0, number + 1
            if number % _BLOCKS_OF_A_SIZE == 0:
                size = min(2 * size, rows_per_block)
    if block:
        yield _request_table(block, indices, round_number, number)


def _chars(problem: Problem) -> int:
    texts = (problem.question, problem.rationale, problem.program)
    return sum(len(text) for text in texts if text)


def _request_table(
    problems: Iterable[Problem], indices: range, round_number: int, number: int
) -> pa.Table:
    rows = [
        {
            **vars(problem),
            "row_id": row_id(problem.problem_id, index),
            "sample_index": index,
            "round": round_number,
            "block": f"{round_number:03d}-{number:06d}",
        }
        for problem in problems
        for index in indices
    ]
    return pa.Table.from_pylist(rows, schema=REQUEST_SCHEMA)
