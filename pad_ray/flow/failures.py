"""One policy for bad rows: each gets its reason, and only too many of them end a run.

What goes wrong for a row is the row's reason, with a message; other rows go on. Where so many fail
that it is not for what they ask, the run ends: it is then not complete, and can be taken up again.
"""

from __future__ import annotations

from collections import Counter, deque
from typing import Annotated

from pydantic import Field

from pad_ray.base.config import Settings
from pad_ray.base.fields import Runtime

__all__ = ["FAILED", "FailureLimit", "FailureLimitSettings", "RetrySettings", "ended"]

# Reasons of rows that were not judged for what was written for them: these may be asked for again.
FAILED = frozenset({"teacher_error", "student_error", "judge_error", "too_long"})

_IN_A_ROW = 20
_WINDOW = 200


class FailureLimitSettings(Settings):
    """When a run ends because its rows fail."""

    max_failures: Annotated[int | None, Runtime] = Field(None, ge=0)
    """Failed rows that a run may have (default: it ends when 20 problems in a row fail, or half of
    the last 200)."""


class RetrySettings(FailureLimitSettings):
    """The same, for what can be asked again."""

    retry_errors: Annotated[bool, Runtime] = False
    """Ask again for the rows of this directory that have failed."""


class FailureLimit:
    """Tells when so many rows have failed that a run should end.

    With `most` that many may fail, in whatever order; `can_retry` tells whether the job has
    `--retry_errors` to advise. Rows of one problem that fail one after the
    other count once: a problem has many samples, and no problem alone ends a run.
    """

    def __init__(self, most: int | None = None, can_retry: bool = True) -> None:
        self._most = most
        self._can_retry = can_retry
        self._failed = 0
        self._since_success: set[str] = set()
        self._last: deque[str | None] = deque(maxlen=_WINDOW)
        self._verdict: str | None = None

    def note(self, problem: str, fault: str | None) -> str | None:
        """Note a row and what went wrong with it; return why the run should end, or None."""
        if fault is None:
            self._since_success.clear()
            self._last.append(None)
        else:
            self._failed += 1
            if problem not in self._since_success:
                self._since_success.add(problem)
                self._last.append(fault)
            self._verdict = self._verdict or self._judge()
        return self._verdict

    def _judge(self) -> str | None:
        faults = Counter(fault for fault in self._last if fault is not None)
        if self._most is not None:
            what = f"{self._failed} rows failed" if self._failed > self._most else None
        elif len(self._since_success) >= _IN_A_ROW:
            what = f"{len(self._since_success)} problems in a row failed"
        elif len(self._last) == _WINDOW and 2 * faults.total() >= _WINDOW:
            what = f"{faults.total()} of the last {_WINDOW} rows failed"
        else:
            what = None
        return None if what is None else ended(what, faults.most_common(1)[0][0], self._can_retry)


def ended(what: str, fault: str, can_retry: bool = True) -> str:
    """Say in one line what ended a run, and how it goes on."""
    again = ", with --retry_errors true for all rows that failed" if can_retry else ""
    return (
        f"{what}, mostly: {fault}; put that right and run the same command again{again}, or let "
        "more fail by --max_failures"
    )
