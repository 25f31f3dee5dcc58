"""Where a statement of a program ends, read token by token as the program is written.

A step is one completed statement of `solution()`'s body, or one at module level. What stands
above it rides along: comments, blank lines, the `def` line, and a whole block (`if`, `for`, a
helper function), because only the line below a block shows that it has closed.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

# Enough for the longest word that is looked for, and a character after it.
_HEAD_CHARS = 20
_ENTRY = re.compile(r"(async )?def solution(?!\w)")
_OPENING, _CLOSING = frozenset("([{"), frozenset(")]}")


class Scan(NamedTuple):
    """What is known of the line that is being written; immutable, so that forks share it."""

    depth: int = 0
    quote: str = ""
    pending: str = ""
    comment: bool = False
    joined: bool = False
    indent: int = 0
    head: str = ""
    last: str = ""
    in_solution: bool = False
    body: int = -1


class Scanned(NamedTuple):
    """The state after some text, how many statements ended in it, and whether it returned."""

    state: Scan
    ended: int
    returned: bool


@lru_cache(maxsize=1 << 16)
def scan(state: Scan, text: str) -> Scanned:
    """Read on: `text` is what one token adds."""
    ended = 0
    returned = False
    for char in text:
        if char == "\n" and _closes(state):
            state, ends, returns = _end_of_line(state)
            ended += ends
            returned = returned or returns
        else:
            state = _char(state, char)
    return Scanned(state, ended, returned)


def split_steps(program: str) -> list[str]:
    """Return a program's steps; joined they are the program, with a newline at its end.

    What follows the last completed statement belongs to the last step.
    """
    steps: list[str] = []
    state, current = Scan(), ""
    # Not `splitlines`, for which a form feed in a string ends a line.
    for line in program.rstrip("\n").split("\n"):
        current += line + "\n"
        state, ended, _ = scan(state, line + "\n")
        if ended:
            steps.append(current)
            current = ""
    if current.strip():
        steps.append(current)
    return steps


def _closes(state: Scan) -> bool:
    """Tell whether a newline here ends the logical line."""
    return state.depth == 0 and len(state.quote) < 3 and not state.joined


def _end_of_line(state: Scan) -> tuple[Scan, bool, bool]:
    fresh = Scan(in_solution=state.in_solution, body=state.body)
    if not state.head:
        return fresh, False, False
    # A decorator is a part of what it decorates.
    rides_along = state.last == ":" or state.head.startswith("@")
    if state.indent == 0:
        is_entry = _ENTRY.match(state.head) is not None
        # One whose body stands behind its colon is whole.
        opens = is_entry and rides_along
        return Scan(in_solution=opens), not rides_along, is_entry and not opens
    if not state.in_solution:
        return fresh, False, False
    if state.body < 0:
        fresh = fresh._replace(body=state.indent)
    if rides_along or state.indent > fresh.body:
        return fresh, False, False
    return fresh, True, _is_return(state.head)


def _is_return(head: str) -> bool:
    return head.startswith("return") and not head[6:7].isalnum() and head[6:7] != "_"


def _char(state: Scan, char: str) -> Scan:
    if state.comment:
        # Inside brackets, for elsewhere a newline ends the statement.
        return state._replace(comment=False) if char == "\n" else state
    if state.quote:
        return _quoted(state, char)
    if state.pending:
        state = _after_quotes(state, char)
        if state.quote or state.pending:
            return state
    if char == "\n":
        return state._replace(joined=False)
    if char in "\r\f":
        return state
    if char in " \t" and not state.head:
        return state._replace(indent=state.indent + (4 if char == "\t" else 1))
    if char == "#":
        return state._replace(comment=True)
    if char in "'\"":
        return _seen(state._replace(pending=char), char)
    if char in _OPENING:
        return _seen(state._replace(depth=state.depth + 1), char)
    if char in _CLOSING:
        return _seen(state._replace(depth=max(0, state.depth - 1)), char)
    if char in " \t":
        return state if len(state.head) >= _HEAD_CHARS else _headed(state, char)
    return _seen(state._replace(joined=char == "\\"), char)


def _after_quotes(state: Scan, char: str) -> Scan:
    """Decide, a character late, whether one, two or three quotes have opened a string."""
    opened = state.pending
    if char == opened[0] and len(opened) < 3:
        opened += char
        if len(opened) < 3:
            return state._replace(pending=opened)
        return state._replace(pending="", quote=opened)
    if len(opened) == 2:  # an empty string; the character stands after it
        return state._replace(pending="")
    return _quoted(state._replace(pending="", quote=opened), char)


def _quoted(state: Scan, char: str) -> Scan:
    if state.joined:  # the character after a backslash
        return state._replace(joined=False)
    if char == "\\":
        return state._replace(joined=True)
    if len(state.quote) == 1:
        return state._replace(quote="") if char in (state.quote, "\n") else state
    closing = state.pending + char if char == state.quote[0] else ""
    if closing == state.quote:
        return state._replace(quote="", pending="")
    return state._replace(pending=closing)


def _headed(state: Scan, char: str) -> Scan:
    return state._replace(head=(state.head + char)[:_HEAD_CHARS])


def _seen(state: Scan, char: str) -> Scan:
    return _headed(state, char)._replace(last=char)
