"""Frames on the pipes between the owner, its zygote and the zygote's children."""

from __future__ import annotations

import os
import select
import struct
import time
from collections.abc import Sequence
from typing import NamedTuple

# A program that only waits for a core may take so many times its wall limit, never more.
STRETCH = 10
NONCE_BYTES = 16
# A child that could not lock itself in ends with this before it runs anything.
EXIT_NOT_JAILED = 99

_LENGTH = struct.Struct("<I")
_REPLY = struct.Struct("<IBiddI")

# How a child ended, as its zygote saw it.
FRAMED, UNFRAMED, TIMED_OUT, OVERFLOWED = range(4)


class Reply(NamedTuple):
    """What became of one program: `status` is wait4's, `report` the child's (untrusted) JSON.

    `report` of a child killed by seccomp is the last thing it was seen to try.
    """

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


def write_frame(fd: int, body: bytes | bytearray) -> None:
    """Write a length and `body`."""
    write_all(fd, _LENGTH.pack(len(body)) + body)


def read_frame(fd: int, deadline: float | None = None) -> bytes:
    """Read what `write_frame` wrote; errors as `read_exact`."""
    (size,) = _LENGTH.unpack(read_exact(fd, _LENGTH.size, deadline))
    return read_exact(fd, size, deadline)


def pack_programs(programs: Sequence[bytes]) -> bytes:
    """Return a request's body: how many programs, their lengths, the texts."""
    lengths = struct.pack(f"<{len(programs) + 1}I", len(programs), *map(len, programs))
    return lengths + b"".join(programs)


def program_spans(body: bytes) -> list[tuple[int, int]]:
    """Return where each program lies in a request's body."""
    (count,) = _LENGTH.unpack_from(body)
    start = _LENGTH.size * (count + 1)
    spans = []
    for length in struct.unpack_from(f"<{count}I", body, _LENGTH.size):
        spans.append((start, start + length))
        start += length
    return spans


def pack_reply(index: int, reply: Reply) -> bytes:
    """Return one part of an answer's body: the reply to the request's program `index`."""
    return _REPLY.pack(index, *reply[:4], len(reply.report)) + reply.report


def unpack_replies(body: bytes, count: int) -> list[Reply]:
    """Return the replies to a request of `count` programs, in the request's order.

    Raises struct.error or ValueError where the body is malformed or a reply is missing.
    """
    replies: dict[int, Reply] = {}
    at = 0
    while at < len(body):
        index, ending, status, cpu_s, wall_s, size = _REPLY.unpack_from(body, at)
        at += _REPLY.size + size
        if at > len(body):
            raise ValueError("a reply is cut off")
        replies[index] = Reply(ending, status, cpu_s, wall_s, body[at - size : at])
    if replies.keys() != set(range(count)):
        raise ValueError(f"not one reply for each of {count} programs")
    return [replies[i] for i in range(count)]


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
