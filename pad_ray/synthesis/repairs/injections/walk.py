"""What stands where in `solution`, what is evaluated for certain, and which names are bound."""

from __future__ import annotations

import ast
from typing import NamedTuple

__all__ = ["Place", "Spot", "Walk"]

_SCOPES = (ast.Lambda, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_NUMBER_CALLS = frozenset({"abs", "float", "int", "len", "round"})


class Place(NamedTuple):
    """A simple statement, or the expression in the head of a compound one.

    top: index of the statement of the function's body that it belongs to.
    looping: whether it is part of a `while`, which an edit may keep from ending.
    """

    node: ast.stmt | ast.expr
    top: int
    looping: bool


class Spot(NamedTuple):
    """An expression, what it is an operand of, and whether it is evaluated whatever happens."""

    place: Place
    node: ast.expr
    parent: ast.AST
    certain: bool


class Walk:
    """One pass over the function.

    spots: its expressions, in order; those of inner functions are left out.
    statements: its simple statements with whether they are reached for certain.
    bound: the names that each statement of the body binds anew (`x += 1` binds nothing anew).
    parameters: the names that have a value from the start, or are not the function's own.
    """

    def __init__(self, function: ast.FunctionDef) -> None:
        self.spots: list[Spot] = []
        self.statements: list[tuple[Place, bool]] = []
        self.bound: list[set[str]] = [set() for _ in function.body]
        self.certain: list[bool] = []
        self.parameters = {
            node.arg for node in ast.walk(function.args) if isinstance(node, ast.arg)
        }
        self._looping = False
        certain = True
        for top, statement in enumerate(function.body):
            self.certain.append(certain)
            self._statement(statement, top, certain)
            certain = certain and not _may_leave(statement)
        self.numeric = self._numeric(function.body)

    def first_bound(self) -> dict[str, int]:
        """Return for each variable of the function the statement that binds it first."""
        first: dict[str, int] = {}
        for top, names in enumerate(self.bound):
            for name in names - self.parameters:
                first.setdefault(name, top)
        return first

    def reads(self) -> list[Spot]:
        """Return the reads of the function's variables."""
        first = self.first_bound()
        return [s for s in self.spots if _is_read(s.node) and name_of(s.node) in first]

    def is_numeric(self, node: ast.AST) -> bool:
        """Tell whether an expression is sure to be an int or a float."""
        return _is_number(node, self.numeric)

    def _statement(self, node: ast.stmt, top: int, certain: bool) -> None:
        if isinstance(node, ast.Global | ast.Nonlocal):
            self.parameters.update(node.names)
        elif isinstance(node, _DEFINITIONS):
            self.bound[top].add(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            self.bound[top].update((a.asname or a.name).split(".")[0] for a in node.names)
        elif hasattr(node, "body") or isinstance(node, ast.Match):
            self._compound(node, top, certain)
        else:
            self._simple(node, Place(node, top, self._looping), certain)

    def _simple(self, node: ast.stmt, place: Place, certain: bool) -> None:
        self.statements.append((place, certain))
        for name, value in ast.iter_fields(node):
            # A local variable's annotation is never evaluated, an assertion's message seldom.
            if name != "annotation":
                self._children(value, node, place, certain and name != "msg")

    def _compound(self, node: ast.stmt, top: int, certain: bool) -> None:
        looping, self._looping = self._looping, self._looping or isinstance(node, ast.While)
        for name, value in ast.iter_fields(node):
            for child in value if isinstance(value, list) else [value]:
                if isinstance(child, ast.stmt):
                    self._statement(child, top, False)
                elif isinstance(child, ast.expr):
                    place = Place(child, top, self._looping)
                    self._expression(child, node, place, certain and name != "target")
                elif isinstance(child, ast.AST):
                    self._clause(child, top)
        self._looping = looping

    def _clause(self, node: ast.AST, top: int) -> None:
        """Take the parts of a handler, a case or a `with`, none of which surely runs."""
        for child in ast.walk(node):
            if isinstance(child, ast.Name) and isinstance(child.ctx, ast.Store):
                self.bound[top].add(child.id)
            elif isinstance(child, ast.ExceptHandler | ast.MatchAs | ast.MatchStar) and child.name:
                self.bound[top].add(child.name)
        for child in getattr(node, "body", []):
            self._statement(child, top, False)

    def _expression(
        self, node: ast.AST, parent: ast.AST, place: Place, certain: bool, inner: bool = False
    ) -> None:
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            if not inner and not isinstance(parent, ast.AugAssign):
                self.bound[place.top].add(node.id)
            return
        if isinstance(node, ast.expr):
            self.spots.append(Spot(place, node, parent, certain))
        if isinstance(node, ast.Name | ast.Constant):
            return
        inner = inner or isinstance(node, _SCOPES)
        for name, value in ast.iter_fields(node):
            if name != "format_spec":
                sure = certain and not inner and _is_evaluated(node, name)
                self._children(value, node, place, sure, inner)

    def _children(
        self, value: object, parent: ast.AST, place: Place, certain: bool, inner: bool = False
    ) -> None:
        if isinstance(value, list):
            late = isinstance(parent, ast.BoolOp | ast.Compare)
            for i, item in enumerate(value):
                first = i == 0 or not late
                self._children(item, parent, place, certain and first, inner)
        elif isinstance(value, ast.expr | ast.keyword | ast.comprehension):
            self._expression(value, parent, place, certain, inner)

    def _numeric(self, body: list[ast.stmt]) -> frozenset[str]:
        """Return the variables that are bound once, to what is sure to be a number."""
        numeric: frozenset[str] = frozenset()
        for top, node in enumerate(body):
            value = node.value if isinstance(node, ast.Assign) else None
            if value is None or not _is_number(value, numeric) or not self.certain[top]:
                continue
            once = {n for n in self.bound[top] if sum(n in names for names in self.bound) == 1}
            targets = node.targets if isinstance(node, ast.Assign) else []
            numeric |= once & {t.id for t in targets if isinstance(t, ast.Name)}
        return numeric - self._updated()

    def _updated(self) -> set[str]:
        nodes = (place.node for place, _ in self.statements)
        targets = (n.target for n in nodes if isinstance(n, ast.AugAssign))
        return {target.id for target in targets if isinstance(target, ast.Name)}


def name_of(node: ast.AST | None) -> str:
    """Return the name that a node is, or an empty text."""
    return node.id if isinstance(node, ast.Name) else ""


def target_of(node: ast.AST) -> str:
    """Return the one variable that a statement assigns or updates, or an empty text."""
    if isinstance(node, ast.Assign) and len(node.targets) == 1:
        return name_of(node.targets[0])
    if isinstance(node, ast.AugAssign):
        return name_of(node.target)
    return name_of(node.target) if isinstance(node, ast.AnnAssign) and node.value else ""


def _is_read(node: ast.AST) -> bool:
    return isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)


def _is_evaluated(node: ast.AST, field: str) -> bool:
    return not (isinstance(node, ast.IfExp) and field in ("body", "orelse"))


def _is_number(node: ast.AST, names: frozenset[str]) -> bool:
    if isinstance(node, ast.Constant):
        return type(node.value) in (int, float)
    if isinstance(node, ast.BinOp):
        return _is_number(node.left, names) and _is_number(node.right, names)
    if isinstance(node, ast.UnaryOp):
        return isinstance(node.op, ast.USub) and _is_number(node.operand, names)
    if isinstance(node, ast.Call):
        return name_of(node.func) in _NUMBER_CALLS
    return name_of(node) in names


def _may_leave(statement: ast.stmt) -> bool:
    """Tell whether the function may end in this statement."""
    if isinstance(statement, ast.Assign | ast.AugAssign | ast.AnnAssign | ast.Expr):
        return False
    return any(isinstance(node, ast.Return | ast.Raise) for node in ast.walk(statement))
