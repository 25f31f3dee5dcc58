"""Edits of a program for the scripted teacher: those that keep its value and those that do not.

All work on the syntax tree of a straight-line `def solution():` and draw from the given generator.
"""

from __future__ import annotations

import ast
import random
from collections.abc import Iterator

__all__ = [
    "add_forbidden_call",
    "add_loop",
    "break_syntax",
    "change_number",
    "change_operator",
    "undefine_name",
    "vary_program",
]

_SYNONYMS = {
    "total": ("overall", "combined"),
    "left": ("remaining",),
    "money": ("dollars",),
    "price": ("cost",),
    "income": ("revenue",),
    "profit": ("gain",),
    "first": ("initial",),
    "new": ("added",),
    "hours": ("num_hours",),
    "days": ("num_days",),
    "result": ("answer",),
    "flips": ("coin_flips",),
    "word": ("name", "w"),
    "last": ("final",),
    "matches": ("found", "selected"),
    "today": ("current_day",),
    "asked": ("wanted",),
    "values": ("numbers",),
    "orders": ("possible_orders", "records"),
    "order": ("one_order",),
    "person": ("somebody",),
    "people": ("persons", "records"),
    "event": ("occasion",),
    "events": ("occasions", "records"),
}
_SWAPS: dict[type[ast.operator], tuple[type[ast.operator], ...]] = {
    ast.Add: (ast.Sub, ast.Mult),
    ast.Sub: (ast.Add,),
    ast.Mult: (ast.Add, ast.Div),
    ast.Div: (ast.Mult,),
    ast.Mod: (ast.FloorDiv,),
    ast.FloorDiv: (ast.Mult,),
}
_MIRRORED: dict[type[ast.cmpop], type[ast.cmpop]] = {ast.Lt: ast.Gt, ast.Gt: ast.Lt}
_FORBIDDEN = (
    'open("solution.txt", "w").write("done")',
    '__import__("os").system("echo done")',
    '__import__("subprocess").run(["true"])',
    '__import__("socket").create_connection(("127.0.0.1", 9), 1)',
)
_UNKNOWN = ("extra", "value", "amount")


def _parse(program: str) -> tuple[ast.Module, list[ast.stmt]]:
    """Return the module and the body of its last function; SyntaxError where there is none."""
    module = ast.parse(program)
    functions = [node for node in module.body if isinstance(node, ast.FunctionDef)]
    if not functions:
        raise SyntaxError("no function definition")
    return module, functions[-1].body


def _unparse(module: ast.Module) -> str:
    text = ast.unparse(ast.fix_missing_locations(module))
    # The gold style quotes with ": a student should not have to learn two styles.
    return text if '"' in text else text.replace("'", '"')


def _names(node: ast.AST, context: type[ast.expr_context]) -> Iterator[ast.Name]:
    for child in ast.walk(node):
        if isinstance(child, ast.Name) and isinstance(child.ctx, context):
            yield child


def _assigned(module: ast.Module) -> list[str]:
    return list(dict.fromkeys(name.id for name in _names(module, ast.Store)))


def _rename(module: ast.Module, body: list[ast.stmt], rng: random.Random) -> bool:
    taken = {node.id for node in ast.walk(module) if isinstance(node, ast.Name)}
    choices: list[tuple[str, str]] = []
    for old in _assigned(module):
        words = old.split("_")
        for place, word in enumerate(words):
            for synonym in _SYNONYMS.get(word, ()):
                new = "_".join((*words[:place], synonym, *words[place + 1 :]))
                choices.append((old, new))
    choices = [(old, new) for old, new in choices if new not in taken]
    if not choices:
        return False
    old, new = rng.choice(choices)
    for node in ast.walk(module):
        if isinstance(node, ast.Name) and node.id == old:
            node.id = new
    return True


def _add_result(module: ast.Module, body: list[ast.stmt], rng: random.Random) -> bool:
    last = body[-1]
    if not isinstance(last, ast.Return) or last.value is None or "result" in _assigned(module):
        return False
    body[-1:] = ast.parse(f"result = {ast.unparse(last.value)}").body
    body.append(ast.Return(ast.Name("result", ast.Load())))
    return True


def _independent(first: ast.stmt, second: ast.stmt) -> bool:
    if not isinstance(first, ast.Assign) or not isinstance(second, ast.Assign):
        return False
    stores = [{n.id for n in _names(s, ast.Store)} for s in (first, second)]
    loads = [{n.id for n in _names(s, ast.Load)} for s in (first, second)]
    return not (stores[0] & (stores[1] | loads[1]) or stores[1] & loads[0])


def _reorder(module: ast.Module, body: list[ast.stmt], rng: random.Random) -> bool:
    places = [i for i in range(len(body) - 1) if _independent(body[i], body[i + 1])]
    if not places:
        return False
    place = rng.choice(places)
    body[place], body[place + 1] = body[place + 1], body[place]
    return True


def _rephrase(module: ast.Module, body: list[ast.stmt], rng: random.Random) -> bool:
    """Write an expression in an equal way: b + a, b > a, or a choice with its test negated."""
    choices = [
        node
        for node in ast.walk(module)
        if (isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Mult))
        or (isinstance(node, ast.IfExp) and _is_comparison(node.test))
        or _is_comparison(node, tuple(_MIRRORED))
    ]
    if not choices:
        return False
    node = rng.choice(choices)
    if isinstance(node, ast.BinOp):
        node.left, node.right = node.right, node.left
    elif isinstance(node, ast.IfExp) and isinstance(node.test, ast.Compare):
        node.test.ops = [ast.NotEq()]
        node.body, node.orelse = node.orelse, node.body
    elif isinstance(node, ast.Compare):
        node.ops = [_MIRRORED[type(node.ops[0])]()]
        node.left, node.comparators = node.comparators[0], [node.left]
    return True


def _is_comparison(node: ast.AST, kinds: tuple[type[ast.cmpop], ...] = (ast.Eq,)) -> bool:
    return isinstance(node, ast.Compare) and len(node.ops) == 1 and type(node.ops[0]) in kinds


def _comment(text: str, rng: random.Random) -> str:
    """Put a comment above one of the assignments."""
    lines = text.split("\n")
    places = [i for i, line in enumerate(lines) if " = " in line]
    if not places:
        return text
    place = rng.choice(places)
    words = lines[place].split(" = ")[0].strip().replace("_", " ")
    lines.insert(place, f"    # {rng.choice(('Find the', 'The'))} {words}.")
    return "\n".join(lines)


_REWRITES = (_rename, _rename, _add_result, _reorder, _rephrase)


def vary_program(program: str, rng: random.Random) -> str:
    """Return the program in other words but with the same value: one or two small changes."""
    module, body = _parse(program)
    rewrites = rng.sample(_REWRITES, len(_REWRITES))
    wanted = rng.randint(0, 2)
    done = 0
    for rewrite in rewrites:
        if done < wanted:
            done += rewrite(module, body, rng)
    text = _unparse(module)
    return _comment(text, rng) if done == 0 else text


def _has_operator(node: ast.AST) -> bool:
    return (
        (isinstance(node, ast.BinOp) and type(node.op) in _SWAPS)
        or (isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub))
        or _is_comparison(node, (ast.Eq, ast.NotEq, *_MIRRORED))
    )


def change_operator(program: str, rng: random.Random) -> str:
    """Swap one operator for another; a number where the program has no operator."""
    module, _ = _parse(program)
    nodes = [node for node in ast.walk(module) if _has_operator(node)]
    if not nodes:
        return change_number(program, rng)
    node = rng.choice(nodes)
    if isinstance(node, ast.BinOp):
        node.op = rng.choice(_SWAPS[type(node.op)])()
    elif isinstance(node, ast.UnaryOp):
        node.op = ast.UAdd()
    elif isinstance(node, ast.Compare):
        kind = type(node.ops[0])
        other = ast.NotEq if kind is ast.Eq else _MIRRORED.get(kind, ast.Eq)
        node.ops = [other()]
    return _unparse(module)


def _other_number(value: int | float, rng: random.Random) -> int | float:
    if value in (0, 1):
        return 1 - value
    return rng.choice((value + 1, value - 1, value + 10, value * 10))


def _other_text(text: str, rng: random.Random) -> str:
    """Drop a character, which is what a slip does to a name or a written date."""
    place = rng.randrange(len(text))
    return text[:place] + text[place + 1 :]


def change_number(program: str, rng: random.Random) -> str:
    """Change one number as a slip would; a text, or else a name, where there is no number."""
    module, _ = _parse(program)
    nodes = [n for n in ast.walk(module) if isinstance(n, ast.Constant)]
    numbers = [n for n in nodes if type(n.value) in (int, float)]
    if not (changeable := numbers or [n for n in nodes if isinstance(n.value, str) and n.value]):
        return undefine_name(program, rng)
    node = rng.choice(changeable)
    if isinstance(node.value, str):
        node.value = _other_text(node.value, rng)
    elif isinstance(node.value, int | float):
        node.value = _other_number(node.value, rng)
    return _unparse(module)


def _maybe_skipped(module: ast.Module) -> set[ast.AST]:
    """Return the nodes that a run may pass by: behind a filter, and all but an `and`'s first."""
    behind: list[ast.AST] = []
    for node in ast.walk(module):
        if isinstance(node, ast.ListComp | ast.GeneratorExp) and node.generators[0].ifs:
            behind.append(node.elt)
        elif isinstance(node, ast.BoolOp):
            behind += node.values[1:]
    return {inner for node in behind for inner in ast.walk(node)}


def undefine_name(program: str, rng: random.Random) -> str:
    """Read a variable that is assigned nowhere; the read is the last where there is none."""
    module, body = _parse(program)
    assigned = _assigned(module)
    maybe = _maybe_skipped(module)
    reads = [n for n in _names(module, ast.Load) if n.id in assigned and n not in maybe]
    suffix = rng.choice(_UNKNOWN)
    if reads:
        name = rng.choice(reads)
        name.id = f"{name.id}_{suffix}"
    else:
        body.append(ast.Return(ast.Name(f"unknown_{suffix}", ast.Load())))
    return _unparse(module)


def break_syntax(program: str, rng: random.Random) -> str:
    """Damage one line so that the program no longer parses."""
    lines = program.split("\n")
    place = rng.choice([i for i, line in enumerate(lines) if i and _is_statement(line)])
    line = lines[place]
    lines[place] = rng.choice((f"{line} +", f"{line})", f"  {line}", f"{line} (", f"{line} return"))
    return "\n".join(lines)


def _is_statement(line: str) -> bool:
    return bool(line.strip()) and not line.lstrip().startswith("#")


def add_loop(program: str, rng: random.Random) -> str:
    """Put a loop that never ends before the last statement."""
    module, body = _parse(program)
    loop = rng.choice(("while True:\n    pass", "step = 1\nwhile step > 0:\n    step = step + 1"))
    body[-1:-1] = ast.parse(loop).body
    return _unparse(module)


def add_forbidden_call(program: str, rng: random.Random) -> str:
    """Begin with a harmless call of a kind that a sandbox must refuse: file, process, network."""
    module, body = _parse(program)
    body[:0] = ast.parse(rng.choice(_FORBIDDEN)).body
    return _unparse(module)
