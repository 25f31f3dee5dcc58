"""The registry of decoding strategies: functions from questions to the texts a student writes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from pad_ray.decoding.greedy import greedy
from pad_ray.errors import ConfigError
from pad_ray.students import Student


class Strategy(Protocol):
    """Write one text a question; a text never depends on the other questions of the batch."""

    def __call__(
        self, student: Student, questions: Sequence[str], *, max_new_tokens: int
    ) -> list[str]: ...


STRATEGIES: dict[str, Strategy] = {"greedy": greedy}


def get_strategy(name: str) -> Strategy:
    """Return a registered strategy, or raise `ConfigError` naming those there are."""
    if name not in STRATEGIES:
        raise ConfigError(f"strategy: unknown '{name}'; known: {', '.join(STRATEGIES)}")
    return STRATEGIES[name]
