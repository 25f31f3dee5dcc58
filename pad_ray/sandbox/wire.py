"""Frames on the pipes between the owner, its zygote and the zygote's children."""

from __future__ import annotations

import os
import select
import struct
import time
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, TypeAlias

# A program that only waits for a core may take so many times its wall limit, never more.
STRETCH = 10
NONCE_BYTES = 16
# A child that could not lock itself in ends with this before it runs anything.
EXIT_NOT_JAILED = 99

_LENGTH = struct.Struct("<I")
_REPLY = struct.Struct("<IBiddI")

# How a child ended, as its zygote saw it; NOT_RUN where the machine let it start none.
FRAMED, UNFRAMED, TIMED_OUT, OVERFLOWED, NOT_RUN = range(5)

# Returns once a descriptor is ready for an event of `poll`, or raises.
Wait: TypeAlias = Callable[[int, int], None]
# Does as os.write.
Write: TypeAlias = Callable[[int, memoryview], int]


class Reply(NamedTuple):
    """What became of one program: `status` is wait4's, `report` the child's (untrusted) JSON.

    `report` of a child killed by seccomp is the last thing it was seen to try, and that of one
    not run is why.
    """

    ending: int
    status: int
    cpu_s: float
    wall_s: float
    report: bytes


def until(deadline: float) -> Wait:
    """Return a wait that raises TimeoutError past `deadline` (monotonic)."""

    def wait(fd: int, event: int) -> None:
        if not poll_once(fd, event, deadline - time.monotonic()):
            raise TimeoutError("no answer in time")

    return wait


def poll_once(fd: int, event: int, seconds: float) -> bool:
    """Tell whether a descriptor becomes ready, or hangs up, within some seconds."""
    poller = select.poll()
    poller.register(fd, event)
    return bool(poller.poll(max(0.0, seconds) * 1e3))


def write_all(fd: int, data: bytes, wait: Wait | None = None, write: Write = os.write) -> None:
    """Write all of `data`; a descriptor that does not block needs a `wait`."""
    view = memoryview(data)
    while view:
        if wait is not None:
            wait(fd, select.POLLOUT)
        view = view[write(fd, view) :]


def read_exact(fd: int, size: int, wait: Wait) -> bytes:
    """Read `size` bytes; EOFError at an early end, and what `wait` raises."""
    data = bytearray()
    while len(data) < size:
        wait(fd, select.POLLIN)
        chunk = os.read(fd, min(size - len(data), 1 << 20))
        if not chunk:
            raise EOFError("the other end closed the pipe")
        data += chunk
    return bytes(data)


def write_frame(fd: int, body: bytes | bytearray, wait: Wait, write: Write = os.write) -> None:
    """Write a length and `body`."""
    write_all(fd, _LENGTH.pack(len(body)) + body, wait, write)


def read_frame(fd: int, wait: Wait) -> bytes:
    """Read what `write_frame` wrote; errors as `read_exact`."""
    (size,) = _LENGTH.unpack(read_exact(fd, _LENGTH.size, wait))
    return read_exact(fd, size, wait)


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


def unpack_replies(body: bytes) -> Iterator[tuple[int, Reply]]:
    """Yield the replies of a frame, each with its program's index in the request.

    An answer is as many frames as it takes, in any order. Raises struct.error or ValueError where
    the body is malformed.
    """
    at = 0
    while at < len(body):
        index, ending, status, cpu_s, wall_s, size = _REPLY.unpack_from(body, at)
        at += _REPLY.size + size
        if at > len(body):
            raise ValueError("a reply is cut off")
        yield index, Reply(ending, status, cpu_s, wall_s, body[at - size : at])


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
