"""Giving a function that prints its result, or only assigns it, the `return` it lacks."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from pad_ray.programs.printing import is_print, is_text, shown_value

__all__ = [
    "BLOCKS",
    "called_name",
    "edited",
    "given_values",
    "last_result",
    "own_nodes",
    "returns_value",
    "with_return",
]

BLOCKS = ("body", "orelse", "finalbody", "handlers", "cases")
_SCOPES = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef
_LOOPS = ast.For | ast.AsyncFor | ast.While
# Calls of a method for what it does; another method's value may be the result.
_ACTIONS = frozenset(
    {"add", "append", "appendleft", "clear", "discard", "extend", "insert", "pop", "popleft"}
    | {"remove", "reverse", "seed", "setdefault", "shuffle", "sort", "update", "write", "close"}
)


def returns_value(function: ast.FunctionDef) -> bool:
    """Say whether the function itself, nested ones apart, returns something somewhere.

    The value of a print is nothing.
    """
    return any(
        isinstance(node, ast.Return) and not _is_empty(node) and not is_print(_value_of(node))
        for node in _statements(function.body)
    )


def with_return(
    text: str, function: ast.FunctionDef, printing: frozenset[str] = frozenset()
) -> str:
    """Return the text with what the function prints last turned into what it returns.

    Failing that its last expression is returned, or else the last assigned variable. `function`
    is a node of the tree of `text`; `printing` are functions that return what they print. A
    function that returns a value already, or that has nothing to return, is left alone.
    """
    statements = [node for node in function.body if not _is_empty(node)]
    if returns_value(function) or not statements:
        return text
    at = last_result(statements, printing)
    if at is not None:
        return _returning(text, function, statements, at, printing)
    last = statements[-1]
    name = _last_assigned(function)
    if name is None:
        said = [(node, call) for node in statements if (call := _printed(node)) is not None]
        return _returned(text, function, said[-1][0], said[-1][1].args[0]) if said else text
    if last.lineno == function.lineno:
        return text
    lines = text.split("\n")
    lines.insert(last.end_lineno or last.lineno, f"{' ' * last.col_offset}return {name}")
    return "\n".join(lines)


def last_result(
    statements: Sequence[ast.stmt], printing: frozenset[str] = frozenset()
) -> int | None:
    """Return the place of the statement that shows the result, or None where none does.

    It is the last that prints a value; failing that one that prints a text on a condition, or the
    last statement where it is an expression with a value.
    """
    given = given_values(statements)
    for telling in (True, False):
        for at in reversed(range(len(statements))):
            for node in _statements([statements[at]]):
                value = _result(node, printing, given)
                if value is None or _is_check(value):
                    continue
                conditional = node is not statements[at] and _has_branch(statements[at])
                if not is_text(value) if telling else conditional:
                    return at
    last = len(statements) - 1
    value = getattr(statements[last], "value", None) if statements else None
    if isinstance(statements[last], ast.Expr) and isinstance(value, ast.expr):
        return last if _has_value(value) else None
    return None


def own_nodes(body: Iterable[ast.AST]) -> Iterator[ast.AST]:
    """Yield the nodes in order, without the insides of nested functions and classes."""
    stack = list(reversed(list(body)))
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


def _statements(body: Sequence[ast.stmt]) -> Iterator[ast.stmt]:
    """Yield statements in order, nested blocks' too, nested functions' not."""
    stack: list[ast.AST] = list(reversed(body))
    while stack:
        node = stack.pop()
        if isinstance(node, ast.stmt):
            yield node
        # A return is a statement, so only blocks of statements need a visit.
        if not isinstance(node, _SCOPES):
            inner = [child for block in BLOCKS for child in getattr(node, block, ())]
            stack.extend(reversed(inner))


def _printed(node: ast.AST) -> ast.Call | None:
    """Return the print that a statement is, `return print(x)` among them."""
    value = getattr(node, "value", None) if isinstance(node, ast.Expr | ast.Return) else None
    return value if isinstance(value, ast.Call) and is_print(value) and value.args else None


def _result(
    node: ast.stmt, printing: frozenset[str], given: Mapping[str, object]
) -> ast.expr | None:
    """Return the value that a statement prints, or None."""
    if (call := _printed(node)) is not None:
        return shown_value(call, given) or call.args[0]
    value = getattr(node, "value", None) if isinstance(node, ast.Expr) else None
    return value if value is not None and called_name(value) in printing else None


def called_name(value: ast.expr | None) -> str | None:
    """Return the name of the function that a call calls, and of a method `.NAME`."""
    call = value.func if isinstance(value, ast.Call) else None
    if isinstance(call, ast.Attribute):
        return f".{call.attr}"
    return call.id if isinstance(call, ast.Name) else None


def _is_check(value: ast.expr) -> bool:
    """Tell `solution() == 15`, printed to test and not to answer, and words that depend on it."""
    if isinstance(value, ast.IfExp):
        return _is_test(value.test) and is_text(value.body) and is_text(value.orelse)
    return (
        isinstance(value, ast.Compare)
        and any(isinstance(side, ast.Constant) for side in value.comparators)
        and any(isinstance(node, ast.Call) for node in ast.walk(value))
    )


def _is_test(condition: ast.expr) -> bool:
    """Tell `solution() == 15` alone: what a call gives beside what it should give."""
    return (
        isinstance(condition, ast.Compare)
        and isinstance(condition.ops[0], ast.Eq)
        and any(isinstance(side, ast.Call) for side in (condition.left, *condition.comparators))
        and any(isinstance(side, ast.Constant) for side in (condition.left, *condition.comparators))
    )


def _has_value(value: ast.expr) -> bool:
    """Tell an expression with a value from a mere action, a docstring and an unresolved word."""
    if isinstance(value, ast.Call):
        if is_print(value):
            return False
        return not isinstance(value.func, ast.Attribute) or value.func.attr not in _ACTIONS
    return not isinstance(value, ast.Constant | ast.Yield | ast.YieldFrom | ast.Await)


def _has_branch(node: ast.stmt) -> bool:
    return any(isinstance(one, ast.If | ast.Match | ast.Try) for one in _statements([node]))


def _value_of(node: ast.Return) -> ast.expr:
    return node.value or ast.Constant(None)


def _is_empty(node: ast.stmt) -> bool:
    """Tell `pass`, `return` and `return None`."""
    if isinstance(node, ast.Return):
        value = _value_of(node)
        return isinstance(value, ast.Constant) and value.value is None
    return isinstance(node, ast.Pass)


def given_values(statements: Sequence[ast.stmt]) -> dict[str, object]:
    """Return the variables that are only ever given a written text or number, with its value."""
    counts = Counter(_stored(statements))
    return {
        node.targets[0].id: node.value.value
        for node in own_nodes(statements)
        if isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Name)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str | int | float)
        and counts[node.targets[0].id] == 1
    }


def _stored(body: Iterable[ast.AST]) -> list[str]:
    """Return the variables that are assigned, in order."""
    return [
        node.id
        for node in own_nodes(body)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    ]


def _last_assigned(function: ast.FunctionDef) -> str | None:
    names = _stored(function.body)
    return names[-1] if names else None


def _returning(
    text: str,
    function: ast.FunctionDef,
    statements: Sequence[ast.stmt],
    at: int,
    printing: frozenset[str],
) -> str:
    node, given = statements[at], given_values(statements)
    if isinstance(node, ast.Expr | ast.Return):
        value = _result(node, printing, given)
        found = value if value is not None else node.value
        return text if found is None else _returned(text, function, node, found)
    shows = [
        (one, value)
        for one in _statements([node])
        if (value := _result(one, printing, given)) is not None
    ]
    ends = set(map(id, _ends([node])))
    if _always_ends([node], {id(one) for one, _ in shows}) and all(id(s) in ends for s, _ in shows):
        # Every way through ends in one of them.
        return edited(text, [(one, f"return {ast.unparse(value)}") for one, value in shows])
    return _collected(text, function, printing, given)


def _returned(text: str, function: ast.FunctionDef, node: ast.stmt, value: ast.expr) -> str:
    """Return the value in place of the statement, without what stood below it."""
    try:
        source = ast.unparse(value)
    except (ValueError, RecursionError):
        return text
    lines = edited(text, [(node, f"return {source}")]).split("\n")
    after = (function.end_lineno or 0) - (node.end_lineno or 0)
    end = len(lines) - (len(text.split("\n")) - (function.end_lineno or 0))
    del lines[end - after : end]
    return "\n".join(lines)


def _collected(
    text: str, function: ast.FunctionDef, printing: frozenset[str], given: Mapping[str, object]
) -> str:
    """Keep what is printed in a variable, wherever that happens, and return it at the end."""
    names = {node.id for node in ast.walk(function) if isinstance(node, ast.Name)}
    name = next(n for n in ("printed", *(f"printed_{i}" for i in range(99))) if n not in names)
    edits: list[tuple[ast.stmt, str]] = []
    for node in _statements(function.body):
        value = _result(node, printing, given)
        if value is not None and not (is_text(value) and _is_plain(node, function)):
            put = "return" if isinstance(node, ast.Return) else f"{name} ="
            edits.append((node, f"{put} {ast.unparse(value)}"))
        elif isinstance(node, ast.Return):
            edits.append((node, f"return {name}"))
    first = _first_statement(function)
    if first.lineno == function.lineno:
        return text
    indent = " " * first.col_offset
    lines = edited(text, edits).split("\n")
    grown = len(lines) - len(text.split("\n"))
    lines.insert((function.end_lineno or 0) + grown, f"{indent}return {name}")
    lines.insert(first.lineno - 1, f"{indent}{name} = None")
    return "\n".join(lines)


def _first_statement(function: ast.FunctionDef) -> ast.stmt:
    body = function.body
    return body[1] if len(body) > 1 and ast.get_docstring(function) is not None else body[0]


def _is_plain(node: ast.stmt, function: ast.FunctionDef) -> bool:
    return any(node is one for one in function.body)


def _ends(body: Sequence[ast.stmt]) -> Iterator[ast.stmt]:
    """Yield the statements that can be the last of a block to run."""
    stack = [body]
    while stack:
        statements = [node for node in stack.pop() if not _is_empty(node)]
        if not statements:
            continue
        last = statements[-1]
        if isinstance(last, ast.If):
            stack += [last.body, last.orelse]
        elif isinstance(last, ast.With):
            stack.append(last.body)
        elif isinstance(last, ast.Match):
            stack += [case.body for case in last.cases]
        else:
            yield last


def _always_ends(body: Sequence[ast.stmt], shows: set[int]) -> bool:
    """Tell whether every way through a block ends in one of the statements."""
    statements = [node for node in body if not _is_empty(node)]
    if not statements:
        return False
    last = statements[-1]
    if isinstance(last, ast.If):
        return _always_ends(last.body, shows) and _always_ends(last.orelse, shows)
    if isinstance(last, ast.With):
        return _always_ends(last.body, shows)
    return id(last) in shows


def edited(text: str, edits: Sequence[tuple[ast.stmt, str]]) -> str:
    """Replace the sources of statements; the tree counts columns in UTF-8 bytes."""
    lines = [line.encode() for line in text.split("\n")]
    for node, new in sorted(edits, key=lambda edit: (edit[0].lineno, edit[0].col_offset))[::-1]:
        first, last = node.lineno - 1, (node.end_lineno or node.lineno) - 1
        before, after = lines[first][: node.col_offset], lines[last][node.end_col_offset :]
        lines[first : last + 1] = [before + new.encode() + after]
    return b"\n".join(lines).decode()
