"""A lock that forks, interrupts and signal handlers leave usable."""

from __future__ import annotations

import os
from threading import RLock
from weakref import WeakSet


class SafeLock:
    """A lock to be taken by `with lock.held:`, and in no other way.

    It is free in a forked copy of the process, where who held it does not exist. It is free again
    after an interrupt, which Python lets arrive anywhere but between a `with` and the entry to a
    lock of the interpreter's own. The thread that holds it takes it once more, as a signal handler
    that runs in its midst must. So what it guards must be fit for a copy that was made in the
    middle of a change, and for one more visit there.
    """

    def __init__(self) -> None:
        self.held = RLock()
        _all.add(self)


_all: WeakSet[SafeLock] = WeakSet()


def _renew() -> None:
    for lock in list(_all):
        lock.held = RLock()


os.register_at_fork(after_in_child=_renew)
