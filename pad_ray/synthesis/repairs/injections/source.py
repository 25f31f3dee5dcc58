"""A program as the injections see it: its text, where its parts stand, and what surely runs.

Nothing here changes a tree: an edit names a node and its replacement, and only the text of the
statement around it is written anew, so that comments and layout elsewhere stay as they were.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import NamedTuple

from pad_ray.programs.canonical import parse_program
from pad_ray.synthesis.repairs.injections.walk import Place, Spot, Walk

__all__ = ["Place", "Source", "Spot", "read_source", "rendered"]

SIMPLE = (ast.Assign, ast.AugAssign, ast.AnnAssign, ast.Expr, ast.Return)


class Lines(NamedTuple):
    """A range of whole lines, from 0, end exclusive."""

    start: int
    end: int


@dataclass(frozen=True, eq=False)
class Source:
    """A program with a `def solution():` at module level; `body` is that function's."""

    text: str
    module: ast.Module
    function: ast.FunctionDef
    lines: list[str] = field(repr=False)

    @property
    def body(self) -> list[ast.stmt]:
        """The statements of `solution`, its docstring too."""
        return self.function.body

    @cached_property
    def walk(self) -> Walk:
        """Every place of the function and every expression in it, with what names it binds."""
        return Walk(self.function)

    @cached_property
    def defined(self) -> frozenset[str]:
        """Names of functions, classes and imports anywhere in the program."""
        return frozenset(_defined(self.module))

    @cached_property
    def taken(self) -> frozenset[str]:
        """Every name that stands in the program as a name, a parameter or a definition."""
        names = (node for node in ast.walk(self.module) if isinstance(node, ast.Name | ast.arg))
        return self.defined | {n.id if isinstance(n, ast.Name) else n.arg for n in names}

    @cached_property
    def global_names(self) -> frozenset[str]:
        """Names that may have a value outside `solution`."""
        outside = (s for s in self.module.body if s is not self.function)
        names = (n for s in outside for n in ast.walk(s) if isinstance(n, ast.Name))
        return self.defined | {n.id for n in names if isinstance(n.ctx, ast.Store)}

    def replaced(self, place: Place, old: ast.AST, new: ast.AST) -> str:
        """Return the text with `old`, a node of the place, replaced by `new`."""
        return self.spliced(place.node, self.shown(place, old, new))

    def shown(self, place: Place, old: ast.AST, new: ast.AST) -> str:
        """Return only the place's new text."""
        start, end = self._span(place.node)
        return rendered(_substituted(place.node, old, new), self.text[start:end])

    def spliced(self, node: ast.stmt | ast.expr, new: str) -> str:
        """Return the text with the node's own text replaced."""
        start, end = self._span(node)
        return self.text[:start] + new + self.text[end:]

    def inserted(self, at: int, new: str) -> str:
        """Return the text with `new` put in before character `at`."""
        return self.text[:at] + new + self.text[at:]

    def starts_line(self, node: ast.stmt) -> bool:
        """Tell whether only white space stands before the statement."""
        return not self.text[self.line_starts[node.lineno - 1] : self._span(node)[0]].strip()

    def ends_line(self, node: ast.stmt) -> bool:
        """Tell whether only white space or a comment stands behind the statement."""
        line_end = self.line_starts[node.end_lineno or node.lineno]
        rest = self.text[self._span(node)[1] : line_end].strip()
        return not rest or rest.startswith("#")

    def owns_lines(self, node: ast.stmt) -> bool:
        """Tell whether the statement shares none of its lines with another."""
        return self.starts_line(node) and self.ends_line(node)

    def start(self, node: ast.stmt | ast.expr) -> int:
        """Return the index of the node's first character."""
        return self._span(node)[0]

    def end(self, node: ast.stmt | ast.expr) -> int:
        """Return the index behind the node's last character."""
        return self._span(node)[1]

    def lines_of(self, node: ast.stmt) -> Lines:
        """Return the lines of a statement."""
        return Lines(node.lineno - 1, node.end_lineno or node.lineno)

    @cached_property
    def line_starts(self) -> list[int]:
        """The index of each line's first character, and of the one behind the text."""
        starts = [0]
        for line in self.lines:
            starts.append(starts[-1] + len(line) + 1)
        return starts

    def _span(self, node: ast.stmt | ast.expr) -> tuple[int, int]:
        start = self._index(node.lineno, node.col_offset)
        return start, self._index(node.end_lineno or node.lineno, node.end_col_offset or 0)

    def _index(self, lineno: int, column: int) -> int:
        line = self.lines[lineno - 1]
        if not line.isascii():  # columns of a tree count bytes
            column = len(line.encode()[:column].decode())
        return self.line_starts[lineno - 1] + column


@lru_cache(maxsize=4)
def read_source(program: str) -> Source | None:
    r"""Return the program's source; None if it does not parse, has no `solution` or holds a \r.

    Kept for a few programs, since kinds are tried one after another on the same one.
    """
    module = parse_program(program)
    if module is None or "\r" in program:
        return None
    for node in reversed(module.body):
        if isinstance(node, ast.FunctionDef) and node.name == "solution":
            return Source(program, module, node, program.split("\n"))
    return None


def rendered(node: ast.AST, before: str = "") -> str:
    """Return the node's text, quoted with " unless the text `before` quotes with '."""
    text = ast.unparse(node)
    return text if '"' in text or "'" in before else text.replace("'", '"')


def without(lines: list[str], gone: Lines) -> list[str]:
    """Return the lines but those `gone`."""
    return lines[: gone.start] + lines[gone.end :]


def moved(lines: list[str], span: Lines, before: int) -> list[str]:
    """Return the lines with `span` moved to stand before line `before`, which is outside of it."""
    taken = lines[span.start : span.end]
    if before <= span.start:
        return lines[:before] + taken + lines[before : span.start] + lines[span.end :]
    return lines[: span.start] + lines[span.end : before] + taken + lines[before:]


def _substituted(node: ast.AST, old: ast.AST, new: ast.AST) -> ast.AST:
    """Return the tree with one node replaced; only nodes on the way to it are copied."""
    if node is old:
        return new
    for name, value in ast.iter_fields(node):
        if isinstance(value, ast.AST):
            result = _substituted(value, old, new)
            if result is not value:
                return _with(node, name, result)
        elif isinstance(value, list):
            for i, item in enumerate(value):
                result = _substituted(item, old, new) if isinstance(item, ast.AST) else item
                if result is not item:
                    return _with(node, name, [*value[:i], result, *value[i + 1 :]])
    return node


def _with(node: ast.AST, name: str, value: object) -> ast.AST:
    result = copy.copy(node)
    setattr(result, name, value)
    return result


def _defined(module: ast.Module) -> Iterator[str]:
    for node in ast.walk(module):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.alias):
            yield (node.asname or node.name).split(".")[0]
