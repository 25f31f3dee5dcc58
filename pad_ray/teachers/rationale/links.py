"""Which earlier quantity an operand means: equal value first, then the words around both."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

from pad_ray.tasks.quantities.arithmetic import (
    Expression,
    Number,
    Operation,
    Percent,
    Reference,
    evaluate,
    rewrite,
    walk,
)
from pad_ray.tasks.quantities.mentions import near_words, numbers_in
from pad_ray.tasks.quantities.names import stems, words_of
from pad_ray.tasks.quantities.text import sentence_around, sentence_spans
from pad_ray.teachers.rationale.equations import Equation

MULTIPLIERS = {
    2: "twice double doubled doubles half halved both couple pair two-thirds",
    3: "triple tripled triples thrice third thirds",
    4: "quarter quarters quadruple fourth fourths",
    5: "fifth fifths",
    10: "tenth tenths",
    12: "dozen dozens",
}
_SIGNS = frozenset(["dollar", "percent"])
_MONEY_TALK = re.compile(
    r"[$£€]|\b(?:dollar|cent|cost|price|pa(?:y|id)|spen[dt]|earn|money|charge|sale|sell|sold|worth)",
    re.I,
)
UNITS: dict[int, tuple[str, ...]] = {
    3: ("yard foot", "yard feet"),
    4: ("week month",),
    7: ("week day", "week daily"),
    12: ("year month", "foot inch", "feet inch", "yearly monthly", "annual month", "dozen"),
    16: ("pound ounce",),
    24: ("day hour",),
    30: ("month day",),
    36: ("yard inch",),
    52: ("year week",),
    60: ("hour minute", "minute second"),
    100: ("percent", "percentage", "cent dollar", "meter centimeter"),
    365: ("year day",),
    1000: ("kilometer meter", "kilogram gram", "kg gram", "liter milliliter", "km meter"),
}


@dataclass(frozen=True)
class Source:
    """A variable that an operand may mean. `near`: stems beside the number; `around`: of its
    sentence."""

    variable: int
    value: Fraction
    near: frozenset[str]
    around: frozenset[str]
    percent: bool
    is_step: bool
    money: bool = False


@dataclass(frozen=True)
class Linked:
    """An expression with its links; `ambiguous` counts those that had several sources."""

    expression: Expression
    links: int
    ambiguous: int


def link_operands(
    equation: Equation,
    text: str,
    question: str,
    sources: Sequence[Source],
    used: frozenset[int],
) -> Linked:
    """Replace the operands that mean an earlier quantity by references to it.

    `used` are variables that another step has used: an unused one is the likelier meaning.
    """
    span = sentence_around(sentence_spans(text), equation.start)
    operands = _Operands(equation, text[: span[1]], span[0], question)
    fractions = set(_fraction_parts(equation.expression, question))
    counts = {"links": 0, "ambiguous": 0}

    def change(node: Expression) -> Expression | None:
        if isinstance(node, Operation) and node.operator == "/":
            return _whole_fraction(node, sources, counts)
        if not isinstance(node, Number) or id(node) in fractions:
            return None
        found = operands.best(node, sources, used)
        if found is None:
            return None
        source, rivals = found
        counts["links"] += 1
        counts["ambiguous"] += rivals > 0
        reference = Reference(source.variable)
        return reference if node.value == source.value else Percent(reference)

    return Linked(rewrite(equation.expression, change), counts["links"], counts["ambiguous"])


def _whole_fraction(
    node: Operation, sources: Sequence[Source], counts: dict[str, int]
) -> Expression | None:
    """`24/5` written again where an earlier step came to 24/5."""
    if not isinstance(node.left, Number) or not isinstance(node.right, Number):
        return None
    value = evaluate(node)
    steps = [s for s in sources if s.is_step and s.value == value and value.denominator > 1]
    parts_known = {node.left.value, node.right.value} & {s.value for s in sources}
    if not steps or parts_known:
        return None
    counts["links"] += 1
    counts["ambiguous"] += len(steps) > 1
    return Reference(steps[-1].variable)


def _fraction_parts(expression: Expression, question: str) -> Iterator[int]:
    """Identities of the numbers of fractions (`2/5 of the money`): no quantities of their own."""
    lowered = question.lower()
    for node in walk(expression):
        if not isinstance(node, Operation) or node.operator != "/":
            continue
        top = node.left.right if isinstance(node.left, Operation) else node.left
        if not isinstance(top, Number) or not isinstance(node.right, Number):
            continue
        over = (top.value, node.right.value)
        written = re.search(rf"(?<![0-9]){over[0]}\s?/\s?{over[1]}(?![0-9])", question)
        spelled = over[0] < over[1] <= 10 and re.search(
            r"\b(?:half|third|fourth|fifth|sixth|seventh|eighth|ninth|tenth|quarter)s?\b", lowered
        )
        if written or spelled:
            yield id(top)
            yield id(node.right)


class _Operands:
    """The words around the operands of one equation."""

    def __init__(self, equation: Equation, text: str, first: int, question: str) -> None:
        self.sentence = text[first:]
        self.first = first
        self.inside = (equation.start - first, equation.end - first)
        self.around = stems(words_of(self.sentence))
        self.scene = self.around | stems(words_of(question))
        self.percent = "%" in self.sentence
        self.about_money = bool(_MONEY_TALK.search(self.sentence))
        self.summed = {
            id(side)
            for node in walk(equation.expression)
            if isinstance(node, Operation) and node.operator in "+-"
            for side in (node.left, node.right)
        }
        self.taken: set[int] = set()

    def near(self, operand: Number) -> frozenset[str]:
        """Words at the operand itself and at other mentions of its value before the result."""
        words: frozenset[str] = frozenset()
        for start, end, value in numbers_in(self.sentence):
            in_equation = self.inside[0] <= start < self.inside[1]
            here = operand.start - self.first == start
            if value == abs(operand.value) and (here or not in_equation):
                words |= near_words(self.sentence[:start], self.sentence[end:])
        return words

    def best(
        self, operand: Number, sources: Sequence[Source], used: frozenset[int]
    ) -> tuple[Source, int] | None:
        """The source an operand means and how many others have its value; None: a plain number."""
        near = self.near(operand)
        same = [s for s in sources if _same_value(operand, s) and self.fits(s)]
        if not same or self.is_constant(operand, near, same, used):
            return None

        def score(source: Source) -> tuple[float, int]:
            shared = near & source.near
            points = 3.0 * len(shared - _SIGNS) + 0.5 * len(shared & _SIGNS)
            points += 0.5 * len(near & source.around) + 0.5 * len(self.around & source.near)
            points += 0.25 * len(self.around & source.around)
            points -= 2.0 * (source.variable in self.taken)
            # Authors calculate what they go on to use, so a result nobody used yet is waiting.
            fresh = (4.0 if source.is_step else 0.5) * (source.variable not in used)
            return points + fresh, source.variable

        best = max(same, key=score)
        self.taken.add(best.variable)
        return best, len({source.variable for source in same}) - 1

    def fits(self, source: Source) -> bool:
        """Whether the sentence can be about a source: prices only where money is talked of."""
        return source.is_step or not source.money or self.about_money

    def is_constant(
        self,
        operand: Number,
        near: frozenset[str],
        same: Sequence[Source],
        used: frozenset[int],
    ) -> bool:
        """A unit or multiplier word explains the number, and no word ties it to a source."""
        value = operand.value
        steps = [source for source in same if source.is_step]
        if value in (0, 1):
            return not any(near & s.near or s.variable not in used for s in steps)
        tied = any(near & source.near for source in same)
        if value.denominator > 1 or tied or id(operand) in self.summed:
            return False
        return self.is_multiplier(value) or self.is_unit(value, near, same, used)

    def is_multiplier(self, value: Fraction) -> bool:
        """`twice` and its like explain the number."""
        words = stems(MULTIPLIERS.get(int(value), "").split())
        bare = re.search(rf"\b(?:multipl|divid)\w+ [^.]*\bby {value}\b(?! [a-z])", self.sentence)
        times = re.search(rf"\b{value} times (?:as|more|the|that|what|less)\b", self.sentence)
        return bool(words & self.around or (bare and words & self.scene) or times)

    def is_unit(
        self,
        value: Fraction,
        near: frozenset[str],
        same: Sequence[Source],
        used: frozenset[int],
    ) -> bool:
        """Two units that the text speaks of have this ratio (60: hour and minute)."""
        if value == 100 and self.percent:
            return True
        if any(not source.is_step for source in same):
            return False
        units = [stems(pair.split()) for pair in UNITS.get(int(value), ())]
        waiting = any(source.variable not in used for source in same)
        named = any(near & pair for pair in units)
        return any(pair <= self.scene for pair in units) and (named or not waiting)


def _same_value(operand: Number, source: Source) -> bool:
    return operand.value == source.value or (source.percent and operand.value * 100 == source.value)
