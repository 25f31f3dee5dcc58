r"""Answers in LaTeX, compared as mathematics: by math-verify, in the sandbox.

math-verify bounds its work by SIGALRM, which threads do not get, and without a bound an answer such
as `123456789!!` keeps it for ever. As a program of the sandbox a comparison has a program's limits.
"""

from __future__ import annotations

import re
from functools import cache
from importlib.util import find_spec

from pad_ray.base.errors import ConfigError, DataError
from pad_ray.base.records import Problem
from pad_ray.sandbox import Limits, OutcomeCache, Sandbox
from pad_ray.tasks.base import Exemplar, RowLoader, Task
from pad_ray.tasks.numerals import boxes
from pad_ray.tasks.readings import equal
from pad_ray.tasks.rows import Row

__all__ = ["MATH", "latex_equal"]

_NEEDED = "math_verify"
_LIMITS = Limits(wall_s=10, cpu_s=2, memory_mb=1024)
_LONGEST = 1000
# What no plain number, word or date holds.
_MATHS = re.compile(r"[\\^_=<>(){}\[\]+*/|,√π∞∪∩≤≥]|\d\s*[a-z]{1,2}\b|\b[a-z]\b", re.IGNORECASE)
# What is spelled with several letters in a formula; other words would be read as products.
_NAMES = re.compile(
    r"\\(?:text\w*|mbox|mathrm|mathbf)\s*\{[^{}]*\}|\\[a-z]+"
    r"|(?<![a-z])(?:a?(?:sin|cos|tan|cot|sec|csc)h?|arc(?:sin|cos|tan)|sqrt|log|ln|exp|abs|floor"
    r"|ceiling|factorial|binomial|gamma|theta|alpha|beta|lambda|Rational|Matrix|Interval|pi|oo)"
    r"(?![a-z])",
    re.IGNORECASE,
)
_WORDS = re.compile(r"[^\W\d_]{3}|^\s*[^\W\d_]{2,}\s*$")
# A program's value is written as LaTeX first, so that both sides are read by the same rules.
_COMPARISON = r"""
def as_latex(value):
    if isinstance(value, str):
        if "\\" in value:
            return value
        try:
            return latex(parse_expr(value, transformations=RULES), ln_notation=True)
        except Exception:
            return value
    return latex(sympify(value))

def forms(value):
    if not isinstance(value, list):
        return [as_latex(value)]
    inside = ", ".join(map(as_latex, value))
    return [f"({inside})", rf"\{{{inside}\}}", inside]

def read(text):
    kinds = [LatexExtractionConfig(), ExprExtractionConfig()]
    inside = text if "$" in text else f"${text}$"
    found = parse(inside, kinds, parsing_timeout=None, raise_on_error=False)
    return [one.replace(is_unknown, alike) if isinstance(one, Basic) else one for one in found]

def is_unknown(part):
    return isinstance(part, Symbol)

def alike(unknown):
    # It takes a letter for real or not by the spaces around, and `i` for an unknown.
    return I if unknown.name == "i" else Symbol(unknown.name, real=True)

def solution():
    gold = read(ANSWER)
    return any(verify(gold, read(one), timeout_seconds=None) for one in forms(VALUE))
"""
_IMPORTS = """
from math_verify import ExprExtractionConfig, LatexExtractionConfig, parse, verify
from sympy import Basic, I, Symbol, latex, sympify
from sympy.parsing.sympy_parser import (
    convert_xor, implicit_multiplication, parse_expr, split_symbols, standard_transformations,
)
RULES = (*standard_transformations, convert_xor, split_symbols, implicit_multiplication)
"""


def latex_equal(value: object, answer: str) -> bool:
    r"""Compare a program's value with a gold answer in LaTeX, such as `\frac{\sqrt{3}}{2}`.

    What `equal` takes for one is one. Of others the value may be a number, a text in LaTeX or in
    Python's notation (`sqrt(3)/2`), or a list of these for a pair, an interval or a set. What
    cannot be read, or takes too long, is not equal.
    """
    if equal(value, answer):
        return True
    if not _is_maths(value, answer):
        return False
    (outcome,) = _checker().run([_program(value, answer)])
    return outcome.status == "ok" and outcome.value is True


def _is_maths(value: object, answer: str) -> bool:
    """Tell whether mathematics could make two answers one that are not so by the grammar."""
    if not isinstance(value, int | float | str | list) or isinstance(value, bool):
        return False
    texts = [answer, *(value if isinstance(value, list) else [value])]
    spelled = [one for one in texts if isinstance(one, str)]
    if any(len(one) > _LONGEST or _WORDS.search(_NAMES.sub("", one)) for one in spelled):
        return False
    return any(map(_MATHS.search, spelled))


def _program(value: object, answer: str) -> str:
    return f"{_IMPORTS}ANSWER = {answer!r}\nVALUE = {value!r}\n{_COMPARISON}"


@cache
def _checker() -> OutcomeCache:
    # One a process: it takes seconds to load, and ends with the process.
    return OutcomeCache(Sandbox(_LIMITS, modules=("sympy", _NEEDED)))


_EXEMPLARS = (
    Exemplar(
        "What is the sum of all values of $x$ for which $x^2 - 7x + 10 = 0$?",
        "def solution():\n"
        "    roots = [x for x in range(-20, 21) if x**2 - 7 * x + 10 == 0]\n"
        "    return sum(roots)\n",
        "The sum of the roots of $x^2 - 7x + 10$ is 7.\nThe answer is 7.",
    ),
    Exemplar(
        "The two shorter sides of a right triangle are $3$ and $6$. How long is the longest side? "
        "Give your answer in simplest radical form.",
        "def solution():\n"
        "    square_of_longest_side = 3**2 + 6**2\n"
        "    outside = max(k for k in range(1, 10) if square_of_longest_side % k**2 == 0)\n"
        "    inside = square_of_longest_side // outside**2\n"
        "    return f'{outside}*sqrt({inside})'\n",
        "Its square is $9 + 36 = 45$, so it is $3\\sqrt{5}$.\nThe answer is $3\\sqrt{5}$.",
    ),
    Exemplar(
        "A bag holds 4 red and 6 blue balls, and two are drawn without putting the first one back. "
        "What is the probability that both are red? Express your answer as a common fraction.",
        "from fractions import Fraction\n\n\n"
        "def solution():\n"
        "    first_is_red = Fraction(4, 10)\n"
        "    second_is_red = Fraction(3, 9)\n"
        "    both_are_red = first_is_red * second_is_red\n"
        "    return f'{both_are_red.numerator}/{both_are_red.denominator}'\n",
        "It is $\\frac{4}{10} \\cdot \\frac{3}{9} = \\frac{2}{15}$.\n"
        "The answer is $\\frac{2}{15}$.",
    ),
)


def _math_problem(row: Row) -> Problem:
    r"""Read MATH's rows: `problem`, and `answer`, or the last `\boxed{}` of `solution`."""
    if find_spec(_NEEDED) is None:
        raise ConfigError("task: 'math' needs math-verify; pip install 'pad-ray[math]'")
    question = row.text("problem", "question")
    worked = row.text("solution") if row.value("solution") is not None else None
    if row.value("answer") is not None:
        answer = row.text("answer")
    elif worked is None:
        raise DataError(f"{row.place}: field 'answer' is missing, and so is 'solution'")
    else:
        answer = _boxed(worked, row.place)
    return row.problem("math", question, answer.strip(), rationale=worked)


def _boxed(worked: str, place: str) -> str:
    found = boxes(worked)
    if not found:
        raise DataError(rf"{place}: field 'solution' has no \boxed answer")
    _, inside, end = found[-1]
    return worked[inside:end]


MATH = Task(
    "math",
    latex_equal,
    _EXEMPLARS,
    load=RowLoader(("problem", "solution", "answer"), _math_problem),
)
