"""Frames on the pipes between the owner, its zygote and the zygote's children."""

from __future__ import annotations

import os
import select
import struct
import time
from typing import NamedTuple

# A program that only waits for a core may take so many times its wall limit, never more.
STRETCH = 10
NONCE_BYTES = 16
# A child that could not lock itself in ends with this before it runs anything.
EXIT_NOT_JAILED = 99

_LENGTH = struct.Struct("<I")
_REPLY = struct.Struct("<BiddI")

# How a child ended, as its zygote saw it.
FRAMED, UNFRAMED, TIMED_OUT, OVERFLOWED = range(4)


class Reply(NamedTuple):
    """The zygote's answer: `status` is wait4's, `report` the child's own (untrusted) JSON."""

    ending: int
    status: int
    cpu_s: float
    wall_s: float
    report: bytes


def write_all(fd: int, data: bytes) -> None:
    """Write all of `data`, blocking."""
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def read_exact(fd: int, size: int, deadline: float | None = None) -> bytes:
    """Read `size` bytes; EOFError at an early end, TimeoutError past `deadline` (monotonic)."""
    data = bytearray()
    poller = select.poll()
    poller.register(fd, select.POLLIN)
    while len(data) < size:
        if deadline is not None and not poller.poll(max(0.0, deadline - time.monotonic()) * 1e3):
            raise TimeoutError("no answer in time")
        chunk = os.read(fd, min(size - len(data), 1 << 20))
        if not chunk:
            raise EOFError("the other end closed the pipe")
        data += chunk
    return bytes(data)


def write_frame(fd: int, body: bytes) -> None:
    """Write a length and `body`."""
    write_all(fd, _LENGTH.pack(len(body)) + body)


def read_frame(fd: int, deadline: float | None = None) -> bytes:
    """Read what `write_frame` wrote; errors as `read_exact`."""
    (size,) = _LENGTH.unpack(read_exact(fd, _LENGTH.size, deadline))
    return read_exact(fd, size, deadline)


def write_reply(fd: int, reply: Reply) -> None:
    """Write a reply header and its report."""
    write_all(fd, _REPLY.pack(*reply[:4], len(reply.report)) + reply.report)


def read_reply(fd: int, deadline: float) -> Reply:
    """Read what `write_reply` wrote; errors as `read_exact`."""
    ending, status, cpu_s, wall_s, size = _REPLY.unpack(read_exact(fd, _REPLY.size, deadline))
    return Reply(ending, status, cpu_s, wall_s, read_exact(fd, size, deadline))


def seal(nonce: bytes, report: bytes) -> bytes:
    """Return the one frame a child may send: nonce, length, report."""
    return nonce + _LENGTH.pack(len(report)) + report


def unseal(nonce: bytes, data: bytes) -> bytes | None:
    """Return the report if `data` is exactly one frame with this nonce, else None."""
    head = NONCE_BYTES + _LENGTH.size
    if len(data) < head or data[:NONCE_BYTES] != nonce:
        return None
    (size,) = _LENGTH.unpack(data[NONCE_BYTES:head])
    return data[head:] if len(data) == head + size else None
