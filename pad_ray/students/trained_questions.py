"""Which questions a student was trained on, kept beside its weights: eight bytes a question."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pad_ray.base.errors import StudentError, reason_of
from pad_ray.tasks.wording import question_key

__all__ = ["QUESTIONS_FILE", "count_trained", "save_trained_questions"]

QUESTIONS_FILE = "trained_questions.npy"
_KEY = np.dtype("<u8")


def save_trained_questions(file: Path, questions: Iterable[str], student: str) -> None:
    """Write the questions that a student made of `student` is trained on, with those of that one.

    The file holds sorted keys of the questions' words, [n] of uint64.
    """
    keys = np.frombuffer(b"".join(map(question_key, questions)), dtype=_KEY)
    earlier = _read(student)
    file.parent.mkdir(parents=True, exist_ok=True)
    several = keys if earlier is None else np.concatenate([keys, earlier])
    np.save(file, np.unique(several), allow_pickle=False)


def count_trained(student: str, questions: Iterable[str]) -> int | None:
    """Count the questions that a student was trained on; None where its folder does not tell."""
    trained = _read(student)
    if trained is None:
        return None
    keys = np.frombuffer(b"".join(map(question_key, questions)), dtype=_KEY)
    return int(np.isin(keys, trained).sum())


def _read(student: str) -> NDArray[np.uint64] | None:
    file = Path(student).expanduser() / QUESTIONS_FILE
    if not file.is_file():
        return None
    try:
        found: NDArray[np.uint64] = np.load(file, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise StudentError(f"student: {file}: cannot be read: {reason_of(error)}") from error
    if found.dtype != _KEY or found.ndim != 1:
        raise StudentError(f"student: {file}: is no list of questions")
    return found
