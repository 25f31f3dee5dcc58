"""The files that recorded completions are in."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pad_ray.base.errors import DataError
from pad_ray.tasks.rows import read_rows

# What else is in a folder may be a manifest, and is JSON too.
_FORMS = (".jsonl", ".parquet")
_COMPRESSED = ("", ".gz", ".zst", ".bz2", ".xz")
_SUFFIXES = tuple(form + packed for form in _FORMS for packed in _COMPRESSED)


def recorded_files(paths: Path | Sequence[Path]) -> list[Path]:
    """Return the files that the paths name, those of a folder in the order of their names.

    A folder's *.jsonl and *.parquet count, compressed ones too, but for input files of a
    batch, which may lie beside its output. Raises DataError where a path is missing or names no
    completions.
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
    files = sorted(path for path in folder.iterdir() if path.name.endswith(_SUFFIXES))
    answers = [path for path in files if not is_batch_input(path)]
    if not answers:
        what = "only requests of a batch" if files else "no *.jsonl or *.parquet file"
        raise DataError(f"{folder}: {what}; put the recorded completions there")
    return answers


def is_batch_input(path: Path) -> bool:
    """Tell whether a file holds a batch's requests rather than its answers, by its first line."""
    try:
        first = next(read_rows(path), None)
    except DataError:
        # Whoever reads all of it says what is wrong.
        return False
    return first is not None and {"custom_id", "method", "url", "body"} <= first.values.keys()
