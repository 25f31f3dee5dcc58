"""System calls by name: numbers on x86_64 and aarch64 (None where it has no such call).

Sources: Linux arch/x86/entry/syscalls/syscall_64.tbl and include/uapi/asm-generic/unistd.h.
Any call in no table ends the program with SIGSYS; rt_sigreturn is one, because a forged signal
frame could mask the CPU timer's signal, and a child has no signal handlers to return from.
"""

from __future__ import annotations

import errno
from typing import NamedTuple

# machine name -> (column in the tables, AUDIT_ARCH value of linux/audit.h)
MACHINES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}


class Check(NamedTuple):
    """Values that an argument (numbered from 0) may have, after `mask`; else `refusal`, an errno.

    The kernel reads these arguments as 32 bits.
    """

    argument: int
    values: frozenset[int]
    refusal: int
    mask: int = 0xFFFFFFFF


# A clock of another process's CPU time is a negative number, made of the process's id.
_NO_PROCESS = Check(0, frozenset({0}), errno.EINVAL, mask=1 << 31)
# linux/futex.h: FUTEX_WAIT, _WAKE, _WAIT_BITSET and _WAKE_BITSET; flags FUTEX_PRIVATE_FLAG and
# FUTEX_CLOCK_REALTIME.
_WAIT_AND_WAKE = frozenset({0, 1, 9, 10})
_PRIVATE_OR_REALTIME = 128 | 256
# linux/mman.h: MADV_DONTNEED, _FREE, _HUGEPAGE, _NOHUGEPAGE and _COLLAPSE, which an allocator
# gives. Others let pages be merged with those of other processes, or written out.
_ADVICE = frozenset({4, 8, 14, 15, 25})
_PROT_EXEC = 4
_NOT_EXECUTABLE = Check(2, frozenset({0}), errno.EACCES, mask=_PROT_EXEC)

ALLOWED: dict[str, tuple[int | None, int | None]] = {
    "read": (0, 63),
    "write": (1, 64),
    "close": (3, 57),
    "fstat": (5, 80),
    "lseek": (8, 62),
    "poll": (7, None),
    "ppoll": (271, 73),
    "select": (23, None),
    "pselect6": (270, 72),
    "munmap": (11, 215),
    "mremap": (25, 216),
    "brk": (12, 214),
    "restart_syscall": (219, 128),
    "sched_yield": (24, 124),
    "getcpu": (309, 168),
    "nanosleep": (35, 101),
    "gettimeofday": (96, 169),
    "time": (201, None),
    "times": (100, 153),
    "getrusage": (98, 165),
    "getrandom": (318, 278),
    "getpid": (39, 172),
    "getppid": (110, 173),
    "gettid": (186, 178),
    "getuid": (102, 174),
    "geteuid": (107, 175),
    "getgid": (104, 176),
    "getegid": (108, 177),
    "getcwd": (79, 17),
    "exit": (60, 93),
    "exit_group": (231, 94),
}

# Allowed for some values of one argument.
CHECKED: dict[str, tuple[Check, tuple[int | None, int | None]]] = {
    "clock_gettime": (_NO_PROCESS, (228, 113)),
    "clock_getres": (_NO_PROCESS, (229, 114)),
    "clock_nanosleep": (_NO_PROCESS, (230, 115)),
    # Of another process it would tell whether there is one.
    "sched_getaffinity": (Check(0, frozenset({0}), errno.EPERM), (204, 123)),
    "futex": (Check(1, _WAIT_AND_WAKE, errno.ENOSYS, mask=~_PRIVATE_OR_REALTIME), (202, 98)),
    "madvise": (Check(2, _ADVICE, errno.EINVAL), (28, 233)),
    "mmap": (_NOT_EXECUTABLE, (9, 222)),
    "mprotect": (_NOT_EXECUTABLE, (10, 226)),
}

# Allowed besides in a child that runs many programs.
SHARED: dict[str, tuple[int | None, int | None]] = {"setitimer": (38, 103)}

# Innocent library code tries these and copes with a refusal, so they fail instead of killing.
# Refused sigaction and sigprocmask are also what makes the CPU timer impossible to ignore.
REFUSED: dict[int, dict[str, tuple[int | None, int | None]]] = {
    errno.EACCES: {
        "open": (2, None),
        "openat": (257, 56),
        "openat2": (437, 437),
        "creat": (85, None),
        "stat": (4, None),
        "lstat": (6, None),
        "newfstatat": (262, 79),
        "statx": (332, 291),
        "access": (21, None),
        "faccessat": (269, 48),
        "faccessat2": (439, 439),
        "readlink": (89, None),
        "readlinkat": (267, 78),
    },
    errno.EPERM: {
        "rt_sigaction": (13, 134),
        "rt_sigprocmask": (14, 135),
        "sigaltstack": (131, 132),
        "setitimer": (38, 103),
        "alarm": (37, None),
        "pipe": (22, None),
        "pipe2": (293, 59),
        "dup": (32, 23),
        "dup2": (33, None),
        "dup3": (292, 24),
        "fcntl": (72, 25),
        "ioctl": (16, 29),
        "getrlimit": (97, 163),
        "setrlimit": (160, 164),
        "prlimit64": (302, 261),
        "uname": (63, 160),
    },
}
