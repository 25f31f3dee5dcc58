"""A lock for object storage, which knows none: an object that its holder goes on changing."""

from __future__ import annotations

import atexit
import errno
import json
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

__all__ = ["Lease"]

_BEAT_S = 10.0
# A holder that has changed nothing for so long is gone.
_WATCHED_S = 3 * _BEAT_S
_READS = 10
# Of two that begin at once the later one has written by then.
_SETTLED_S = 1.0


class Lease:
    """The right to write in a folder, held by the process that keeps `place` changing.

    No clocks are compared: whether another holder is alive is seen by watching its object. A holder
    that cannot reach the storage for half a minute may lose it without a word.
    """

    def __init__(self, place: Path) -> None:
        self._place = place
        self._own = uuid4().hex
        self._beats = 0
        self._ended = threading.Event()

    def acquire(self) -> bool:
        """Take the lease unless another process holds it, which takes half a minute to see."""
        other = self._read()
        if other is not None:
            print(f"{self._place.parent}: in use, or left by a run that was killed; looking which")
            if self._goes_on(other):
                return False
        self._beat()
        time.sleep(_SETTLED_S)
        if self._holder() != self._own:
            return False
        threading.Thread(target=self._keep, daemon=True).start()
        atexit.register(self.release)
        return True

    def release(self) -> None:
        """Give the lease back, if it is still this one's."""
        atexit.unregister(self.release)
        if self._ended.is_set():
            return
        self._ended.set()
        # What is left costs the next run half a minute.
        with suppress(Exception):
            if self._holder() == self._own:
                self._place.unlink()

    def _goes_on(self, other: str) -> bool:
        deadline = time.monotonic() + _WATCHED_S
        while time.monotonic() < deadline:
            time.sleep(_BEAT_S / 5)
            now = self._read()
            if now is None:
                return False
            if now != other:
                return True
        return False

    def _keep(self) -> None:
        while not self._ended.wait(_BEAT_S):
            with suppress(Exception):  # the storage's own; it may come back
                if self._holder() not in (self._own, None):
                    return
                self._beat()

    def _beat(self) -> None:
        self._beats += 1
        text = json.dumps({"run": self._own, "beat": self._beats})
        self._place.write_text(text, encoding="utf-8")

    def _read(self) -> str | None:
        for _ in range(_READS):
            try:
                return self._place.read_text(encoding="utf-8")
            except FileNotFoundError:
                return None
            except OSError as error:
                if error.errno != errno.EBUSY:
                    raise
                busy = error  # its holder wrote it while it was read
        raise busy

    def _holder(self) -> Any:
        with suppress(ValueError, TypeError, KeyError):
            return json.loads(self._read() or "null")["run"]
        return None
