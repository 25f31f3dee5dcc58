"""Where statements end, found token by token."""

from __future__ import annotations

import ast
import itertools

import pytest
from hypothesis import given, settings
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
    "a comment in brackets": [
        "def solution():\n    a = [1,  # one (\n        2]\n",
        "    return a\n",
    ],
    "a comment behind a joined line": [
        "def solution():\n    a = (1 + \\\n        2)  # three\n",
        "    return a\n",
    ],
    "a decorator": [
        "import functools\n",
        "@functools.cache\ndef half(x):\n    return x / 2\ndef solution():\n    a = half(4)\n",
        "    @functools.cache\n    def f(x):\n        return x\n    return f(a)\n",
    ],
    "a helper of nearly the same name": [
        "def solution_rate(x):\n    return x\ndef solutions():\n    return 1\n"
        "def solution():\n    a = solution_rate(4)\n",
        "    return a\n",
    ],
    "one line": ["a = 5\n", "def solution(): return a\n"],
    "line ends of other systems in texts": [
        "def solution():\n    a = 'x\u2028\x0c\x0b\x85y'\n",
        "    return a\n",
    ],
    "carriage returns": ["def solution():\r\n    a = 1 + \\\r\n  2\r\n", "    return a\r\n"],
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
    assert returned("async def solution() -> int:\n    return 1\n")
    assert returned("def solution(): return 5\n")
    assert not returned("def solution_rate():\n    return 1\n")
    assert not returned("def solutions(): return 1\n")


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
    assert joined.rstrip("\n") == text.rstrip("\n") or not text.strip()


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


def steps_by_the_parser(program: str) -> list[str]:
    """Return the steps that Python's own parser finds."""
    ends = []
    for statement in ast.parse(program).body:
        is_entry = isinstance(statement, ast.FunctionDef) and statement.name == "solution"
        for one in statement.body if is_entry else [statement]:  # type: ignore[attr-defined]
            # What begins on a line is one with what ends there.
            if ends and ends[-1] == one.lineno:
                ends.pop()
            # A block rides along with what stands below it.
            if not hasattr(one, "body"):
                ends.append(one.end_lineno)
    lines = program.split("\n")
    cuts = [0, *ends]
    steps = ["\n".join(lines[a:b]) + "\n" for a, b in itertools.pairwise(cuts) if b > a]
    rest = "\n".join(lines[ends[-1] :]).strip("\n")
    return [*steps, rest + "\n"] if rest.strip() else steps


NOISE = [
    "# a comment: with (brackets, 'quotes\n",
    "\n",
    "    \n",
    "    # four in\n",
    "    pairs = [1,  # one\n        2,\n        # three (\n        3]\n",
    "    text = 'a # b' + \"it's (\"\n",
    "    text = 'x\u2028y\\'s' \\\n        'z'\n",
    '    text = f"""{1}\n  # no: comment (\n\\"""\n"""\n',
    "    def inner(x):\n        return x\n",
    "    for i in range(3):\n        total = i\n        if i:\n            break\n",
    "    while False:\n        return 1\n",
    "    return_value = {'a': [1, (2)], \"b\": 'c'}\n",
    "    values: list[int] = [\n    ]\n",
    "    with open as f: \n        pass\n",
    "    try:\n        x = (1 /\n            0)\n    except ZeroDivisionError:\n        x = ''\n",
]
ABOVE = [
    "def solution_rate(x):\n    return x\n",
    "@cache\ndef helper():\n    return (1,\n        2)\n",
    "RATE = {\n  'a': 1,  # {\n}\n",
    "class Solution:\n    def solution(self):\n        return 1\n",
    '"""A docstring (\n\ndef solution():\n    return 1\n"""\n',
    "import math; from x import (a,\n  b)\n",
]


@st.composite
def mutated(draw: st.DrawFn) -> str:
    """Return a program of a task with statements, blocks and comments put into it."""
    make = get_task("arithmetic").generate
    assert make is not None
    (problem,) = make(1, "train", draw(st.integers(0, 200)), None)
    assert problem.program is not None
    head, *body = problem.program.rstrip("\n").split("\n")
    lines = [line + "\n" for line in body]
    for _ in range(draw(st.integers(0, 4))):
        lines.insert(draw(st.integers(0, len(lines) - 1)), draw(st.sampled_from(NOISE)))
    above = draw(st.lists(st.sampled_from(ABOVE), max_size=2))
    return "".join([*above, head + "\n", *lines])


@settings(max_examples=300)
@given(program=mutated())
def test_steps_are_those_of_the_parser(program: str) -> None:
    assert split_steps(program) == steps_by_the_parser(program)
    assert returned(program)


@pytest.mark.slow
@settings(max_examples=10_000)
@given(program=mutated())
def test_steps_are_those_of_the_parser_in_many_programs(program: str) -> None:
    assert split_steps(program) == steps_by_the_parser(program)
    assert returned(program)
