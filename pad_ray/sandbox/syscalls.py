"""System calls by name: numbers on x86_64 and aarch64 (None where it has no such call).

Sources: Linux arch/x86/entry/syscalls/syscall_64.tbl and include/uapi/asm-generic/unistd.h.
Any call in no table ends the program with SIGSYS; rt_sigreturn is one, because a forged signal
frame could mask the CPU timer's signal, and a child has no signal handlers to return from.
"""

from __future__ import annotations

import errno

# machine name -> (column in the tables, AUDIT_ARCH value of linux/audit.h)
MACHINES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}

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
    "madvise": (28, 233),
    "futex": (202, 98),
    "restart_syscall": (219, 128),
    "sched_yield": (24, 124),
    "sched_getaffinity": (204, 123),
    "getcpu": (309, 168),
    "nanosleep": (35, 101),
    "clock_nanosleep": (230, 115),
    "clock_gettime": (228, 113),
    "clock_getres": (229, 114),
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
    "uname": (63, 160),
    "getcwd": (79, 17),
    "exit": (60, 93),
    "exit_group": (231, 94),
}

# Allowed unless they ask for executable memory.
NO_EXEC: dict[str, tuple[int | None, int | None]] = {"mmap": (9, 222), "mprotect": (10, 226)}

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
    },
}
