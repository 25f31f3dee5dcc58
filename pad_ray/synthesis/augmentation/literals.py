"""The numbers of a program: where its literals stand, and writing other ones in their place."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction

from pad_ray.synthesis.repairs.injections.source import Source
from pad_ray.tasks.quantities.arithmetic import number_value
from pad_ray.tasks.quantities.mentions import NUMBER

__all__ = ["Literal", "Numbers", "read_numbers", "restyled"]


@dataclass(frozen=True)
class Literal:
    """A number written in the code, `start` to `end` of its text."""

    start: int
    end: int
    value: Fraction
    is_float: bool


@dataclass(frozen=True)
class Numbers:
    """All numbers of a program.

    literals: those that may be a quantity.
    fixed: values that stand where none is meant (digits to round to, an index, a power), in a text
        or in a name; what has one of them is left alone.
    remarks: where comments and docstrings are, whose numbers are told again.
    """

    text: str
    literals: tuple[Literal, ...]
    fixed: frozenset[Fraction]
    remarks: tuple[tuple[int, int], ...]

    def written(self, new: Callable[[Fraction], Fraction | None]) -> str:
        """Return the program with the numbers that `new` gives in the place of others."""
        edits = [
            (one.start, one.end, _literal_text(value, one, self.text[one.start : one.end]))
            for one in self.literals
            if (value := new(one.value)) is not None
        ]
        for start, end in self.remarks:
            for match in NUMBER.finditer(self.text, start, end):
                value = new(number_value(match.group()))
                if value is not None:
                    edits.append((*match.span(), restyled(value, match.group())))
        text = self.text
        for first, last, part in sorted(edits, reverse=True):
            text = text[:first] + part + text[last:]
        return text


def restyled(value: Fraction, like: str) -> str:
    """Write a number as the text `like` is written: its decimal places, its thousands' commas."""
    places = len(like.partition(".")[2])
    return f"{float(value):{',' if ',' in like else ''}.{places}f}"


def _literal_text(value: Fraction, literal: Literal, old: str) -> str:
    if literal.is_float or value.denominator > 1:
        return repr(float(value))
    return f"{int(value):{'_' if '_' in old else ''}}"


def read_numbers(source: Source) -> Numbers:
    """Find the numbers of a program."""
    literals, fixed = _literals(source)
    remarks = tuple(_remarks(source))
    blank = [(one.start, one.end) for one in literals] + list(remarks)
    rest = source.text
    for start, end in blank:
        rest = rest[:start] + " " * (end - start) + rest[end:]
    # Names too: what `cost_of_12` counts would no longer be told by it.
    named = (number_value(m.group()) for m in re.finditer(NUMBER, rest) if len(m.group()) <= 30)
    return Numbers(source.text, tuple(literals), frozenset(fixed) | frozenset(named), remarks)


def _literals(source: Source) -> tuple[list[Literal], set[Fraction]]:
    literals: list[Literal] = []
    fixed: set[Fraction] = set()
    structural = {id(inner) for node in _structural(source.module) for inner in ast.walk(node)}
    for node in ast.walk(source.module):
        if not isinstance(node, ast.Constant) or type(node.value) not in (int, float):
            continue
        assert isinstance(node.value, int | float)
        try:
            value = Fraction(repr(node.value))
        except ValueError:  # infinity, or too long to print
            continue
        start, end = source.start(node), source.end(node)
        if id(node) in structural or not _stands_at(source.text[start:end], node.value):
            fixed.add(value)
        else:
            literals.append(Literal(start, end, value, isinstance(node.value, float)))
    return literals, fixed


def _structural(module: ast.Module) -> Iterator[ast.AST]:
    """Yield the parts of a program whose numbers count nothing in the story."""
    for node in ast.walk(module):
        if isinstance(node, ast.Subscript):
            yield node.slice
        elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow):
            yield node.right
        elif isinstance(node, ast.JoinedStr):
            yield node
        elif isinstance(node, ast.Call):
            yield from (keyword.value for keyword in node.keywords)
            if isinstance(node.func, ast.Name) and node.func.id == "round":
                yield from node.args[1:]


def _stands_at(text: str, value: float) -> bool:
    """Tell whether a literal is where the tree says; inside other texts it may not be."""
    try:
        return bool(ast.literal_eval(text) == value)
    except (ValueError, SyntaxError):
        return False


def _remarks(source: Source) -> Iterator[tuple[int, int]]:
    for node in ast.walk(source.module):
        if isinstance(node, ast.Module | ast.FunctionDef) and ast.get_docstring(node):
            yield source.start(node.body[0]), source.end(node.body[0])
    for token in tokenize.generate_tokens(io.StringIO(source.text).readline):
        if token.type == tokenize.COMMENT:
            start = source.line_starts[token.start[0] - 1] + token.start[1]
            yield start, start + len(token.string)
