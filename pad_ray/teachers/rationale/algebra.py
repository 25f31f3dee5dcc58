"""Solving an equation in one letter for it, with the equation's own numbers left readable."""

from fractions import Fraction

from pad_ray.tasks.quantities.arithmetic import (
    Expression,
    NotArithmetic,
    Number,
    Operation,
    Unknown,
    apply,
    evaluate,
    walk,
)


def unknowns(expression: Expression) -> set[str]:
    """The letters in an expression."""
    return {node.letter for node in walk(expression) if isinstance(node, Unknown)}


def solve_linear(left: Expression, right: Expression) -> Expression | None:
    """The unknown of `left = right` in terms of its numbers; None unless there is just one,
    and it stands there linearly."""
    if len(unknowns(left) | unknowns(right)) != 1:
        return None
    try:
        left_slope, left_rest = _linear(left)
        right_slope, right_rest = _linear(right)
        if left_slope < right_slope:
            left_slope, right_slope = right_slope, left_slope
            left_rest, right_rest = right_rest, left_rest
        slope = left_slope - right_slope
        if slope == 0:
            return None
        rest = _subtract(right_rest, left_rest)
        return rest if slope == 1 else Operation("/", rest, Number(slope))
    except NotArithmetic:
        return None


def _linear(expression: Expression) -> tuple[Fraction, Expression | None]:
    """Slope and rest; a rest of None is zero."""
    if not unknowns(expression):
        return Fraction(0), expression
    if isinstance(expression, Unknown):
        return Fraction(1), None
    if not isinstance(expression, Operation):
        raise NotArithmetic("not linear")
    (slope, rest), (other_slope, other) = _linear(expression.left), _linear(expression.right)
    match expression.operator:
        case "+":
            return slope + other_slope, _add(rest, other)
        case "-":
            difference = None if rest is None and other is None else _subtract(rest, other)
            return slope - other_slope, difference
        case "*" if slope == 0 and rest is not None:
            return other_slope * evaluate(rest), _times(rest, other)
        case "*" | "/" as operator if other_slope == 0 and other is not None:
            factor = apply(operator, Fraction(1), evaluate(other))
            return slope * factor, None if rest is None else Operation(operator, rest, other)
        case _:
            raise NotArithmetic("not linear")


def _times(left: Expression, right: Expression | None) -> Expression | None:
    return None if right is None else Operation("*", left, right)


def _add(left: Expression | None, right: Expression | None) -> Expression | None:
    if left is None or right is None:
        return right if left is None else left
    return Operation("+", left, right)


def _subtract(left: Expression | None, right: Expression | None) -> Expression:
    if right is None:
        return Number(Fraction(0)) if left is None else left
    if isinstance(right, Operation) and right.operator == "-" and right.left == Number(Fraction(0)):
        return right.right if left is None else Operation("+", left, right.right)
    return Operation("-", left or Number(Fraction(0)), right)
