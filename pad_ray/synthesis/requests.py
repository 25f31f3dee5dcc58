"""Problems and their samples as the blocks of a flow."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pyarrow as pa

from pad_ray.base.records import Problem, row_id
from pad_ray.base.schemas import REQUEST_SCHEMA

# A block is also held in memory at once; long texts make it shorter.
_BLOCK_CHARS = 32_000_000


_BLOCKS_OF_A_SIZE = 8


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
