"""A teacher that replays completions from files.

Two kinds of file are read, alone, several, or all in a folder: OpenAI Batch output and error files
(JSONL), whose `custom_id` is a problem id, alone or followed by `-` and a sample index; and JSONL
or Parquet rows with `completion`, `problem_id` or `question`, and optionally `sample_index`,
`prompt_tokens`, `completion_tokens`, `finish_reason` and `chain_of_thought`, so that an earlier
run's own rows can be replayed. Rows without an index take the next free one of their problem, in
file order. Where a sample has both an error and an answer, as after a second batch for what failed,
the answer stands.

Texts of JSONL files stay in the files: `pad_ray.teachers.recorded.index` keeps where they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from pad_ray.base.records import Completion
from pad_ray.teachers.base import Request
from pad_ray.teachers.recorded.files import recorded_files
from pad_ray.teachers.recorded.index import RecordedIndex, index_files
from pad_ray.teachers.recorded.rows import question_key

__all__ = [
    "RecordedTeacher",
]

_MISSING = Completion("", error="no recorded completion")


@dataclass(frozen=True)
class RecordedTeacher:
    """Replays `paths`, a file or folder or several; read at first use, once per process."""

    paths: Path | tuple[Path, ...]

    name = "recorded"

    def __reduce__(self) -> tuple[type[RecordedTeacher], tuple[Path | tuple[Path, ...]]]:
        return RecordedTeacher, (self.paths,)

    @cached_property
    def _index(self) -> RecordedIndex:
        return index_files(recorded_files(self.paths))

    def check(self) -> None:
        """Read all files; raises DataError naming the file, row and field at fault."""
        _ = self._index

    def complete(self, requests: Sequence[Request]) -> list[list[Completion]]:
        """Return the recorded completions, matched by problem id, else by question text."""
        found = [
            self._index.samples(request.problem.problem_id, request.sample_indices)
            or self._index.samples(question_key(request.problem.question), request.sample_indices)
            or {}
            for request in requests
        ]
        return [
            [samples.get(index, _MISSING) for index in request.sample_indices]
            for request, samples in zip(requests, found, strict=True)
        ]
