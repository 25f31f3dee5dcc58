"""The files that recorded completions are in."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from pad_ray.base.errors import DataError

_SUFFIXES = (".jsonl", ".parquet")


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


def is_batch_input(path: Path) -> bool:
    """Tell whether a file holds a batch's requests rather than its answers, by its first line."""
    if path.suffix == ".parquet":
        return False
    try:
        with path.open("rb") as file:
            row = json.loads(file.readline())
    except (ValueError, RecursionError):
        return False
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    return isinstance(row, dict) and {"custom_id", "method", "url", "body"} <= row.keys()
