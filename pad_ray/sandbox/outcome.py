"""What became of one program."""

from __future__ import annotations

import json
import os
import re
import signal
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

from pad_ray.sandbox.limits import Limits
from pad_ray.sandbox.values import MAX_DEPTH, MAX_DIGITS, Value, from_wire
from pad_ray.sandbox.wire import EXIT_NOT_JAILED, FRAMED, OVERFLOWED, TIMED_OUT, Reply

Status = Literal["ok", "error", "timeout", "memory", "forbidden", "crashed", "invalid"]
_STATUSES = frozenset(get_args(Status))
# A dict of the wire form is an object, a list and a pair; the report is an object itself.
_MAX_NESTING = 3 * MAX_DEPTH + 3
# So many digits are read whatever limit the owner has set (`sys.int_info`).
_DIGITS = 640
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*+"?', re.DOTALL)
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))


@dataclass(frozen=True)
class Outcome:
    """The result of one program.

    status: `ok`; `error` (an exception, or a value that `values` refuses: UnsupportedValue);
        `timeout`; `memory` (a MemoryError); `forbidden` (an uncaught PermissionError, an import
        of a standard-library module outside `ALLOWED_MODULES`, or a system call outside the
        jail's list); `crashed` (another signal, or no properly framed result); `invalid` (the
        text does not compile, or defines no `solution()`).
    value: the result when `ok`: None, bool, int, float, str, or lists and dicts of these; the
        module `values` has the rule for others, such as enums and dates.
    error_type: the exception's type; `WallTime` or `CPUTime` for a timeout, `NoSolution`, or the
        signal that ended the program.
    error_line, error_offset: line in the program where it was raised, and for a SyntaxError the
        column, both from 1, or None.
    message: the interpreter's message (500 characters), or what was tried.
    stdout: what was printed, its first `output_kb`; lost with a program that is killed.
    cpu_s, wall_s: seconds. A program that was run alone counts its child's start (about 2 ms).
    """

    status: Status
    value: Value = None
    error_type: str | None = None
    error_line: int | None = None
    error_offset: int | None = None
    message: str | None = None
    stdout: str = ""
    cpu_s: float = 0.0
    wall_s: float = 0.0


def judge(reply: Reply, limits: Limits) -> Outcome:
    """Turn the zygote's reply into an Outcome; a malformed report is `crashed`."""
    times = reply.cpu_s, reply.wall_s
    if reply.ending == FRAMED:
        try:
            return _parse(reply.report, limits, *times)
        except (ValueError, TypeError, KeyError):
            outcome = Outcome("crashed", message="the program sent a malformed result")
    elif reply.ending == TIMED_OUT:
        message = f"wall time limit of {limits.wall_s:g} s"
        outcome = Outcome("timeout", error_type="WallTime", message=message)
    elif reply.ending == OVERFLOWED:
        outcome = Outcome("crashed", message="the program flooded its result pipe")
    else:
        outcome = _by_wait_status(reply, limits)
    return replace(outcome, cpu_s=times[0], wall_s=times[1])


def _parse(report: bytes, limits: Limits, cpu_s: float, wall_s: float) -> Outcome:
    _refuse_deep(report)
    # A child of ours sends nothing else. Of bytes json would guess the encoding, and find other
    # strings in them than were looked at.
    fields: dict[str, Any] = json.loads(report.decode("ascii"), parse_int=_whole)
    status = fields["status"]
    longest = limits.output_kb << 10
    if status == "ok":
        value = from_wire(fields["value"], longest)
        stdout = _text(fields["stdout"], longest) or "" if "stdout" in fields else ""
        return Outcome("ok", value, stdout=stdout, cpu_s=cpu_s, wall_s=wall_s)
    if status not in _STATUSES:
        raise ValueError("no such status")
    return Outcome(
        status,
        error_type=_text(fields.get("error_type")),
        error_line=_position(fields.get("error_line")),
        error_offset=_position(fields.get("error_offset")),
        message=_text(fields.get("message")),
        stdout=_text(fields.get("stdout", ""), longest) or "",
        cpu_s=cpu_s,
        wall_s=wall_s,
    )


def _refuse_deep(report: bytes) -> None:
    """Raise ValueError for nesting that the parser, which recurses in C, should not be given."""
    if report.count(b"[") + report.count(b"{") <= _MAX_NESTING:
        return
    brackets = _STRING.sub(b"", report).translate(None, _NO_BRACKETS)
    for _ in range(_MAX_NESTING):
        before = len(brackets)
        brackets = brackets.replace(b"[]", b"").replace(b"{}", b"")
        if len(brackets) == before:
            break
    if brackets:
        raise ValueError("nests too deep, or does not close what it opens")


def _whole(digits: str) -> int:
    """Do as int(), whatever length of text the owner lets that read."""
    if len(digits) > MAX_DIGITS + 1:
        raise ValueError("a number of too many digits")
    sign, digits = (-1, digits[1:]) if digits[0] == "-" else (1, digits)
    number = 0
    for at in range(0, len(digits), _DIGITS):
        piece = digits[at : at + _DIGITS]
        number = number * 10 ** len(piece) + int(piece)
    return sign * number


def _text(value: object, longest: int = 1000) -> str | None:
    text = from_wire(value, longest)
    if text is not None and not isinstance(text, str):
        raise ValueError("not a text")
    return text


def _position(value: object) -> int | None:
    return value if type(value) is int and 0 <= value < 1 << 31 else None


def _by_wait_status(reply: Reply, limits: Limits) -> Outcome:
    if not os.WIFSIGNALED(reply.status):
        if os.WEXITSTATUS(reply.status) == EXIT_NOT_JAILED:
            return Outcome("crashed", message="the child could not be locked in; nothing was run")
        return Outcome("crashed", message="the program ended its process without a result")
    number = os.WTERMSIG(reply.status)
    name = signal.Signals(number).name if number in list(signal.Signals) else f"signal {number}"
    if number in (signal.SIGPROF, signal.SIGXCPU):
        message = f"CPU time limit of {limits.cpu_s:g} s"
        return Outcome("timeout", error_type="CPUTime", message=message)
    if number == signal.SIGSYS:
        tried = reply.report.decode(errors="replace")[:200]
        message = "a system call outside the sandbox's list" + (f", by {tried}" if tried else "")
        return Outcome("forbidden", error_type=name, message=message)
    if number == signal.SIGKILL:
        message = "killed without a result (pipe closed early, or the machine's memory ran out)"
        return Outcome("crashed", error_type=name, message=message)
    message = f"the program's process died of {name}"
    return Outcome("crashed", error_type=name, message=message)
