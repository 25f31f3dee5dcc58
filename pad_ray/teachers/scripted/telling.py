"""A straight-line program told in words: one line a step, with the arithmetic written out.

Values are exact fractions, so that what is written is what the program means.
"""

from __future__ import annotations

import ast
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Final, TypeAlias, TypeVar

__all__ = ["NotTold", "Slip", "Telling", "number_text", "style_of", "tell"]

Value: TypeAlias = "Fraction | str | list[str] | dict[str, Fraction]"

_STYLES: Final = (
    "The {words} is {sum} = {result}.",
    "{Words}: {sum} = {result}.",
    "To get the {words}, work out {sum} = {result}.",
)
_OPERATORS: Final[dict[type[ast.operator], Callable[[Fraction, Fraction], Fraction]]] = {
    ast.Add: lambda a, b: a + b,
    ast.Sub: lambda a, b: a - b,
    ast.Mult: lambda a, b: a * b,
    ast.Div: lambda a, b: a / b,
    ast.FloorDiv: lambda a, b: Fraction(a // b),
    ast.Mod: lambda a, b: a % b,
}
_PLACES: Final = {-1: "last letter", 0: "first letter"}
_LETTERS: Final = "abcdefghijklmnopqrstuvwxyz"


class NotTold(SyntaxError):
    """The program holds something that there are no words for."""


@dataclass(frozen=True)
class Slip:
    """A wrong result in the step of this number; `carried` if later steps go on from it."""

    step: int
    carried: bool


@dataclass
class Telling:
    """A program's lines in words and its answer; `steps` counts those that work something out."""

    rng: random.Random
    style: str = _STYLES[0]
    slip: Slip | None = None
    lines: list[str] = field(default_factory=list)
    names: dict[str, Value] = field(default_factory=dict)
    steps: int = 0
    answer: str | None = None


def tell(program: str, rng: random.Random, style: int = 0, slip: Slip | None = None) -> Telling:
    """Tell a program's steps; without an answer where it would raise an exception on its way.

    Raises `NotTold` for what is no straight-line program of numbers, words and letters.
    """
    functions = [n for n in ast.parse(program).body if isinstance(n, ast.FunctionDef)]
    if not functions:
        raise NotTold("no function definition")
    telling = Telling(rng, _STYLES[style % len(_STYLES)], slip)
    try:
        for statement in functions[-1].body:
            _tell_statement(telling, statement)
    except (ZeroDivisionError, IndexError):
        return telling
    return telling


def _tell_statement(telling: Telling, statement: ast.stmt) -> None:
    match statement:
        case ast.Assign(targets=[ast.Name(id=name)], value=value):
            telling.names[name] = _tell_value(telling, name.replace("_", " "), value)
        case ast.Return(value=ast.expr() as value):
            answer = _tell_value(telling, "answer", value)
            if isinstance(answer, list | dict):
                raise NotTold("the answer is no number and no text")
            telling.answer = number_text(answer) if isinstance(answer, Fraction) else answer
        case _:
            raise NotTold(f"no words for {type(statement).__name__}")


def _tell_value(telling: Telling, words: str, node: ast.expr) -> Value:
    """Tell how a quantity comes about, and return what it is taken for from there on."""
    match node:
        case ast.Constant() | ast.Name():
            return _value(telling, node)
        case ast.BinOp() | ast.UnaryOp():
            total = _number(_value(telling, node))
            return _tell_sum(telling, words, _written(telling, node), total)
        case ast.Call(func=ast.Name(id="sum"), args=[ast.Call(func=ast.Attribute(value=counted))]):
            counts = _value(telling, counted)
            assert isinstance(counts, dict)
            written = " + ".join(map(number_text, counts.values()))
            return _tell_sum(telling, words, written, sum(counts.values(), Fraction(0)))
        case ast.Dict():
            return _tell_counts(telling, words, node)
        case ast.Call(func=ast.Attribute(attr="split", value=ast.Constant(value=str(text)))):
            telling.lines.append(f"The {words} are {', '.join(text.split())}.")
            return text.split()
        case ast.ListComp(elt=ast.Subscript(slice=index), generators=[over]):
            place = _number(_value(telling, index))
            return _tell_letters(telling, _value(telling, over.iter), int(place))
        case ast.Call(func=ast.Attribute(attr="join", value=ast.Constant(value=str(glue)))):
            letters = _value(telling, node.args[0])
            assert isinstance(letters, list)
            telling.lines.append(f"Put together they are {glue.join(letters)}.")
            return glue.join(letters)
        case ast.IfExp(test=ast.Compare() as test):
            return _tell_choice(telling, words, node, test)
        case _:
            raise NotTold(f"no words for {ast.unparse(node)}")


def _tell_sum(telling: Telling, words: str, written: str, total: Fraction) -> Fraction:
    stated = _slipped(telling, total, _wrong_number)
    line = telling.style.format(
        words=words,
        Words=words[:1].upper() + words[1:],
        sum=written,
        result=number_text(stated),
    )
    telling.lines.append(line)
    return stated if telling.slip is not None and telling.slip.carried else total


def _tell_counts(telling: Telling, words: str, node: ast.Dict) -> Value:
    counts: dict[str, Fraction] = {}
    for key, value in zip(node.keys, node.values, strict=True):
        if not isinstance(key, ast.Constant):
            raise NotTold("no words for a computed key")
        counts[str(key.value)] = _number(_value(telling, value))
    listed = ", ".join(f"{name} {number_text(count)}" for name, count in counts.items())
    telling.lines.append(f"The {words} are {listed}.")
    return counts


def _tell_letters(telling: Telling, texts: Value, place: int) -> list[str]:
    assert isinstance(texts, list)
    found = []
    for text in texts:
        letter = text[place]
        stated = _slipped(telling, letter, _wrong_letter)
        name = _PLACES.get(place, f"letter at place {place}")
        telling.lines.append(f"The {name} of {text} is {stated}.")
        found.append(stated if telling.slip is not None and telling.slip.carried else letter)
    return found


def _tell_choice(telling: Telling, words: str, node: ast.IfExp, test: ast.Compare) -> Value:
    left, right = _value(telling, test.left), _value(telling, test.comparators[0])
    if type(test.ops[0]) not in (ast.Eq, ast.NotEq):
        raise NotTold(f"no words for {ast.unparse(test)}")
    holds = (left == right) == isinstance(test.ops[0], ast.Eq)
    chosen = _value(telling, node.body if holds else node.orelse)
    match test.left:
        case ast.BinOp(op=ast.Mod(), left=number, right=ast.Constant(value=2)):
            known = f"{_written(telling, number)} is {'odd' if left == 1 else 'even'}"
        case _:
            known = f"{_written(telling, test.left)} comes to {_text(left)}"
    telling.lines.append(f"{known}, so the {words} is {_text(chosen)}.")
    return chosen


Told = TypeVar("Told", str, Fraction)


def _slipped(telling: Telling, right: Told, wrong: Callable[[random.Random, Told], Told]) -> Told:
    """Count a step; return its result, or a wrong one where this is the step of the slip."""
    here = telling.slip is not None and telling.slip.step == telling.steps
    telling.steps += 1
    return wrong(telling.rng, right) if here else right


def _wrong_number(rng: random.Random, right: Fraction) -> Fraction:
    return right + rng.choice((1, -1, 10, 2))


def _wrong_letter(rng: random.Random, right: str) -> str:
    return rng.choice([letter for letter in _LETTERS if letter != right])


def _value(telling: Telling, node: ast.expr) -> Value:
    match node:
        case ast.Constant(value=bool()):
            raise NotTold("no words for a truth value")
        case ast.Constant(value=int() | float() as number):
            return Fraction(str(number))
        case ast.Constant(value=str(text)):
            return text
        case ast.Name(id=name) if name in telling.names:
            return telling.names[name]
        case ast.UnaryOp(op=ast.USub() | ast.UAdd() as sign, operand=operand):
            value = _number(_value(telling, operand))
            return -value if isinstance(sign, ast.USub) else value
        case ast.BinOp(op=operator) if type(operator) in _OPERATORS:
            sides = (_number(_value(telling, side)) for side in (node.left, node.right))
            return _OPERATORS[type(operator)](*sides)
        case _:
            raise NotTold(f"no words for {ast.unparse(node)}")


def _number(value: Value) -> Fraction:
    if not isinstance(value, Fraction):
        raise NotTold("a number is expected")
    return value


def _written(telling: Telling, node: ast.expr) -> str:
    """Write an expression with the values of its names in their place."""

    class _Filled(ast.NodeTransformer):
        def visit_Name(self, name: ast.Name) -> ast.AST:
            return ast.Name(_text(_value(telling, name)))

    return ast.unparse(_Filled().visit(ast.parse(ast.unparse(node), mode="eval")))


def _text(value: Value) -> str:
    if isinstance(value, Fraction):
        return number_text(value)
    return value if isinstance(value, str) else ", ".join(value)


def number_text(value: Fraction) -> str:
    """Write a number as people do: whole, or as a decimal of ten digits at most."""
    return str(value.numerator) if value.denominator == 1 else f"{float(value):.10g}"


def style_of(rng: random.Random) -> int:
    """Draw one of the styles."""
    return rng.randrange(len(_STYLES))
