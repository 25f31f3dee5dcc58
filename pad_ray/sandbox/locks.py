"""A lock that a forked copy of the process finds free."""

from __future__ import annotations

import os
from threading import Lock
from types import TracebackType
from weakref import WeakSet


class ForkSafeLock:
    """A lock as `threading.Lock`, but free in a forked copy, where who held it does not exist.

    What it guards must be fit for a copy that was made in the middle of a change.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        _all.add(self)

    def acquire(self, blocking: bool = True) -> bool:
        """Do as Lock.acquire."""
        return self._lock.acquire(blocking)

    def release(self) -> None:
        """Do as Lock.release; nothing where this thread was copied while it held the lock."""
        if self._lock.locked():
            self._lock.release()

    def __enter__(self) -> None:
        self.acquire()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()


_all: WeakSet[ForkSafeLock] = WeakSet()


def _renew() -> None:
    for lock in list(_all):
        lock._lock = Lock()


os.register_at_fork(after_in_child=_renew)
