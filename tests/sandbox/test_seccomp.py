"""The filter for both machines, executed by a small interpreter of classic BPF."""

from __future__ import annotations

import errno
import struct

import pytest

from pad_ray.sandbox.seccomp import assemble
from pad_ray.sandbox.syscalls import MACHINES, SHARED

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
MMAP = {"x86_64": 9, "aarch64": 222}
machines = pytest.mark.parametrize("machine", sorted(MACHINES))


def verdict(
    machine: str,
    number: int,
    protection: int = 0,
    arch: int | None = None,
    besides: dict[str, tuple[int | None, int | None]] | None = None,
) -> int:
    data = struct.pack("<IIQ6Q", number, arch or MACHINES[machine][1], 0, 0, 0, protection, 0, 0, 0)
    program = list(struct.iter_unpack("HBBI", assemble(machine, besides)))
    word = at = 0
    while True:
        code, when_true, when_false, operand = program[at]
        at += 1
        if code == 0x06:
            return int(operand)
        if code == 0x20:
            (word,) = struct.unpack_from("<I", data, operand)
        else:
            holds = {0x15: word == operand, 0x35: word >= operand, 0x45: bool(word & operand)}[code]
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


@machines
def test_memory_may_not_be_executable(machine: str) -> None:
    assert verdict(machine, MMAP[machine], protection=3) == ALLOW
    assert verdict(machine, MMAP[machine], protection=7) == 0x50000 | errno.EACCES


@machines
def test_calls_of_another_architecture_kill(machine: str) -> None:
    assert verdict(machine, READ[machine], arch=0x40000003) == KILL


def test_an_unknown_machine_is_refused_by_name() -> None:
    with pytest.raises(OSError, match="riscv64"):
        assemble("riscv64")
