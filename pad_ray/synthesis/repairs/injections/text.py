"""Errors that no tree can hold: the text no longer compiles."""

from __future__ import annotations

import ast
import random
import re

from pad_ray.synthesis.repairs.injections.flow import pick
from pad_ray.synthesis.repairs.injections.source import SIMPLE, Source, rendered

__all__ = ["brackets", "illegal_return", "indentation"]

# Texts and comments are matched so that the brackets in them are passed over.
_TOKENS = re.compile(
    r'"""(?:\\.|[^\\])*?"""'
    r"|'''(?:\\.|[^\\])*?'''"
    r'|"(?:\\.|[^"\\])*"'
    r"|'(?:\\.|[^'\\])*'"
    r"|#[^\n]*"
    r"|[()\[\]{}]",
    re.DOTALL,
)


def illegal_return(source: Source, question: str, rng: random.Random) -> str | None:
    """Put a return outside of the function: the end of the body loses its indentation."""
    last = source.body[-1]
    if isinstance(last, ast.Return):
        count = rng.choice((1, 1, 1, 2, 3))
        tail = source.body[-count:] if count < len(source.body) else [last]
        if len(source.body) > 1 and all(source.starts_line(node) for node in tail):
            return _dedented(source, tail[0].lineno - 1)
    returns = [p.node for p, _ in source.walk.statements if isinstance(p.node, ast.Return)]
    node = pick(returns, rng)
    if node is None:
        return None
    end = source.lines_of(source.function).end
    text = rendered(node, source.text[source.start(node) : source.end(node)])
    return "\n".join([*source.lines[:end], text, *source.lines[end:]])


def _dedented(source: Source, start: int) -> str:
    """Return the text with the function's lines from `start` moved to the margin."""
    lines, end = source.lines, source.lines_of(source.function).end
    indent = lines[start][: len(lines[start]) - len(lines[start].lstrip())]
    tail = [line.removeprefix(indent) for line in lines[start:end]]
    return "\n".join([*lines[:start], *tail, *lines[end:]])


def indentation(source: Source, question: str, rng: random.Random) -> str | None:
    """Indent one line of the body otherwise than its neighbours."""
    choices = []
    for place, node in enumerate(source.body):
        if isinstance(node, SIMPLE) and source.starts_line(node):
            choices += [(node, width) for width in _wrong_widths(source, place, node)]
    choice = pick(choices, rng)
    if choice is None:
        return None
    node, width = choice
    line = source.lines[node.lineno - 1]
    start, column = source.start(node), len(line) - len(line.lstrip())
    if width > column:
        return source.inserted(start, " " * (width - column))
    return source.text[: start - column + width] + source.text[start:]


def _wrong_widths(source: Source, place: int, node: ast.stmt) -> list[int]:
    """Return the widths, in characters, at which a statement of the body is an error.

    Deeper is none behind a block, which the line would join, nor for a lone statement; at the
    margin a statement ends the function, which is an error where the function goes on or is empty.
    """
    line = source.lines[node.lineno - 1]
    column = len(line) - len(line.lstrip())
    goes_on = place + 1 < len(source.body) and source.starts_line(source.body[place + 1])
    if goes_on and not source.ends_line(node):
        return []
    widths: list[int] = []
    if isinstance(source.body[place - 1], SIMPLE) if place else goes_on:
        widths += [column + 1, column + 2, column + 4]
    if goes_on or place == 0:
        widths.append(0)
    if goes_on or place:
        widths += [w for w in (column - 1, column - 2) if w > 0 and line[:column].isspace()]
    return widths if "\t" not in line[:column] else [w for w in widths if w == 0 or w > column]


def brackets(source: Source, question: str, rng: random.Random) -> str | None:
    """Lose a bracket, or add one too many."""
    body = source.start(source.body[0])
    found = [m.start() for m in _TOKENS.finditer(source.text, body) if m.group() in set("()[]{}")]
    end = source.end(source.body[-1])
    lost = pick([i for i in found if i < end], rng)
    if lost is not None and rng.random() < 0.6:
        return source.text[:lost] + source.text[lost + 1 :]
    places = [p.node for p, _ in source.walk.statements if isinstance(p.node, SIMPLE)]
    node = pick(places, rng)
    if node is None:
        return None
    value = getattr(node, "value", None)
    if isinstance(value, ast.expr) and rng.random() < 0.5:
        return source.inserted(source.start(value), "(")
    return source.inserted(source.end(node), ")")
