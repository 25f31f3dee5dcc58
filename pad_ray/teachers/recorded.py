"""A teacher that replays completions from files.

Two kinds of file are read, alone, several, or all in a folder: OpenAI Batch output and error files
(JSONL), whose `custom_id` is a problem id, alone or followed by `-` and a sample index; and JSONL
or Parquet rows with `completion`, `problem_id` or `question`, and optionally `sample_index`,
`prompt_tokens`, `completion_tokens` and `chain_of_thought`, so that an earlier run's own rows can
be replayed. Rows without an index take the next free one of their problem, in file order. Where a
sample has both an error and an answer, as after a second batch for what failed, the answer stands.

Texts of JSONL files stay in the files: `pad_ray.teachers.recorded_index` keeps where they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from pad_ray.errors import DataError
from pad_ray.records import Completion
from pad_ray.teachers.base import Request
from pad_ray.teachers.recorded_index import RecordedIndex, index_files
from pad_ray.teachers.recorded_rows import is_batch_input, question_key

__all__ = ["RecordedTeacher", "recorded_files"]

_MISSING = Completion("", error="no recorded completion")
_SUFFIXES = (".jsonl", ".parquet")


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


def recorded_files(paths: Path | Sequence[Path]) -> list[Path]:
    """Return the files that the paths name, those of a folder in the order of their names.

    A folder's *.jsonl and *.parquet count, but for input files of a batch, which may lie beside
    its output. Raises DataError where a path is missing or names no completions.
    """
    files: list[Path] = []
    for path in paths if isinstance(paths, Sequence) else [paths]:
        if path.is_dir():
            files += _files_in(path)
        elif not path.is_file():
            raise DataError(f"{path}: no such file; give the file with the recorded completions")
        elif is_batch_input(path):
            raise DataError(f"{path}: holds a batch's requests; give the batch's output file")
        else:
            files.append(path)
    return list(dict.fromkeys(files))


def _files_in(folder: Path) -> list[Path]:
    files = sorted(path for path in folder.iterdir() if path.suffix in _SUFFIXES)
    answers = [path for path in files if not is_batch_input(path)]
    if not answers:
        what = "only requests of a batch" if files else "no *.jsonl or *.parquet file"
        raise DataError(f"{folder}: {what}; put the recorded completions there")
    return answers
