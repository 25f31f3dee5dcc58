"""The stage that augments: verified rows in, new problems with their executed programs out."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa

from pad_ray.base.records import Outcome, problem_id
from pad_ray.base.schemas import AUGMENTED_SCHEMA, REQUEST_SCHEMA
from pad_ray.flow.ledger import LedgerLike
from pad_ray.programs.canonical import program_key
from pad_ray.sandbox import Sandbox
from pad_ray.synthesis.augmentation.kinds import PARAPHRASE, rewrite
from pad_ray.synthesis.augmentation.paraphrase import fault_of, paraphraser, read_paraphrase
from pad_ray.synthesis.augmentation.rewritten import Rewritten
from pad_ray.synthesis.augmentation.senses import (
    answer_text,
    fault_of_answer,
    is_ambiguous,
    steps_lost_sense,
    traced,
)
from pad_ray.synthesis.augmentation.settings import AugmentationRun
from pad_ray.synthesis.generation import TeacherStage
from pad_ray.synthesis.judges import note_judged, outcome_columns, record_value, run_programs
from pad_ray.synthesis.reasons import CUT_SHORT, UNJUDGED, reason_of
from pad_ray.tasks import Task
from pad_ray.tasks.generation import split_of
from pad_ray.teachers.base import NO_SCHEDULE

__all__ = ["ORIGIN_COLUMNS", "AugmentationStage"]

# How often a question that falls on the other side of its task's split is drawn anew.
_DRAWS = 5
# What is read of a verified row.
ORIGIN_COLUMNS = (
    *("row_id", "problem_id", "task", "question", "answer", "template", "teacher", "program"),
)


class AugmentationStage:
    """Ray Data stage: verified rows, each `copies` times, in; judged ones (`AUGMENTED_SCHEMA`) out.

    A row comes with `origin_row`, `number` (unique) and `block` besides. Paraphrases that were
    paid for are kept in the folder `kept`, and never asked for twice; `ledger` is the run's.
    """

    def __init__(
        self,
        run: AugmentationRun,
        tasks: dict[str, Task],
        kept: Path,
        ledger: LedgerLike | None = None,
    ) -> None:
        self._run = run
        self._tasks = tasks
        self._kept = kept
        self._ledger = ledger

    @cached_property
    def _sandbox(self) -> Sandbox:
        # Made with the first batch: an error in an actor's constructor reaches nobody.
        return self._run.sandbox.sandbox()

    @cached_property
    def _asking(self) -> TeacherStage:
        assert self._run.paraphrase_teacher is not None
        assert self._ledger is not None
        teacher = paraphraser(self._run.paraphrase_teacher, self._run.seed)
        return TeacherStage(teacher, NO_SCHEDULE, self._kept, self._ledger)

    def __call__(self, batch: pa.Table) -> pa.Table:
        rows = batch.to_pylist()
        olds = [row["program"] for row in rows]
        made = [self._rewritten(row) for row in rows]
        self._paraphrase([row for row in rows if row["kind"] == PARAPHRASE])
        for row, new in zip(rows, made, strict=True):
            self._take(row, new)
        runnable = [
            _Runnable(row, old, new.changed if new else ())
            for row, old, new in zip(rows, olds, made, strict=True)
            if row["reason"] is None
        ]
        outcomes = self._executed(runnable)
        for one in runnable:
            one.row.update(outcome_columns(outcomes[one.row["program"]]))
            one.row["reason"] = self._judge(one, outcomes)
        note_judged(self._ledger, [one.row for one in runnable])
        return pa.Table.from_pylist(rows, schema=AUGMENTED_SCHEMA)

    def _rewritten(self, row: dict[str, Any]) -> Rewritten | None:
        key = f"{self._run.seed}|{row['origin_row']}|{row['program']}|{row['sample_index']}"
        rng = random.Random(hashlib.sha256(key.encode(errors="surrogatepass")).digest())
        made = self._draw(row, rng)
        kind, new = (None, None) if made is None else made
        row.update(
            kind=kind,
            origin_problem=row["problem_id"],
            origin_question=row["question"],
            reason=None if made else "no_place",
        )
        return new

    def _draw(self, row: dict[str, Any], rng: random.Random) -> tuple[str, Rewritten | None] | None:
        for _ in range(_DRAWS):
            made = rewrite(row["question"], row["program"], rng, self._run.shares)
            if made is None or made[1] is None or not self._fault_of_split(row, made[1].question):
                break
        return made

    def _paraphrase(self, rows: list[dict[str, Any]]) -> None:
        if not rows:
            return
        asked = [{**row, "sample_index": row["number"], "round": 0} for row in rows]
        requests = pa.Table.from_pylist(asked, schema=REQUEST_SCHEMA)
        found = {answer["row_id"]: answer for answer in self._asking(requests).to_pylist()}
        for row in rows:
            answer = found[row["row_id"]]
            row.update(
                {
                    name: answer[name]
                    for name in ("completion", "prompt_tokens", "completion_tokens", "cost_usd")
                }
            )
            cut = answer["finish_reason"] == "length"
            row["message"] = answer["error"] or (CUT_SHORT if cut else None)

    def _take(self, row: dict[str, Any], new: Rewritten | None) -> None:
        """Put the new problem into the row, or the reason why there is none."""
        if row["kind"] == PARAPHRASE:
            text = read_paraphrase(row["completion"])
            told = row["message"]
            row["reason"] = reason_of(told) if told else fault_of(row["question"], text)
            new = Rewritten(text, row["program"])
        if row["reason"] is None and new is not None:
            row["reason"] = self._fault_of_split(row, new.question)
        if new is None or row["reason"] in UNJUDGED:
            # Not a wrong program of its question: none at all.
            row["program"] = None
            return
        row["problem_id"] = problem_id(row["task"], new.question)
        row["question"], row["program"] = new.question, new.program
        row["program_key"] = program_key(new.program)

    def _fault_of_split(self, row: dict[str, Any], question: str) -> str | None:
        """Generated questions are trained or tested on by their hash; a new one keeps its side."""
        if self._tasks[row["task"]].generate is None:
            return None
        return None if split_of(question) == split_of(row["question"]) else "other_split"

    def _executed(self, runnable: Sequence[_Runnable]) -> dict[str, Outcome]:
        """Run new programs, and where numbers changed the old ones and both with their steps."""
        programs: dict[str, None] = {}
        for one in runnable:
            programs[one.row["program"]] = None
            if one.changed:
                wanted = (one.old, *one.traces)
                programs |= {text: None for text in wanted if text is not None}
        texts = list(programs)
        return dict(zip(texts, run_programs(self._sandbox, texts), strict=True))

    def _judge(self, one: _Runnable, outcomes: dict[str, Outcome]) -> str | None:
        row = one.row
        outcome = outcomes[row["program"]]
        if outcome.status != "ok":
            return outcome.status
        if one.changed:
            row["answer"] = answer_text(outcome.value)
        record_value(row, outcome.value, self._tasks[row["task"]])
        reason: str | None = row["reason"]
        if one.changed and reason is None:
            reason = fault_of_answer(outcomes[one.old].value, outcome.value)
            reason = reason or _fault_of_steps(one, outcomes)
        return reason


@dataclass(frozen=True)
class _Runnable:
    """A row with a new program, the old one, and the numbers that were put away."""

    row: dict[str, Any]
    old: str
    changed: tuple[float, ...]

    @cached_property
    def traces(self) -> tuple[str | None, str | None]:
        """The old and the new program with what they assign on their way (see `traced`)."""
        return traced(self.old), traced(self.row["program"])


def _fault_of_steps(one: _Runnable, outcomes: dict[str, Outcome]) -> str | None:
    before, after = (None if text is None else outcomes[text].value for text in one.traces)
    if is_ambiguous(one.changed, before):
        return "ambiguous"
    return "odd_step" if steps_lost_sense(before, after) else None
