"""Canonical form and key of a program, for telling exact duplicates of one problem apart.

Two programs share a key only if they are the same abstract syntax up to comments, docstrings and
one injective renaming of their variables. Where renaming might change what a name means (imports,
builtins, keyword arguments, class bodies, `eval`, `locals`, star imports) the name is kept, so
that a doubt leaves two programs apart and never merges them.
"""

from __future__ import annotations

import ast
import builtins
import hashlib
import warnings
from collections.abc import Iterator

__all__ = ["MAX_PROGRAM_CHARS", "normalise_program", "parse_program", "program_key"]

MAX_PROGRAM_CHARS = 20_000

_BUILTINS = frozenset(dir(builtins))
_NAME_READERS = frozenset({"locals", "globals", "vars", "dir", "eval", "exec", "compile"})


def parse_program(text: str) -> ast.Module | None:
    """Return the syntax tree, or None for text that is no Python or is over MAX_PROGRAM_CHARS."""
    if len(text) > MAX_PROGRAM_CHARS:
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def normalise_program(text: str, *, rename: bool = True) -> str:
    """Return the canonical form: layout, comments, docstrings and variable names evened out.

    Without `rename` names stay, as a program that is still written needs them. Text that does not
    parse keeps everything but its whitespace.
    """
    tree = parse_program(text)
    if tree is None:
        return "# does not parse\n" + " ".join(text.split())
    _strip_docstrings(tree)
    if rename:
        _rename_variables(tree)
    try:
        return ast.unparse(tree)
    except (ValueError, RecursionError):
        return "# does not unparse\n" + " ".join(text.split())


def program_key(text: str) -> str:
    """Return 16 hex digits that are equal for exact duplicates (see `normalise_program`)."""
    canonical = normalise_program(text).encode("utf-8", errors="surrogatepass")
    return hashlib.sha256(canonical).hexdigest()[:16]


def _strip_docstrings(tree: ast.Module) -> None:
    for node in ast.walk(tree):
        if not isinstance(node, ast.Module | ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            continue
        if node.body and _is_docstring(node.body[0]):
            rest = node.body[1:]
            node.body = rest if rest or isinstance(node, ast.Module) else [ast.Pass()]


def _is_docstring(statement: ast.stmt) -> bool:
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )


def _rename_variables(tree: ast.Module) -> None:
    """Rename in place, by one injective map for the whole program, in order of appearance.

    One map for all scopes is coarser than one a scope and needs no scope analysis to be sound.
    """
    nodes = list(_depth_first(tree))
    bound = {name for node in nodes for name in _variables_bound(node)}
    kept = {name for node in nodes for name in _names_kept(node)}
    free = {node.id for node in nodes if isinstance(node, ast.Name)} - bound
    if kept & _NAME_READERS or free & _NAME_READERS or "*" in kept:
        return
    variables = {name for name in bound - kept - _BUILTINS if not name.startswith("__")}
    prefix = "v"
    while any(name.startswith(prefix) for name in (kept | free | bound) - variables):
        prefix += "_"
    mapping: dict[str, str] = {}
    for node in nodes:
        for field in ("id", "arg", "name"):
            name = getattr(node, field, None)
            if isinstance(name, str) and name in variables and not isinstance(node, ast.keyword):
                setattr(node, field, mapping.setdefault(name, f"{prefix}{len(mapping)}"))


def _depth_first(tree: ast.AST) -> Iterator[ast.AST]:
    stack = [tree]
    while stack:
        node = stack.pop()
        yield node
        stack.extend(reversed(list(ast.iter_child_nodes(node))))


def _variables_bound(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
        yield node.id
    elif isinstance(node, ast.arg):
        yield node.arg
    elif isinstance(node, ast.ExceptHandler) and node.name:
        yield node.name


def _names_kept(node: ast.AST) -> Iterator[str]:
    """Yield names that mean something outside the variables: renaming them could be wrong."""
    yield "solution"
    if isinstance(node, ast.alias):
        yield (node.asname or node.name).split(".")[0]
    elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        yield node.name
    elif isinstance(node, ast.ClassDef):
        yield node.name
        yield from (name for inner in ast.walk(node) for name in _variables_bound(inner))
    elif isinstance(node, ast.keyword) and node.arg:
        yield node.arg
    elif isinstance(node, ast.Global | ast.Nonlocal):
        yield from node.names
    elif isinstance(node, ast.MatchAs | ast.MatchStar) and node.name:
        yield node.name
    elif isinstance(node, ast.MatchMapping) and node.rest:
        yield node.rest
    elif isinstance(node, ast.MatchClass):
        yield from node.kwd_attrs
