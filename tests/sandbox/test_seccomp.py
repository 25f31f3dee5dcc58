"""The filter for both machines, executed by a small interpreter of classic BPF."""

from __future__ import annotations

import errno
import struct
from collections.abc import Sequence

import pytest

from pad_ray.sandbox.seccomp import assemble
from pad_ray.sandbox.syscalls import CHECKED, MACHINES, SHARED

KILL, ALLOW = 0x80000000, 0x7FFF0000
# execve, execveat, clone, (fork, vfork,) clone3, kill, tgkill, ptrace, socket, connect, prctl,
# seccomp, unlinkat, setuid, mount, io_uring_setup, process_vm_readv, memfd_create, rt_sigreturn,
# pidfd_send_signal, timer_settime, timer_delete
DENIED = {
    "x86_64": "59 322 56 57 58 435 62 234 101 41 42 157 317 263 105 165 425 310 319 15 424 223 226",
    "aarch64": "221 281 220 435 129 131 117 198 203 167 277 35 146 40 425 270 279 139 424 110 111",
}
READ = {"x86_64": 0, "aarch64": 63}
OPENAT = {"x86_64": 257, "aarch64": 56}
SIGACTION = {"x86_64": 13, "aarch64": 134}
machines = pytest.mark.parametrize("machine", sorted(MACHINES))


def verdict(
    machine: str,
    number: int,
    arguments: Sequence[int] = (),
    arch: int | None = None,
    besides: dict[str, tuple[int | None, int | None]] | None = None,
) -> int:
    words = [word & (1 << 64) - 1 for word in (*arguments, 0, 0, 0, 0, 0, 0)[:6]]
    data = struct.pack("<IIQ6Q", number, arch or MACHINES[machine][1], 0, *words)
    program = list(struct.iter_unpack("HBBI", assemble(machine, besides)))
    word = at = 0
    while True:
        code, when_true, when_false, operand = program[at]
        at += 1
        if code == 0x06:
            return int(operand)
        if code == 0x20:
            (word,) = struct.unpack_from("<I", data, operand)
        elif code == 0x54:
            word &= operand
        else:
            holds = {0x15: word == operand, 0x35: word >= operand}[code]
            at += when_true if holds else when_false


@machines
def test_dangerous_calls_kill(machine: str) -> None:
    assert {verdict(machine, int(number)) for number in DENIED[machine].split()} == {KILL}


@machines
def test_numbers_beyond_the_tables_kill(machine: str) -> None:
    for number in (500, 1000, 0x40000000, 0x40000001, 0xFFFFFFFF):
        assert verdict(machine, number) == KILL


@machines
def test_reading_is_allowed_and_opening_refused(machine: str) -> None:
    assert verdict(machine, READ[machine]) == ALLOW
    assert verdict(machine, OPENAT[machine]) == 0x50000 | errno.EACCES
    assert verdict(machine, SIGACTION[machine]) == 0x50000 | errno.EPERM


@machines
def test_only_a_shared_child_may_set_alarms(machine: str) -> None:
    number = SHARED["setitimer"][MACHINES[machine][0]]
    assert number is not None
    assert verdict(machine, number) == 0x50000 | errno.EPERM
    assert verdict(machine, number, besides=SHARED) == ALLOW
    for denied in DENIED[machine].split():
        assert verdict(machine, int(denied), besides=SHARED) == KILL


# Arguments that a call is allowed with, and others with how they are refused.
ARGUMENTS: dict[str, tuple[list[tuple[int, ...]], int, list[tuple[int, ...]]]] = {
    "mmap": ([(0, 0, 3)], errno.EACCES, [(0, 0, 7), (0, 0, 4), (0, 0, 1 << 32 | 5)]),
    "mprotect": ([(0, 0, 1)], errno.EACCES, [(0, 0, 4)]),
    # Clocks of the processes 1 and 1234, and of a thread; a device's.
    "clock_gettime": (
        [(0,), (1,), (2,), (3,), (11,)],
        errno.EINVAL,
        [(~1 << 3 | 2,), (~1234 << 3 | 2,), (~1234 << 3 | 6,), (~9 << 3 | 3,), (0xFFFFFFF2,)],
    ),
    "clock_getres": ([(0,), (1,)], errno.EINVAL, [(~1 << 3 | 2,)]),
    "clock_nanosleep": ([(0, 0), (1, 1)], errno.EINVAL, [(~1 << 3 | 2,)]),
    "sched_getaffinity": ([(0, 8)], errno.EPERM, [(1, 8), (-1, 8)]),
    # Requeues and locks that inherit priority.
    "futex": (
        [(0, 0), (0, 128), (0, 1), (0, 129), (0, 137), (0, 9 | 128 | 256), (0, 10)],
        errno.ENOSYS,
        [(0, op | flag) for op in (2, 3, 4, 5, 6, 7, 8, 11, 12, 13, 64) for flag in (0, 128)],
    ),
    "madvise": (
        [(0, 0, advice) for advice in (4, 8, 14, 15, 25)],
        errno.EINVAL,
        [(0, 0, advice) for advice in (9, 10, 12, 13, 20, 21, 22, 23, 100, 101)],
    ),
}


@machines
@pytest.mark.parametrize("call", ARGUMENTS)
def test_arguments_are_looked_at(machine: str, call: str) -> None:
    number = CHECKED[call][1][MACHINES[machine][0]]
    assert number is not None
    allowed, error, refused = ARGUMENTS[call]
    for besides in ({}, SHARED):
        assert {verdict(machine, number, a, besides=besides) for a in allowed} == {ALLOW}
        assert {verdict(machine, number, a, besides=besides) for a in refused} == {0x50000 | error}


def test_every_call_whose_arguments_are_looked_at_is_tested() -> None:
    assert ARGUMENTS.keys() == CHECKED.keys()


@machines
def test_calls_of_another_architecture_kill(machine: str) -> None:
    assert verdict(machine, READ[machine], arch=0x40000003) == KILL


def test_an_unknown_machine_is_refused_by_name() -> None:
    with pytest.raises(OSError, match="riscv64"):
        assemble("riscv64")
