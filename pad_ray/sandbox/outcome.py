"""What became of one program."""

from __future__ import annotations

import json
import os
import signal
from dataclasses import dataclass, replace
from typing import Any, Literal, NoReturn, get_args

from pad_ray.sandbox.limits import Limits
from pad_ray.sandbox.values import Value, from_wire
from pad_ray.sandbox.wire import EXIT_NOT_JAILED, FRAMED, OVERFLOWED, TIMED_OUT, Reply

Status = Literal["ok", "error", "timeout", "memory", "forbidden", "crashed", "invalid"]


@dataclass(frozen=True)
class Outcome:
    """The result of one program.

    status: `ok`; `error` (an exception, SyntaxError included, which a repair may cure);
        `timeout` (wall or CPU, told apart by the message); `memory` (a MemoryError);
        `forbidden` (an uncaught PermissionError, an import of a standard-library module outside
        `ALLOWED_MODULES`, or a system call outside the jail's list); `crashed` (another signal,
        or no properly framed result); `invalid` (no `solution()`, or a result that `values`
        refuses or that is over `output_kb`).
    value: the result when `ok`: None, bool, int, float, str, or lists and dicts of these.
    error_type, message: the exception's type and the interpreter's message (500 characters).
    error_line: line in the program, from 1, where it was raised, or None.
    cpu_s, wall_s: seconds, the child's start-up (about 2 ms) included.
    """

    status: Status
    value: Value = None
    error_type: str | None = None
    error_line: int | None = None
    message: str | None = None
    cpu_s: float = 0.0
    wall_s: float = 0.0


def judge(reply: Reply, limits: Limits) -> Outcome:
    """Turn the zygote's reply into an Outcome; a malformed report is `crashed`."""
    if reply.ending == FRAMED:
        try:
            outcome = _parse(reply.report, limits)
        except (ValueError, TypeError, KeyError, RecursionError):
            outcome = Outcome("crashed", message="the program sent a malformed result")
    elif reply.ending == TIMED_OUT:
        outcome = Outcome("timeout", message=f"wall time limit of {limits.wall_s:g} s")
    elif reply.ending == OVERFLOWED:
        outcome = Outcome("crashed", message="the program flooded its result pipe")
    else:
        outcome = _by_wait_status(reply.status, limits)
    return replace(outcome, cpu_s=reply.cpu_s, wall_s=reply.wall_s)


def _parse(report: bytes, limits: Limits) -> Outcome:
    fields: dict[str, Any] = json.loads(report, parse_constant=_refuse)
    status = fields["status"]
    if status not in get_args(Status):
        raise ValueError("no such status")
    line = fields.get("error_line")
    return Outcome(
        status=status,
        value=from_wire(fields.get("value"), limits.output_kb << 10),
        error_type=_text(fields.get("error_type")),
        error_line=line if type(line) is int and line < 1 << 31 else None,
        message=_text(fields.get("message")),
    )


def _text(value: object) -> str | None:
    text = from_wire(value, 1000)
    if text is not None and not isinstance(text, str):
        raise ValueError("not a text")
    return text


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} in a result")


def _by_wait_status(status: int, limits: Limits) -> Outcome:
    if not os.WIFSIGNALED(status):
        if os.WEXITSTATUS(status) == EXIT_NOT_JAILED:
            return Outcome("crashed", message="the child could not be locked in; nothing was run")
        return Outcome("crashed", message="the program ended its process without a result")
    number = os.WTERMSIG(status)
    if number in (signal.SIGPROF, signal.SIGXCPU):
        return Outcome("timeout", message=f"CPU time limit of {limits.cpu_s:g} s")
    if number == signal.SIGSYS:
        return Outcome("forbidden", message="a system call outside the sandbox's list")
    if number == signal.SIGKILL:
        message = "killed without a result (pipe closed early, or the machine's memory ran out)"
        return Outcome("crashed", message=message)
    name = signal.Signals(number).name if number in list(signal.Signals) else str(number)
    return Outcome("crashed", message=f"the program's process died of {name}")
