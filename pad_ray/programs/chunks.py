"""Programs as top-level statements that keep their own layout, each with the comments above it."""

from __future__ import annotations

import ast
import builtins
import io
import re
import textwrap
import tokenize
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from pad_ray.programs.canonical import parse_program
from pad_ray.programs.typography import mended_spellings

__all__ = [
    "DEFINITIONS",
    "IMPORTS",
    "Chunk",
    "bound",
    "chunk_of",
    "chunks_of",
    "code_or_prose",
    "free",
    "indented",
    "is_code",
    "loaded",
    "outer_names",
    "renamed",
]

IMPORTS = (ast.Import, ast.ImportFrom)
DEFINITIONS = (*IMPORTS, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_PLAIN = (
    *(ast.Assign, ast.AugAssign, ast.For, ast.While, ast.If, ast.With, ast.Try, ast.Match),
    *(ast.Return, ast.Assert, ast.Delete, ast.Raise),
)
_BUILTINS = frozenset(dir(builtins)) | {"__name__", "__file__", "__doc__"}
_CONTINUATION = re.compile(r"[)\]}]|(?:else|finally)[ \t]*:|(?:elif|except)\b.*:")
_HEADER = re.compile(r"[ \t@#]|(?:def|class|if|elif|else|for|while|with|try|except)\b|.*\($")
_MERGE_LIMIT = 16
_MERGE_BUDGET = 64


@dataclass(frozen=True)
class Chunk:
    """A top-level statement with the comments above it; `nodes` is what it parses to."""

    text: str
    nodes: tuple[ast.stmt, ...]

    @cached_property
    def binds(self) -> set[str]:
        """The names that it binds anywhere inside, in functions too."""
        return bound(self.nodes)

    @cached_property
    def offers(self) -> set[str]:
        """The names that it binds at its own level."""
        return outer_names(self.nodes)

    @cached_property
    def reads(self) -> set[str]:
        """The names that it reads."""
        return loaded(self.nodes)

    @property
    def is_definition(self) -> bool:
        return all(isinstance(node, DEFINITIONS) for node in self.nodes)


def chunk_of(text: str) -> Chunk | None:
    """Return the text as one chunk, its typography put right if it needs that to parse."""
    if (tree := parse_program(text)) is not None:
        return Chunk(text, tuple(tree.body))
    for spelling in mended_spellings(text):
        if (tree := parse_program(spelling)) is not None:
            return Chunk(spelling, tuple(tree.body))
    return None


def chunks_of(text: str) -> list[Chunk] | None:
    """Return the statements of text that parses as a whole, prose among them too; else None."""
    whole = chunk_of(text)
    return None if whole is None else _cut(whole)


def _cut(whole: Chunk) -> list[Chunk]:
    """Cut between statements; comments go with what stands below them, the last with the last."""
    groups: list[list[ast.stmt]] = []
    for node in whole.nodes:
        if groups and _first_line(node) <= (groups[-1][-1].end_lineno or 0):
            groups[-1].append(node)
        else:
            groups.append([node])
    if len(groups) < 2:
        return [whole] if groups else []
    # What `str.splitlines` also cuts at may stand inside a text.
    lines = whole.text.split("\n")
    ends = [group[-1].end_lineno or 0 for group in groups]
    ends[-1] = len(lines)
    starts = [0, *ends[:-1]]
    return [
        # The nodes of a chunk know the lines of the whole: cut, they are parsed again.
        Chunk(text, tuple(tree.body))
        for start, end in zip(starts, ends, strict=True)
        if (tree := parse_program(text := "\n".join(lines[start:end]))) is not None
    ]


def _first_line(node: ast.stmt) -> int:
    decorators: list[ast.expr] = getattr(node, "decorator_list", [])
    return min([node.lineno, *(decorator.lineno for decorator in decorators)])


def code_or_prose(text: str, depth: int = 4) -> list[Chunk | str]:
    """Return the top-level statements of a text that mixes code with prose, and the prose.

    Code may stand indented below a line of prose, `depth` times one below another.
    """
    pieces = _pieces(text)
    found: list[Chunk | str] = []
    names: set[str] = set()
    at, budget = 0, _MERGE_BUDGET
    while at < len(pieces):
        chunk, end = chunk_of(pieces[at]), at + 1
        if chunk is None and _is_open(pieces[at]):
            limit = min(len(pieces), at + _MERGE_LIMIT, at + budget)
            while chunk is None and end < limit:
                end, budget = end + 1, budget - 1
                chunk = chunk_of("\n".join(pieces[at:end]))
        if chunk and chunk.nodes and all(is_code(node, names) for node in chunk.nodes):
            found.append(chunk)
            names |= chunk.binds
        else:
            end = at + 1
            prose, _, below = pieces[at].partition("\n")
            if depth and below.strip() and not _HEADER.match(prose):
                found += [prose, *code_or_prose(textwrap.dedent(below), depth - 1)]
            else:
                found.append(pieces[at])
        at = end
    return found


def _pieces(text: str) -> list[str]:
    """Cut the text before each line that can begin a top-level statement."""
    lines = text.split("\n")
    pieces: list[list[str]] = []
    indented_next = False
    starts: list[bool] = []
    for line in reversed(lines):
        outer = bool(line) and not line[0].isspace()
        comment = line.startswith("#")
        starts.append(outer and not (comment and indented_next) and not _CONTINUATION.match(line))
        if line.strip() and not comment:
            indented_next = not outer
    above = ""
    for line, start in zip(lines, reversed(starts), strict=True):
        if not pieces or (start and not above.startswith(("#", "@"))):
            pieces.append([])
        pieces[-1].append(line)
        above = line
    return ["\n".join(piece) for piece in pieces]


def _is_open(text: str) -> bool:
    """Say whether a bracket or a triple quote may go on in the next piece."""
    opened = sum(text.count(bracket) for bracket in "([{")
    closed = sum(text.count(bracket) for bracket in ")]}")
    return opened > closed or any(text.count(quotes) % 2 for quotes in ('"""', "'''"))


def is_code(node: ast.stmt, above: set[str], alone: bool = False) -> bool:
    """Tell code from prose that happens to parse, such as "Done" or "Answer: 42".

    `above` are the names bound so far; `alone` lets a calculation without names be code.
    """
    if isinstance(node, ast.AnnAssign):
        return node.value is not None
    if isinstance(node, ast.Expr) and not isinstance(node.value, ast.Call | ast.Await):
        names = loaded([node])
        known = bool(names & above) and names <= above | _BUILTINS
        return known or (alone and isinstance(node.value, ast.BinOp))
    return isinstance(node, (*DEFINITIONS, *_PLAIN, ast.Expr))


def bound(nodes: Iterable[ast.AST]) -> set[str]:
    """Return the names that the nodes bind anywhere inside, in functions too."""
    names: set[str] = set()
    for node in (inner for outer in nodes for inner in ast.walk(outer)):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.arg):
            names.add(node.arg)
        elif isinstance(node, ast.alias):
            names.add((node.asname or node.name).split(".")[0])
        elif isinstance(node, ast.ExceptHandler | ast.MatchAs | ast.MatchStar) and node.name:
            names.add(node.name)
    return names


def outer_names(nodes: Iterable[ast.stmt]) -> set[str]:
    """Return the names that top-level statements bind at their own level."""
    names: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        else:
            names |= bound([node])
    return names


def loaded(nodes: Iterable[ast.AST]) -> set[str]:
    """Return the names that the nodes read."""
    walked = (inner for outer in nodes for inner in ast.walk(outer))
    return {
        node.id for node in walked if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)
    }


def free(chunks: Sequence[Chunk]) -> set[str]:
    """Return the names that statements read and nothing in them binds, builtins apart."""
    names: set[str] = set()
    outer = {name for chunk in chunks for name in chunk.offers}
    for chunk in chunks:
        names |= chunk.reads - chunk.binds
    return names - outer - _BUILTINS


def indented(text: str) -> str:
    """Move Python four spaces in; the lines of a text in triple quotes keep their place."""
    inside: set[int] = set()
    with_newline = io.StringIO(text + "\n").readline
    try:
        for token in tokenize.generate_tokens(with_newline):
            if token.type == tokenize.STRING:
                inside.update(range(token.start[0] + 1, token.end[0] + 1))
    except (tokenize.TokenError, SyntaxError):
        return textwrap.indent(text, "    ")
    lines = text.split("\n")
    return "\n".join(
        line if number in inside or not line.strip() else f"    {line}"
        for number, line in enumerate(lines, start=1)
    )


def renamed(chunk: Chunk, name: str, new: str) -> Chunk:
    """Return the chunk with a function's name changed where it is a name and no attribute."""
    if name not in chunk.binds | chunk.reads:
        return chunk
    lines = chunk.text.split("\n")
    above = ""
    found: list[tuple[int, int]] = []
    try:
        for token in tokenize.generate_tokens(io.StringIO(chunk.text + "\n").readline):
            if token.type == tokenize.NAME and token.string == name and above != ".":
                found.append(token.start)
            elif token.type == tokenize.STRING and re.match(r"\w*[fF]", token.string):
                # A whole f-string is one token.
                found += _in_f_string(token, name)
            above = token.string
    except (tokenize.TokenError, SyntaxError):
        return chunk
    for line, column in sorted(set(found), reverse=True):
        text = lines[line - 1]
        lines[line - 1] = text[:column] + new + text[column + len(name) :]
    return chunk_of("\n".join(lines)) or chunk


def _in_f_string(token: tokenize.TokenInfo, name: str) -> list[tuple[int, int]]:
    call = re.compile(rf"(?<![\w.]){re.escape(name)}(?=[ \t]*\()")
    if token.start[0] != token.end[0]:
        return []
    line, column = token.start
    return [(line, column + found.start()) for found in call.finditer(token.string)]
