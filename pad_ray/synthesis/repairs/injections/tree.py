"""Errors within one expression: operators, operands, numbers, calls and types."""

from __future__ import annotations

import ast
import copy
import random
import re
from collections.abc import Iterator
from typing import cast

from pad_ray.synthesis.repairs.injections.flow import first_that_applies, pick, spots_outside_while
from pad_ray.synthesis.repairs.injections.source import Source, Spot
from pad_ray.synthesis.repairs.injections.walk import Place, name_of

__all__ = ["call_arity", "int_str", "swapped_operands", "wrong_constant", "wrong_operator"]

# Not the scripted teacher's table: what that teacher writes must stay as it is, while this one
# also has what only real programs hold. None of it makes a power or turns / to //, which is the
# same for numbers that divide.
_OTHER_OPERATORS: dict[type[ast.AST], tuple[type[ast.AST], ...]] = {
    ast.Add: (ast.Sub, ast.Mult),
    ast.Sub: (ast.Add, ast.Add, ast.Mult),
    ast.Mult: (ast.Add, ast.Div),
    ast.Div: (ast.Mult, ast.Mult, ast.Sub),
    ast.FloorDiv: (ast.Mult, ast.Mod),
    ast.Mod: (ast.FloorDiv, ast.Div),
    ast.Pow: (ast.Mult,),
    ast.Lt: (ast.LtE, ast.Gt),
    ast.LtE: (ast.Lt, ast.GtE),
    ast.Gt: (ast.GtE, ast.Lt),
    ast.GtE: (ast.Gt, ast.LtE),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.And: (ast.Or,),
    ast.Or: (ast.And,),
}
_ORDERED = (ast.Sub, ast.Div, ast.FloorDiv, ast.Mod, ast.Pow)
_COMPARED = (ast.Lt, ast.LtE, ast.Gt, ast.GtE)
_NUMBER = re.compile(r"(?<![\w.])\d{1,15}(?:,\d{3})*(?:\.\d+)?(?!\w)")
_WORDS = re.compile(r"\b(?:two|three|four|five|six|seven|eight|nine|ten)\b", re.IGNORECASE)
_WORD_VALUES = {
    word: number
    for number, word in enumerate("two three four five six seven eight nine ten".split(), 2)
}
# The most arguments that a function takes; called with none each of them raises a TypeError.
_MOST_ARGUMENTS = {
    "abs": 1,
    "divmod": 2,
    "len": 1,
    "pow": 3,
    "range": 3,
    "round": 2,
    "sorted": 1,
    "sum": 2,
}
_MATH = frozenset({"ceil", "factorial", "fabs", "floor", "sqrt"})


def wrong_operator(source: Source, question: str, rng: random.Random) -> str | None:
    """Put another operator in the place of one."""
    places = [place for place, _ in source.walk.statements if not place.looping]
    nodes: list[tuple[Place, ast.AST]] = [(place, place.node) for place in places]
    nodes += [(spot.place, spot.node) for spot in spots_outside_while(source)]
    choice = pick([(p, n) for p, n in nodes if type(_operator(n)) in _OTHER_OPERATORS], rng)
    if choice is None:
        return None
    place, node = choice
    new = copy.copy(node)
    operator = rng.choice(_OTHER_OPERATORS[type(_operator(node) or node)])()
    if isinstance(new, ast.Compare):
        new.ops = [cast(ast.cmpop, operator)]
    else:
        vars(new)["op"] = operator
    return source.replaced(place, node, new)


def _operator(node: ast.AST) -> ast.AST | None:
    if isinstance(node, ast.BinOp | ast.BoolOp | ast.AugAssign):
        return node.op
    return node.ops[0] if isinstance(node, ast.Compare) and len(node.ops) == 1 else None


def swapped_operands(source: Source, question: str, rng: random.Random) -> str | None:
    """Swap the sides of an operator that minds their order."""
    choices: list[tuple[Spot, ast.expr]] = []
    for spot in spots_outside_while(source):
        node = spot.node
        if isinstance(node, ast.BinOp) and isinstance(node.op, _ORDERED):
            if ast.dump(node.left) != ast.dump(node.right):
                choices.append((spot, ast.BinOp(node.right, node.op, node.left)))
        elif isinstance(node, ast.Compare) and isinstance(_operator(node), _COMPARED):
            left, right = node.left, node.comparators[0]
            if ast.dump(left) != ast.dump(right):
                choices.append((spot, ast.Compare(right, node.ops, [left])))
    return _replaced_one(choices, source, rng)


def wrong_constant(source: Source, question: str, rng: random.Random) -> str | None:
    """Put another number of the question in the place of one."""
    stated = list(_numbers(question))
    choices: list[tuple[Spot, ast.expr]] = [
        (spot, ast.Constant(number))
        for spot in spots_outside_while(source)
        if (value := _number(spot)) is not None
        for number in stated
        if number != value
    ]
    return _replaced_one(choices, source, rng)


def _numbers(question: str) -> dict[int | float, None]:
    texts = [text.replace(",", "") for text in _NUMBER.findall(question)]
    found = [float(text) if "." in text else int(text) for text in texts]
    return dict.fromkeys(found + [_WORD_VALUES[w.lower()] for w in _WORDS.findall(question)])


def _number(spot: Spot) -> int | float | None:
    """Return the number that a spot holds; how many digits to show is none of the problem's."""
    value = spot.node.value if isinstance(spot.node, ast.Constant) else None
    call = spot.parent
    if isinstance(call, ast.Call) and name_of(call.func) == "round" and spot.node in call.args[1:]:
        return None
    if isinstance(call, ast.FormattedValue) or isinstance(value, bool):
        return None
    return value if isinstance(value, int | float) else None


def int_str(source: Source, question: str, rng: random.Random) -> str | None:
    """Make a text of a number."""
    choices: list[tuple[Spot, ast.expr]] = []
    for spot in source.walk.spots:
        value = _number(spot)
        if value is not None:
            choices.append((spot, ast.Constant(str(value))))
        elif isinstance(spot.parent, ast.BinOp) and source.walk.is_numeric(spot.node):
            choices.append((spot, _call("str", spot.node)))
    return _replaced_one(choices, source, rng)


def call_arity(source: Source, question: str, rng: random.Random) -> str | None:
    """Call something with too few or too many arguments, or call a number."""
    ways = (_changed_call, _forgotten_operator, _operator_as_call)
    text = first_that_applies(ways, source, rng)
    return _called_read(source, rng) if text is None else text


def _changed_call(source: Source, rng: random.Random) -> str | None:
    choices: list[tuple[Spot, ast.expr]] = []
    for spot in _certain_spots(source):
        call = spot.node
        most = _most_arguments(call, source) if isinstance(call, ast.Call) else None
        if most is None or not isinstance(call, ast.Call):
            continue
        extra = (call.args or [ast.Constant(1)])[-1]
        args = [*call.args, *[extra] * (most + 1 - len(call.args))]
        choices.append((spot, ast.Call(call.func, args, call.keywords)))
        if name_of(call.func) in _MOST_ARGUMENTS and call.args:
            choices.append((spot, ast.Call(call.func, [], [])))
    return _replaced_one(choices, source, rng)


def _most_arguments(call: ast.Call, source: Source) -> int | None:
    """Return how many arguments the called function takes, where that is known for sure."""
    function = call.func
    if any(isinstance(arg, ast.Starred) for arg in call.args):
        return None
    if isinstance(function, ast.Attribute):
        math = name_of(function.value) == "math" and function.attr in _MATH
        return 1 if math and "math" in source.defined else None
    name = name_of(function)
    helpers = [n for n in source.module.body if isinstance(n, ast.FunctionDef) and n.name == name]
    if len(helpers) == 1 and name not in source.walk.first_bound():
        args = helpers[0].args
        return None if args.vararg else len(args.posonlyargs) + len(args.args)
    return None if name in source.defined else _MOST_ARGUMENTS.get(name)


def _forgotten_operator(source: Source, rng: random.Random) -> str | None:
    """Write `a * (b + c)` without the operator: a call of a number."""
    choices: list[tuple[Spot, ast.expr]] = []
    for spot in _certain_spots(source):
        node = spot.node
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult) and name_of(node.left):
            choices.append((spot, ast.Call(node.left, [node.right], [])))
    return _replaced_one(choices, source, rng)


def _operator_as_call(source: Source, rng: random.Random) -> str | None:
    """Write an operation as a call of a builtin that does not take these arguments."""
    choices: list[tuple[Spot, ast.expr]] = []
    for spot in _certain_spots(source):
        node = spot.node
        if not isinstance(node, ast.BinOp):
            continue
        if isinstance(node.op, ast.Sub):
            choices.append((spot, _call("abs", node.left, node.right)))
        elif isinstance(node.op, ast.Div | ast.FloorDiv):
            choices.append((spot, _call("round", node.left, node.right, ast.Constant(2))))
        elif isinstance(node.op, ast.Mult | ast.Pow):
            choices.append((spot, _call("pow", node.left)))
        elif isinstance(node.op, ast.Add) and source.walk.is_numeric(node.left):
            choices.append((spot, _call("sum", node.left, node.right)))
    return _replaced_one([c for c in choices if _is_builtin(c[1], source)], source, rng)


def _called_read(source: Source, rng: random.Random) -> str | None:
    """Wrap a read into a call of a builtin that takes one argument less or more."""
    spots = [s for s in source.walk.reads() if s.certain] or source.walk.reads()
    choices: list[tuple[Spot, ast.expr]] = []
    for spot in spots:
        choices.append((spot, _call("abs", spot.node, spot.node)))
        choices.append((spot, _call("round")))
        if source.walk.is_numeric(spot.node):
            choices.append((spot, _call("max", spot.node)))
    return _replaced_one([c for c in choices if _is_builtin(c[1], source)], source, rng)


def _certain_spots(source: Source) -> Iterator[Spot]:
    return (spot for spot in source.walk.spots if spot.certain)


def _replaced_one(
    choices: list[tuple[Spot, ast.expr]], source: Source, rng: random.Random
) -> str | None:
    choice = pick(choices, rng)
    if choice is None:
        return None
    spot, new = choice
    return source.replaced(spot.place, spot.node, new)


def _call(name: str, *args: ast.expr) -> ast.expr:
    return ast.Call(ast.Name(name, ast.Load()), list(args), [])


def _is_builtin(call: ast.expr, source: Source) -> bool:
    return isinstance(call, ast.Call) and name_of(call.func) not in source.defined
