"""Sandbox: untrusted programs in, one Outcome each out."""

from __future__ import annotations

import os
from collections.abc import Iterable
from threading import Lock
from types import TracebackType

from pad_ray.sandbox.limits import Limits
from pad_ray.sandbox.outcome import Outcome, judge
from pad_ray.sandbox.process import SandboxError, Zygote, ZygoteDied

MAX_PROGRAM_BYTES = 1 << 20
# Each zygote must prove the jail on these before it gets a program.
_CANARIES = (
    ("def solution():\n    return 6 * 7", "ok"),
    ("import os\ndef solution():\n    os.fork()\n    return 1", "forbidden"),
    ("def solution():\n    return open('/dev/null').read()", "forbidden"),
)


class Sandbox:
    """Runs programs one at a time in jailed children of a zygote process of its own.

    Threads may share one; it may be made in any thread. Use it with `with`, or call `close`.
    Raises SandboxError where seccomp or another required layer is missing.
    """

    def __init__(self, limits: Limits | None = None) -> None:
        self.limits = limits or Limits()
        self._lock = Lock()
        self._closed = False
        self._owner_pid = os.getpid()
        self._zygote: Zygote | None = self._start()
        self.layers: dict[str, bool] = dict(self._zygote.layers)

    def run(self, programs: Iterable[str]) -> list[Outcome]:
        """Run each program text and return its outcome, in order.

        A program is executed as a module, then its `solution()` is called. A program that is not
        a str, or is over 1 MiB, is `invalid`. Raises SandboxError if the sandbox is closed.
        """
        if isinstance(programs, str):
            raise TypeError("Sandbox.run takes a list of programs, not one str")
        return [self._run(program) for program in programs]

    def close(self) -> None:
        """End the zygote. A program in flight in another thread ends first."""
        with self._lock:
            self._closed = True
            self._drop()

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _run(self, program: object) -> Outcome:
        if not isinstance(program, str):
            return Outcome("invalid", message=f"a program is a str, not {type(program).__name__}")
        source = program.encode("utf-8", "surrogatepass")
        if len(source) > MAX_PROGRAM_BYTES:
            return Outcome("invalid", message=f"the program is over {MAX_PROGRAM_BYTES} bytes")
        with self._lock:
            if self._closed:
                raise SandboxError("the sandbox is closed")
            for _ in range(2):
                try:
                    return judge(self._ready().ask(source), self.limits)
                except ZygoteDied:
                    self._drop()
                except BaseException:
                    # An interrupt left a reply in the pipe; the next program must not get it.
                    self._drop()
                    raise
        return Outcome("crashed", message="the sandbox's zygote died twice under this program")

    def _ready(self) -> Zygote:
        if self._owner_pid != os.getpid():  # a forked copy must not share its parent's pipes
            if self._zygote is not None:
                self._zygote.abandon()
            self._zygote, self._owner_pid = None, os.getpid()
        if self._zygote is None:
            self._zygote = self._start()
        return self._zygote

    def _drop(self) -> None:
        if self._zygote is not None:
            if self._owner_pid == os.getpid():
                self._zygote.end()
            else:
                self._zygote.abandon()
            self._zygote = None

    def _start(self) -> Zygote:
        zygote = Zygote(self.limits)
        try:
            for program, expected in _CANARIES:
                outcome = judge(zygote.ask(program.encode()), self.limits)
                if outcome.status != expected:
                    raise SandboxError(f"the jail does not hold here: {outcome} for {program!r}")
        except ZygoteDied as error:
            zygote.end()
            raise SandboxError("the sandbox's zygote died at its first programs") from error
        except BaseException:
            zygote.end()
            raise
        return zygote
