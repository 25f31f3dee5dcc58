"""The teacher protocol: a batch of requests in, one completion a sample out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from pad_ray.records import Completion, Problem


@dataclass(frozen=True)
class Request:
    """Ask for samples of one problem.

    The indices name the samples wanted (n = their number); an interrupted run asks only for
    those still missing, and seeds each by (run seed, problem id, index), so that it gives the
    same rows as an uninterrupted one.
    """

    problem: Problem
    sample_indices: tuple[int, ...]


class Teacher(Protocol):
    """An engine that writes programs. Instances live in Ray actors and must be picklable.

    `complete` returns one list a request, in order, with one completion a sample index. A sample
    that failed carries `error`; `pad_ray.errors.TeacherError` is raised only where going on is
    useless (key refused, endpoint gone). `check` fails fast, before any work is started.
    """

    @property
    def name(self) -> str: ...

    def check(self) -> None: ...

    def complete(self, requests: Sequence[Request]) -> list[list[Completion]]: ...
