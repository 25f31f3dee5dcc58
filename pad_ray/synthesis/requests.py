"""Problems and their samples as the blocks of a flow."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

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
    indices = range(start, start + samples)
    return sample_tables(
        ((problem, indices) for problem in problems),
        rows_per_block,
        round_number=round_number,
        first_rows=first_rows,
    )


def sample_tables(
    wanted: Iterable[tuple[Problem, range]],
    rows_per_block: int,
    *,
    round_number: int = 0,
    samples_a_round: int | None = None,
    folder_number: int | None = None,
    first_rows: int | None = None,
) -> Iterator[pa.Table]:
    """Yield blocks as `request_tables` does, of problems with sample indices of their own.

    With `samples_a_round` an index says of which round it is. `folder_number` tells the blocks of a
    round's folders apart (default: the round's number).
    """
    block: list[tuple[Problem, range]] = []
    number = rows = chars = 0
    size = min(first_rows or rows_per_block, rows_per_block)
    folder_number = round_number if folder_number is None else folder_number

    def table() -> pa.Table:
        return _request_table(block, round_of, f"{folder_number:03d}-{number:06d}")

    def round_of(index: int) -> int:
        return index // samples_a_round if samples_a_round else round_number

    for problem, indices in wanted:
        block.append((problem, indices))
        rows += len(indices)
        chars += _chars(problem) * len(indices)
        if rows + len(indices) > size or chars > _BLOCK_CHARS:
            yield table()
            block, rows, chars, number = [], 0, 0, number + 1
            if number % _BLOCKS_OF_A_SIZE == 0:
                size = min(2 * size, rows_per_block)
    if block:
        yield table()


def _chars(problem: Problem) -> int:
    texts = (problem.question, problem.rationale, problem.program, problem.extra)
    return sum(len(text) for text in texts if text)


def _request_table(
    wanted: Iterable[tuple[Problem, range]], round_of: Callable[[int], int], name: str
) -> pa.Table:
    rows = [
        {
            **vars(problem),
            "row_id": row_id(problem.problem_id, index),
            "sample_index": index,
            "round": round_of(index),
            "block": name,
        }
        for problem, indices in wanted
        for index in indices
    ]
    return pa.Table.from_pylist(rows, schema=REQUEST_SCHEMA)
