"""Rows for a student: from synthesis directories to tokenised examples and batches."""

from __future__ import annotations

import hashlib
import itertools
import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

from pad_ray.base.errors import DataError
from pad_ray.base.records import TrainingRow
from pad_ray.flow.parquet_folder import verified_rows
from pad_ray.programs.hierarchy import decompose, plan_program
from pad_ray.students.card import (
    TargetFormat,
    describe_error,
    format_part,
    format_plan,
    format_repair,
    format_source,
)
from pad_ray.students.models import positions_hold, tokenise_source, tokenise_target
from pad_ray.tasks.answers import answer_sentence
from pad_ray.training.settings import BatchSizes

# Rows are sorted by length inside a window of this many batches: wide enough that padding is
# small, narrow enough that batches stay mixed.
WINDOW_BATCHES = 50


# What only augmented rows have.
_ORIGIN = ("origin_problem", "origin_question")
_COLUMNS = {"program": "program", "cot": "chain_of_thought", "answer": "answer"}


def read_training_rows(folders: Sequence[Path], target_format: TargetFormat) -> list[TrainingRow]:
    """Read the verified rows of synthesis directories as (source, target) text, plain solving.

    Equal (source, target) pairs are kept once; rows come in order of problem and sample. Rows
    that lack what is to be learned are left out; `DataError` where those are most of a directory.
    """
    column = _COLUMNS[target_format]
    rows: dict[tuple[str, str], TrainingRow] = {}
    for folder in folders:
        found = _read(folder, ["problem_id", "question", column])
        lacking = [row["problem_id"] for row in found if row[column] is None]
        if 2 * len(lacking) > len(found):
            raise DataError(
                f"{folder}: {len(lacking)} of {len(found)} rows (problem {lacking[0]} first) have "
                f"no {column}; --format {target_format} needs a teacher that writes one"
            )
        if lacking:
            print(
                f"data: {len(lacking)} of {len(found)} rows of {folder} have no {column}; left out"
            )
        for row in found:
            if row[column] is None:
                continue
            source = format_source(row["question"], target_format)
            target = answer_sentence(row[column]) if target_format == "answer" else row[column]
            rows.setdefault((source, target), _training_row(row, source, target))
    if not rows:
        raise DataError(f"data: no verified rows in {', '.join(map(str, folders))}")
    return list(rows.values())


def read_hierarchy_rows(folders: Sequence[Path]) -> list[TrainingRow]:
    """Read the verified programs that can be taken apart as plans and parts, each pair once."""
    rows: dict[tuple[str, str], TrainingRow] = {}
    for folder in folders:
        for row in _read(folder, ["problem_id", "question", "program"]):
            question = row["question"]
            parts = decompose(row["program"]) or ()
            pairs = [(format_part(question, p.known, p.name), p.program) for p in parts]
            if parts:
                pairs.append((format_plan(question), plan_program([p.name for p in parts])))
            for source, target in pairs:
                rows.setdefault((source, target), _training_row(row, source, target))
    if not rows:
        raise DataError("data: no program can be taken apart; --format program trains on it")
    return list(rows.values())


def _training_row(row: dict[str, Any], source: str, target: str) -> TrainingRow:
    # Groups are the same for all formats, so that each holds back the same questions.
    own = format_source(row["question"], "program")
    if row.get("origin_question") is None:
        return TrainingRow(row["problem_id"], own, source, target)
    group = format_source(row["origin_question"], "program")
    return TrainingRow(row["origin_problem"], group, source, target, own)


def solved_problems(folder: Path) -> set[str]:
    """Return the ids of the problems that a synthesis directory has a verified row of."""
    rows = _read(folder, ["problem_id"])
    return {row.get("origin_problem") or row["problem_id"] for row in rows}


def held_questions(rows: Sequence[TrainingRow], fraction: float, seed: int) -> set[str]:
    """Return the groups of the questions to hold back for validation.

    Besides those that `split_by_problem` draws they are all that an augmented row ties to one of
    them: two problems may have been turned into the same one.
    """
    held = {row.group for row in split_by_problem(rows, fraction, seed)[1]}
    tied = [row.questions for row in rows if row.own_group is not None]
    while more := {q for questions in tied if questions & held for q in questions} - held:
        held |= more
    return held


def nested_subset(
    rows: Sequence[TrainingRow], seed: int, max_problems: int | None, max_rows: int | None
) -> list[TrainingRow]:
    """Return the rows of the first problems, in an order of chance that the seed alone decides.

    A smaller subset is inside each larger one, and the problems are the same for every format.
    """
    problems = sorted({row.problem_id for row in rows}, key=lambda key: _hash(f"{seed}/{key}"))
    places = {problem: place for place, problem in enumerate(problems[:max_problems])}
    chosen = [index for index, row in enumerate(rows) if row.problem_id in places]
    if max_rows is not None:
        by_problem = sorted(chosen, key=lambda index: places[rows[index].problem_id])
        chosen = sorted(by_problem[:max_rows])
    return [rows[index] for index in chosen]


def read_repair_rows(folder: Path) -> list[TrainingRow]:
    """Read a directory of `inject` or `collect_failures` as (source, target) text.

    The rows come in an order of chance that is always the same, so that the first n are a sample.
    """
    columns = [*"problem_id question broken program status value message".split()]
    columns += ["error_type", "error_line"]
    rows = _read(folder, columns)
    if not rows:
        raise DataError(f"data: {folder} holds no repairs")
    return [_repair_row(row) for row in sorted(rows, key=lambda row: _hash(row["row_id"]))]


def _repair_row(row: dict[str, Any]) -> TrainingRow:
    kind, line = row["error_type"], row["error_line"]
    error = describe_error(row["status"], kind, line, row["message"], row["value"] or "null")
    return TrainingRow(
        row["problem_id"],
        format_source(row["question"], "program"),
        format_repair(row["question"], row["broken"], error),
        row["program"],
    )


def mix_repairs(
    plain: Sequence[TrainingRow], repairs: Sequence[Sequence[TrainingRow]], share: float
) -> list[TrainingRow]:
    """Return the plain rows with so many repairs that those are `share` of all.

    The repairs are drawn in equal numbers from each source while it lasts; where all together are
    too few, all are taken.
    """
    wanted = round(len(plain) * share / (1 - share))
    turns = (row for turn in itertools.zip_longest(*repairs) for row in turn if row is not None)
    return [*plain, *itertools.islice(turns, wanted)]


def _read(folder: Path, columns: Sequence[str]) -> list[dict[str, Any]]:
    return list(verified_rows(folder, columns, optional=_ORIGIN).to_pylist())


class HasGroup(Protocol):
    """A row that tells which question it belongs to."""

    @property
    def group(self) -> str: ...


R = TypeVar("R", bound=HasGroup)


def split_by_problem(rows: Sequence[R], fraction: float, seed: int) -> tuple[list[R], list[R]]:
    """Split into (train, validation) so that no question is in both.

    Questions rather than problem ids are split: two tasks may hold the same question.
    """
    questions = sorted({row.group for row in rows}, key=lambda group: _hash(f"{seed}/{group}"))
    wanted = round(len(questions) * fraction)
    if fraction > 0:
        wanted = min(max(wanted, 1), len(questions) - 1)
    held = set(questions[:wanted])
    return [r for r in rows if r.group not in held], [r for r in rows if r.group in held]


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


TOO_LONG = "rows are longer than max_source/target_tokens, or than the student has positions for"


def tokenise_rows(
    rows: Sequence[TrainingRow],
    tokenizer: Any,
    config: Any,
    max_source_tokens: int,
    max_target_tokens: int,
) -> tuple[list[Example], int]:
    """Return the examples that fit, and how many rows were too long and left out.

    They fit the limits, and the positions of a student of this `config`.
    """
    examples = [
        Example(
            tokenise_source(tokenizer, row.source, config.is_encoder_decoder),
            tokenise_target(tokenizer, row.target),
        )
        for row in rows
    ]
    fit = [
        example
        for example in examples
        if len(example.source) <= max_source_tokens
        and len(example.target) <= max_target_tokens
        and positions_hold(config, len(example.source), len(example.target))
    ]
    return fit, len(examples) - len(fit)


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
