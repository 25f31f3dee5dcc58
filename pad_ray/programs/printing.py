"""What a program shows: the number or text inside the words that it prints."""

from __future__ import annotations

import ast
import re
import string
from collections.abc import Iterator, Mapping, Sequence

__all__ = ["is_print", "is_text", "shown_value"]

_SHOWS = frozenset({"print", "pprint", "display"})
_TEXT_METHODS = frozenset(
    {"capitalize", "center", "format", "join", "ljust", "lower", "lstrip", "replace", "rjust"}
    | {"rstrip", "strftime", "strip", "title", "upper", "zfill"}
)
# Decimal places of a format: 2 of ".2f", of ">10,.2f" and of "%.2f".
_PLACES = re.compile(r"\.(\d+)[fF]$")
_PERCENT = re.compile(r"%(?:\((?P<key>\w+)\))?[-#0 +]*(?:\*|\d+)?(?:\.\d+)?[diouxXeEfFgGcrsa%]")
_LETTER = re.compile(r"[^\W\d_]|[=$€£%]")


def is_print(node: ast.AST) -> bool:
    """Tell a call that shows something on standard output."""
    if not isinstance(node, ast.Call):
        return False
    if isinstance(node.func, ast.Name):
        to = next((word.value for word in node.keywords if word.arg == "file"), None)
        return node.func.id in _SHOWS and (to is None or "stderr" not in ast.dump(to))
    return isinstance(node.func, ast.Attribute) and ast.dump(node.func).startswith(
        "Attribute(value=Attribute(value=Name(id='sys', ctx=Load()), attr='stdout'"
    )


def is_text(node: ast.AST) -> bool:
    """Tell a text that is written down, an f-string without values and `"-" * 20` among them."""
    if isinstance(node, ast.JoinedStr):
        return not any(isinstance(part, ast.FormattedValue) for part in node.values)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult | ast.Add):
        sides = (node.left, node.right)
        if isinstance(node.op, ast.Mult):
            return any(is_text(side) for side in sides)
        return all(is_text(side) for side in sides)
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def shown_value(call: ast.Call, given: Mapping[str, object] | None = None) -> ast.expr | None:
    """Return the value that a print is about: the last that is no text, else the last.

    Around values that only signs stand between, as in `f"{hours}:{minutes}"`, it is the whole.
    `given` are the names known to hold what is written down: such a number is what the question
    gives, and no result beside one that is computed. None where only written text is printed.
    """
    given = given or {}
    values: list[ast.expr] = []
    for arg in call.args:
        values += _values(arg.value if isinstance(arg, ast.Starred) else arg)
    telling = [value for value in values if not _is_known_text(value, given)]
    computed = [value for value in telling if not _is_given(value, given)]
    found = computed or telling or values
    return found[-1] if found else None


def _is_given(value: ast.expr, given: Mapping[str, object]) -> bool:
    """Tell a written number, its name, and either as a format rounds it."""
    if isinstance(value, ast.Call) and isinstance(value.func, ast.Name):
        if value.func.id != "round" or not value.args:
            return False
        value = value.args[0]
    return isinstance(value, ast.Constant) or (isinstance(value, ast.Name) and value.id in given)


def _is_known_text(value: ast.expr, given: Mapping[str, object]) -> bool:
    if isinstance(value, ast.Name):
        return isinstance(given.get(value.id), str)
    return (
        isinstance(value, ast.Call)
        and isinstance(value.func, ast.Attribute)
        and value.func.attr in _TEXT_METHODS
    )


def _values(node: ast.expr) -> list[ast.expr]:
    if is_text(node):
        return []
    if isinstance(node, ast.JoinedStr):
        return _joined(node, _of_f_string(node))
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        operands = list(_operands(node))
        if any(is_text(one) or _is_words(one) for one in operands):
            return _joined(node, [_of_operand(one) for one in operands])
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mod) and is_text(node.left):
        return _joined(node, _of_percent(node))
    if isinstance(node, ast.Call):
        if isinstance(node.func, ast.Attribute) and node.func.attr == "format":
            if is_text(node.func.value):
                return _joined(node, _of_format(node))
        elif (inner := _inside_text_call(node)) is not None:
            return [inner]
    return [node]


def _joined(whole: ast.expr, parts: Sequence[str | list[ast.expr]]) -> list[ast.expr]:
    """Return the values of a text's parts; the text itself if it is values and signs alone."""
    values = [value for part in parts if not isinstance(part, str) for value in part]
    words = "".join(part for part in parts if isinstance(part, str))
    return [whole] if len(values) > 1 and not _LETTER.search(words) else values


def _is_words(node: ast.expr) -> bool:
    return isinstance(node, ast.JoinedStr) or (
        isinstance(node, ast.Call) and _inside_text_call(node) is not None
    )


def _operands(node: ast.expr) -> Iterator[ast.expr]:
    # A sum leans left, as deep as it is long.
    stack = [node]
    while stack:
        node = stack.pop()
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
            stack += [node.right, node.left]
        else:
            yield node


def _of_operand(node: ast.expr) -> str | list[ast.expr]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    return _values(node)


def _inside_text_call(node: ast.Call) -> ast.expr | None:
    """Return the value of `str(x)`, `repr(x)` and `format(x, ".2f")`."""
    if not isinstance(node.func, ast.Name) or node.func.id not in {"str", "repr", "format"}:
        return None
    if not node.args or node.keywords or isinstance(node.args[0], ast.Starred):
        return None
    spec = node.args[1] if len(node.args) > 1 else None
    how = spec.value if isinstance(spec, ast.Constant) and isinstance(spec.value, str) else ""
    return _rounded(node.args[0], how)


def _of_f_string(node: ast.JoinedStr) -> list[str | list[ast.expr]]:
    parts: list[str | list[ast.expr]] = []
    for part in node.values:
        if isinstance(part, ast.FormattedValue):
            spec = part.format_spec
            how = "".join(
                str(one.value)
                for one in getattr(spec, "values", ())
                if isinstance(one, ast.Constant)
            )
            parts.append([] if is_text(part.value) else [_rounded(part.value, how)])
        elif isinstance(part, ast.Constant):
            parts.append(str(part.value))
    return parts


def _of_percent(node: ast.BinOp) -> list[str | list[ast.expr]]:
    template = _text_of(node.left)
    right = node.right
    given = list(right.elts) if isinstance(right, ast.Tuple) else [right]
    specs = [found for found in _PERCENT.finditer(template) if not found[0].endswith("%")]
    if isinstance(right, ast.Dict):
        named = {
            key.value: value
            for key, value in zip(right.keys, right.values, strict=True)
            if isinstance(key, ast.Constant)
        }
        pairs = [(named[spec["key"]], spec[0]) for spec in specs if spec["key"] in named]
    else:
        pairs = [(value, spec[0]) for value, spec in zip(given, specs, strict=False)]
    words = _PERCENT.sub("", template)
    return [words, *([] if is_text(value) else [_rounded(value, how)] for value, how in pairs)]


def _of_format(node: ast.Call) -> list[str | list[ast.expr]]:
    assert isinstance(node.func, ast.Attribute)
    named = {word.arg: word.value for word in node.keywords if word.arg}
    parts: list[str | list[ast.expr]] = []
    counted = 0
    try:
        fields = list(string.Formatter().parse(_text_of(node.func.value)))
    except ValueError:
        return [[node]]
    for words, field, how, _ in fields:
        parts.append(words)
        if field is None:
            continue
        name = re.split(r"[.\[]", field)[0]
        at, counted = (counted, counted + 1) if not name else (-1, counted)
        at = int(name) if name.isdecimal() else at
        value = node.args[at] if 0 <= at < len(node.args) else named.get(name)
        if value is None or name != field or isinstance(value, ast.Starred):
            return [[node]]
        parts.append([] if is_text(value) else [_rounded(value, how or "")])
    return parts


def _text_of(node: ast.expr) -> str:
    return "".join(
        part.value
        for part in ast.walk(node)
        if isinstance(part, ast.Constant) and isinstance(part.value, str)
    )


def _rounded(value: ast.expr, how: str) -> ast.expr:
    """Return the value as a format such as ".2f" shows it: with so many decimal places."""
    places = _PLACES.search(how)
    if places is None:
        return value
    digits: list[ast.expr] = [ast.Constant(int(places[1]))] if int(places[1]) else []
    return ast.Call(ast.Name("round", ast.Load()), [value, *digits], [])
