"""The owner's side of one zygote process: start, ask, end."""

from __future__ import annotations

import json
import os
import socket
import struct
import subprocess
import sys
import time
import weakref
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pad_ray.sandbox.limits import Limits
from pad_ray.sandbox.wire import (
    NOT_RUN,
    STRETCH,
    Reply,
    pack_programs,
    read_frame,
    unpack_replies,
    until,
    write_frame,
)

# The packages' own __init__ files are left out: they import what the zygote must not carry.
_BOOT = """
import sys
sys.path[:] = [p for p in sys.path if p]
from types import ModuleType
for name, path in (("pad_ray", sys.argv[1]), ("pad_ray.sandbox", sys.argv[1] + "/sandbox")):
    sys.modules[name] = ModuleType(name)
    sys.modules[name].__path__ = [path]
from pad_ray.sandbox.zygote import main
main()
"""
_START_S = 60.0
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
_GRACE_S = 60.0
# What a zygote takes at most for one more frame, besides one program's time.
_FRAME_S = 3.0
_END_S = 2.0


class SandboxError(RuntimeError):
    """The sandbox cannot work here, or is closed; never raised for a program's sake."""


class ZygoteDied(Exception):
    """The zygote ended or hangs; start another."""


@dataclass(frozen=True)
class Calling:
    """What a zygote is for: limits, modules to offer besides, and whether children are shared."""

    limits: Limits
    modules: tuple[str, ...] = ()
    share: bool = True


class Zygote:
    """A running zygote; not thread-safe.

    Raises SandboxError if it cannot start or the kernel refuses a required layer.
    """

    def __init__(self, calling: Calling) -> None:
        if not sys.platform.startswith("linux"):
            raise SandboxError(
                f"the sandbox needs Linux, not {sys.platform}: run it in a container"
            )
        self._silence_s = longest_silence(calling.limits)
        self._process, self._requests = _spawn(calling)
        # A forgotten Popen keeps itself and its pipes alive, and so the process.
        self._finalizer = weakref.finalize(self, _end, self._process, self._requests)
        self.layers = self._greeting()

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    def ask(self, programs: Sequence[bytes]) -> Iterator[tuple[int, Reply]]:
        """Have programs run, and yield their replies as they come, each with its program's index.

        Raises ZygoteDied, and SandboxError where the machine lets no program start; the zygote is
        of no more use then, nor is it when not all replies were taken.
        """
        assert self._process.stdout is not None
        missing = set(range(len(programs)))
        try:
            wait = until(time.monotonic() + _GRACE_S)
            write_frame(self._requests.fileno(), pack_programs(programs), wait, self._send)
            while missing:
                wait = until(time.monotonic() + self._silence_s)
                body = read_frame(self._process.stdout.fileno(), wait)
                for index, reply in unpack_replies(body):
                    if reply.ending == NOT_RUN:
                        why = reply.report.decode(errors="replace")
                        raise SandboxError(f"no process can be started for a program: {why}")
                    missing.remove(index)
                    yield index, reply
        except (OSError, EOFError, ValueError, KeyError, struct.error) as error:
            raise ZygoteDied from error

    def end(self) -> None:
        """End the process and its child, and reap it; safe to call twice."""
        self._finalizer()

    def kill(self) -> None:
        """End the process at once, from any thread; `end` must still be called."""
        self._process.kill()

    def abandon(self) -> None:
        """Close this process's ends of the pipes, for a forked copy of the owner."""
        self._finalizer.detach()
        _close(self._process, self._requests)

    def _send(self, _: int, data: bytes | memoryview) -> int:
        # Whatever the owner does with SIGPIPE, it must not end by a zygote that died.
        return self._requests.send(data, socket.MSG_NOSIGNAL)

    def _greeting(self) -> dict[str, bool]:
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        try:
            frame = read_frame(self._process.stdout.fileno(), until(time.monotonic() + _START_S))
            greeting = json.loads(frame)
        except (OSError, EOFError) as error:
            self._process.kill()
            lines = self._process.stderr.read().decode(errors="replace").strip().splitlines()
            self.end()
            reason = lines[-1] if lines else f"exit code {self._process.returncode}"
            raise SandboxError(f"the sandbox's zygote did not start: {reason}") from error
        if "layers" not in greeting:
            self.end()
        if "missing" in greeting:
            raise SandboxError(f"modules: {greeting['missing']}; install it, or do not offer it")
        if "refused" in greeting:
            raise SandboxError(
                f"no sandbox here: {greeting['refused']} (programs run only behind seccomp; "
                "use a Linux kernel and container runtime that allow it)"
            )
        self._process.stderr.close()
        layers: dict[str, bool] = greeting["layers"]
        return layers


def longest_silence(limits: Limits) -> float:
    """Return the seconds after which a zygote that sent nothing is given up.

    They are twice what one program may take; a longer answer comes in several frames.
    """
    return 2 * STRETCH * (limits.wall_s + _FRAME_S) + _GRACE_S


def _end(process: subprocess.Popen[bytes], requests: socket.socket) -> None:
    _close(process, requests)
    try:
        process.wait(_END_S)
    except subprocess.TimeoutExpired:
        pass
    finally:
        # Before an interrupt goes on, too. A process that ended already is not signalled.
        process.kill()
        process.wait()


def _close(process: subprocess.Popen[bytes], requests: socket.socket) -> None:
    for stream in (requests, process.stdout, process.stderr):
        if stream is not None:
            stream.close()


def _spawn(calling: Calling) -> tuple[subprocess.Popen[bytes], socket.socket]:
    limits, modules = calling.limits, calling.modules
    # What the standard library lies in, the zygote knows itself.
    paths = [path for path in sys.path if path.endswith("-packages")] if modules else []
    settings = [os.getpid(), limits.wall_s, limits.cpu_s, limits.memory_mb, limits.output_kb]
    settings_json = json.dumps([*settings, modules, paths, calling.share])
    package = Path(__file__).resolve().parent.parent
    # Not -I: it would ignore PYTHONHASHSEED. With no other variable set, and the empty path
    # entry dropped, the interpreter is just as isolated.
    # LD_BIND_NOW: else each child would look up the functions it is the first to call.
    # The threshold: requests and answers of all sizes would fragment the heap for good.
    environment = {
        "PYTHONHASHSEED": "0",
        "LD_BIND_NOW": "1",
        "MALLOC_MMAP_THRESHOLD_": "16384",
    }
    if modules:  # a zygote must have one thread
        environment |= dict.fromkeys(_THREADS, "1")
    if "LD_LIBRARY_PATH" in os.environ:  # some builds find libpython by it; the zygote clears it
        environment["LD_LIBRARY_PATH"] = os.environ["LD_LIBRARY_PATH"]
    command = [sys.executable, "-s", "-S", "-B", "-c", _BOOT, str(package), settings_json]
    try:
        requests, theirs = socket.socketpair()
        with theirs:
            requests.setblocking(False)
            try:
                return _started(command, theirs.fileno(), environment), requests
            except BaseException:
                requests.close()
                raise
    except OSError as error:
        raise SandboxError(f"the sandbox's zygote did not start: {error}") from error


def _started(
    command: list[str], requests: int, environment: dict[str, str]
) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        command,
        bufsize=0,
        stdin=requests,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd="/",
        env=environment,
        start_new_session=True,
    )
