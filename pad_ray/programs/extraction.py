"""Reading a program out of what a language model wrote.

The text is cut into top-level statements, each parsed on its own, so that prose around the code
falls away. The first `solution` that parses is the entry: what follows is mostly a model going on
with the next question of its prompt. The program keeps the model's own layout and comments.
"""

from __future__ import annotations

import ast
import re
import textwrap
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from pad_ray.programs.canonical import parse_program
from pad_ray.programs.returns import returns_value, with_return

__all__ = ["extract_program"]

MAX_COMPLETION_CHARS = 100_000
_ENTRY = "solution"
_HEADER = f"def {_ENTRY}():"
_MERGE_LIMIT = 16
_MERGE_BUDGET = 64

_DEF = re.compile(rf"^[ \t]*def[ \t]+{_ENTRY}[ \t]*\(", re.MULTILINE)
_FENCE = re.compile(r"^[ \t]*(?:```|~~~)[ \t]*([\w+-]*)[ \t]*$")
_GLUED_FENCE = re.compile(r"(?<=[^\s`])[ \t]*```")
_GLUED_CODE = re.compile(r"^[ \t]*```(?:python3?|py)[ \t]+(?=\S)", re.MULTILINE)
_CODE_START = re.compile(
    r"^[ \t]*(?:```|def |import |from |print\(|[a-z_]\w*[ \t]*=)", re.MULTILINE
)
_NEXT_QUESTION = re.compile(
    r"^(?:[#*]+[ \t]*)?(?:question|problem|exercise|example|q|user|human)[ \t]*\d*[*]*[:.]",
    re.MULTILINE | re.IGNORECASE,
)
_CONTINUATION = re.compile(r"[)\]}]|(?:else|finally)[ \t]*:|(?:elif|except)\b.*:")

_DEFINITION = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.ClassDef)
_STEP = (ast.Assign, ast.AugAssign, ast.For, ast.While, ast.If, ast.With, ast.Try, ast.Return)
_DRIVER = (
    *(ast.Expr, ast.Assign, ast.Call, ast.Name, ast.Constant, ast.expr_context),
    *(ast.JoinedStr, ast.FormattedValue),
)


@dataclass(frozen=True)
class _Chunk:
    """A top-level statement with the comments above it; `nodes` is what it parses to."""

    text: str
    nodes: tuple[ast.stmt, ...]


def extract_program(completion: str) -> str | None:
    """Return a program that defines `solution()`, or None if there is none to be read.

    A broken `def solution` block is returned as it stands, since it can be repaired. Never
    raises; reads the first 100,000 characters.
    """
    text = _cut_next_question(_tidy(completion[:MAX_COMPLETION_CHARS]))
    candidates = sorted(_candidates(text), key=lambda place: _DEF.search(place) is None)
    for candidate in candidates:
        if program := _read(candidate):
            return program
    for candidate in candidates:
        if found := _DEF.search(candidate):
            return _block(candidate[found.start() :])
    return None


def _tidy(text: str) -> str:
    text = text.replace("\r\n", "\n").replace("\r", "\n").lstrip("\ufeff")
    return _GLUED_CODE.sub("```python\n", _GLUED_FENCE.sub("\n```", text))


def _cut_next_question(text: str) -> str:
    code = _CODE_START.search(text)
    following = _NEXT_QUESTION.search(text, code.end()) if code else None
    return text[: following.start()] if following else text


def _candidates(text: str) -> Iterator[str]:
    """Yield the places to look in: fenced code, what is before the first fence, all but fences."""
    fenced: list[str] = []
    outside: list[str] = []
    block: list[str] | None = None
    before_fences = None
    for line in text.split("\n"):
        if not _FENCE.match(line):
            (outside if block is None else block).append(line)
        elif block is None:
            before_fences = before_fences or "\n".join(outside)
            block = []
        else:
            fenced.append(textwrap.dedent("\n".join(block)))
            block = None
    if block is not None:
        fenced.append(textwrap.dedent("\n".join(block)))
    yield "\n".join(fenced)
    yield before_fences or ""
    yield "\n".join(outside)


def _read(text: str) -> str | None:
    lead, rest = _split_lead(text)
    dedented = _unindented(lead)
    if re.match(r"(?:def|import|from|class)\b|[@#]", dedented):
        rest = f"{dedented}\n{rest}"
    elif body := _function_body(lead):
        return body
    chunks = _code_chunks(rest)
    if not any(map(_entry_of, chunks)) and (name := _single_entry(chunks)):
        chunks = [_renamed(chunk, name) for chunk in chunks]
    for chunk in chunks:
        if function := _entry_of(chunk):
            return _with_entry(chunks, chunk, function)
    return _wrapped(chunks) or _function_body(_first_block(rest))


def _split_lead(text: str) -> tuple[str, str]:
    """Split off an indented beginning: it goes on from a prompt that ended in the header."""
    lines = text.lstrip("\n").split("\n")
    end = next((i for i, line in enumerate(lines) if line and not line[0].isspace()), len(lines))
    return "\n".join(lines[:end]), "\n".join(lines[end:])


def _unindented(block: str) -> str:
    first, newline, others = block.partition("\n")
    stray_space = len(first) - len(first.lstrip()) < 4
    if stray_space and all(line[:4].isspace() for line in others.split("\n") if line.strip()):
        return first.lstrip() + newline + others
    return textwrap.dedent(block)


def _first_block(text: str) -> str:
    """Return a stripped function body: its first line has lost the indent of the others."""
    first, _, others = text.strip().partition("\n")
    lead, _ = _split_lead(others)
    indent = re.match(r"[ \t]*", lead)
    return f"{indent.group()}{first}\n{lead}" if indent and indent.group() else ""


def _function_body(lines: str) -> str | None:
    """Put the header above a bare body; None if that gives no function with steps."""
    body = textwrap.indent(textwrap.dedent(lines), "    ").rstrip()
    chunk = _chunk(f"{_HEADER}\n{body}")
    function = _entry_of(chunk) if chunk else None
    if chunk is None or function is None or not any(_is_step(node) for node in ast.walk(function)):
        return None
    program = with_return(chunk.text, function)
    return program if program != chunk.text or returns_value(function) else None


def _code_chunks(text: str) -> list[_Chunk]:
    """Return the top-level statements of the text in order, without the prose."""
    pieces = _pieces(text)
    chunks: list[_Chunk] = []
    at, budget = 0, _MERGE_BUDGET
    while at < len(pieces):
        chunk, end = _chunk(pieces[at]), at + 1
        if chunk is None and _is_open(pieces[at]):
            limit = min(len(pieces), at + _MERGE_LIMIT, at + budget)
            while chunk is None and end < limit:
                end, budget = end + 1, budget - 1
                chunk = _chunk("\n".join(pieces[at:end]))
        at = end if chunk else at + 1
        if chunk and chunk.nodes and all(_is_code(node, chunks) for node in chunk.nodes):
            chunks.append(chunk)
    return chunks


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


def _chunk(text: str) -> _Chunk | None:
    tree = parse_program(text)
    return None if tree is None else _Chunk(text, tuple(tree.body))


def _is_open(text: str) -> bool:
    """Say whether a bracket or a triple quote may go on in the next piece."""
    opened = sum(text.count(bracket) for bracket in "([{")
    closed = sum(text.count(bracket) for bracket in ")]}")
    return opened > closed or any(text.count(quotes) % 2 for quotes in ('"""', "'''"))


def _is_code(node: ast.stmt, above: Sequence[_Chunk]) -> bool:
    """Tell code from prose that happens to parse, such as "Done" or "Answer: 42"."""
    if isinstance(node, ast.AnnAssign):
        return node.value is not None
    if isinstance(node, ast.Expr) and not isinstance(node.value, ast.Call):
        names = _loaded([node])
        return bool(names) and names <= _bound(node for chunk in above for node in chunk.nodes)
    return isinstance(node, (*_DEFINITION, *_STEP, ast.Expr, ast.Assert))


def _is_step(node: ast.AST) -> bool:
    return isinstance(node, (*_STEP, ast.AnnAssign)) or _is_call(node, "print")


def _is_call(node: ast.AST, name: str) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == name


def _is_main_guard(chunk: _Chunk) -> bool:
    return isinstance(chunk.nodes[0], ast.If) and "__name__" in _loaded([chunk.nodes[0].test])


def _entry_of(chunk: _Chunk) -> ast.FunctionDef | None:
    functions = (node for node in chunk.nodes if isinstance(node, ast.FunctionDef))
    return next((node for node in functions if node.name == _ENTRY), None)


def _bound(nodes: Iterable[ast.AST]) -> set[str]:
    names: set[str] = set()
    for node in (inner for outer in nodes for inner in ast.walk(outer)):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.arg):
            names.add(node.arg)
    return names


def _loaded(nodes: Iterable[ast.AST]) -> set[str]:
    walked = (inner for outer in nodes for inner in ast.walk(outer))
    return {
        node.id for node in walked if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)
    }


def _with_entry(chunks: list[_Chunk], entry: _Chunk, function: ast.FunctionDef) -> str:
    """Return the entry with the imports above it and whatever else it needs, in order."""
    if len(chunks) == 1:
        return with_return(entry.text, function).strip()
    binders: defaultdict[str, list[_Chunk]] = defaultdict(list)
    for chunk in chunks:
        if chunk is not entry and not _entry_of(chunk):
            for name in _bound(chunk.nodes):
                binders[name].append(chunk)
    above = chunks[: chunks.index(entry)]
    kept = {id(c) for c in above if isinstance(c.nodes[0], ast.Import | ast.ImportFrom)}
    needed = _loaded(entry.nodes) - _bound(entry.nodes)
    waiting = list(needed)
    while waiting:
        for chunk in binders[waiting.pop()]:
            if id(chunk) not in kept:
                kept.add(id(chunk))
                more = _loaded(chunk.nodes) - needed
                needed |= more
                waiting += more
    parts = [
        with_return(c.text, function) if c is entry else c.text
        for c in chunks
        if c is entry or id(c) in kept
    ]
    return "\n".join(parts).strip()


def _single_entry(chunks: list[_Chunk]) -> str | None:
    """Return the one function that can be called without arguments, if the rest only calls it."""
    nodes = [node for chunk in chunks if not _is_main_guard(chunk) for node in chunk.nodes]
    names = {
        node.name
        for node in nodes
        if isinstance(node, ast.FunctionDef)
        and len(node.args.posonlyargs + node.args.args) == len(node.args.defaults)
        and all(node.args.kw_defaults)
    }
    rest = (inner for n in nodes if not isinstance(n, _DEFINITION) for inner in ast.walk(n))
    only_calls = all(isinstance(inner, _DRIVER) for inner in rest)
    return names.pop() if len(names) == 1 and only_calls else None


def _renamed(chunk: _Chunk, name: str) -> _Chunk:
    if name not in _bound(chunk.nodes) | _loaded(chunk.nodes):
        return chunk
    return _chunk(re.sub(rf"\b{name}\b", _ENTRY, chunk.text)) or chunk


def _wrapped(chunks: list[_Chunk]) -> str | None:
    """Make top-level statements the body of `solution`, up to a top-level return."""
    body: list[str] = []
    steps = False
    for chunk in chunks:
        if _is_main_guard(chunk) or _ENTRY in _loaded(chunk.nodes):
            continue
        body.append(chunk.text)
        nodes = [node for node in chunk.nodes if not isinstance(node, _DEFINITION)]
        steps = steps or any(_is_step(inner) for node in nodes for inner in ast.walk(node))
        if isinstance(chunk.nodes[-1], ast.Return):
            break
    return _function_body("\n".join(body)) if steps else None


def _block(text: str) -> str:
    """Return the indented block that the text begins with, moved to the margin."""
    first, *others = text.split("\n")
    margin = len(first) - len(first.lstrip())
    block = [first]
    for line in others:
        if line.strip() and len(line) - len(line.lstrip()) <= margin:
            break
        block.append(line)
    program = textwrap.dedent("\n".join(block)).strip()
    chunk = _chunk(program)
    function = _entry_of(chunk) if chunk else None
    return with_return(program, function) if function else program
