"""The lock-down: what the zygote does once, and what each child does before its program.

Needs no privileges; a root caller becomes an unprivileged user. Linux only.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import math
import os
import platform
import resource
import signal
import struct
import time
from typing import NamedTuple, TypeAlias

from pad_ray.sandbox.seccomp import assemble
from pad_ray.sandbox.syscalls import SHARED

NOBODY = 65534
# Without these no program runs; the others in `layers` hold where kernel and container allow.
ALWAYS = ("seccomp", "no_new_privs", "rlimits", "parent_death_signal")
RESULT_FD = 3
_MAX_FDS = 32
_STACK_BYTES = 8 << 20

# linux/prctl.h
_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS = 1, 4, 22, 38
_SECCOMP_MODE_FILTER = 2
_NUMBERS = {
    "x86_64": {"prctl": 157, "prlimit64": 302, "timer_create": 222, "timer_settime": 223},
    "aarch64": {"prctl": 167, "prlimit64": 261, "timer_create": 107, "timer_settime": 110},
}.get(platform.machine(), {})
# The same on every machine.
_LANDLOCK_CREATE, _LANDLOCK_RESTRICT = 444, 446

# A system call's name, and its number and arguments.
Step: TypeAlias = tuple[str, tuple[object, ...]]

_raw_call = ctypes.CDLL(None, use_errno=True).syscall
# Buffers that only an address points to.
_kept: list[object] = []


class Jail(NamedTuple):
    """All that a child needs to lock itself in, made once in the zygote.

    Not a dataclass: that module would add a megabyte to every fork. The steps are system calls,
    each with its name and its arguments as C has them, because making those anew costs a child
    more than the calls do. A `shared` child has no CPU timer, and may set itself alarms.
    """

    landlock: Step | None
    steps: tuple[Step, ...]
    shared_steps: tuple[Step, ...]
    zygote_pid: int


def harden_zygote() -> None:
    """Drop root, descriptors' targets, signal state and limits that no child may have."""
    if not _NUMBERS:
        raise OSError(errno.ENOSYS, f"no system-call table for {platform.machine()}")
    # A caller's blocked or ignored signals survive exec and would disarm the CPU timer.
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    for name in (signal.SIGINT, signal.SIGCHLD, signal.SIGPROF, signal.SIGXCPU, signal.SIGSYS):
        signal.signal(name, signal.SIG_DFL)
    os.chdir("/")
    os.environ.clear()
    if os.geteuid() == 0:
        # Root without a map for this user (some rootless containers) is told by the layers.
        with contextlib.suppress(OSError):
            os.setgroups([])
        with contextlib.suppress(OSError):
            os.setresgid(NOBODY, NOBODY, NOBODY)
            os.setresuid(NOBODY, NOBODY, NOBODY)
    _take(_prctl_step("no_new_privs", _PR_SET_NO_NEW_PRIVS, 1))
    _take(_prctl_step("dumpable", _PR_SET_DUMPABLE, 0))
    for kind in (
        resource.RLIMIT_CORE,
        resource.RLIMIT_FSIZE,
        resource.RLIMIT_MEMLOCK,
        resource.RLIMIT_MSGQUEUE,
    ):
        _lower(kind, 0)
    _lower(resource.RLIMIT_NOFILE, _MAX_FDS)
    _lower(resource.RLIMIT_STACK, _STACK_BYTES)


def build(memory_mb: int, cpu_s: float) -> Jail:
    """Return the jail for children of this process; call it last, when all is loaded."""
    with open("/proc/self/statm", encoding="ascii") as statm:
        own_bytes = int(statm.read().split()[0]) * resource.getpagesize()
    ruleset = _landlock_ruleset()
    common = [
        _prctl_step("parent_death_signal", _PR_SET_PDEATHSIG, signal.SIGKILL),
        _limit_step(resource.RLIMIT_AS, own_bytes + (memory_mb << 20)),
        _limit_step(resource.RLIMIT_DATA, own_bytes + (memory_mb << 20)),
        _limit_step(resource.RLIMIT_NPROC, 0),
        # Whole seconds, counted by ticks and so too many on a busy machine: a net under the timer.
        _limit_step(resource.RLIMIT_CPU, math.ceil(2 * cpu_s) + 1),
    ]
    machine = platform.machine()
    return Jail(
        landlock=None if ruleset is None else _step("landlock", _LANDLOCK_RESTRICT, ruleset, 0),
        steps=(*common, *_cpu_timer_steps(cpu_s), _filter_step(assemble(machine))),
        shared_steps=(*common, _filter_step(assemble(machine, SHARED))),
        zygote_pid=os.getpid(),
    )


def layers(jail: Jail) -> dict[str, bool]:
    """Tell which layers hold for the children of this jail, once `enter` is known to work."""
    return {
        **dict.fromkeys(ALWAYS, True),
        "landlock": jail.landlock is not None,
        "unprivileged_user": os.geteuid() != 0,
    }


def enter(jail: Jail, *, shared: bool = False) -> None:
    """Lock this (freshly forked) process in; only `RESULT_FD` and /dev/null stay open.

    The caller has put its result pipe at `RESULT_FD`. Raises OSError naming the step that the
    kernel refused.
    """
    os.setpgid(0, 0)
    if jail.landlock is not None:
        _take(jail.landlock)
    os.closerange(RESULT_FD + 1, _MAX_FDS)
    for step in jail.shared_steps if shared else jail.steps:
        _take(step)
    if os.getppid() != jail.zygote_pid:
        raise ProcessLookupError("the zygote died first")


def _step(name: str, number: int, *arguments: int | ctypes.Array[ctypes.c_char]) -> Step:
    words: list[object] = [ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]
    return name, (ctypes.c_long(number), *words)


def _take(step: Step) -> int:
    name, arguments = step
    result: int = _raw_call(*arguments)
    if result < 0:
        raise OSError(ctypes.get_errno(), f"{name}: {os.strerror(ctypes.get_errno())}")
    return result


def _prctl_step(name: str, option: int, *arguments: int | ctypes.Array[ctypes.c_char]) -> Step:
    return _step(name, _NUMBERS["prctl"], option, *arguments, *[0] * (4 - len(arguments)))


def _limit_step(kind: int, value: int) -> Step:
    pair = struct.pack("2Q", *[_lowered(kind, value)] * 2)
    return _step("rlimits", _NUMBERS["prlimit64"], 0, kind, _buffer(pair), 0)


def _filter_step(bpf: bytes) -> Step:
    code = _buffer(bpf)
    program = _buffer(struct.pack("HP", len(bpf) // 8, ctypes.addressof(code)))
    _kept.append(code)
    return _prctl_step("seccomp", _PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, program)


def _cpu_timer_steps(cpu_s: float) -> tuple[Step, Step]:
    """Have SIGPROF sent after `cpu_s` of a process's exact CPU time.

    Not ITIMER_PROF: it counts whole ticks, and on a busy machine fired at 70% of the time.
    """
    timer = ctypes.c_int()
    event = _buffer(struct.pack("Qii48x", 0, signal.SIGPROF, 0))
    once = _buffer(struct.pack("4q", 0, 0, int(cpu_s), int((cpu_s - int(cpu_s)) * 1e9)))
    clock = ctypes.c_long(time.CLOCK_PROCESS_CPUTIME_ID)
    create, set_time = (ctypes.c_long(_NUMBERS[f"timer_{name}"]) for name in ("create", "settime"))
    zero = ctypes.c_long(0)
    return (
        ("cpu_timer", (create, clock, event, ctypes.byref(timer))),
        # The second call reads the timer's number, which the first one wrote.
        ("cpu_timer", (set_time, timer, zero, once, zero)),
    )


def _buffer(data: bytes) -> ctypes.Array[ctypes.c_char]:
    return ctypes.create_string_buffer(data, len(data))


def _landlock_ruleset() -> int | None:
    """Return a ruleset that allows nothing at all, or None if the kernel has no Landlock."""
    version = _raw_call(_LANDLOCK_CREATE, None, ctypes.c_size_t(0), 1)
    if version < 1:
        return None
    # Rights grew with the version (linux/landlock.h); unknown ones would be refused.
    file_rights = {1: 13, 2: 14, 3: 15, 4: 15}.get(version, 16)
    attributes = _buffer(struct.pack("QQQ", (1 << file_rights) - 1, 0b11, 0b11))
    size = 8 if version < 4 else 16 if version < 6 else 24
    return _take(_step("landlock", _LANDLOCK_CREATE, attributes, size, 0))


def _lowered(kind: int, value: int) -> int:
    _, hard = resource.getrlimit(kind)
    return value if hard == resource.RLIM_INFINITY else min(value, hard)


def _lower(kind: int, value: int) -> None:
    value = _lowered(kind, value)
    resource.setrlimit(kind, (value, value))
