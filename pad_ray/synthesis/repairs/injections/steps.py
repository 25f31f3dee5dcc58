"""Errors by one step: one too few, one too many, or the result of the step before."""

from __future__ import annotations

import ast
import random

from pad_ray.synthesis.repairs.injections.flow import first_that_applies, pick, spots_outside_while
from pad_ray.synthesis.repairs.injections.source import Source, rendered, without
from pad_ray.synthesis.repairs.injections.walk import name_of, target_of

__all__ = ["off_by_one_step"]


def off_by_one_step(source: Source, question: str, rng: random.Random) -> str | None:
    """Leave out or repeat one step, or count one too many or too few in a `range`."""
    ways = (_earlier_result, _repeated_step, _dropped_update, _other_range)
    return first_that_applies(ways, source, rng)


def _earlier_result(source: Source, rng: random.Random) -> str | None:
    """Read what a step was computed from in place of its result."""
    before = _computed_from(source)
    reads = [s for s in source.walk.reads() if not s.place.looping]
    spot = pick([s for s in reads if name_of(s.node) in before], rng)
    if spot is None:
        return None
    name = name_of(spot.node)
    top, sources = before[name]
    new = ast.Name(rng.choice(sources), ast.Load())
    text = source.replaced(spot.place, spot.node, new)
    step = source.body[top]
    # The step itself goes too where nothing else needs it: a step that was forgotten.
    unused = sum(name_of(s.node) == name for s in source.walk.spots) == 1
    if unused and source.owns_lines(step) and rng.random() < 0.5:
        text = "\n".join(without(text.split("\n"), source.lines_of(step)))
    return text


def _computed_from(source: Source) -> dict[str, tuple[int, list[str]]]:
    """Return for each variable bound once by a step: the step, and the variables that it reads.

    Of these only computed ones, where there are any: they are the step before.
    """
    result: dict[str, tuple[int, list[str]]] = {}
    first, bound = source.walk.first_bound(), source.walk.bound
    reads: dict[int, list[str]] = {}
    for spot in source.walk.reads():
        if spot.certain:
            reads.setdefault(spot.place.top, []).append(name_of(spot.node))
    for top, node in enumerate(source.body):
        name = target_of(node)
        if not isinstance(node, ast.Assign) or first.get(name) != top or top not in reads:
            continue
        if sum(name in names for names in bound) == 1 and source.walk.certain[top]:
            found = list(dict.fromkeys(reads[top]))
            if name_of(node.value) in result:  # a mere copy: what was copied is no earlier result
                found = result[name_of(node.value)][1]
            elif name_of(node.value):
                continue
            result[name] = top, [n for n in found if n in result] or found
    return result


def _repeated_step(source: Source, rng: random.Random) -> str | None:
    """Apply a step a second time, to its own result."""
    choices = []
    for top, (name, node) in enumerate((target_of(n), n) for n in source.body):
        value = node.value if isinstance(node, ast.Assign | ast.AugAssign) else None
        if not name or not source.owns_lines(node):
            continue
        if isinstance(node, ast.AugAssign):
            choices.append((top, rendered(node)))
        elif isinstance(value, ast.BinOp) and name_of(value.left):
            again = ast.BinOp(ast.Name(name, ast.Load()), value.op, value.right)
            choices.append((top, f"{name} = {rendered(again)}"))
    choice = pick(choices, rng)
    if choice is None:
        return None
    top, step = choice
    span = source.lines_of(source.body[top])
    line = source.lines[span.start]
    indent = line[: len(line) - len(line.lstrip())]
    return "\n".join([*source.lines[: span.end], indent + step, *source.lines[span.end :]])


def _dropped_update(source: Source, rng: random.Random) -> str | None:
    """Leave out a step that updates a variable from itself."""
    choices = []
    for node in source.body:
        updates = isinstance(node, ast.AugAssign)
        if isinstance(node, ast.Assign):
            updates = any(name_of(n) == target_of(node) != "" for n in ast.walk(node.value))
        if updates and source.owns_lines(node) and len(source.body) > 1:
            choices.append(node)
    gone = pick(choices, rng)
    return None if gone is None else "\n".join(without(source.lines, source.lines_of(gone)))


def _other_range(source: Source, rng: random.Random) -> str | None:
    spots = [s for s in spots_outside_while(source) if _range(s.node) is not None]
    spot = pick(spots, rng)
    if spot is None:
        return None
    call = _range(spot.node)
    assert call is not None
    place = min(len(call.args) - 1, 1)
    stop = _by_one(call.args[place], rng)
    args = [*call.args[:place], stop, *call.args[place + 1 :]]
    return source.replaced(spot.place, call, ast.Call(call.func, args, []))


def _range(node: ast.AST) -> ast.Call | None:
    if isinstance(node, ast.Call) and name_of(node.func) == "range" and node.args:
        return None if any(isinstance(a, ast.Starred) for a in node.args) else node
    return None


def _by_one(stop: ast.expr, rng: random.Random) -> ast.expr:
    if isinstance(stop, ast.Constant) and type(stop.value) is int:
        return ast.Constant(max(stop.value + rng.choice((-1, 1)), 0) if stop.value else 1)
    if isinstance(stop, ast.BinOp) and isinstance(stop.op, ast.Add | ast.Sub):
        by = stop.right.value if isinstance(stop.right, ast.Constant) else None
        if by == 1:
            return stop.left
    return ast.BinOp(stop, rng.choice((ast.Add(), ast.Sub())), ast.Constant(1))
