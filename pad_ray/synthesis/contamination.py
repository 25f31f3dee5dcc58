"""Decontamination: problems that an evaluation file holds already are left out of a dataset."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

from pad_ray.base.errors import ConfigError
from pad_ray.base.records import Problem
from pad_ray.base.storage import locate
from pad_ray.tasks import Task, get_task, iter_problems
from pad_ray.tasks.wording import words_key, words_of

__all__ = ["Contamination", "Decontaminator", "evaluation_file"]

Contamination = Literal["exact", "ngram"]


def evaluation_file(text: str, task: Task) -> tuple[Task, str]:
    """Split `FILE` or `TASK=FILE` into the task whose format the file has, and the file."""
    name, given, path = text.partition("=")
    chosen, path = (get_task(name), path) if given else (task, text)
    if chosen.load is None:
        raise ConfigError(
            f"decontaminate: {text}: task '{chosen.name}' reads no files; "
            "give TASK=FILE with the task whose format the file has"
        )
    return chosen, path


class Decontaminator:
    """Knows the questions of evaluation files: by all their words, and by runs of `ngram` words.

    Case and punctuation do not count. A question with fewer words than `ngram` is only found as a
    whole; the numbers are words, so that a story with other numbers is another problem.
    """

    def __init__(self, files: Sequence[str], task: Task, ngram: int) -> None:
        self._ngram = ngram
        self._whole: set[bytes] = set()
        self._runs: set[bytes] = set()
        for text in files:
            loader, path = evaluation_file(text, task)
            for problem in iter_problems(loader, locate(Path(path)), count=None):
                words = words_of(problem.question)
                self._whole.add(words_key(words))
                self._runs.update(self._runs_of(words))

    def finds(self, problem: Problem) -> Contamination | None:
        """Tell how an evaluation file holds the problem's question; None where it does not."""
        words = words_of(problem.question)
        if words_key(words) in self._whole:
            return "exact"
        if not self._runs.isdisjoint(self._runs_of(words)):
            return "ngram"
        return None

    def _runs_of(self, words: Sequence[str]) -> Iterator[bytes]:
        for start in range(len(words) - self._ngram + 1):
            yield words_key(words[start : start + self._ngram])
