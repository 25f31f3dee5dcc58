"""The zygote's children: one jailed process for one program, or for many harmless ones."""

from __future__ import annotations

import errno
import gc
import os
import select
import signal
import struct
import sys
import time
from collections.abc import Callable, Sequence
from mmap import PAGESIZE, mmap
from typing import NamedTuple, NoReturn

from pad_ray.sandbox import jail as lockdown
from pad_ray.sandbox.jail import Jail
from pad_ray.sandbox.program import (
    EVALUATE_FRAMES,
    RECURSION_LIMIT,
    Bench,
    evaluate,
    evaluate_if_harmless,
)
from pad_ray.sandbox.wire import (
    EXIT_NOT_JAILED,
    FRAMED,
    NONCE_BYTES,
    OVERFLOWED,
    STRETCH,
    TIMED_OUT,
    UNFRAMED,
    Reply,
    Wait,
    pack_reply,
    program_spans,
    seal,
    unseal,
    write_all,
    write_frame,
)

_SAMPLE_S = 0.05
_FORK_TRIES, _FORK_PAUSE_S = 10, 0.1
# What another process's end may mend.
_NO_ROOM = frozenset({errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE})
_MAX_GAP = 4
# Room for an error report beside value and output: type and message, escaped.
_REPORT_BYTES = 16 << 10
# A character of the value is counted escaped, one of the output is not: \u0000 for a byte.
_ESCAPED = 6
# A shared child that holds so much of its programs' results hands them over and ends.
_SHARED_BYTES = 1 << 20
# A proved program that needs longer gets its whole time alone, and holds nobody up.
_SHARED_CPU_S = 0.25
_SHARED_TOTAL_S = 1.0
_SHARED_RECURSION = 900
# So few objects of a program may wait for a later one's end: too few to take long, or to overflow
# the stack, when they are let go.
_LITTER = 200
# From `run_alone` to `evaluate`: `_run_child`, `_child` and `work`.
_CHILD_FRAMES = 3
# What a program is seen to try, for the message; a label, not a barrier.
_WATCHED = frozenset(
    "_thread ctypes fcntl mmap open os pty resource shutil signal socket subprocess".split()
)
_NUMBER = struct.Struct("<I")
# A whole page: a child can write to all of it, and all is wiped before the next.
PAGE_BYTES = PAGESIZE
_BLANK = bytes(PAGE_BYTES)

# Bound here, because a program may replace them in its copy of the modules.
_exit = os._exit


class NoProcess(Exception):
    """The machine lets this process start no child; the message is the kernel's."""


class Settings(NamedTuple):
    """What the owner passes on the command line, as a JSON list."""

    owner_pid: int
    wall_s: float
    cpu_s: float
    memory_mb: int
    output_kb: int
    modules: list[str]
    paths: list[str]
    share: bool

    @property
    def report_bytes(self) -> int:
        """The longest report of one program."""
        return (self.output_kb << 10) * (1 + _ESCAPED) + _REPORT_BYTES


class Pipes(NamedTuple):
    """Descriptors to the owner."""

    requests: int
    replies: int


class Desk:
    """The request in work, and the part of its answer that is not sent yet.

    In two objects, so that a lone child can forget its neighbours' without touching each.
    """

    def __init__(self) -> None:
        self._request = b""
        self._spans: list[tuple[int, int]] = []
        self.answer = bytearray()
        self._sent = 0.0

    def load(self, request: bytes) -> int:
        """Begin with a request and return how many programs it holds."""
        self._request, self._spans = request, program_spans(request)
        self.answer = bytearray()
        self._sent = time.monotonic()
        return len(self._spans)

    def program(self, index: int) -> bytes:
        """Return the text of one program."""
        start, end = self._spans[index]
        return self._request[start:end]

    def hand_over(self, pipes: Pipes, wait: Wait, least_s: float = 0.0) -> None:
        """Send what there is, if it is much or the last was sent `least_s` ago."""
        due = time.monotonic() >= self._sent + least_s or len(self.answer) > _SHARED_BYTES
        if self.answer and due:
            write_frame(pipes.replies, self.answer, wait)
            self.answer = bytearray()
            self._sent = time.monotonic()

    def forget(self) -> None:
        """Let go of all texts and replies."""
        self._request = b""
        self.answer = bytearray()


class Attempts:
    """Notes in shared memory what a lone child is seen to try."""

    def __init__(self, page: mmap) -> None:
        self._page = page
        self.noting = False

    def __call__(self, event: str, arguments: tuple[object, ...]) -> None:
        """Be an audit hook."""
        if self.noting and event.partition(".")[0] in _WATCHED:
            name = arguments[1] if event == "ctypes.dlsym" else ""
            size = len(self._page)
            text = f"{event} {name}".strip().encode(errors="replace")[:size]
            self._page[:] = text.ljust(size, b"\0")


class Nursery:
    """What the zygote needs to run a child.

    `page` is memory that a child shares with the zygote, to leave a note should it be killed:
    a lone program's last attempt, or the position of the program that a shared child is at.
    """

    def __init__(self, settings: Settings, pipes: Pipes, page: mmap, bench: Bench) -> None:
        self.settings = settings
        self.pipes = pipes
        self.page = page
        self.bench = bench
        self.attempts = Attempts(page)
        self.desk = Desk()
        self.limited = False
        self.poller = select.poll()
        self.poller.register(pipes.requests, 0)  # hang-up only
        self.jail: Jail


class Together(NamedTuple):
    """How far a shared child came: programs done with, and those of them to be run alone.

    `died_at` is the position of the program that it died at, if it did; `overtime` tells that it
    was that program's own alarm.
    """

    done: int
    not_proved: tuple[int, ...]
    died_at: int | None
    overtime: bool = False


def run_alone(index: int, nursery: Nursery) -> None:
    """Run one program of the desk in a child of its own, and put the reply there."""
    settings, desk = nursery.settings, nursery.desk
    if not nursery.limited:
        # Once, and not in each child, whose every step costs it pages.
        sys.setrecursionlimit(RECURSION_LIMIT + _frames_here() + _CHILD_FRAMES + EVALUATE_FRAMES)
        nursery.limited = True
    source, size = desk.program(index), settings.output_kb << 10

    def work() -> bytes:
        desk.forget()
        nursery.attempts.noting = True
        return evaluate(source, size, nursery.bench)

    ended = _run_child(work, nursery, settings.wall_s, settings.report_bytes, shared=False)
    if ended.ending != FRAMED and os.WIFSIGNALED(ended.status):
        ended = Reply(*ended[:4], nursery.page[:].rstrip(b"\0"))
    desk.answer += pack_reply(index, ended)


def _frames_here() -> int:
    """Return how many calls, of Python's count, the caller's is."""
    frame, frames = sys._getframe(1), 1
    while frame.f_back is not None:
        frame, frames = frame.f_back, frames + 1
    return frames


def run_shared(indices: Sequence[int], nursery: Nursery) -> Together:
    """Run programs of the desk one after the other in one child, those proved harmless.

    The replies to those that ran are put on the desk.
    """
    settings = nursery.settings

    def work() -> bytes:
        return _evaluate_in_turn(indices, nursery)

    # Proved programs cannot sleep, and this is more work than the child takes on.
    wall_s = settings.wall_s + _SHARED_TOTAL_S + _SHARED_CPU_S
    ended = _run_child(work, nursery, wall_s, _SHARED_BYTES + settings.report_bytes, shared=True)
    if ended.ending != FRAMED:
        (position,) = _NUMBER.unpack_from(nursery.page)
        overtime = os.WIFSIGNALED(ended.status) and os.WTERMSIG(ended.status) == signal.SIGPROF
        return Together(0, (), position, overtime)
    (done,) = _NUMBER.unpack_from(ended.report)
    (count,) = _NUMBER.unpack_from(ended.report, _NUMBER.size)
    not_proved = struct.unpack_from(f"<{count}I", ended.report, 2 * _NUMBER.size)
    nursery.desk.answer += ended.report[(2 + count) * _NUMBER.size :]
    return Together(done, not_proved, None)


def _evaluate_in_turn(indices: Sequence[int], nursery: Nursery) -> bytes:
    """Return how many programs were done with, which of them not run, and replies to the others."""
    size = nursery.settings.output_kb << 10
    alarm_s = min(nursery.settings.cpu_s, _SHARED_CPU_S)
    total_s = min(max(nursery.settings.cpu_s, _SHARED_CPU_S), _SHARED_TOTAL_S)
    # What warm caches save a program of its stack must not decide: a deeper one is run alone.
    sys.setrecursionlimit(_SHARED_RECURSION)
    # That is a lone program's.
    del sys.modules["program"]
    # A collection in a program's time would end what others left. Without any, the first count
    # is how many objects live on, and proved programs cannot see the difference.
    gc.disable()
    replies = bytearray()
    not_proved = []
    full = False
    for position, index in enumerate(indices):
        _NUMBER.pack_into(nursery.page, 0, position)
        # By ticks, so not exact, and need not be: who overstays is run again alone.
        signal.setitimer(signal.ITIMER_PROF, alarm_s)
        # The process's own CPU clock moves by ticks while an alarm is set.
        wall, cpu = time.monotonic(), time.thread_time()
        try:
            report = evaluate_if_harmless(nursery.desk.program(index), size)
            if gc.get_count()[0] > _LITTER:
                gc.collect()
            cpu_now = time.thread_time()
            if report is not None:
                wall_s = time.monotonic() - wall
                replies += pack_reply(index, Reply(FRAMED, 0, cpu_now - cpu, wall_s, report))
        except MemoryError:
            report, full = None, True
        if full:
            # All that the child still does needs room.
            nursery.bench.reserve.close()
            gc.collect()
        if report is None:
            not_proved.append(index)
        # What is handed over is safe from the end of the child, by its CPU limit too.
        if full or len(replies) > _SHARED_BYTES or cpu_now > total_s:
            break
    signal.setitimer(signal.ITIMER_PROF, 0)
    counts = struct.pack(f"<{2 + len(not_proved)}I", position + 1, len(not_proved), *not_proved)
    return counts + replies


def _run_child(
    work: Callable[[], bytes], nursery: Nursery, wall_s: float, max_bytes: int, *, shared: bool
) -> Reply:
    """Fork a jailed child that sends what `work` returns, wait, and tell how it ended."""
    nursery.page[:] = _BLANK
    # A new one each time: what a child knows of it forges no other's report.
    nonce = os.urandom(NONCE_BYTES)
    pid, read_end, write_end = _fork()
    if pid == 0:
        _child(work, nursery.jail, write_end, nonce, shared)
    started = time.monotonic()
    # Else the pipe never ends: the zygote itself would hold it open.
    os.close(write_end)
    ending, data = _collect(pid, started, read_end, nursery, wall_s, max_bytes)
    os.close(read_end)
    # No effect on one that is exiting; ends one that closed its pipe and lives on.
    os.kill(pid, signal.SIGKILL)
    _, status, usage = os.wait4(pid, 0)
    report = unseal(nonce, data) if ending == FRAMED and status == 0 else None
    if ending == FRAMED and report is None:
        ending = UNFRAMED
    cpu_s = usage.ru_utime + usage.ru_stime
    return Reply(ending, status, cpu_s, time.monotonic() - started, report or b"")


def _fork() -> tuple[int, int, int]:
    """Return a new process's id, which is 0 in it, and the two ends of a pipe.

    Tries for a while where others took the last free process; raises NoProcess then.
    """
    ends: tuple[int, int] | None = None
    for _ in range(_FORK_TRIES):
        try:
            ends = ends or os.pipe()
            return os.fork(), ends[0], ends[1]
        except OSError as error:
            if error.errno not in _NO_ROOM:
                raise
            why = error.strerror
            time.sleep(_FORK_PAUSE_S)
    for end in ends or ():
        os.close(end)
    raise NoProcess(why)


def _child(
    work: Callable[[], bytes], jail: Jail, pipe: int, nonce: bytes, shared: bool
) -> NoReturn:
    code = EXIT_NOT_JAILED
    try:
        os.dup2(pipe, lockdown.RESULT_FD)
        lockdown.enter(jail, shared=shared)
        code = 1
        write_all(lockdown.RESULT_FD, seal(nonce, work()))
        code = 0
    finally:
        # Not sys.exit: a child must run neither the zygote's exit handlers nor its main loop.
        _exit(code)


def _collect(
    pid: int, started: float, read_end: int, nursery: Nursery, wall_s: float, max_bytes: int
) -> tuple[int, bytes]:
    """Read the child's pipe to its end, the wall limit or the size limit."""
    data = b""
    clock = None
    rounds = 0
    poller = nursery.poller
    slice_ms = min(_SAMPLE_S, wall_s / 10) * 1e3
    poller.register(read_end, select.POLLIN)
    try:
        while clock is None or not clock.run_out():
            ready = poller.poll(slice_ms)
            for fd, _ in ready:
                if fd != read_end:
                    _leave(pid)
                chunk = os.read(read_end, 1 << 16)
                if not chunk:
                    return FRAMED, data
                data += chunk
                if len(data) > max_bytes:
                    return OVERFLOWED, b""
            # Most children write once and end, and need no clock.
            rounds += 1
            if clock is None and (not ready or rounds > 2):
                clock = Clock(pid, started, wall_s, slice_ms / 1e3)
            # A hang-up does not tell all: others may have inherited the owner's end of the pipe.
            if clock is not None and os.getppid() != nursery.settings.owner_pid:
                _leave(pid)
        return TIMED_OUT, b""
    finally:
        poller.unregister(read_end)


def _leave(pid: int) -> NoReturn:
    """End the child and this process: the owner is gone."""
    os.kill(pid, signal.SIGKILL)
    _exit(0)


class Clock:
    """The wall limit of one child: its CPU time and its sleep count, waiting for a core does not.

    Sleep is what is left of the time that passed without the child's CPU time and its wait for a
    core, as the kernel counts both. Such a rest that shows no sleep (the child never gave up a
    core of itself) is not held against it: a throttled container, a stolen virtual core, a wait
    that the kernel counts when it is over.
    """

    def __init__(self, pid: int, started: float, wall_s: float, slice_s: float) -> None:
        self._slice_s = slice_s
        self._wall_s = wall_s
        self._pid = pid
        self._sampled = started
        self._before = _Usage(0.0, 0.0, 0, False)
        self._unexplained_s = self._slept_s = self._elapsed_s = 0.0

    def run_out(self) -> bool:
        """Tell whether the child's time is over; call it at least every `slice_s`."""
        now = time.monotonic()
        gap_s = now - self._sampled
        if gap_s < self._slice_s:
            return False
        usage, before = _usage(self._pid), self._before
        busy_s = usage.cpu_s - before.cpu_s + usage.queued_s - before.queued_s
        self._unexplained_s += gap_s - busy_s
        # A longer gap means that this process itself got no core, or the machine was paused.
        gap_s = min(gap_s, _MAX_GAP * self._slice_s)
        if usage.asleep or usage.naps != before.naps or self._unexplained_s < 0:
            self._slept_s += min(self._unexplained_s, gap_s)
            self._unexplained_s = 0.0
        self._elapsed_s += gap_s
        self._sampled, self._before = now, usage
        used_up = self._slept_s + usage.cpu_s >= self._wall_s
        return used_up or self._elapsed_s >= self._wall_s * STRETCH


class _Usage(NamedTuple):
    """What the kernel counts of a child: seconds of CPU and of waits for a core, how often it gave
    up a core of itself; and whether it is asleep or stopped.
    """

    cpu_s: float
    queued_s: float
    naps: int
    asleep: bool


def _usage(pid: int) -> _Usage:
    # Needs no right to look at the process, unlike its files.
    cpu_s = time.clock_gettime(~pid << 3 | 2)
    try:
        with open(f"/proc/{pid}/status", encoding="utf-8", errors="replace") as status:
            # The first line is the process's name, which is its own choice.
            fields = dict(line.split(":", 1) for line in status.read().splitlines()[1:])
    except OSError:  # another's is hidden here (hidepid)
        return _Usage(cpu_s, 0.0, 0, True)
    naps = int(fields.get("voluntary_ctxt_switches", 0))
    asleep = fields["State"].split()[0] in "ST"
    try:
        with open(f"/proc/{pid}/schedstat", encoding="ascii") as schedstat:
            cpu_ns, queued_ns, _ = map(int, schedstat.read().split())
    except OSError:  # not counted here (gVisor)
        return _Usage(cpu_s, 0.0, naps, asleep)
    return _Usage(cpu_ns / 1e9, queued_ns / 1e9, naps, asleep)
