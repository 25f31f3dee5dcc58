"""The lock-down: what the zygote does once, and what each child does before its program.

Needs no privileges; a root caller becomes an unprivileged user. Linux only.
"""

from __future__ import annotations

import contextlib
import ctypes
import math
import os
import platform
import resource
import signal
import struct
import time
from typing import NamedTuple

from pad_ray.sandbox.seccomp import assemble

NOBODY = 65534
RESULT_FD = 3
_MAX_FDS = 32
_STACK_BYTES = 8 << 20

# linux/prctl.h
_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS = 1, 4, 22, 38
_SECCOMP_MODE_FILTER = 2
# timer_create, timer_settime
_SYS_TIMER = {"x86_64": (222, 223), "aarch64": (107, 110)}
# The same on every machine.
_SYS_LANDLOCK_CREATE_RULESET, _SYS_LANDLOCK_RESTRICT_SELF = 444, 446

_libc = ctypes.CDLL(None, use_errno=True)


class Jail(NamedTuple):
    """All that a child needs to lock itself in, made once in the zygote.

    Not a dataclass: that module would add a megabyte to every fork.
    `landlock_fd` is None where the kernel has no Landlock; `address_space` is in bytes.
    """

    bpf: bytes
    landlock_fd: int | None
    address_space: int
    cpu_s: float
    zygote_pid: int


def harden_zygote() -> None:
    """Drop root, descriptors' targets, signal state and limits that no child may have."""
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
    _prctl("no_new_privs", _PR_SET_NO_NEW_PRIVS, 1)
    _prctl("dumpable", _PR_SET_DUMPABLE, 0)
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
    return Jail(
        bpf=assemble(platform.machine()),
        landlock_fd=_landlock_ruleset(),
        address_space=own_bytes + (memory_mb << 20),
        cpu_s=cpu_s,
        zygote_pid=os.getpid(),
    )


def layers(jail: Jail) -> dict[str, bool]:
    """Tell which layers hold for the children of this jail, once `enter` is known to work."""
    return {
        "seccomp": True,
        "no_new_privs": True,
        "rlimits": True,
        "parent_death_signal": True,
        "landlock": jail.landlock_fd is not None,
        "unprivileged_user": os.geteuid() != 0,
    }


def enter(jail: Jail) -> None:
    """Lock this (freshly forked) process in; only `RESULT_FD` and /dev/null stay open.

    The caller has put its result pipe at `RESULT_FD`. Raises OSError naming the step that the
    kernel refused.
    """
    _prctl("parent_death_signal", _PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != jail.zygote_pid:
        raise ProcessLookupError("the zygote died first")
    if jail.landlock_fd is not None:
        _syscall("landlock", _SYS_LANDLOCK_RESTRICT_SELF, jail.landlock_fd, 0)
    os.closerange(RESULT_FD + 1, _MAX_FDS)
    _lower(resource.RLIMIT_AS, jail.address_space)
    _lower(resource.RLIMIT_NPROC, 0)
    # Whole seconds, counted by ticks and so too many on a busy machine: a net under the timer.
    _lower(resource.RLIMIT_CPU, math.ceil(2 * jail.cpu_s) + 1)
    _start_cpu_timer(jail.cpu_s)
    code = ctypes.create_string_buffer(jail.bpf, len(jail.bpf))
    program = struct.pack("HP", len(jail.bpf) // 8, ctypes.addressof(code))
    _prctl("seccomp", _PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, program)


def _start_cpu_timer(cpu_s: float) -> None:
    """Have SIGPROF sent after `cpu_s` of this process's exact CPU time.

    Not ITIMER_PROF: it counts whole ticks, and on a busy machine fired at 70% of the time.
    """
    create, settime = _SYS_TIMER[platform.machine()]
    timer = ctypes.c_int()
    event = struct.pack("Qii48x", 0, signal.SIGPROF, 0)
    clock = time.CLOCK_PROCESS_CPUTIME_ID
    _syscall("cpu_timer", create, clock, event, ctypes.addressof(timer))
    seconds = int(cpu_s)
    once = struct.pack("4q", 0, 0, seconds, int((cpu_s - seconds) * 1e9))
    _syscall("cpu_timer", settime, timer.value, 0, once, 0)


def _landlock_ruleset() -> int | None:
    """Return a ruleset that allows nothing at all, or None if the kernel has no Landlock."""
    version = _libc.syscall(_SYS_LANDLOCK_CREATE_RULESET, None, ctypes.c_size_t(0), 1)
    if version < 1:
        return None
    # Rights grew with the version (linux/landlock.h); unknown ones would be refused.
    file_rights = {1: 13, 2: 14, 3: 15, 4: 15}.get(version, 16)
    attributes = struct.pack("QQQ", (1 << file_rights) - 1, 0b11, 0b11)
    size = 8 if version < 4 else 16 if version < 6 else 24
    return _syscall("landlock", _SYS_LANDLOCK_CREATE_RULESET, attributes, size, 0)


def _lower(kind: int, value: int) -> None:
    _, hard = resource.getrlimit(kind)
    if hard != resource.RLIM_INFINITY:
        value = min(value, hard)
    resource.setrlimit(kind, (value, value))


def _prctl(name: str, option: int, *arguments: int | bytes) -> None:
    padded = [*arguments, *[0] * (4 - len(arguments))]
    words = [a if isinstance(a, bytes) else ctypes.c_ulong(a) for a in padded]
    if _libc.prctl(option, *words) != 0:
        raise OSError(ctypes.get_errno(), f"{name}: {os.strerror(ctypes.get_errno())}")


def _syscall(name: str, number: int, *arguments: int | bytes) -> int:
    words = [a if isinstance(a, bytes) else ctypes.c_long(a) for a in arguments]
    result: int = _libc.syscall(ctypes.c_long(number), *words)
    if result < 0:
        raise OSError(ctypes.get_errno(), f"{name}: {os.strerror(ctypes.get_errno())}")
    return result
