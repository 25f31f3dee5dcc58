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

from pad_ray.programs.returns import BLOCKS

__all__ = ["MAX_PROGRAM_CHARS", "near_key", "normalise_program", "parse_program", "program_key"]

MAX_PROGRAM_CHARS = 20_000

_BUILTINS = frozenset(dir(builtins))
# What holds no names, and what is most of a tree: contexts and operators.
_NAMELESS = {"ctx", "op", "ops"}
# The kinds of node that bind names or keep them, besides plain names.
_NAMING = (
    *(ast.arg, ast.ExceptHandler, ast.alias, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef),
    *(ast.keyword, ast.Global, ast.Nonlocal, ast.MatchAs, ast.MatchStar, ast.MatchMapping),
    ast.MatchClass,
)
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


def near_key(text: str) -> str:
    """Return 16 hex digits that are equal for programs which differ in no calculation.

    Beyond `program_key`: the operands of sums and products may change places, `x += y` is
    `x = x + y`, assignments that no later line needs are dropped, and so are annotations and
    `int(...)` and `float(...)` around a number. Where all values are numbers, two programs with
    one key compute the same; two that compute the same may have different keys.
    """
    tree = parse_program(text)
    if tree is None:
        return program_key(text)
    try:
        plain = ast.unparse(ast.fix_missing_locations(_Plain().visit(tree)))
        while (shorter := _without_unused(plain)) != plain:
            plain = shorter
        renamed = ast.parse(normalise_program(plain))
        return program_key(ast.unparse(_SortedOperands().visit(renamed)))
    except (SyntaxError, ValueError, RecursionError):
        return program_key(text)


class _Plain(ast.NodeTransformer):
    """Writes what has two spellings in one."""

    def visit_AugAssign(self, node: ast.AugAssign) -> ast.AST:
        self.generic_visit(node)
        if not isinstance(node.target, ast.Name):
            return node
        left = ast.Name(node.target.id, ast.Load())
        return ast.Assign([node.target], ast.BinOp(left, node.op, node.value))

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        self.generic_visit(node)
        return node if node.value is None else ast.Assign([node.target], node.value)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        number = node.args[0] if len(node.args) == 1 and not node.keywords else None
        is_cast = isinstance(node.func, ast.Name) and node.func.id in ("int", "float")
        if is_cast and isinstance(number, ast.Constant) and isinstance(number.value, int | float):
            # A whole number only: int(2.5) is another value.
            return number if float(number.value).is_integer() else node
        return node


class _SortedOperands(ast.NodeTransformer):
    """Puts the operands of each sum and product of numbers' names in one order."""

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        self.generic_visit(node)
        if isinstance(node.op, ast.Add | ast.Mult) and not _maybe_text(node):
            node.left, node.right = sorted((node.left, node.right), key=ast.unparse)
        return node


def _maybe_text(node: ast.BinOp) -> bool:
    """Tell whether an operand is no number for sure: texts and lists do not commute."""
    kinds = (ast.JoinedStr, ast.List, ast.Tuple, ast.Call, ast.Subscript)
    return any(
        isinstance(inner, kinds)
        or (isinstance(inner, ast.Constant) and isinstance(inner.value, str))
        for inner in ast.walk(node)
    )


def _without_unused(text: str) -> str:
    """Drop assignments of plain calculations to names that nothing reads."""
    tree = ast.parse(text)
    read = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}
    if read & _NAME_READERS:
        return text
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            kept = [line for line in node.body if not _is_unused(line, read)]
            node.body = kept or [ast.Pass()]
    return ast.unparse(tree)


def _is_unused(line: ast.stmt, read: set[str]) -> bool:
    if not isinstance(line, ast.Assign) or len(line.targets) != 1:
        return False
    target = line.targets[0]
    # A division may raise, so only what cannot in a program that has run is dropped.
    safe = (ast.Constant, ast.Name, ast.Load, ast.BinOp, ast.Add, ast.Sub, ast.Mult)
    calculation = all(isinstance(inner, safe) for inner in ast.walk(line.value))
    return isinstance(target, ast.Name) and target.id not in read and calculation


def _strip_docstrings(tree: ast.Module) -> None:
    # Docstrings stand in blocks of statements: expressions need no visit.
    stack: list[ast.AST] = [tree]
    while stack:
        node = stack.pop()
        for block in BLOCKS:
            stack.extend(getattr(node, block, ()))
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
    nodes = [node for node in _depth_first(tree) if isinstance(node, (ast.Name, *_NAMING))]
    others = [node for node in nodes if not isinstance(node, ast.Name)]
    names = [node for node in nodes if isinstance(node, ast.Name)]
    bound = {node.id for node in names if not isinstance(node.ctx, ast.Load)}
    bound |= {name for node in others for name in _variables_bound(node)}
    kept = {"solution"} | {name for node in others for name in _names_kept(node)}
    free = {node.id for node in names} - bound
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
        children: list[ast.AST] = []
        for field in node._fields:
            if field in _NAMELESS:
                continue
            value = getattr(node, field, None)
            if isinstance(value, list):
                children += [item for item in value if isinstance(item, ast.AST)]
            elif isinstance(value, ast.AST):
                children.append(value)
        stack.extend(reversed(children))


def _variables_bound(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
        yield node.id
    elif isinstance(node, ast.arg):
        yield node.arg
    elif isinstance(node, ast.ExceptHandler) and node.name:
        yield node.name


def _names_kept(node: ast.AST) -> Iterator[str]:
    """Yield names that mean something outside the variables: renaming them could be wrong."""
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
