"""Errors in what is defined, used and returned: names, steps and the way between them."""

from __future__ import annotations

import ast
import builtins
import keyword
import random
from collections.abc import Callable, Sequence
from typing import TypeVar

from pad_ray.synthesis.repairs.injections.source import (
    SIMPLE,
    Source,
    Spot,
    moved,
    rendered,
    without,
)
from pad_ray.synthesis.repairs.injections.walk import name_of, target_of

__all__ = [
    "missing_assignment",
    "missing_return",
    "rename_use",
    "use_before_definition",
    "wrong_return",
]

_SUFFIXES = ("value", "amount", "number", "count")
_T = TypeVar("_T")


def first_that_applies(
    ways: Sequence[Callable[[Source, random.Random], str | None]],
    source: Source,
    rng: random.Random,
) -> str | None:
    """Try the ways in a random order and return what the first one that applies makes."""
    results = (way(source, rng) for way in rng.sample(ways, len(ways)))
    return next((result for result in results if result is not None), None)


def pick(items: Sequence[_T], rng: random.Random) -> _T | None:
    """Return one of the items, or None if there are none."""
    return rng.choice(items) if items else None


def rename_use(source: Source, question: str, rng: random.Random) -> str | None:
    """Rename a variable at one use, to a name that nothing defines."""
    reads = source.walk.reads()
    spot = pick([s for s in reads if s.certain] or reads, rng)
    if spot is None:
        return None
    new = ast.Name(_undefined(name_of(spot.node), source, rng), ast.Load())
    return source.replaced(spot.place, spot.node, new)


def _undefined(name: str, source: Source, rng: random.Random) -> str:
    """Return a name much like the given one that has no value anywhere."""
    words = name.split("_")
    ways = [name[:-1] if name.endswith("s") else f"{name}s", f"total_{name}", f"num_{name}"]
    if len(words) > 1:
        ways += ["_".join(words[1:]), "_".join(words[:-1]), "_".join(reversed(words))] * 2
    if "*" in source.defined:  # an import of everything may define any of these
        ways = []
    free = [way for way in ways if _is_free(way, source)]
    if free:
        return rng.choice(free)
    result = f"{name}_{rng.choice(_SUFFIXES)}"
    while not _is_free(result, source):
        result += "_2"
    return result


def _is_free(name: str, source: Source) -> bool:
    if not name.isidentifier() or keyword.iskeyword(name) or name.startswith("__"):
        return False
    return name not in source.taken and not hasattr(builtins, name)


def use_before_definition(source: Source, question: str, rng: random.Random) -> str | None:
    """Use a variable above its definition: a use moved up, a definition down, or a later name."""
    return first_that_applies((_use_moved_up, _definition_moved_down, _later_name), source, rng)


def _use_moved_up(source: Source, rng: random.Random) -> str | None:
    first = source.walk.first_bound()
    choices = []
    for top, name in _certain_uses(source):
        start, node = first[name], source.body[top]
        movable = isinstance(node, SIMPLE) and not isinstance(node, ast.Return)
        if start < top and movable and source.owns_lines(node):
            above = source.body[start]
            if source.starts_line(above) and not getattr(above, "decorator_list", []):
                choices.append((top, start))
    choice = pick(choices, rng)
    if choice is None:
        return None
    top, start = choice
    span = source.lines_of(source.body[top])
    return "\n".join(moved(source.lines, span, source.body[start].lineno - 1))


def _definition_moved_down(source: Source, rng: random.Random) -> str | None:
    first = source.walk.first_bound()
    choices = []
    for top, name in _certain_uses(source):
        start = first[name]
        node, use = source.body[start], source.body[top]
        between = source.walk.bound[start + 1 : top]
        movable = isinstance(node, SIMPLE) and source.owns_lines(node) and source.ends_line(use)
        # Nobody writes a definition below the return.
        if start >= top or not movable or isinstance(use, ast.Return):
            continue
        if not any(name in names for names in between):
            choices.append((start, top))
    choice = pick(choices, rng)
    if choice is None:
        return None
    start, top = choice
    span = source.lines_of(source.body[start])
    return "\n".join(moved(source.lines, span, source.lines_of(source.body[top]).end))


def _later_name(source: Source, rng: random.Random) -> str | None:
    first = source.walk.first_bound()
    spots = [s for s in source.walk.reads() if s.certain]
    choices = [
        (spot, name)
        for spot in spots
        for name in sorted(first)
        if spot.place.top <= first[name] <= spot.place.top + 2 and name != name_of(spot.node)
    ]
    choice = pick(choices, rng)
    if choice is None:
        return None
    spot, name = choice
    return source.replaced(spot.place, spot.node, ast.Name(name, ast.Load()))


def _certain_uses(source: Source) -> list[tuple[int, str]]:
    """Return the variables that surely are read, each with the statement that reads it."""
    first = source.walk.first_bound()
    uses = [(s.place.top, name_of(s.node)) for s in source.walk.reads() if s.certain]
    for place, certain in source.walk.statements:
        if certain and isinstance(place.node, ast.AugAssign):
            uses.append((place.top, target_of(place.node)))
    return [(top, name) for top, name in dict.fromkeys(uses) if name in first]


def missing_assignment(source: Source, question: str, rng: random.Random) -> str | None:
    """Delete the assignment of a variable that is read later."""
    first, bound = source.walk.first_bound(), source.walk.bound
    choices = set()
    for top, name in _certain_uses(source):
        start = first[name]
        node = source.body[start]
        if start >= top or target_of(node) != name or not source.owns_lines(node):
            continue
        local = any(name in names for names in bound[start + 1 :])
        visible = name in source.global_names or hasattr(builtins, name)
        if not any(name in names for names in bound[start + 1 : top]) and (local or not visible):
            choices.add(start)
    choice = pick(sorted(choices), rng)
    if choice is None:
        return None
    return "\n".join(without(source.lines, source.lines_of(source.body[choice])))


def missing_return(source: Source, question: str, rng: random.Random) -> str | None:
    """Leave the return out, or print the result in its stead."""
    node = _return(source, rng)
    if node is None or node.value is None:
        return None
    last = node is source.body[-1] and len(source.body) > 1
    if last and source.owns_lines(node) and rng.random() < 0.75:
        return "\n".join(without(source.lines, source.lines_of(node)))
    before = source.text[source.start(node) : source.end(node)]
    return source.spliced(node, f"print({rendered(node.value, before)})")


def wrong_return(source: Source, question: str, rng: random.Random) -> str | None:
    """Return another variable, a computed one where there is one."""
    node = _return(source, rng)
    if node is None:
        return None
    walk = source.walk
    top = next(place.top for place, _ in walk.statements if place.node is node)
    names: dict[str, bool] = {}
    copy_of: dict[str, str] = {}  # `result = total`: to return either is the same
    for place, certain in walk.statements:
        name, value = target_of(place.node), getattr(place.node, "value", None)
        if certain and place.top < top and name:
            copied = name_of(value) if isinstance(place.node, ast.Assign) else ""
            copy_of[name] = copy_of.get(copied, copied) or name
            names[name] = not isinstance(value, ast.Constant)
    returned = copy_of.get(name_of(node.value), "")
    names = {name: computed for name, computed in names.items() if copy_of[name] != returned}
    other = pick([n for n, computed in names.items() if computed] or list(names), rng)
    return None if other is None else source.spliced(node, f"return {other}")


def _return(source: Source, rng: random.Random) -> ast.Return | None:
    """Return the statement that surely returns, or else any one that does."""
    found = [(p.node, sure) for p, sure in source.walk.statements if isinstance(p.node, ast.Return)]
    nodes = [n for n, sure in found if sure] or [n for n, _ in found]
    node = pick(nodes, rng)
    return node if isinstance(node, ast.Return) else None


def spots_outside_while(source: Source) -> list[Spot]:
    """Return the spots that no `while` repeats: a change in one may keep it from ever ending."""
    return [spot for spot in source.walk.spots if not spot.place.looping]
