"""Modules that a sandbox is told to offer besides the standard library's."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pytest

from pad_ray.sandbox import Limits, Sandbox, SandboxError


@pytest.fixture(scope="module")
def heavy() -> Iterator[Sandbox]:
    limits = Limits(wall_s=5, cpu_s=3)
    with Sandbox(limits, modules=("sympy", "dateutil", "numpy")) as sandbox:
        yield sandbox


@pytest.mark.parametrize(
    ("program", "value"),
    [
        ("x = symbols('x')\n    return solve(2 * x - 5, x)[0]", 2.5),
        ("return [Integer(3), sqrt(2), oo, Rational(6, 3)]", [3, math.sqrt(2), math.inf, 2]),
        ("return [Eq(1, 1), Lt(2, 1)]", [True, False]),
        ("return {Integer(1): Float(0.5)}", {1: 0.5}),
    ],
)
def test_sympy_solves_and_its_numbers_become_plain(
    heavy: Sandbox, program: str, value: object
) -> None:
    outcome = heavy.run([f"from sympy import *\ndef solution():\n    {program}"])[0]
    assert (outcome.status, outcome.value) == ("ok", value)


def test_numpy_and_dateutil(heavy: Sandbox) -> None:
    numpy = (
        "import numpy as np\ndef solution():\n    return [np.float32(2.5), np.int8(3), np.True_]"
    )
    dateutil = (
        "from datetime import date\nfrom dateutil.relativedelta import relativedelta\n"
        "def solution():\n    return str(date(2024, 1, 31) + relativedelta(months=1))"
    )
    outcomes = heavy.run([numpy, dateutil])
    assert [outcome.value for outcome in outcomes] == [[2.5, 3, True], "2024-02-29"]


@pytest.mark.parametrize("value", ["sympy.Symbol('x')", "sympy.I", "sympy.Matrix([[1]])"])
def test_what_is_no_number_is_unsupported(heavy: Sandbox, value: str) -> None:
    outcome = heavy.run([f"import sympy\ndef solution():\n    return {value}"])[0]
    assert (outcome.status, outcome.error_type) == ("error", "UnsupportedValue")


def test_programs_of_both_kinds_come_back_in_order(heavy: Sandbox) -> None:
    plain = [f"def solution():\n    return {n}" for n in range(20)]
    sympy = [f"import sympy\ndef solution():\n    return sympy.Integer({n})" for n in range(20)]
    mixed = [program for pair in zip(plain, sympy, strict=True) for program in pair]
    assert [outcome.value for outcome in heavy.run(mixed)] == [n // 2 for n in range(40)]


def test_a_program_may_need_both_kinds_of_further_modules(heavy: Sandbox) -> None:
    program = (
        "import sympy\nfrom dataclasses import dataclass\n@dataclass\nclass A:\n    x: int\n"
        "def solution():\n    return sympy.Integer(A(3).x) * 2"
    )
    assert heavy.run([program])[0].value == 6


def test_heavy_modules_are_loaded_for_the_programs_that_import_them_alone() -> None:
    variable = "from collections import deque\ndef solution():\n    queue = deque([3])\n"
    variable += "    return queue.pop()"
    needs = "from collections import deque, \\\n    Counter; from queue import Queue\n"
    needs += "def solution():\n    queue = Queue()\n    queue.put(4)\n    return queue.get()"
    with Sandbox() as sandbox:
        (first,) = sandbox.zygote_pids
        assert sandbox.run([variable])[0].value == 3
        assert sandbox.zygote_pids == [first]
        assert [outcome.value for outcome in sandbox.run([variable, needs] * 3)] == [3, 4] * 3
        pids = sandbox.zygote_pids
        assert (len(pids), pids[0]) == (2, first)
    with pytest.raises(SandboxError, match="closed"):
        sandbox.run([needs])


def test_the_jail_is_the_same(heavy: Sandbox) -> None:
    attack = "import sympy, os\ndef solution():\n    return {}"
    calls = ["open('/etc/passwd').read()", "os.fork()", "os.listdir('/')"]
    outcomes = heavy.run([attack.format(call) for call in calls])
    assert [outcome.status for outcome in outcomes] == ["forbidden"] * 3


def test_a_module_that_is_not_installed_is_named_in_one_line() -> None:
    with (
        Sandbox(modules=["no_such_module"]) as sandbox,
        pytest.raises(SandboxError, match=r"^modules: No module named 'no_such_module'; install"),
    ):
        sandbox.run(["import no_such_module"])
