"""The arithmetic of a worked solution: parsing, exact evaluation, Python source.

Numbers are exact fractions, so that "is this the number the author wrote?" has no rounding in it.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

from pad_ray.tasks.quantities.text import MAX_TOKENS, Token

_MAX_BITS = 200
_PRECEDENCE = {"+": 1, "-": 1, "*": 2, "/": 2, "//": 2, "**": 3}


@dataclass(frozen=True)
class Number:
    """A literal; `start` is where it stands in the text it was read from (-1: in no text)."""

    value: Fraction
    start: int = -1


@dataclass(frozen=True)
class Percent:
    """An operand that carried a % sign."""

    operand: "Expression"


@dataclass(frozen=True)
class Unknown:
    """A letter that stands for a number."""

    letter: str


@dataclass(frozen=True)
class Reference:
    """The value of an earlier variable, by its index."""

    variable: int


@dataclass(frozen=True)
class Operation:
    """`operator` is one of + - * / // **."""

    operator: str
    left: "Expression"
    right: "Expression"


Expression = Number | Percent | Unknown | Reference | Operation


class NotArithmetic(ValueError):
    """The tokens are no expression, or the expression has no exact value."""


def number_value(text: str) -> Fraction:
    """Read `1,234.5` or `.5`."""
    if len(text) > 30:
        raise NotArithmetic("a number of more than thirty characters")
    return Fraction(text.replace(",", "").replace(" ", ""))


class _Parser:
    def __init__(self, tokens: Sequence[Token]) -> None:
        self.tokens = tokens
        self.at = 0

    def peek(self, ahead: int = 0) -> Token | None:
        index = self.at + ahead
        return self.tokens[index] if index < len(self.tokens) else None

    def accept(self, *texts: str) -> str | None:
        token = self.peek()
        if token is None or token.kind != "operator" or token.text not in texts:
            return None
        self.at += 1
        return token.text

    def sum(self) -> Expression:
        left = self.product()
        while operator := self.accept("+", "-"):
            left = Operation(operator, left, self.product())
        return left

    def product(self) -> Expression:
        left = self.factor()
        while True:
            if operator := self.accept("*", "/", "//"):
                left = Operation(operator, left, self.factor())
            elif (token := self.peek()) and token.kind in ("open", "word"):
                left = Operation("*", left, self.factor())
            else:
                return left

    def factor(self) -> Expression:
        if self.accept("-"):
            operand = self.factor()
            if isinstance(operand, Number):
                return Number(-operand.value, operand.start)
            return Operation("-", Number(Fraction(0)), operand)
        base = self.atom()
        while (token := self.peek()) and token.kind == "percent":
            self.at += 1
            base = Percent(base)
        return Operation("**", base, self.factor()) if self.accept("**") else base

    def atom(self) -> Expression:
        token = self.peek()
        if token is None:
            raise NotArithmetic("an operand is missing")
        self.at += 1
        if token.kind == "number":
            return self.mixed_number(token)
        if token.kind == "word" and len(token.text) == 1:
            return Unknown(token.text)
        if token.kind == "open":
            inner = self.sum()
            closing = self.peek()
            if closing is None or closing.kind != "close":
                raise NotArithmetic("a bracket stays open")
            self.at += 1
            return inner
        raise NotArithmetic(f"{token.text!r} is no operand")

    def mixed_number(self, token: Token) -> Number:
        whole = number_value(token.text)
        top, slash, bottom = (self.peek(ahead) for ahead in range(3))
        if top is None or slash is None or bottom is None or slash.text != "/":
            return Number(whole, token.start)
        if top.kind != "number" or bottom.kind != "number" or not number_value(bottom.text):
            return Number(whole, token.start)
        self.at += 3
        return Number(whole + number_value(top.text) / number_value(bottom.text), token.start)


def parse(tokens: Sequence[Token]) -> Expression:
    """Parse a whole token sequence. `2(3)` and `3x` multiply, `1 1/2` is one number.

    Raises NotArithmetic.
    """
    if not 0 < len(tokens) <= MAX_TOKENS:
        raise NotArithmetic("empty or too long")
    parser = _Parser(tokens)
    expression = parser.sum()
    if parser.peek() is not None:
        raise NotArithmetic("something stands after the expression")
    return expression


def evaluate(expression: Expression, variables: Sequence[Fraction] = ()) -> Fraction:
    """The exact value. Raises NotArithmetic for unknowns, zero divisors and huge powers."""
    match expression:
        case Number(value=value):
            return value
        case Percent(operand=operand):
            return evaluate(operand, variables) / 100
        case Reference(variable=variable):
            return variables[variable]
        case Operation(operator=operator, left=left, right=right):
            return apply(operator, evaluate(left, variables), evaluate(right, variables))
        case Unknown(letter=letter):
            raise NotArithmetic(f"{letter} is unknown")


def apply(operator: str, left: Fraction, right: Fraction) -> Fraction:
    """One operation, exactly. Raises NotArithmetic."""
    if operator in ("/", "//") and right == 0:
        raise NotArithmetic("division by zero")
    if operator == "**" and not _small_power(left, right):
        raise NotArithmetic("a power out of range")
    match operator:
        case "+":
            value = left + right
        case "-":
            value = left - right
        case "*":
            value = left * right
        case "/":
            value = left / right
        case "//":
            value = Fraction(left // right)
        case _:
            value = Fraction(left ** int(right))
    if max(value.numerator.bit_length(), value.denominator.bit_length()) > _MAX_BITS:
        raise NotArithmetic("the value is out of range")
    return value


def _small_power(base: Fraction, exponent: Fraction) -> bool:
    return exponent.denominator == 1 and 0 <= exponent <= 20 and abs(base) < 10**6


def rewrite(
    expression: Expression, change: Callable[[Expression], Expression | None]
) -> Expression:
    """A copy in which `change` may replace any node; it sees parents before their operands."""
    replacement = change(expression)
    if replacement is not None:
        return replacement
    match expression:
        case Percent(operand=operand):
            return Percent(rewrite(operand, change))
        case Operation(operator=operator, left=left, right=right):
            return Operation(operator, rewrite(left, change), rewrite(right, change))
        case _:
            return expression


def walk(expression: Expression) -> Iterator[Expression]:
    """Every node, parents first, operands from left to right."""
    yield expression
    match expression:
        case Percent(operand=operand):
            yield from walk(operand)
        case Operation(left=left, right=right):
            yield from walk(left)
            yield from walk(right)


def in_percent(expression: Expression) -> Expression | None:
    """One hundred times an expression, by taking % signs off; None where none can be taken."""
    match expression:
        case Percent(operand=operand):
            return operand
        case Operation(operator="+" | "-" as operator, left=left, right=right):
            left_side, right_side = in_percent(left), in_percent(right)
            if left_side is None or right_side is None:
                return None
            return Operation(operator, left_side, right_side)
        case Operation(operator="*" | "/" as operator, left=left, right=right):
            if (left_side := in_percent(left)) is not None:
                return Operation(operator, left_side, right)
            right_side = in_percent(right) if operator == "*" else None
            return None if right_side is None else Operation("*", left, right_side)
        case _:
            return None


def render(expression: Expression, names: Sequence[str]) -> str:
    """Python source, with the brackets that precedence needs and no others."""
    return _render(expression, names)[0]


def _render(expression: Expression, names: Sequence[str]) -> tuple[str, int]:
    match expression:
        case Number(value=value):
            return _literal(value)
        case Percent(operand=operand):
            return _render(Operation("/", operand, Number(Fraction(100))), names)
        case Reference(variable=variable):
            return names[variable], 9
        case Operation(
            operator="*", left=left, right=Number(value=Fraction(numerator=1, denominator=100))
        ):
            return _render(Operation("/", left, Number(Fraction(100))), names)
        case Operation(operator=operator, left=left, right=right):
            return _infix(operator, _render(left, names), _render(right, names))
        case Unknown(letter=letter):
            raise NotArithmetic(f"{letter} is unknown")


def _infix(operator: str, left: tuple[str, int], right: tuple[str, int]) -> tuple[str, int]:
    level = _PRECEDENCE[operator]
    associative = operator in ("+", "*") and not right[0].startswith("-")
    left_text = f"({left[0]})" if left[1] < level + (operator == "**") else left[0]
    loose = right[1] < level + (0 if associative else 1)
    right_text = f"({right[0]})" if loose else right[0]
    if operator == "*" and right[1] == level and ("/" in right[0]):
        right_text = f"({right[0]})"
    return f"{left_text} {operator} {right_text}", level


def _literal(value: Fraction) -> tuple[str, int]:
    if value.denominator == 1:
        return str(value.numerator), 9 if value >= 0 else 2
    if Fraction(repr(float(value))) == value and "e" not in repr(float(value)):
        return repr(float(value)), 9 if value >= 0 else 2
    return f"{value.numerator} / {value.denominator}", 2


def round_like(value: Fraction, stated: Fraction, decimals: int) -> str | None:
    """How the author got from `value` to `stated`: a template for the source, None if not.

    "{}" is no rounding; else it rounds to the stated decimals, cuts them off, or rounds up.
    """
    if value == stated or abs(value - stated) <= Fraction(1, 10**9) * abs(value):
        return "{}"
    if decimals == 0 and math.trunc(value) == stated:
        return "int({})"
    if Fraction(repr(round(float(value), decimals))) == stated:
        return "round({})" if decimals == 0 else f"round({{}}, {decimals})"
    if decimals == 0 and value > 0 and math.ceil(value) == stated:
        return "int({}) + 1"
    return None
