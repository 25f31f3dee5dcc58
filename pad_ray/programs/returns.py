"""Giving a function that prints its result, or only assigns it, the `return` it lacks."""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterator

__all__ = ["BLOCKS", "returns_value", "with_return"]

BLOCKS = ("body", "orelse", "finalbody", "handlers", "cases")
_SCOPES = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef


def returns_value(function: ast.FunctionDef) -> bool:
    """Say whether the function itself, nested ones apart, returns something somewhere."""
    stack: list[ast.AST] = list(function.body)
    while stack:
        node = stack.pop()
        if isinstance(node, ast.Return) and node.value:
            return True
        # A return is a statement, so only blocks of statements need a visit.
        if not isinstance(node, _SCOPES):
            for block in BLOCKS:
                stack.extend(getattr(node, block, ()))
    return False


def with_return(text: str, function: ast.FunctionDef) -> str:
    """Return the text with its last `print(x)` or last expression turned into a return.

    Failing these, the last assigned variable is returned. `function` is a node of the tree of
    `text`. A function that returns a value already, or that has nothing to return, is left alone.
    """
    statements = [node for node in function.body if not isinstance(node, ast.Return)]
    if returns_value(function) or not statements:
        return text
    last = statements[-1]
    if isinstance(last, ast.Expr) and (result := _result(last.value)):
        return _replaced(text, last, f"return {result}")
    name = _last_assigned(function)
    if name is None or last.lineno == function.lineno:
        return text
    lines = text.split("\n")
    lines.insert(last.end_lineno or last.lineno, f"{' ' * last.col_offset}return {name}")
    return "\n".join(lines)


def _own_nodes(function: ast.FunctionDef) -> Iterator[ast.AST]:
    stack: list[ast.AST] = list(reversed(function.body))
    while stack:
        node = stack.pop()
        yield node
        if isinstance(node, _SCOPES):
            continue
        below = ast.iter_child_nodes(node)
        if isinstance(node, ast.comprehension):
            # Its variables are gone when it ends.
            below = (child for child in below if child is not node.target)
        stack.extend(reversed(list(below)))


def _last_assigned(function: ast.FunctionDef) -> str | None:
    names = [
        node.id
        for node in _own_nodes(function)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    ]
    return names[-1] if names else None


def _result(value: ast.expr) -> str | None:
    """Return the source of what an expression statement gives, or None for a mere action."""
    if (
        isinstance(value, ast.Call)
        and isinstance(value.func, ast.Name)
        and value.func.id == "print"
    ):
        shown = [arg for arg in value.args if not _is_text(arg)]
        found = _inside_words(shown[-1]) if shown else None
    elif (isinstance(value, ast.Call) and isinstance(value.func, ast.Attribute)) or _is_text(value):
        found = None
    else:
        found = value
    try:
        return ast.unparse(found) if found else None
    except (ValueError, RecursionError):
        return None


def _inside_words(shown: ast.expr) -> ast.expr:
    """Return the quantity that a sentence is printed around, as in `f"{total} apples"`."""
    nodes = list(ast.walk(shown))
    formatted = [node.value for node in nodes if isinstance(node, ast.FormattedValue)]
    if len(formatted) != 1 and not any(_is_text(node) for node in nodes):
        return shown
    names = [n for n in nodes if isinstance(n, ast.Name) and not hasattr(builtins, n.id)]
    return (formatted or names or [shown])[-1]


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def _replaced(text: str, node: ast.stmt, new: str) -> str:
    """Replace the node's source; the tree counts columns in UTF-8 bytes."""
    lines = [line.encode() for line in text.split("\n")]
    first, last = node.lineno - 1, (node.end_lineno or node.lineno) - 1
    before, after = lines[first][: node.col_offset], lines[last][node.end_col_offset :]
    lines[first : last + 1] = [before + new.encode() + after]
    return b"\n".join(lines).decode()
