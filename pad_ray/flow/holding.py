"""One run at a time in a directory, and what all attempts at it took."""

from __future__ import annotations

import errno
import json
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from filelock import BaseFileLock, FileLock, Timeout

from pad_ray.base.errors import ConfigError
from pad_ray.base.storage import is_remote
from pad_ray.flow.lease import Lease

__all__ = ["ATTEMPTS", "LOCK", "Attempts", "begin_attempt", "hold", "let_go", "let_go_of_all"]

LOCK = ".lock"
ATTEMPTS = ".attempts.json"
_NO_LOCKS = {errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOLCK}

_held: dict[Path, BaseFileLock | Lease] = {}


def hold(folder: Path) -> None:
    """Keep other processes' runs out of a folder until `let_go`, or until this process ends.

    However it ends: what a killed one leaves holds nobody up (in object storage for half a minute).
    Where the file system knows no locks nothing is kept out. Raises `ConfigError` where another
    process holds it.
    """
    if folder in _held:
        return
    if is_remote(folder):
        lease = Lease(folder / LOCK)
        if not lease.acquire():
            raise _in_use(folder)
        _held[folder] = lease
        return
    lock = FileLock(folder / LOCK, timeout=0, thread_local=False)
    try:
        lock.acquire()
    except Timeout:
        raise _in_use(folder) from None
    except NotImplementedError:
        return
    except OSError as error:
        if error.errno in _NO_LOCKS:
            return
        raise
    _held[folder] = lock


def _in_use(folder: Path) -> ConfigError:
    return ConfigError(
        f"out: {folder} is in use by another run; wait until it has ended, or name another "
        "directory"
    )


def let_go(folder: Path) -> None:
    """Let other processes' runs into a folder that this one is done with."""
    lock = _held.pop(folder, None)
    if isinstance(lock, Lease):
        lock.release()
    elif lock is not None:
        # Whoever has it open already finds the folder complete.
        (folder / LOCK).unlink(missing_ok=True)
        lock.release()


def let_go_of_all() -> None:
    """Let go of what a run that failed has left held in a process that goes on."""
    while _held:
        _held.popitem()[1].release()


class Attempts:
    """The attempts at a directory: how many, and the seconds of all but the present one."""

    def __init__(self, count: int, earlier_s: float, started: float) -> None:
        self.count = count
        self.earlier_s = earlier_s
        self.started = started

    @property
    def wall_s(self) -> float:
        return round(self.earlier_s + time.time() - self.started, 3)


def begin_attempt(folder: Path, manifest: dict[str, Any] | None, started: float) -> Attempts:
    """Count an attempt at a folder, whose manifest is that of a finished one that goes on.

    An attempt that was killed ended when it last wrote a file.
    """
    known: dict[str, Any] = {}
    with suppress(OSError, ValueError):
        known = json.loads((folder / ATTEMPTS).read_text(encoding="utf-8"))
    if known:
        spent = max(0.0, _last_write(folder) - known["started"])
        earlier, count = known["earlier_s"] + spent, known["count"]
    elif manifest is not None:
        earlier, count = manifest.get("wall_s", 0.0), manifest.get("attempts", 1)
    else:
        earlier, count = 0.0, 0
    return Attempts(count + 1, earlier, started)


def _last_write(folder: Path) -> float:
    if is_remote(folder):  # there it would take a request a file
        return 0.0
    return max(_times(folder), default=0.0)


def _times(folder: Path) -> Iterator[float]:
    for path in folder.rglob("*"):
        with suppress(OSError):
            if path.name != LOCK and path.is_file():
                yield path.stat().st_mtime
