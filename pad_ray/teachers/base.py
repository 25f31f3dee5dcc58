"""The teacher protocol: a batch of requests in, one completion a sample out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from pad_ray.base.records import Completion, Problem
from pad_ray.flow.ledger import LedgerLike


@dataclass(frozen=True)
class Request:
    """Ask for samples of one problem.

    The indices name the samples wanted (n = their number); an interrupted run asks only for
    those still missing, and seeds each by (run seed, problem id, index), so that it gives the
    same rows as an uninterrupted one. `round` chooses the worked examples that a teacher shows,
    `temperature` is that round's, None the teacher's own.
    """

    problem: Problem
    sample_indices: tuple[int, ...]
    round: int = 0
    temperature: float | None = None


@dataclass(frozen=True)
class Schedule:
    """The temperature of each round; the last holds for all further ones, none is the teacher's."""

    temperatures: tuple[float, ...] = ()

    def of(self, round_number: int) -> float | None:
        """Return a round's temperature; None leaves it to the teacher."""
        if not self.temperatures:
            return None
        return self.temperatures[min(round_number, len(self.temperatures) - 1)]


NO_SCHEDULE = Schedule()


class Teacher(Protocol):
    """An engine that writes programs. Instances live in Ray actors and must be picklable.

    `complete` returns one list a request, in order, with one completion a sample index. A sample
    that failed carries `error`; `pad_ray.base.errors.TeacherError` is raised only where going on is
    useless (key refused, endpoint gone). `check` fails fast, before any work is started.
    """

    @property
    def name(self) -> str: ...

    def check(self) -> None: ...

    def complete(self, requests: Sequence[Request]) -> list[list[Completion]]: ...


@runtime_checkable
class PaidTeacher(Teacher, Protocol):
    """A teacher whose answers cost money or time, and come one by one.

    `complete_each` yields (request, sample indices, completions) as answers come, and not at all
    for samples that the ledger's budget has no room for; what is in flight when it raises is still
    yielded first. `with_ledger` returns the teacher with a ledger to ask. `asks` is a key of what
    is asked for a sample: an answer under another one is to another question. `most_tokens` is what
    an answer may have; it is not in that key, as what ends before it does not depend on it. `keys`
    are secrets that the driver hands to the actors through the ledger.
    """

    @property
    def most_tokens(self) -> int: ...

    def keys(self) -> Mapping[str, str]: ...

    def asks(self, request: Request, index: int) -> str: ...

    def complete_each(
        self, requests: Sequence[Request]
    ) -> Iterator[tuple[Request, tuple[int, ...], list[Completion]]]: ...

    def with_ledger(self, ledger: LedgerLike) -> PaidTeacher: ...
