"""What a verifier learns from: executed programs, right and wrong, of synthesis directories."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pad_ray.base.errors import DataError
from pad_ray.base.storage import parquet_dataset
from pad_ray.students.models import positions_hold
from pad_ray.synthesis.reasons import REPEATED, UNJUDGED
from pad_ray.training.data import Example
from pad_ray.verifiers.value import question_tokens, step_tokens

_COLUMNS = ["row_id", "problem_id", "question", "program", "reason"]


@dataclass(frozen=True)
class JudgedProgram:
    """A program that was run, and whether it returned the right answer."""

    problem_id: str
    question: str
    program: str
    right: bool

    @property
    def group(self) -> str:
        """What problems are told apart by: two tasks may hold the same question."""
        return self.question


def read_judged_programs(folders: Sequence[Path]) -> list[JudgedProgram]:
    """Read the verified and rejected rows of synthesis directories that hold a program.

    Equal programs of one question are kept once; rows come in order of problem and sample.
    """
    found: dict[tuple[str, str], JudgedProgram] = {}
    for folder in folders:
        parts = [folder / part for part in ("verified", "rejected")]
        for part in parts:
            if not part.is_dir():
                raise DataError(f"data: {folder} is not a synthesis directory (no {part.name}/)")
        tables = [parquet_dataset(part).to_table(columns=_COLUMNS) for part in parts]
        table = pa.concat_tables(tables, promote_options="default").sort_by("row_id")
        for row in table.filter(pc.is_valid(table["program"])).to_pylist():
            if row["reason"] in UNJUDGED:
                continue
            right = row["reason"] is None or row["reason"] in REPEATED
            key = (row["question"], row["program"].strip())
            found.setdefault(key, JudgedProgram(row["problem_id"], *key, right))
    if not found:
        raise DataError(f"data: no programs in {', '.join(map(str, folders))}")
    if len({program.right for program in found.values()}) == 1:
        only = "right" if next(iter(found.values())).right else "wrong"
        raise DataError(f"data: all programs are {only}; a verifier learns from right and wrong")
    return list(found.values())


def tokenise_programs(
    programs: Sequence[JudgedProgram],
    tokenizer: Any,
    config: Any,
    max_source: int,
    max_target: int,
) -> list[tuple[JudgedProgram, Example]]:
    """Return the programs that fit, tokenised step by step.

    They fit the limits, and the positions of a verifier of this `config`.
    """
    pairs = []
    for program in programs:
        steps = step_tokens(tokenizer, program.program)
        target = [token for step in steps for token in step]
        source = question_tokens(tokenizer, program.question)
        fits = positions_hold(config, len(source), len(target))
        if fits and len(source) <= max_source and len(target) <= max_target:
            pairs.append((program, Example(source, target, float(program.right))))
    return pairs
