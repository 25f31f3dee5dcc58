"""The zygote: a small single-threaded interpreter that forks one jailed child a program.

It is started by exec with an empty environment, reads programs from one pipe, answers on another,
runs no program code itself, and ends (with its child) when its owner closes the pipe or dies.
"""

from __future__ import annotations

import gc
import json
import os
import random
import select
import signal
import sys
import time
import warnings
from importlib import import_module
from typing import NamedTuple, NoReturn

from pad_ray.sandbox import jail as lockdown
from pad_ray.sandbox.jail import Jail
from pad_ray.sandbox.modules import ALLOWED_MODULES
from pad_ray.sandbox.program import NoMoreImports, evaluate
from pad_ray.sandbox.wire import (
    EXIT_NOT_JAILED,
    FRAMED,
    NONCE_BYTES,
    OVERFLOWED,
    STRETCH,
    TIMED_OUT,
    UNFRAMED,
    Reply,
    read_frame,
    seal,
    unseal,
    write_all,
    write_frame,
    write_reply,
)

# Loaded before the imports are closed: what the interpreter itself imports when first needed.
_LAZY_MODULES = ("_strptime", "unicodedata", "encodings.ascii", "encodings.latin_1")
# Tools of the zygote; not a barrier (the program lives in a copy of this process), but tidy.
# `resource` stays: os.wait4 imports it at every call.
_TOOLS = ("ctypes", "_ctypes", "signal", "select", "pad_ray")
_OWNER_CHECK_S = 1.0
_SAMPLE_S = 0.05
_MAX_GAP = 4
_TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")
# Room for an error report beside the value: type and message, escaped.
_REPORT_BYTES = 16 << 10

# Bound here, because a program may replace it in its copy of `os`.
_exit = os._exit


class Settings(NamedTuple):
    """What the owner passes on the command line, as a JSON list."""

    owner_pid: int
    wall_s: float
    cpu_s: float
    memory_mb: int
    output_kb: int


class Pipes(NamedTuple):
    """Descriptors to the owner."""

    requests: int
    replies: int


def main() -> None:
    """Serve the owner until it is gone. A refusal to start is the first frame's `error`."""
    settings = Settings(*json.loads(sys.argv[2]))
    pipes = Pipes(os.dup(0), os.dup(1))
    null = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(null, standard)
    os.close(null)
    try:
        jail = _prepare(settings)
        _probe(jail)
    except (OSError, ImportError) as error:
        reason = error.strerror if isinstance(error, OSError) else None
        write_frame(pipes.replies, json.dumps({"error": reason or str(error)}).encode())
        return
    write_frame(pipes.replies, json.dumps({"layers": lockdown.layers(jail)}).encode())
    while _next_request(pipes, settings.owner_pid):
        source = read_frame(pipes.requests)
        write_reply(pipes.replies, _supervise(source, jail, pipes, settings))


def _prepare(settings: Settings) -> Jail:
    for name in (*ALLOWED_MODULES, *_LAZY_MODULES):
        import_module(name)
    lockdown.harden_zygote()
    warnings.simplefilter("ignore")
    jail = lockdown.build(settings.memory_mb, settings.cpu_s)
    for name in list(sys.modules):
        if name.partition(".")[0] in _TOOLS:
            del sys.modules[name]
    sys.path.clear()
    sys.argv[:] = [""]
    sys.meta_path[:] = [NoMoreImports]
    gc.collect()
    gc.freeze()
    return jail


def _probe(jail: Jail) -> None:
    """Raise OSError unless a child can lock itself in here."""
    read_end, write_end = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.dup2(write_end, lockdown.RESULT_FD)
            lockdown.enter(jail)
            os.write(lockdown.RESULT_FD, b"locked in")
        except OSError as error:
            os.write(lockdown.RESULT_FD, (error.strerror or str(error)).encode())
        finally:
            _exit(0)
    os.close(write_end)
    answer = os.read(read_end, 1000).decode()
    os.close(read_end)
    os.waitpid(pid, 0)
    if answer != "locked in":
        raise OSError(0, answer or "a locked-in child could not write its result")


def _next_request(pipes: Pipes, owner_pid: int) -> bool:
    """Wait for a request; False once the owner closed the pipe or is dead."""
    poller = select.poll()
    poller.register(pipes.requests, select.POLLIN)
    # A forked copy of the owner may hold the pipe open after the owner's death.
    while os.getppid() == owner_pid:
        for _, events in poller.poll(_OWNER_CHECK_S * 1e3):
            return bool(events & select.POLLIN)
    return False


def _supervise(source: bytes, jail: Jail, pipes: Pipes, settings: Settings) -> Reply:
    """Fork a child for one program, wait for its end, and tell how it went."""
    read_end, write_end = os.pipe()
    nonce = os.urandom(NONCE_BYTES)
    started = time.monotonic()
    pid = os.fork()
    if pid == 0:
        _child(source, jail, write_end, nonce, settings.output_kb << 10)
    os.close(write_end)
    ending, data = _collect(pid, read_end, pipes, settings)
    os.close(read_end)
    # No effect on one that is exiting; ends one that closed its pipe and lives on.
    os.kill(pid, signal.SIGKILL)
    _, status, usage = os.wait4(pid, 0)
    report = unseal(nonce, data) if ending == FRAMED else None
    if ending == FRAMED and report is None:
        ending = UNFRAMED
    cpu_s = usage.ru_utime + usage.ru_stime
    return Reply(ending, status, cpu_s, time.monotonic() - started, report or b"")


def _child(source: bytes, jail: Jail, pipe: int, nonce: bytes, max_value_bytes: int) -> NoReturn:
    code = EXIT_NOT_JAILED
    try:
        # After the fork, because `random` reseeds itself in every child.
        random.seed(0)
        os.dup2(pipe, lockdown.RESULT_FD)
        lockdown.enter(jail)
        code = 1
        write_all(lockdown.RESULT_FD, seal(nonce, evaluate(source, max_value_bytes)))
        code = 0
    finally:
        _exit(code)


def _collect(pid: int, read_end: int, pipes: Pipes, settings: Settings) -> tuple[int, bytes]:
    """Read the child's pipe to its end, the wall limit or the size limit."""
    data = bytearray()
    limit = (settings.output_kb << 10) + _REPORT_BYTES
    poller = select.poll()
    poller.register(read_end, select.POLLIN)
    poller.register(pipes.requests, 0)  # hang-up only
    clock = _Clock(pid, settings.wall_s)
    while not clock.run_out():
        ready = dict(poller.poll(clock.slice_s * 1e3))
        if pipes.requests in ready or os.getppid() != settings.owner_pid:
            os.kill(pid, signal.SIGKILL)
            _exit(0)
        if read_end in ready:
            chunk = os.read(read_end, 1 << 16)
            data += chunk
            if not chunk:
                return FRAMED, bytes(data)
            if len(data) > limit:
                return OVERFLOWED, b""
    return TIMED_OUT, b""


class _Clock:
    """The wall limit of one child: its CPU time and its sleep count, waiting for a core does not.

    What a child does is sampled a few times a second, so waits that no counter shows (a machine
    with more work than cores, a throttled container, a stolen virtual core) are not held
    against it.
    """

    def __init__(self, pid: int, wall_s: float) -> None:
        self.slice_s = min(_SAMPLE_S, wall_s / 10)
        self._wall_s = wall_s
        self._stat = f"/proc/{pid}/stat"
        self._sampled = time.monotonic()
        self._slept_s = self._elapsed_s = 0.0

    def run_out(self) -> bool:
        """Tell whether the child's time is over; call it at least every `slice_s` seconds."""
        now = time.monotonic()
        if now - self._sampled < self.slice_s:
            return False
        # A longer gap means that this process itself got no core, or the machine was paused.
        gap_s = min(now - self._sampled, _MAX_GAP * self.slice_s)
        self._sampled = now
        with open(self._stat, encoding="utf-8", errors="replace") as stat:
            fields = stat.read().rpartition(")")[2].split()
        if fields[0] in "ST":
            self._slept_s += gap_s
        self._elapsed_s += gap_s
        cpu_s = (int(fields[11]) + int(fields[12])) / _TICKS_A_SECOND
        used_up = self._slept_s + cpu_s >= self._wall_s
        return used_up or self._elapsed_s >= self._wall_s * STRETCH
