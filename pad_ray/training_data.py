"""Rows for a student: from synthesis directories to tokenised examples and batches."""

from __future__ import annotations

import hashlib
import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

import pyarrow.dataset as pads

from pad_ray.errors import DataError
from pad_ray.records import TrainingRow
from pad_ray.students import TargetFormat, format_source, tokenise_source, tokenise_target

# Rows are sorted by length inside a window of this many batches: wide enough that padding is
# small, narrow enough that batches stay mixed.
WINDOW_BATCHES = 50


def read_training_rows(folders: Sequence[Path], target_format: TargetFormat) -> list[TrainingRow]:
    """Read the verified rows of synthesis directories as (source, target) text.

    Equal (source, target) pairs are kept once; rows come in order of problem and sample.
    """
    column = "program" if target_format == "program" else "chain_of_thought"
    rows: dict[tuple[str, str], TrainingRow] = {}
    for folder in folders:
        for row in _verified_rows(folder, column):
            if row[column] is None:
                raise DataError(
                    f"{folder}: problem {row['problem_id']} has no {column}; "
                    f"--format {target_format} needs a teacher that writes one"
                )
            source = format_source(row["question"], target_format)
            rows.setdefault(
                (source, row[column]), TrainingRow(row["problem_id"], source, row[column])
            )
    if not rows:
        raise DataError(f"data: no verified rows in {', '.join(map(str, folders))}")
    return list(rows.values())


def _verified_rows(folder: Path, column: str) -> list[dict[str, Any]]:
    verified = folder / "verified"
    if not verified.is_dir():
        raise DataError(
            f"data: {folder} is not a synthesis directory (no verified/*.parquet in it)"
        )
    table = pads.dataset(verified, format="parquet")
    missing = {"row_id", "problem_id", "question", column} - set(table.schema.names)
    if missing:
        raise DataError(f"{verified}: column '{sorted(missing)[0]}' is missing")
    columns = ["row_id", "problem_id", "question", column]
    return list(table.to_table(columns=columns).sort_by("row_id").to_pylist())


class HasSource(Protocol):
    """A row that tells which question it belongs to."""

    @property
    def source(self) -> str: ...


R = TypeVar("R", bound=HasSource)


def split_by_problem(rows: Sequence[R], fraction: float, seed: int) -> tuple[list[R], list[R]]:
    """Split into (train, validation) so that no question is in both.

    Questions rather than problem ids are split: two tasks may hold the same question.
    """
    questions = sorted({row.source for row in rows}, key=lambda source: _hash(f"{seed}/{source}"))
    wanted = round(len(questions) * fraction)
    if fraction > 0:
        wanted = min(max(wanted, 1), len(questions) - 1)
    held = set(questions[:wanted])
    return [r for r in rows if r.source not in held], [r for r in rows if r.source in held]


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True)
class Example:
    """Token ids of one row; `label` is a verifier's: whether the program is right."""

    source: list[int]
    target: list[int]
    label: float = 0.0

    @property
    def length(self) -> int:
        return len(self.source) + len(self.target)


def tokenise_rows(
    rows: Sequence[TrainingRow],
    tokenizer: Any,
    is_encoder_decoder: bool,
    max_source_tokens: int,
    max_target_tokens: int,
) -> tuple[list[Example], int]:
    """Return the examples that fit, and how many rows were too long and left out."""
    examples = [
        Example(
            tokenise_source(tokenizer, row.source, is_encoder_decoder),
            tokenise_target(tokenizer, row.target),
        )
        for row in rows
    ]
    fit = [
        example
        for example in examples
        if len(example.source) <= max_source_tokens and len(example.target) <= max_target_tokens
    ]
    return fit, len(examples) - len(fit)


@dataclass(frozen=True)
class BatchSizes:
    """Rows an optimizer step, and rows in one forward pass; the first is a multiple."""

    batch: int
    micro: int


Batch = list[list[int]]


def plan_epoch(lengths: Sequence[int], sizes: BatchSizes, seed: int, epoch: int) -> list[Batch]:
    """Return the epoch's batches, each a list of micro-batches of row numbers.

    The rows of a micro-batch have similar lengths, so that little is padded; the micro-batches of
    a batch are drawn at random, so that its gradient mixes short and long rows. The plan does not
    depend on the number of workers: a run resumed anywhere sees the same batches.
    """
    chance = random.Random(_hash(f"{seed}/{epoch}"))
    order = list(range(len(lengths)))
    chance.shuffle(order)
    window = sizes.batch * WINDOW_BATCHES
    micro: Batch = []
    for start in range(0, len(order), window):
        by_length = sorted(order[start : start + window], key=lambda row: lengths[row])
        micro += [by_length[i : i + sizes.micro] for i in range(0, len(by_length), sizes.micro)]
    chance.shuffle(micro)
    count = sizes.batch // sizes.micro
    return [micro[i : i + count] for i in range(0, len(micro), count)]


def micro_batches_of(batch: Batch, lengths: Sequence[int], rank: int, world: int) -> Batch:
    """Return a rank's share of a batch: as many micro-batches for each rank, and like work.

    Ranks wait for each other at every step, so the longest micro-batches are dealt out first,
    each to the rank with the least work so far. Where they do not divide evenly a share is filled
    up with empty ones.
    """
    most = math.ceil(len(batch) / world)
    shares: list[Batch] = [[] for _ in range(world)]
    work = [0] * world
    for micro in sorted(batch, key=lambda rows: -_padded(rows, lengths)):
        free = [r for r in range(world) if len(shares[r]) < most]
        least = min(free, key=lambda r: work[r])
        shares[least].append(micro)
        work[least] += _padded(micro, lengths)
    return shares[rank] + [[]] * (most - len(shares[rank]))


def _padded(rows: Sequence[int], lengths: Sequence[int]) -> int:
    return len(rows) * max(lengths[row] for row in rows)


def padding_share(lengths: Sequence[int], plan: Sequence[Batch]) -> float:
    """Return the share of padding among all tokens of the plan's micro-batches."""
    micro = [rows for batch in plan for rows in batch]
    padded = sum(len(rows) * max(lengths[row] for row in rows) for rows in micro)
    return 1 - sum(lengths[row] for rows in micro for row in rows) / padded
