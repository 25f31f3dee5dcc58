"""A teacher that replays completions from files.

Two kinds of row are read, from files alone, several, or all in a folder (JSONL, a JSON list or
Parquet, compressed or not): those of OpenAI Batch output and error files, whose `custom_id` is a
problem id, alone or followed by `-` and a sample index; and rows with `completion`, `problem_id` or
`question`, and optionally `sample_index`, `prompt_tokens`, `completion_tokens`, `finish_reason` and
`chain_of_thought`, so that an earlier run's own rows can be replayed. A `problem_id` of another
form is the user's own: its row is found by the question, and without one by the id that the
problem file has; the id stands in the rows that are made. Rows without an index take the next
free one of their problem, in file order. Where a sample has both an error and an answer, as after a
second batch for what failed, the answer stands.

Texts of JSONL files stay in the files: `pad_ray.teachers.recorded.index` keeps where they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from pad_ray.base.records import Completion, Problem
from pad_ray.teachers.base import Request
from pad_ray.teachers.recorded.files import recorded_files
from pad_ray.teachers.recorded.index import RecordedIndex, index_files
from pad_ray.teachers.recorded.rows import question_key

__all__ = [
    "RecordedTeacher",
]

_MISSING = Completion("", error="no recorded completion of this sample")


@dataclass(frozen=True)
class RecordedTeacher:
    """Replays `paths`, a file or folder or several; read at first use, once per process."""

    paths: Path | tuple[Path, ...]

    name = "recorded"
    _strangers: list[Problem] = field(default_factory=list, init=False, repr=False, compare=False)

    def __reduce__(self) -> tuple[type[RecordedTeacher], tuple[Path | tuple[Path, ...]]]:
        return RecordedTeacher, (self.paths,)

    @cached_property
    def _index(self) -> RecordedIndex:
        return index_files(recorded_files(self.paths))

    def check(self) -> None:
        """Read all files; raises DataError naming the file, row and field at fault."""
        _ = self._index

    def complete(self, requests: Sequence[Request]) -> list[list[Completion]]:
        """Return the recorded completions, matched by problem id, question text, or own id."""
        found = [self._samples_of(request) for request in requests]
        return [
            [samples.get(index, missing) for index in request.sample_indices]
            for request, samples in zip(requests, found, strict=True)
            for missing in (_MISSING if samples else self._unknown(request),)
        ]

    def _samples_of(self, request: Request) -> dict[int, Completion]:
        problem = request.problem
        keys = (problem.problem_id, question_key(problem.question), problem.own_id)
        found = (self._index.samples(key, request.sample_indices) for key in keys if key)
        return next((samples for samples in found if samples), {})

    def _unknown(self, request: Request) -> Completion:
        """Return what stands for a problem of which nothing is recorded.

        It shows both keys, of the first such problem for all, so that one fault is one message.
        """
        if not self._strangers:
            self._strangers.append(request.problem)
        (problem,) = self._strangers
        there = self._index.first_key()[:60]
        own = f", or your own {problem.own_id[:40]!r}" if problem.own_id else ""
        return Completion(
            "",
            error=f"no recorded completion: of {problem.question.strip()[:40]!r} no row has the "
            f"problem_id ({problem.problem_id}{own}) or the question; one that is there has "
            f"{there!r}",
        )
