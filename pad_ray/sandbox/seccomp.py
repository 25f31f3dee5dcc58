"""The seccomp-bpf filter of a child, assembled in pure Python."""

from __future__ import annotations

import errno
import struct
from collections.abc import Mapping, Sequence
from typing import TypeAlias

from pad_ray.sandbox.syscalls import ALLOWED, CHECKED, MACHINES, REFUSED, Check

# linux/bpf_common.h, linux/seccomp.h
_LOAD, _EQUAL, _AT_LEAST, _AND, _RETURN = 0x20, 0x15, 0x35, 0x54, 0x06
_KILL, _ERRNO, _ALLOW = 0x80000000, 0x00050000, 0x7FFF0000
# Offsets in struct seccomp_data; both machines are little-endian, so an argument's low word is its
# first.
_NUMBER_AT, _ARCH_AT, _ARGUMENTS_AT, _ARGUMENT_BYTES = 0, 4, 16, 8


_Calls: TypeAlias = Mapping[str, tuple[int | None, int | None]]
_Node: TypeAlias = tuple[int, int | bytes, int | bytes]


def assemble(machine: str, besides: _Calls | None = None) -> bytes:
    """Return the filter for `machine` as an array of struct sock_filter.

    `besides` are calls to allow besides those that every child may make. Raises OSError(ENOSYS)
    on a machine without a system-call table here.
    """
    if machine not in MACHINES:
        raise OSError(errno.ENOSYS, f"no system-call table for {machine}")
    column, arch = MACHINES[machine]
    search = _search(_ranges(column, besides or {}))
    ends = list(dict.fromkeys(end for _, *ends in search for end in ends if isinstance(end, bytes)))
    code = [
        _op(_LOAD, _ARCH_AT),
        _op(_EQUAL, arch, jump_true=1),
        _op(_RETURN, _KILL),
        _op(_LOAD, _NUMBER_AT),
    ]
    places = {end: len(search) + sum(map(_length, ends[:i])) for i, end in enumerate(ends)}
    for at, (number, high, low) in enumerate(search):
        jumps = [places[to] if isinstance(to, bytes) else to for to in (high, low)]
        code.append(_op(_AT_LEAST, number, *(to - at - 1 for to in jumps)))
    return b"".join(code + ends)


def _length(end: bytes) -> int:
    return len(end) // 8


def _ranges(column: int, besides: _Calls) -> list[tuple[int, bytes]]:
    """Return the first number of each range of calls that are treated alike, and how."""
    kill = _op(_RETURN, _KILL)
    rules = {0: kill}
    for refusal, calls in REFUSED.items():
        rules |= dict.fromkeys(_numbers(calls, column), _op(_RETURN, _ERRNO | refusal))
    rules |= dict.fromkeys(_numbers({**ALLOWED, **besides}, column), _op(_RETURN, _ALLOW))
    for check, row in CHECKED.values():
        rules |= dict.fromkeys(_numbers({"": row}, column), _checked(check))
    # x32 calls share the x86_64 arch value but carry bit 30, and end in the last range.
    treated = [rules.get(number, kill) for number in range(max(rules) + 2)]
    starts = [n for n, rule in enumerate(treated) if n == 0 or rule != treated[n - 1]]
    return [(start, treated[start]) for start in starts]


def _checked(check: Check) -> bytes:
    """Return code that allows the call if its argument has one of the values."""
    values = sorted(check.values)
    tests = [_op(_EQUAL, value, jump_true=len(values) - at) for at, value in enumerate(values)]
    return b"".join(
        [
            _op(_LOAD, _ARGUMENTS_AT + check.argument * _ARGUMENT_BYTES),
            _op(_AND, check.mask & 0xFFFFFFFF),
            *tests,
            _op(_RETURN, _ERRNO | check.refusal),
            _op(_RETURN, _ALLOW),
        ]
    )


def _search(ranges: Sequence[tuple[int, bytes]], at: int = 0) -> list[_Node]:
    """Return a binary search of the loaded number among ranges, as nodes from place `at` on.

    A node is a number, and where to go from it on and below it: to another node's place, or to an
    action. The kernel tries a filter on every call when it is attached, and compiles it, so that
    a short search attaches in a fraction of a list's time.
    """
    middle = len(ranges) // 2
    below, above = ranges[:middle], ranges[middle:]
    low = _search(below, at + 1) if len(below) > 1 else []
    high = _search(above, at + 1 + len(low)) if len(above) > 1 else []
    to_low = at + 1 if low else below[0][1]
    to_high = at + 1 + len(low) if high else above[0][1]
    return [(above[0][0], to_high, to_low), *low, *high]


def _numbers(calls: _Calls, column: int) -> list[int]:
    return [row[column] for row in calls.values() if row[column] is not None]  # type: ignore[misc]


def _op(code: int, operand: int, jump_true: int = 0, jump_false: int = 0) -> bytes:
    return struct.pack("HBBI", code, jump_true, jump_false, operand)
