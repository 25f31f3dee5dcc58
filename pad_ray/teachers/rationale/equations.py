"""Every calculation that stands in a rationale: marked (`<<48/2=24>>`), written out in plain words
(`10 apples - 4 apples = 6`), or an equation in one letter that the text solves (`2x + 3 = 11`).

A calculation counts only if its two sides agree, as they are or by a plain rounding, so that text
which merely looks like arithmetic falls out.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from pad_ray.tasks.quantities.arithmetic import (
    Expression,
    NotArithmetic,
    Number,
    Operation,
    evaluate,
    in_percent,
    parse,
    rewrite,
    round_like,
    walk,
)
from pad_ray.tasks.quantities.text import MAX_TOKENS, Mark, Token, tokenize
from pad_ray.teachers.rationale.algebra import solve_linear, unknowns

_MAX_UNIT_WORDS = 8
_ALGEBRA_TOKENS = 30


@dataclass(frozen=True)
class Equation:
    """One calculation, with the number that its author got.

    `rounding` is a source template (see `round_like`). `start` and `end` are its span in the plain
    text; `letter` is the unknown that it solves for. `percent`: the number is stated with %.
    """

    expression: Expression
    stated: Fraction
    rounding: str
    start: int
    end: int
    percent: bool = False
    letter: str | None = None


def find_equations(text: str, marks: Sequence[Mark]) -> list[Equation]:
    """The calculations of a plain text and its marks, in the order of the text."""
    written = _written_equations(text)
    for mark in marks:
        twin = next((e for e in written if e.start < mark.place <= e.end), None)
        equation = _marked_equation(mark)
        if equation is not None and twin is None:
            written.append(equation)
        elif equation is not None and twin is not None and _better(equation, twin):
            written[written.index(twin)] = _at_place_of(equation, twin)
    return sorted(written, key=lambda equation: equation.end)


def _marked_equation(mark: Mark) -> Equation | None:
    """None for a mark that holds no arithmetic (`<<21=21>>`): the text around it may."""
    sides: list[list[Token]] = [[]]
    for token in tokenize(mark.inside):
        if token.kind == "equals":
            sides.append([])
        elif token.kind != "stop":
            sides[-1].append(token._replace(start=-1))
    try:
        expression, stated = parse(sides[0]), evaluate(parse(sides[-1]))
        value = evaluate(expression)
    except NotArithmetic:
        return None
    if len(sides) < 2 or not isinstance(expression, Operation):
        return None
    checked = _checked(expression, sides[-1], mark.place, mark.place)
    # A mark whose sides differ still says what its author calculated with from there on.
    unchecked = Equation(expression, value, "{}", mark.place, mark.place)
    return checked or replace(unchecked, stated=stated)


def _better(mark: Equation, twin: Equation) -> bool:
    """Whether a mark says more than what is written out at its place."""
    if twin.letter is not None or _operands(twin.expression) > _operands(mark.expression):
        return False
    try:
        return abs(evaluate(mark.expression) - mark.stated) <= abs(mark.stated) / 100
    except NotArithmetic:
        return False


def _operands(expression: Expression) -> int:
    return sum(isinstance(node, Number) for node in walk(expression))


def _at_place_of(mark: Equation, twin: Equation) -> Equation:
    """The mark's arithmetic where its twin stands, so that its operands have words around them."""
    places: dict[Fraction, list[int]] = {}
    for node in walk(twin.expression):
        if isinstance(node, Number):
            places.setdefault(node.value, []).append(node.start)

    def put(node: Expression) -> Expression | None:
        if isinstance(node, Number) and places.get(node.value):
            return Number(node.value, places[node.value].pop(0))
        return None

    expression = rewrite(mark.expression, put)
    return replace(mark, expression=expression, start=twin.start, end=twin.end)


def _written_equations(text: str) -> list[Equation]:
    found: list[Equation] = []
    solved: list[Equation] = []
    for line in re.finditer(r"[^\n]*(?:=|equals)[^\n]*", text):
        tokens = tokenize(line.group(), line.start())
        for index, token in enumerate(tokens):
            if token.kind != "equals":
                continue
            equation = _arithmetic_at(tokens, index)
            chained = equation is not None and _chain_start(tokens, index)
            if chained and equation is not None:
                first = _arithmetic_at(tokens, chained, stated_at=index)
                if first is not None and first.stated == equation.stated:
                    equation = first
            if equation is None and (equation := _algebra_at(tokens, index)) is not None:
                solved.append(equation)
                equation = _stated_letter(equation, solved)
            if equation is not None:
                found.append(equation)
    return found


def _chain_start(tokens: Sequence[Token], index: int) -> int:
    """The equals sign that a chain before `index` starts with (`2 * 9 + 3 = 18 + 3 = 21`), or 0.

    Its first side holds the quantities as they were; those behind it are worked out in the head.
    """
    stops = [i for i in range(index) if tokens[i].kind in ("equals", "stop")]
    return stops[-1] if stops and tokens[stops[-1]].kind == "equals" else 0


def _arithmetic_at(
    tokens: Sequence[Token], index: int, stated_at: int | None = None
) -> Equation | None:
    """The calculation left of one equals sign, with the number right of it or of another one."""
    after = (index if stated_at is None else stated_at) + 1
    right = _leading_number(tokens[after : after + MAX_TOKENS])
    if not right:
        return None
    for left in _sides(_without_units(tokens[max(0, index - MAX_TOKENS) : index]), from_end=True):
        expression = parse(left)
        if isinstance(expression, Operation):
            equation = _checked(expression, right, left[0].start, right[-1].end)
            if equation is not None:
                return equation
    return None


def _leading_number(tokens: Sequence[Token]) -> list[Token]:
    """The number right of an equals sign, with its sign, fraction and % (empty if none)."""
    end = 0
    while end < len(tokens) and (
        tokens[end].kind in ("number", "percent")
        or tokens[end].text == "/"
        or (tokens[end].text == "-" and end == 0)
    ):
        end += 1
    for length in range(end, 0, -1):
        try:
            evaluate(parse(tokens[:length]))
            return list(tokens[:length])
        except NotArithmetic:
            continue
    return []


def _sides(tokens: Sequence[Token], from_end: bool) -> Iterator[list[Token]]:
    """The stretches of tokens that touch the equals sign and parse, longest first."""
    for cut in range(len(tokens)):
        place = cut if from_end else len(tokens) - cut
        if _cuts_expression(tokens, place):
            continue
        side = list(tokens[place:] if from_end else tokens[:place])
        try:
            parse(side)
            yield side
        except NotArithmetic:
            continue


def _cuts_expression(tokens: Sequence[Token], place: int) -> bool:
    """Whether a cut before `place` goes through an expression: `1 + 2 * 3` has no end `2 * 3`."""
    if place in (0, len(tokens)):
        return False
    before, after = tokens[place - 1], tokens[place]
    if after.kind == "operator":
        return before.kind in ("number", "close", "percent")
    if before.kind != "operator" or before.text != "-":
        return before.kind == "operator"
    # A dash behind a word ("Monday - 3 * 4 = 12") is punctuation.
    return place > 1 and (tokens[place - 2].kind != "word" or len(tokens[place - 2].text) == 1)


def _without_units(tokens: Sequence[Token], algebra: bool = False) -> list[Token]:
    """Leaves out the words behind an operand that lead to the next operator or the end."""
    kept: list[Token] = []
    index = 0
    while index < len(tokens):
        token = tokens[index]
        if algebra and _is_letter(tokens, index):
            kept.append(token)
        elif token.text == "/" and index + 1 < len(tokens) and tokens[index + 1].kind == "word":
            index += 1
        elif token.kind == "word" and kept and kept[-1].kind in ("number", "close", "percent"):
            end = index
            while end < len(tokens) and tokens[end].kind == "word":
                if algebra and _is_letter(tokens, end):
                    break
                end += 1
            leads_on = end == len(tokens) or tokens[end].kind in ("operator", "close")
            if end - index <= _MAX_UNIT_WORDS and leads_on:
                index = end - 1
            else:
                kept.append(token)
        else:
            kept.append(token)
        index += 1
    return kept


def _checked(
    expression: Expression, right: Sequence[Token], start: int, end: int
) -> Equation | None:
    """The equation if its sides agree. What is stated in percent is a quantity in percent."""
    percent = right[-1].kind == "percent"
    stated = evaluate(parse(right)) * (100 if percent else 1)
    numbers = [token.text for token in right if token.kind == "number"]
    decimals = len(numbers[0].partition(".")[2]) if len(numbers) == 1 else 9
    for reading in _percent_readings(expression) if percent else [expression]:
        try:
            rounding = round_like(evaluate(reading), stated, decimals)
        except NotArithmetic:
            return None
        if rounding is not None:
            return Equation(reading, stated, rounding, start, end, percent)
    return None


def _percent_readings(expression: Expression) -> Iterator[Expression]:
    taken_off = in_percent(expression)
    if taken_off is not None:
        yield taken_off
    yield Operation("*", Number(Fraction(100)), expression)
    yield expression


def _is_letter(tokens: Sequence[Token], index: int) -> bool:
    token = tokens[index]
    if token.kind != "word" or len(token.text) > 1 or token.text == "I":
        return False
    before = tokens[index - 1] if index else None
    after = tokens[index + 1] if index + 1 < len(tokens) else None
    marks = ("operator", "equals", "open", "close")
    if before is None or after is None or before.kind in marks or after.kind in marks:
        return True
    return before.kind == "number" and before.end == token.start


def _algebra_at(tokens: Sequence[Token], index: int) -> Equation | None:
    """The equation around an equals sign, solved for the one letter in it."""
    left_tokens = tokens[max(0, index - _ALGEBRA_TOKENS) : index]
    right_tokens = tokens[index + 1 : index + 1 + _ALGEBRA_TOKENS]
    stop = next((i for i, t in enumerate(right_tokens) if t.kind in ("stop", "equals")), None)
    lefts = list(_sides(_without_units(left_tokens, algebra=True), from_end=True))
    for right in _sides(_without_units(right_tokens[:stop], algebra=True), from_end=False):
        for left in lefts:
            sides = parse(left), parse(right)
            solution = solve_linear(*sides)
            if solution is not None:
                letter = min(unknowns(sides[0]) | unknowns(sides[1]))
                stated = evaluate(solution)
                return Equation(solution, stated, "{}", left[0].start, right[-1].end, letter=letter)
    return None


def _stated_letter(equation: Equation, solved: Sequence[Equation]) -> Equation | None:
    """Where the text says what a letter is, the calculation of it that stands first in the text.

    The first one is the nearest to the question's quantities. None for an equation on the way.
    """
    if not isinstance(equation.expression, Number):
        return None
    for earlier in solved:
        same = earlier.letter == equation.letter and earlier.stated == equation.stated
        if same and isinstance(earlier.expression, Operation):
            return replace(equation, expression=earlier.expression)
    return None
