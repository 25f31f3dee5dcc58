"""Making `solution()` of a script: what running it would print last is what it returns.

A script may have its `solution` already, a function of another name that its last lines call, a
class, or nothing but statements. The program keeps the script's own layout and comments, and of
its functions and statements those that the result needs.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pad_ray.programs.chunks import (
    IMPORTS,
    Chunk,
    bound,
    chunk_of,
    chunks_of,
    free,
    indented,
    is_code,
    loaded,
    renamed,
)
from pad_ray.programs.printing import is_print, is_text, shown_value
from pad_ray.programs.returns import (
    called_name,
    edited,
    given_values,
    last_result,
    returns_value,
    with_return,
)

__all__ = ["ENTRY", "Program", "assembled", "entry_of", "in_function"]

ENTRY = "solution"
_HEADER = f"def {ENTRY}():"
_WORK = (ast.Assign, ast.AugAssign, ast.For, ast.While, ast.If, ast.With, ast.Try, ast.Return)
_EXITS = frozenset({"exit", "quit", "_exit", "SystemExit"})
# What calls the function that it is given: `fire.Fire(main)`, `typer.run(main)`.
_RUNNERS = {"fire": "Fire", "typer": "run"}
_RUN_BY = frozenset(f"{module}.{name}" for module, name in _RUNNERS.items())
# The tool by which an agent gives its answer.
_ANSWERS = "final_answer"
# Such names see the module, whatever function they are called in.
_MODULE_READERS = frozenset({"globals", "locals", "vars", "eval", "exec"})
_COROUTINE = re.compile(r"\basync[ \t]+(?=def\b)|\bawait[ \t]+(?=[\w(])")
_RUN = re.compile(r"\basyncio\.run\(")
_BESIDE = re.compile(r"\basyncio\.(?!run\()|\basync[ \t]+(?:for|with)\b")
_QUESTION = re.compile(r"#+[ \t]*(?:next )?(?:question|problem|exercise|task)\b", re.IGNORECASE)


@dataclass(frozen=True)
class Program:
    """A program that was read: its text, whether it has a `solution` of its own, and how clear
    its result is: 3 where it returns or prints one, 2 an expression, 1 the last variable."""

    text: str
    own_entry: bool
    clarity: int


@dataclass(frozen=True)
class _Script:
    """Statements in order, main guards opened up, each function of a name once."""

    chunks: tuple[Chunk, ...]

    @property
    def functions(self) -> dict[str, ast.FunctionDef]:
        nodes = (node for chunk in self.chunks for node in chunk.nodes)
        return {node.name: node for node in nodes if isinstance(node, ast.FunctionDef)}

    @property
    def statements(self) -> list[tuple[int, ast.stmt]]:
        return [
            (at, node)
            for at, chunk in enumerate(self.chunks)
            if not chunk.is_definition
            for node in chunk.nodes
        ]

    @property
    def given(self) -> dict[str, object]:
        return given_values([node for _, node in self.statements])


def assembled(chunks: Iterable[Chunk]) -> Program | None:
    """Return the program that the statements of one script are, or None if there is no result."""
    script = _Script(tuple(_latest(_opened(list(chunks)))))
    entry = script.functions.get(ENTRY)
    if entry is not None:
        return _of_entry(script, entry)
    if ENTRY in free(script.chunks):
        # An example of use, of a program that is not there.
        script = _Script(tuple(one for one in script.chunks if ENTRY not in one.reads))
    driver = _driver(script)
    if driver is not None:
        return _of_driver(script, driver)
    if not any(isinstance(node, _WORK) for _, node in script.statements):
        name = _only_function(script)
        if name is not None:
            return _of_named(script, name, 2)
        call = _only_method(script)
        if call is not None and (last := chunk_of(call)):
            return _wrapped(_Script((*script.chunks, last)), len(script.chunks), 2)
    return _of_body(script)


def entry_of(chunk: Chunk) -> ast.FunctionDef | None:
    """Return the chunk's `solution`, if it defines one."""
    functions = (node for node in chunk.nodes if isinstance(node, ast.FunctionDef))
    return next((node for node in functions if node.name == ENTRY), None)


def in_function(lines: str) -> str | None:
    """Put the header above a bare body; None if that gives no function with steps."""
    chunk = chunk_of(f"{_HEADER}\n{lines.rstrip()}")
    function = entry_of(chunk) if chunk else None
    if chunk is None or function is None or len(chunk.nodes) > 1:
        return None
    if not any(
        isinstance(node, (*_WORK, ast.AnnAssign)) or is_print(node) for node in ast.walk(function)
    ):
        return None
    program = with_return(chunk.text, function)
    return program if program != chunk.text or returns_value(function) else None


def _opened(chunks: Sequence[Chunk]) -> list[Chunk]:
    """Open main guards, read `sys.exit(main())` as `main()`, and make functions of lambdas.

    So with what else is short for a call or a print.
    """
    found: list[Chunk] = []
    names: set[str] = set()
    for chunk in _answering(_in_turn(chunks)):
        for one in _without_guard(chunk):
            if all(is_code(node, names, alone=True) for node in one.nodes):
                names |= one.binds
                plain = _without_exit(_without_status(_as_function(_as_branches(one))))
                found += [] if plain is None else [plain]
    # The sandbox has none of these; nothing else of them is wanted.
    unused = _RUNNERS.keys() - {name for one in found for name in one.reads}
    return [one for one in found if not (one.binds and one.binds <= unused)]


def _in_turn(chunks: Sequence[Chunk]) -> Sequence[Chunk]:
    """Return coroutines as functions, where nothing of theirs runs beside anything else."""
    text = "\n".join(chunk.text for chunk in chunks)
    if not _COROUTINE.search(text) or _BESIDE.search(text):
        return chunks
    return [chunk_of(_RUN.sub("(", _COROUTINE.sub("", chunk.text))) or chunk for chunk in chunks]


def _answering(chunks: Sequence[Chunk]) -> Sequence[Chunk]:
    """Return an agent's script as one that prints what it gives to the tool for its answer."""
    if _ANSWERS not in free(chunks):
        return chunks
    return [renamed(chunk, _ANSWERS, "print") for chunk in chunks]


def _as_branches(chunk: Chunk) -> Chunk:
    """Return `print(x) if x else print(y)` as the statement that it is short for."""
    lines = chunk.text.split("\n")
    edits = []
    for node in (inner for outer in chunk.nodes for inner in ast.walk(outer)):
        choice = node.value if isinstance(node, ast.Expr) else None
        if not isinstance(choice, ast.IfExp) or not (
            is_print(choice.body) or is_print(choice.orelse)
        ):
            continue
        assert isinstance(node, ast.Expr)
        indent = lines[node.lineno - 1].encode()[: node.col_offset].decode()
        if not indent.strip():
            test, body, other = map(ast.unparse, (choice.test, choice.body, choice.orelse))
            new = f"if {test}:\n{indent}    {body}\n{indent}else:\n{indent}    {other}"
            edits.append((node, new))
    return (chunk_of(edited(chunk.text, edits)) or chunk) if edits else chunk


def _without_guard(chunk: Chunk) -> list[Chunk]:
    node = chunk.nodes[0] if chunk.nodes else None
    if not isinstance(node, ast.If) or "__name__" not in loaded([node.test]):
        return [chunk]
    lines = chunk.text.split("\n")
    first, last = node.body[0], node.body[-1]
    if first.lineno == node.lineno:
        body = lines[first.lineno - 1].encode()[first.col_offset :].decode()
    else:
        # A class around them takes the lines at any indent, texts in triple quotes untouched.
        body = "\n".join(lines[node.lineno : last.end_lineno])
        body = _moved_out(body, first.col_offset)
    return chunks_of(body) or []


def _moved_out(body: str, columns: int) -> str:
    prefix = re.compile(rf"^[ \t]{{1,{columns}}}", re.MULTILINE)
    return prefix.sub("", body)


def _as_function(chunk: Chunk) -> Chunk:
    """Return `f = lambda: x` as a function, where it needs no arguments."""
    node = chunk.nodes[0]
    value = node.value if isinstance(node, ast.Assign | ast.AnnAssign) else None
    if len(chunk.nodes) > 1 or not isinstance(value, ast.Lambda) or _wants_arguments(value.args):
        return chunk
    target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
    if not isinstance(target, ast.Name):
        return chunk
    arguments = ast.unparse(value.args)
    text = f"def {target.id}({arguments}):\n    return {ast.unparse(value.body)}"
    return chunk_of(text) or chunk


def _without_status(chunk: Chunk) -> Chunk:
    """Return a `main` that prints its result without the `return 0` at its end."""
    node = chunk.nodes[0]
    if not isinstance(node, ast.FunctionDef) or node.name == ENTRY or len(node.body) < 2:
        return chunk
    *above, last = node.body
    value = last.value if isinstance(last, ast.Return) else None
    if not isinstance(value, ast.Constant) or value.value not in (0, None):
        return chunk
    if not _shows(above, frozenset()):
        return chunk
    lines = chunk.text.split("\n")
    del lines[last.lineno - 1 : last.end_lineno]
    return chunk_of("\n".join(lines)) or chunk


def _without_exit(chunk: Chunk) -> Chunk | None:
    node = chunk.nodes[0]
    call = node.exc if isinstance(node, ast.Raise) else getattr(node, "value", None)
    if not isinstance(node, ast.Expr | ast.Raise) or not isinstance(call, ast.Call):
        return chunk
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    inner = call.args[0] if call.args else None
    if isinstance(inner, ast.Name) and ast.unparse(call.func) in _RUN_BY:
        return chunk_of(f"{inner.id}()")
    if name not in _EXITS:
        return chunk
    return chunk_of(ast.unparse(inner)) if isinstance(inner, ast.Call) else None


def _latest(chunks: Sequence[Chunk]) -> list[Chunk]:
    """Drop all but the last definition of a function, and what a next question defines again."""
    again: set[str] = set()
    for at, chunk in enumerate(chunks):
        name = _defined(chunk)
        if name in again and _is_next_question(chunk):
            chunks = chunks[:at]
            break
        again |= {name} if name else set()
    last = {name: at for at, chunk in enumerate(chunks) if (name := _defined(chunk))}
    return [
        chunk
        for at, chunk in enumerate(chunks)
        if (name := _defined(chunk)) is None or last[name] == at or name != ENTRY
    ]


def _defined(chunk: Chunk) -> str | None:
    node = chunk.nodes[0] if len(chunk.nodes) == 1 else None
    return node.name if isinstance(node, ast.FunctionDef) else None


def _is_next_question(chunk: Chunk) -> bool:
    return _defined(chunk) == ENTRY and any(map(_QUESTION.match, chunk.text.split("\n")))


def _wants_arguments(args: ast.arguments) -> bool:
    given = len(args.posonlyargs + args.args) == len(args.defaults) and all(args.kw_defaults)
    return not given


def _printing(script: _Script) -> frozenset[str]:
    """Return the functions that print a result and return none, also by way of each other.

    Methods are among them where the print is the last that they do, as `.NAME`.
    """
    functions = {name: one for name, one in script.functions.items() if not returns_value(one)}
    methods = [one for chunk in script.chunks for one in _methods(chunk.nodes[0])]
    functions |= {f".{one.name}": one for one in methods if not returns_value(one)}
    found: frozenset[str] = frozenset()
    while True:
        more = found | {name for name, one in functions.items() if _prints(name, one.body, found)}
        if more == found:
            return found
        found = more


def _prints(name: str, body: Sequence[ast.stmt], printing: frozenset[str]) -> bool:
    """Tell a function whose result is what it prints; one that says "ok" has none."""
    at = last_result(body, printing)
    if at is None or (name.startswith(".") and at + 1 < len(body)):
        return False
    node = body[at]
    if not isinstance(node, ast.Expr):
        return True
    return is_print(node.value) or called_name(node.value) in printing


def _methods(node: ast.stmt) -> list[ast.FunctionDef]:
    body = node.body if isinstance(node, ast.ClassDef) else []
    return [one for one in body if isinstance(one, ast.FunctionDef)]


def _shows(body: Sequence[ast.stmt], printing: frozenset[str]) -> bool:
    called = {
        node.func.id
        for one in body
        for node in ast.walk(one)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }
    if called & printing:
        return True
    return any(
        is_print(node) and node.args
        for one in body
        for node in ast.walk(one)
        if isinstance(node, ast.Call)
    )


def _driver(script: _Script) -> int | None:
    """Return the place, among the chunks, of the statement that shows the script's result."""
    statements = script.statements
    printing = _printing(script)
    nodes = [node for _, node in statements]
    if any(isinstance(node, ast.Return) for node in nodes):
        return None
    at = last_result(nodes, printing) if nodes else None
    return None if at is None else statements[at][0]


def _value(script: _Script, at: int) -> ast.expr | None:
    """Return the value that a plain statement shows."""
    node = script.chunks[at].nodes[-1]
    value = node.value if isinstance(node, ast.Expr) else None
    if isinstance(value, ast.Call) and is_print(value):
        return shown_value(value, script.given)
    return value


def _called(script: _Script, value: ast.expr | None, depth: int = 8) -> str | None:
    """Return the function whose value, called without arguments, is the very value."""
    if isinstance(value, ast.Call) and isinstance(value.func, ast.Name):
        wanted = script.functions.get(value.func.id)
        plain = not value.args and not value.keywords
        return value.func.id if wanted and plain and not _wants_arguments(wanted.args) else None
    if not isinstance(value, ast.Name) or not depth:
        return None
    given = [node for _, node in script.statements if value.id in bound([node])]
    if len(given) != 1 or not isinstance(given[0], ast.Assign):
        return None
    if not isinstance(given[0].targets[0], ast.Name):
        return None
    return _called(script, given[0].value, depth - 1)


def _needs(script: _Script, names: set[str]) -> set[str]:
    """Return the names and all that they come from, by functions and statements alike."""
    binders: dict[str, list[Chunk]] = {}
    for chunk in script.chunks:
        for name in chunk.offers:
            binders.setdefault(name, []).append(chunk)
    waiting, found = list(names), set(names)
    while waiting:
        for chunk in binders.get(waiting.pop(), ()):
            more = chunk.reads - found
            found |= more
            waiting += more
    return found


def _of_entry(script: _Script, entry: ast.FunctionDef) -> Program | None:
    driver = _driver(script)
    callable_ = not _wants_arguments(entry.args)
    if driver is not None and not _is_action(script, driver):
        shown = script.chunks[driver]
        about = ENTRY in _needs(script, shown.reads)
        if about and not (callable_ and _called(script, _value(script, driver)) == ENTRY):
            clear = renamed_entry(script)
            found = None if clear is None else _wrapped(clear, driver, 3)
            if found is not None:
                return Program(found.text, True, 3)
    text = _with_needs(script, ENTRY, entry)
    clarity = 3 if callable_ and (returns_value(entry) or _shows(entry.body, frozenset())) else 2
    return Program(text, True, clarity)


def _is_action(script: _Script, at: int) -> bool:
    """Tell the call of a function that neither returns nor prints a result, such as a test."""
    node = script.chunks[at].nodes[-1]
    call = node.value if isinstance(node, ast.Expr) else None
    name = getattr(getattr(call, "func", None), "id", None)
    function = script.functions.get(name or "")
    return function is not None and not returns_value(function) and name not in _printing(script)


def renamed_entry(script: _Script) -> _Script | None:
    """Return the script with its `solution` by another name, so that there can be one of ours."""
    names = {name for chunk in script.chunks for name in chunk.binds | chunk.reads}
    new = next(
        name for name in ("compute", *(f"compute_{i}" for i in range(99))) if name not in names
    )
    return _Script(tuple(renamed(chunk, ENTRY, new) for chunk in script.chunks))


def _of_driver(script: _Script, driver: int) -> Program | None:
    value = _value(script, driver)
    name = _called(script, value)
    node = script.chunks[driver].nodes[-1]
    shown = {name, called_name(value)} & _printing(script)
    prints = not isinstance(node, ast.Expr) or is_print(node.value) or bool(shown)
    if name is not None:
        return _of_named(script, name, 3 if prints else 2)
    return _wrapped(script, driver, 3 if prints else 2)


def _of_named(script: _Script, name: str, clarity: int) -> Program | None:
    """Return the program whose entry is a function of another name.

    A variable `solution` of the driver is left out; one inside a function stands in nobody's way.
    """
    taken = [chunk for chunk in script.chunks if ENTRY in chunk.offers]
    if taken:
        if ENTRY in _needs(script, {name}) or any(chunk.is_definition for chunk in taken):
            return None
        script = _Script(tuple(chunk for chunk in script.chunks if chunk not in taken))
    changed = _Script(tuple(renamed(chunk, name, ENTRY) for chunk in script.chunks))
    function = changed.functions.get(ENTRY)
    if function is None:
        return None
    return Program(_with_needs(changed, ENTRY, function), False, clarity)


def _only_function(script: _Script) -> str | None:
    """Return the one function without arguments that no other function calls."""
    called = {name for function in script.functions.values() for name in loaded(function.body)}
    names = [
        name
        for name, function in script.functions.items()
        if not _wants_arguments(function.args) and not function.name.startswith("__")
    ]
    outer = [name for name in names if name not in called]
    return outer[0] if len(outer) == 1 else names[0] if len(names) == 1 else None


def _only_method(script: _Script) -> str | None:
    """Return the call of the one method that a class has to be asked with."""
    found: list[str] = []
    for chunk in script.chunks:
        node = chunk.nodes[0]
        if not isinstance(node, ast.ClassDef):
            continue
        methods = [one for one in node.body if isinstance(one, ast.FunctionDef)]
        start = next((one for one in methods if one.name == "__init__"), None)
        if start is not None and not _takes_self_alone(start):
            continue
        open_ones = [
            one
            for one in methods
            if not one.name.startswith("_") and (_takes_self_alone(one) or _is_static(one))
        ]
        told = [one for one in open_ones if one.name in (ENTRY, "solve", "answer", "main", "run")]
        chosen = open_ones if len(open_ones) == 1 else told[:1]
        found += [f"{node.name}().{one.name}()" for one in chosen]
    return found[0] if len(found) == 1 else None


def _takes_self_alone(method: ast.FunctionDef) -> bool:
    args = method.args
    plain = args.posonlyargs + args.args
    return len(plain) - len(args.defaults) == 1 and all(args.kw_defaults)


def _is_static(method: ast.FunctionDef) -> bool:
    decorated = any(getattr(one, "id", "") == "staticmethod" for one in method.decorator_list)
    return decorated and not _wants_arguments(method.args)


def _of_body(script: _Script) -> Program | None:
    """Make statements that print nothing the body, up to a top-level return."""
    last: int | None = None
    returns = False
    for at, node in script.statements:
        if returns:
            break
        returns = isinstance(node, ast.Return)
        last = at
    if last is None or not any(
        isinstance(node, (*_WORK, ast.AnnAssign)) for _, node in script.statements
    ):
        return None
    return _wrapped(script, last, 3 if returns else 1)


def _wrapped(script: _Script, last: int, clarity: int) -> Program | None:
    """Make the statements up to the last one the body of `solution`, functions beside it.

    A function that reads what the body binds goes into the body.
    """
    printing = _printing(script)
    chunks = [
        _returning(chunk, printing)
        for at, chunk in enumerate(script.chunks)
        if at <= last or chunk.is_definition
    ]
    last = min(last, len(chunks) - 1)
    if _wants_the_module(chunks):
        return _beside(chunks, last, clarity)
    moved = [chunk for chunk in chunks if not chunk.is_definition]
    inside = {name for chunk in moved for name in chunk.offers}
    nested: set[int] = set()
    while True:
        more = {
            at
            for at, chunk in enumerate(chunks)
            if chunk.is_definition
            and not isinstance(chunk.nodes[0], IMPORTS)
            and free([chunk]) & inside
        }
        if more <= nested:
            break
        nested |= more
        inside |= {name for at in more for name in chunks[at].offers}
    needed = _needs(_Script(tuple(chunks)), {n for chunk in moved for n in chunk.reads})
    above, body = [], []
    for at, chunk in enumerate(chunks):
        if not chunk.is_definition or at in nested:
            body.append(indented(chunk.text.strip("\n")))
        elif isinstance(chunk.nodes[0], IMPORTS) or chunk.offers & needed:
            above.append(chunk.text.strip("\n"))
    whole = chunk_of("\n".join([_HEADER, *body]))
    function = entry_of(whole) if whole else None
    if whole is None or function is None or len(whole.nodes) > 1:
        return None
    text = with_return(whole.text, function, printing)
    if text == whole.text and not returns_value(function):
        return None
    return Program("\n".join([*above, text]).strip(), False, clarity)


def _returning(chunk: Chunk, printing: frozenset[str]) -> Chunk:
    node = chunk.nodes[0]
    if isinstance(node, ast.FunctionDef) and node.name in printing:
        return chunk_of(with_return(chunk.text, node, printing - {node.name})) or chunk
    text = chunk.text
    # From the last to the first, so that the lines of those above stay what they are.
    for method in reversed(_methods(node)):
        if f".{method.name}" in printing:
            text = with_return(text, method, printing)
    return chunk if text == chunk.text else chunk_of(text) or chunk


def _wants_the_module(chunks: Sequence[Chunk]) -> bool:
    """Tell whether the statements have to stay where they are: a function writes to the module."""
    nodes = [node for chunk in chunks for one in chunk.nodes for node in ast.walk(one)]
    return any(
        isinstance(node, ast.Global)
        or (isinstance(node, ast.Name) and node.id in _MODULE_READERS)
        or (isinstance(node, ast.ImportFrom) and node.names[0].name == "*" and node.level)
        for node in nodes
    )


def _beside(chunks: Sequence[Chunk], last: int, clarity: int) -> Program | None:
    """Leave the statements at module level and have `solution` return what the last one shows."""
    node = chunks[last].nodes[-1]
    value = node.value if isinstance(node, ast.Expr) else None
    if isinstance(value, ast.Call) and is_print(value):
        value = shown_value(value, _Script(tuple(chunks)).given)
    if value is None or is_text(value):
        return None
    above = [chunk.text.strip("\n") for at, chunk in enumerate(chunks) if at != last]
    text = "\n".join([*above, _HEADER, f"    return {ast.unparse(value)}"])
    return Program(text, False, clarity) if chunk_of(text) else None


def _with_needs(script: _Script, name: str, function: ast.FunctionDef) -> str:
    """Return the entry with the imports above it and whatever else it needs, in order."""
    entry_at = next(at for at, chunk in enumerate(script.chunks) if function in chunk.nodes)
    entry = script.chunks[entry_at]
    printing = _printing(script) - {name}
    alone = with_return(entry.text, function, printing).strip()
    if len(script.chunks) == 1:
        return alone
    kept = {
        at
        for at, chunk in enumerate(script.chunks)
        if at < entry_at and isinstance(chunk.nodes[0], IMPORTS)
    }
    needed = (entry.reads - (entry.binds - entry.offers) - {name}) | _declared(entry)
    touching: dict[str, list[int]] = {}
    for at, chunk in enumerate(script.chunks):
        if at not in kept and at != entry_at:
            for touched in _touched(chunk, name):
                touching.setdefault(touched, []).append(at)
    waiting = list(needed)
    while waiting:
        for at in touching.get(waiting.pop(), ()):
            if at not in kept:
                kept.add(at)
                more = script.chunks[at].reads - needed - {name}
                needed |= more
                waiting += more
    return "\n".join(
        alone if at == entry_at else _returning(chunk, printing).text
        for at, chunk in enumerate(script.chunks)
        if at == entry_at or at in kept
    ).strip()


def _declared(chunk: Chunk) -> set[str]:
    """Return the names that functions of the chunk write in the module."""
    nodes = (inner for node in chunk.nodes for inner in ast.walk(node))
    return {name for node in nodes if isinstance(node, ast.Global) for name in node.names}


def _touched(chunk: Chunk, entry: str) -> set[str]:
    """Return the names of what a statement makes or changes."""
    if chunk.is_definition or entry in chunk.reads:
        return chunk.offers
    return chunk.offers | _changed(chunk.nodes)


def _changed(nodes: Iterable[ast.AST]) -> set[str]:
    """Return the names whose objects statements may change: of items, attributes and calls."""
    names: set[str] = set()
    for node in (inner for outer in nodes for inner in ast.walk(outer)):
        target: ast.AST | None = None
        if isinstance(node, ast.Subscript | ast.Attribute) and not isinstance(node.ctx, ast.Load):
            target = node.value
        elif isinstance(node, ast.Call) and not is_print(node):
            target = node.func.value if isinstance(node.func, ast.Attribute) else None
            names |= {arg.id for arg in node.args if isinstance(arg, ast.Name)}
        while isinstance(target, ast.Subscript | ast.Attribute):
            target = target.value
        if isinstance(target, ast.Name):
            names.add(target.id)
    return names
