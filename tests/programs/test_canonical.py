"""The canonical form: equal for the same program in other clothes, different in every doubt."""

from __future__ import annotations

import ast
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pad_ray.programs.canonical import MAX_PROGRAM_CHARS, near_key, normalise_program, program_key

BASE = (
    "def solution():\n    apples = 3\n    pears = 4\n    total = apples - pears\n    return total"
)


@pytest.mark.parametrize(
    "same",
    [
        BASE.replace("apples", "cherries"),
        BASE.replace("    ", "  "),
        BASE.replace(" = ", "="),
        BASE.replace("apples - pears", "(apples - pears)  # the rest"),
        BASE.replace("():", '():\n    """Count them."""'),
        BASE.replace("apples", "x").replace("pears", "apples").replace("x", "pears"),
        f"\n\n{BASE}\n\n",
    ],
)
def test_renaming_layout_and_comments_do_not_matter(same: str) -> None:
    assert program_key(same) == program_key(BASE)


@pytest.mark.parametrize(
    "other",
    [
        BASE.replace("-", "+"),
        BASE.replace("3", "5"),
        BASE.replace("3", "3.0"),
        BASE.replace("apples - pears", "pears - apples"),
        BASE.replace("return total", "return pears"),
        BASE.replace("    apples = 3\n    pears = 4", "    pears = 4\n    apples = 3"),
        BASE.replace("return total", "return round(total)"),
    ],
)
def test_a_change_of_meaning_changes_the_key(other: str) -> None:
    assert program_key(other) != program_key(BASE)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("sum = sum([1, 2])", "total = total([1, 2])"),
        ("import math as m\nx = m.pi", "import cmath as m\nx = m.pi"),
        ("import math\npi = 1\nx = math.pi", "import math\ntau = 1\nx = math.tau"),
        ("digits = 2\nx = round(3.14159, digits=digits)", "n = 2\nx = round(3.14159, n=n)"),
        ("from math import *\npi = pi + 1", "from math import *\ntau = tau + 1"),
        ("x = 1\ny = eval('x')", "z = 1\ny = eval('x')"),
        ("a = 1\nb = locals()['a']", "c = 1\nb = locals()['a']"),
        ("class A:\n    n = 1\nx = A.n", "class A:\n    k = 1\nx = A.n"),
        ("a = 1\ns = f'{a=}'", "b = 1\ns = f'{b=}'"),
        ("def f(k):\n    return k\nx = f(k=1)", "def f(j):\n    return j\nx = f(k=1)"),
        ("v0 = 1\ndef v1():\n    return v0", "def v0():\n    return 1"),
        ("def v0():\n    return 1\nx = v0()", "def v0():\n    return 1\nx = x()"),
    ],
)
def test_names_that_mean_more_than_a_variable_are_kept(left: str, right: str) -> None:
    assert program_key(left) != program_key(right)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("x = [a * 2 for a in range(3)]", "y = [b * 2 for b in range(3)]"),
        ("def f(a):\n    return lambda b: a + b", "def f(p):\n    return lambda q: p + q"),
        (
            "try:\n    x = 1\nexcept E as e:\n    x = e",
            "try:\n    y = 1\nexcept E as z:\n    y = z",
        ),
        ("if (n := 3) > 2:\n    m = n", "if (a := 3) > 2:\n    b = a"),
    ],
)
def test_every_kind_of_variable_is_renamed(left: str, right: str) -> None:
    assert program_key(left) == program_key(right)


def test_text_that_does_not_parse_differs_by_more_than_whitespace() -> None:
    assert program_key("def solution(:\n  x = 1") == program_key("def solution(:\n      x  = 1 ")
    assert program_key("def solution(:\n  x = 1") != program_key("def solution(:\n  y = 1")


@pytest.mark.parametrize("unit", ["-", "(", "1+", "a.", "[", "not ", "x = 1\n", "\x00", "\ud800"])
def test_deep_and_odd_programs_have_a_key(unit: str) -> None:
    assert len(program_key(unit * (MAX_PROGRAM_CHARS // len(unit)) + "1")) == 16


_NAMES = ("apples", "pears", "total", "rate")
_ATOMS = st.one_of(st.sampled_from(_NAMES), st.integers(0, 3).map(str))
_EXPRESSIONS = st.recursive(
    _ATOMS,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from("+-*"), inner).map(lambda t: f"({t[0]} {t[1]} {t[2]})"),
        inner.map(lambda e: f"round({e})"),
        st.tuples(st.sampled_from(_NAMES), inner).map(lambda t: f"sum({t[1]} for {t[0]} in [1])"),
    ),
    max_leaves=4,
)
_STEPS = st.lists(st.tuples(st.sampled_from(_NAMES), _EXPRESSIONS), min_size=1, max_size=3)
_PROGRAMS = st.tuples(_STEPS, _EXPRESSIONS).map(
    lambda parts: (
        "def solution():\n"
        + "".join(f"    {name} = {value}\n" for name, value in parts[0])
        + f"    return {parts[1]}"
    )
)


def _substitute(program: str, mapping: dict[str, str]) -> str:
    return re.sub("|".join(_NAMES), lambda match: mapping[match.group()], program)


@settings(max_examples=200, deadline=None)
@given(_PROGRAMS, st.permutations(["w", "x", "y", "z"]))
def test_renaming_all_variables_by_a_bijection_keeps_the_key(
    program: str, names: list[str]
) -> None:
    stored = {
        n.id
        for n in ast.walk(ast.parse(program))
        if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)
    }
    mapping = {old: new if old in stored else old for old, new in zip(_NAMES, names, strict=True)}
    assert program_key(_substitute(program, mapping)) == program_key(program)


@settings(max_examples=200, deadline=None)
@given(_PROGRAMS, _PROGRAMS)
def test_equal_keys_mean_one_injective_renaming(left: str, right: str) -> None:
    if program_key(left) != program_key(right):
        return
    names_left = [n.id for n in ast.walk(ast.parse(left)) if isinstance(n, ast.Name)]
    names_right = [n.id for n in ast.walk(ast.parse(right)) if isinstance(n, ast.Name)]
    pairs = set(zip(names_left, names_right, strict=True))
    assert len(pairs) == len({a for a, _ in pairs}) == len({b for _, b in pairs})


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(_NAMES), min_size=2, max_size=2), st.permutations(_NAMES))
def test_swapped_operands_of_unlike_variables_differ(pair: list[str], order: list[str]) -> None:
    steps = "".join(f"    {name} = {value}\n" for value, name in enumerate(order))
    first, second = (f"def solution():\n{steps}    return {a} - {b}" for a, b in (pair, pair[::-1]))
    assert (program_key(first) == program_key(second)) == (pair[0] == pair[1])


@settings(max_examples=200, deadline=None)
@given(st.one_of(_PROGRAMS, st.text()))
def test_the_canonical_form_is_a_fixed_point_for_programs(program: str) -> None:
    form = normalise_program(program)
    if not form.startswith("# does not"):
        assert normalise_program(form) == form


@pytest.mark.parametrize(
    "same",
    [
        BASE.replace("    apples", "    crates = 7 * 2\n    apples"),
        BASE.replace("    apples", "    crates = 7\n    boxes = crates * 2\n    apples"),
        BASE.replace("apples = 3", "apples: int = 3"),
        BASE.replace("apples = 3", "apples = int(3)"),
    ],
)
def test_what_changes_no_calculation_does_not_change_the_near_key(same: str) -> None:
    assert near_key(same) == near_key(BASE)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("a = 3\nb = 4\nreturn a + b * 2", "a = 3\nb = 4\nreturn 2 * b + a"),
        ("a = 3\na += 4\nreturn a", "n = 3\nn = n + 4\nreturn n"),
    ],
)
def test_operands_of_sums_and_products_may_change_places(left: str, right: str) -> None:
    def program(text: str) -> str:
        return "def solution():\n" + "".join(f"    {line}\n" for line in text.splitlines())

    assert near_key(program(left)) == near_key(program(right))
    assert program_key(program(left)) != program_key(program(right))


@pytest.mark.parametrize(
    "other",
    [
        BASE.replace("apples - pears", "pears - apples"),
        BASE.replace("3", "5"),
        BASE.replace("apples = 3", "apples = int(3.5)"),
        BASE.replace("    apples", "    crates = 7 / 0\n    apples"),
    ],
)
def test_a_change_of_calculation_changes_the_near_key(other: str) -> None:
    assert near_key(other) != near_key(BASE)


@pytest.mark.parametrize(("one", "two"), [("'a' + 'b'", "'b' + 'a'"), ("[1] + [2]", "[2] + [1]")])
def test_texts_and_lists_do_not_commute(one: str, two: str) -> None:
    body = "def solution():\n    return "
    assert near_key(body + one) != near_key(body + two)


_OPERAND = st.sampled_from(["a", "b", "c", "2", "3.5"])
_EXPRESSION = st.recursive(
    _OPERAND,
    lambda inner: st.tuples(inner, st.sampled_from("+-*"), inner).map(
        lambda part: f"({part[0]} {part[1]} {part[2]})"
    ),
    max_leaves=6,
)


@given(_EXPRESSION, _EXPRESSION, st.tuples(*[st.integers(-9, 9)] * 3))
def test_programs_with_one_near_key_compute_the_same(
    left: str, right: str, values: tuple[int, int, int]
) -> None:
    def program(expression: str) -> str:
        givens = "".join(f"    {n} = {v}\n" for n, v in zip("abc", values, strict=True))
        return f"def solution():\n{givens}    return {expression}"

    one, two = program(left), program(right)
    swapped = program(_swapped(left))
    assert near_key(swapped) == near_key(one)
    if near_key(one) == near_key(two):
        assert _run(one) == pytest.approx(_run(two))


def _swapped(expression: str) -> str:
    """Turn the operands of every sum and product round."""

    class Swap(ast.NodeTransformer):
        def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
            self.generic_visit(node)
            if isinstance(node.op, ast.Add | ast.Mult):
                node.left, node.right = node.right, node.left
            return node

    return ast.unparse(Swap().visit(ast.parse(expression)))


def _run(program: str) -> float:
    names: dict[str, Any] = {}
    exec(program, names)
    return float(names["solution"]())
