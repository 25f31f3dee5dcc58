"""Where statements end, found token by token."""

from __future__ import annotations

import ast
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pad_ray.programs.statements import Scan, scan, split_steps
from pad_ray.tasks import get_task

LINES = {
    "plain": ["def solution():\n    a = 1\n", "    b = a + 2\n", "    return b\n"],
    "comments ride along": [
        "def solution():\n    # first\n\n    a = 1\n",
        "    # c\n    return a\n",
    ],
    "brackets": ["def solution():\n    a = (1 +\n        2)\n", "    return [a,\n\n    a]\n"],
    "joined lines": ["def solution():\n    a = 1 + \\\n  2\n", "    return a\n"],
    "docstring": ['def solution():\n    """One.\n\n    Two: 3\n    """\n', "    return 1\n"],
    "quotes": ["def solution():\n    a = 'x # no' + \"it's\" + ''\n", "    return a # c ' (\n"],
    "hash and brackets in text": ["def solution():\n    a = '([{' + \"\"\n", "    return a\n"],
    "escapes": ["def solution():\n    a = 'it\\'s (' + '\\\\'\n", "    return a\n"],
    "triple": ["def solution():\n    a = '''(\n'x''\n'''\n", "    return a\n"],
    "a block waits": [
        "def solution():\n    a = 0\n",
        "    for i in range(3):\n        a += i\n        a += 1\n    b = a\n",
        "    if b > 2:\n        return 1\n    else:\n        b = 2\n    return b\n",
    ],
    "import": ["import math\n", "\ndef solution():\n    a = math.pi\n", "    return a\n"],
    "a helper is one with what follows": [
        "def half(x):\n    y = x / 2\n    return y\n\ndef solution():\n    a = half(4)\n",
        "    return a\n",
    ],
    "slices and dicts": ["def solution():\n    a = {1: [2, 3][0:1]}\n", "    return a[1]\n"],
    "lambda": ["def solution():\n    f = lambda x: x\n", "    return f(1)\n"],
    "tab": ["def solution():\n\ta = 1\n", "\treturn a\n"],
    "two spaces": ["def solution():\n  a = 1\n", "  return a\n"],
    "annotated": ["def solution() -> int:\n    a: int = 1\n", "    return a\n"],
}


@pytest.mark.parametrize("form", LINES)
def test_steps_are_completed_statements(form: str) -> None:
    steps = LINES[form]
    program = "".join(steps)
    ast.parse(program)
    assert split_steps(program) == steps


def returned(program: str) -> bool:
    return scan(Scan(), program).returned


def test_only_solutions_own_return_ends_a_program() -> None:
    assert returned("def solution():\n    return 1\n")
    assert not returned("def solution():\n    return 1")
    assert not returned("def f():\n    return 1\n")
    assert not returned("def solution():\n    if a:\n        return 1\n")
    assert not returned("def solution():\n    returned = 1\n")
    assert not returned("def solution():\n    return_value = 1\n")
    assert returned("def solution():\n    return(1)\n")
    assert not returned("def solution():\n    x = '''\n    return 1\n")


@given(
    form=st.sampled_from(sorted(LINES)),
    cuts=st.lists(st.integers(0, 200), max_size=12),
)
def test_how_the_text_is_cut_into_tokens_does_not_matter(form: str, cuts: list[int]) -> None:
    program = "".join(LINES[form])
    edges = sorted({0, len(program), *(c for c in cuts if c < len(program))})
    state, ended, done = Scan(), 0, False
    for start, end in itertools.pairwise(edges):
        state, more, finished = scan(state, program[start:end])
        ended, done = ended + more, done or finished
    assert (state, ended, done) == tuple(scan(Scan(), program))
    assert ended == len(LINES[form])
    assert done


@given(text=st.text(max_size=80))
def test_any_text_is_scanned(text: str) -> None:
    scan(Scan(), text)
    joined = "".join(split_steps(text))
    assert joined.split() == text.split()


def test_a_prefix_of_whole_steps_is_never_an_unclosed_block() -> None:
    make = get_task("arithmetic").generate
    assert make is not None
    for problem in make(150, "train", 0, None):
        assert problem.program is not None
        steps = split_steps(problem.program)
        assert "".join(steps).strip() == problem.program.strip()
        for count in range(1, len(steps) + 1):
            ast.parse("".join(steps[:count]))
        assert len(steps) == len(ast.parse(problem.program).body[0].body)
