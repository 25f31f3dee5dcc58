"""The seccomp-bpf filter of a child, assembled in pure Python."""

from __future__ import annotations

import errno
import struct

from pad_ray.sandbox.syscalls import ALLOWED, MACHINES, NO_EXEC, REFUSED

# linux/bpf_common.h, linux/seccomp.h
_LOAD, _EQUAL, _ANY_BIT, _RETURN = 0x20, 0x15, 0x45, 0x06
_KILL, _ERRNO, _ALLOW = 0x80000000, 0x00050000, 0x7FFF0000
# Offsets in struct seccomp_data; both machines are little-endian, so this is arg 2's low word.
_NUMBER_AT, _ARCH_AT, _PROT_AT = 0, 4, 32
_PROT_EXEC = 4


def assemble(machine: str) -> bytes:
    """Return the filter for `machine` as an array of struct sock_filter.

    Raises OSError(ENOSYS) on a machine without a system-call table here.
    """
    if machine not in MACHINES:
        raise OSError(errno.ENOSYS, f"no system-call table for {machine}")
    column, arch = MACHINES[machine]
    code = [
        _op(_LOAD, _ARCH_AT),
        _op(_EQUAL, arch, jump_true=1),
        _op(_RETURN, _KILL),
        _op(_LOAD, _NUMBER_AT),
    ]
    code += _rules(ALLOWED, column, _ALLOW)
    for number in _numbers(NO_EXEC, column):
        code += [
            _op(_EQUAL, number, jump_false=4),
            _op(_LOAD, _PROT_AT),
            _op(_ANY_BIT, _PROT_EXEC, jump_false=1),
            _op(_RETURN, _ERRNO | errno.EACCES),
            _op(_RETURN, _ALLOW),
        ]
    for code_number, calls in REFUSED.items():
        code += _rules(calls, column, _ERRNO | code_number)
    # x32 calls share the x86_64 arch value but carry bit 30, match no rule, and end here.
    return b"".join([*code, _op(_RETURN, _KILL)])


def _rules(
    calls: dict[str, tuple[int | None, int | None]], column: int, action: int
) -> list[bytes]:
    rules = []
    for number in _numbers(calls, column):
        rules += [_op(_EQUAL, number, jump_false=1), _op(_RETURN, action)]
    return rules


def _numbers(calls: dict[str, tuple[int | None, int | None]], column: int) -> list[int]:
    return [row[column] for row in calls.values() if row[column] is not None]  # type: ignore[misc]


def _op(code: int, operand: int, jump_true: int = 0, jump_false: int = 0) -> bytes:
    return struct.pack("HBBI", code, jump_true, jump_false, operand)
