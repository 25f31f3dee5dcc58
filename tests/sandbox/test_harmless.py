"""The proof of harmlessness: what it must accept, what it must refuse, and that it keeps its word.

A program that changes anything for its neighbours is shown by running it before 50 of them.
"""

from __future__ import annotations

import ctypes
import dis
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import FunctionType, ModuleType

import pytest
from corpus import DEEP, LEFTOVERS, NEIGHBOURS, REFUSED, REFUSED_STATEMENTS
from hypothesis import HealthCheck, given, settings
from strategies import described, proved_programs
from test_pythons import OTHERS, PATHS, interpreter

from pad_ray.sandbox import Limits, Sandbox, harmless
from pad_ray.sandbox.harmless import (
    NAMESPACE_BUILTINS,
    SAFE_ATTRIBUTES,
    SAFE_BUILTINS,
    SAFE_MODULES,
    is_harmless,
)

REACH_S = float(os.environ.get("PAD_RAY_REACH_S", "120"))

pytestmark = pytest.mark.filterwarnings("ignore::SyntaxWarning")


def proved(program: str) -> bool:
    return is_harmless(compile(program, "<program>", "exec", dont_inherit=True))


ACCEPTED = {
    "the paper's form": 'def solution():\n    """Eggs."""\n    eggs = 16 - 3\n    return eggs * 2',
    "loops": "def solution():\n    n = 0\n    while n < 9:\n        n += 1\n        if n == 5:\n"
    "            break\n    for i in range(3):\n        if i: continue\n        n -= i\n"
    "    return n",
    "list comprehension": "def solution(): return [i * j for i in range(3) for j in 'ab' if i]",
    "other comprehensions": "def solution(): return {i: {j for j in [i]} for i in range(3)}",
    "generator expression": "def solution(): return sum(i * i for i in range(5))",
    "generator function": "def f():\n    yield 1\ndef solution(): return list(f())",
    "lambda": "def solution(): return sorted([3, 1], key=lambda v: -v)",
    "closure": "def solution():\n    n = 1\n    def add(k=2):\n        nonlocal n\n        n += k\n"
    "        return n\n    return add()",
    "f-string": "def solution():\n    a = 2.5\n    return f'{a:.2f} {a!r} {a:{5}}'",
    "percent": "def solution(): return '%.2f of %s' % (2.5, 'x')",
    "format()": "def solution(): return format(3.14159, '.2f')",
    "import": "import math\ndef solution(): return math.ceil(2.5)",
    "import as": "import datetime as dt\ndef solution(): return dt.date(2024, 1, 2).isoformat()",
    "import from": "from math import floor, sqrt as root\ndef solution(): return root(floor(4.5))",
    "import inside": "def solution():\n    import itertools\n    return list(itertools.chain([1]))",
    "imports in a line": "import math, statistics\ndef solution(): return statistics.mean([1])",
    "datetime's time": "from datetime import datetime, time, timedelta\n"
    "def solution(): return (datetime(2024, 1, 1) + timedelta(days=2)).strftime('%d')",
    "Counter": "from collections import Counter, defaultdict\n"
    "def solution():\n    d = defaultdict(list)\n    d['a'].append(1)\n"
    "    return Counter('aab').most_common(1)",
    "Fraction": "from fractions import Fraction\ndef solution(): return Fraction(1, 3) + 1",
    "constant": "RATE = 0.5\nNAMES = ['a']\ndef solution(): return RATE * len(NAMES)",
    "annotations": "def solution() -> int:\n    n: int = 4\n    return n",
    "helper": "def tax(price: float, *, rate: float = 0.1, **more: int) -> float:\n"
    "    return price * rate\ndef solution(): return tax(5, rate=0.2)",
    "print": "def solution():\n    print('a', 1, sep='-', end='')\n    return 1",
    "star": "def solution():\n    a, *b = [1, 2, 3]\n    print(*b)\n    return dict(**{'x': a})",
    "walrus": "def solution(): return [y for x in [1, 2] if (y := x * 2) > 2]",
    "assert and raise": "def solution():\n    assert 1 < 2, 'no'\n    raise ValueError('x')",
    "main guard": "def solution(): return 1\nif __name__ == '__main__':\n    print(solution())",
    "deletion of its own": "x = [1, 2]\ndef solution():\n    del x[0]\n    y = 2\n    del y\n"
    "    return x",
    "unpacked items": "def solution(): return [k for k, v in {'a': 1}.items() if v]",
    "conditional": "def solution():\n    x = None\n    return 1 if x is None and not x else 2",
    "slices": "def solution():\n    s = [1, 2, 3]\n    s[0:1] = [5, 6]\n    return s[::-1]",
    "unknown name": "def solution(): return pears + 1",
}
# Names that only a module's own statements bind outside of a function's fast locals.
REFUSED_GLOBALS = (
    "__builtins__ = {}|__import__ = 1|__class__ = 1|open = 1|type = 2|y: int = 3|del open"
)
PLACES = {
    "module": "import math\n{0}\ndef solution(): return 1",
    "solution": "import math\ndef solution():\n    {1}\n    return 1",
    "nested": "def solution():\n    def f(x):\n        def g(z):\n            {2}\n"
    "        return g",
}


@pytest.mark.parametrize("form", ACCEPTED)
def test_usual_programs_are_proved(form: str) -> None:
    assert proved(ACCEPTED[form])


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(program=proved_programs)
def test_generated_programs_of_allowed_parts_are_proved(program: str) -> None:
    # Each has Counter and date, which are not allowed together with these.
    # Nor are all methods, called on nothing or kept.
    nothing = rf"\.({'|'.join(harmless._ARRAY_METHODS)})\b(\(\)|(?!\())"
    excused = ".copy" in program or ".replace" in program or re.search(nothing, program)
    assert excused or proved(program)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("trick", REFUSED + REFUSED_STATEMENTS)
def test_tricks_are_refused_at_any_place(trick: str, place: str) -> None:
    lines = trick.replace("¶", "\n")
    indented = [lines.replace("\n", "\n" + " " * indent) for indent in (0, 4, 12)]
    program = PLACES[place].format(*indented)
    if "import *" in trick and place != "module":
        pytest.skip("no Python")
    assert not proved(program)


@pytest.mark.parametrize("trick", REFUSED_GLOBALS.split("|"))
def test_odd_names_are_refused_as_globals_only(trick: str) -> None:
    assert not proved(PLACES["module"].format(trick))
    if "del" not in trick:
        assert proved(PLACES["solution"].format("", trick))


@pytest.mark.parametrize("frame", DEEP)
def test_tricks_are_refused_however_deep(frame: str) -> None:
    for trick in ("x.__class__", "getattr(x, 'a')", "__builtins__", "x.format(1)"):
        assert not proved(f"def solution(x=1):\n    return {frame.format(trick)}"), trick
    assert proved(f"def solution(x=1):\n    return {frame.format('x')}")


def test_a_decorator_that_keeps_state_on_its_function_is_refused() -> None:
    counted = "def counted(f):\n    f.calls = 0\n    return f\n@counted\ndef solution(): return 1"
    assert not proved(counted)


@pytest.mark.parametrize("last", ["x.__dict__", "open", "import time", "x.format", "y.pi = 3"])
def test_a_forbidden_name_behind_256_others_is_seen(last: str) -> None:
    names = "\n".join(f"    name_{i}" for i in range(300))
    program = f"def solution():\n{names}\n    {last}"
    code = compile(program, "", "exec").co_consts[0]
    assert len(code.co_names) > 256
    assert "EXTENDED_ARG" in {dis.opname[op] for op in code.co_code[::2]}
    assert not proved(program)
    assert proved(f"def solution():\n{names}\n    own")


def test_no_allowed_attribute_is_a_builtin_that_programs_may_not_use() -> None:
    builtins = set(dir(sys.modules["builtins"]))
    assert not builtins & SAFE_ATTRIBUTES - SAFE_BUILTINS
    assert set(NAMESPACE_BUILTINS) - SAFE_BUILTINS == {"__import__"}


def _reachable() -> dict[str, object]:
    """Return what programs can reach by names from the modules, by the text that reaches it."""
    found: dict[str, object] = {}
    todo: list[tuple[str, object]] = [(name, import_module(name)) for name in SAFE_MODULES]
    while todo:
        path, thing = todo.pop()
        found[path] = thing
        if isinstance(thing, ModuleType | type) and path.count(".") < 2:
            names = SAFE_ATTRIBUTES & set(dir(thing))
            todo += [(f"{path}.{name}", getattr(thing, name)) for name in names]
    return found


def test_nothing_that_is_reached_by_names_holds_state() -> None:
    immutable = (int, float, str, type, FunctionType, ModuleType, property)
    c_types = ("builtin", "method", "descriptor", "datetime", "date", "time", "timedelta")
    for path, thing in _reachable().items():
        kind = type(thing).__name__
        assert isinstance(thing, immutable) or any(word in kind for word in c_types), path


def test_no_reachable_library_function_gives_away_classes_or_sets_attributes() -> None:
    """A library function written in Python does not check what it is called on.

    Counter.copy(int) is int.__class__(int): the class `type`, which makes classes.
    """
    giving = {"__class__", "__dict__", "type", "getattr", "setattr", "vars", "globals", "exec"}
    for path, thing in _reachable().items():
        code = getattr(getattr(thing, "fget", thing), "__code__", None)
        if code is not None:
            operations = {dis.opname[op] for op in code.co_code[::2]}
            if giving & set(code.co_names) or operations & {"STORE_ATTR", "STORE_GLOBAL"}:
                program = f"import {path.partition('.')[0]}\nmaker = {path}"
                assert not proved(f"{program}\ndef solution(): return maker(int)"), path


def test_a_deeply_nested_program_is_read_without_an_error() -> None:
    assert proved("solution = " + "lambda: " * 480 + "0")


def test_a_bases_method_that_makes_half_of_a_derived_object_is_refused() -> None:
    """date.replace of a datetime leaves a part of it unwritten, which ends as a broken memory."""
    broken = (
        "import datetime\ndef solution(): return datetime.date.replace(datetime.datetime.max, 1)"
    )
    assert not proved(broken)
    alias = "from datetime import date as a, datetime as b\nx = a.replace(b(2024, 1, 2))"
    assert not proved(alias)
    assert proved("from datetime import datetime\nx = datetime(2024, 1, 2).replace(day=3)")
    assert proved("from datetime import date\nx = date(2024, 1, 2).isoformat()")


NOTHING = [
    "def f(x): return x.split()\nfor x in ['a b'] * 50 + [str]: f(x)",
    "x = str.split\nfor f in [x]: f()",
    "x = list(map(str.strip, ['a ']))",
    "from collections import deque as d\nx = d\nx.rotate()",
    "def f(x):\n    return lambda y: y.pop(\n    )\ny = f(list)",
    "x = list[0]\nx.pop()",
    "import datetime\nx = datetime.date\nx.replace()",
]


@pytest.mark.parametrize("program", NOTHING)
def test_a_class_in_an_objects_place_is_called_for_no_method(program: str) -> None:
    """Where such a call was fast, CPython takes what lies above its stack for the object."""
    assert not proved(program)


@pytest.mark.parametrize(
    "program",
    [
        "x = ' a b '.strip().split()",
        "x = [2, 1]\nx.sort()\ny = x.pop() + {1: 2}.get(2, 0)",
        "x = str(1).split(' ')\ny = list(x)\nz = y.index('1')",
        "x = sorted(['b', 'A'], key=str.lower)",
    ],
)
def test_a_method_called_on_an_object_is_proved(program: str) -> None:
    assert proved(program)


def test_all_methods_that_take_an_array_are_known_with_their_classes() -> None:
    """Their flag is METH_FASTCALL of CPython's methodobject.h, here by struct's layout."""
    method_at, flags_at = 40, 16
    reached = [thing for thing in _reachable().values() if isinstance(thing, type)]
    reached += [thing for thing in NAMESPACE_BUILTINS.values() if isinstance(thing, type)]
    methods, classes = set(), set()
    for kind in reached:
        for name in SAFE_ATTRIBUTES & set(dir(kind)):
            method = getattr(kind, name)
            if type(method).__name__ == "method_descriptor":
                definition = ctypes.c_void_p.from_address(id(method) + method_at).value
                assert definition is not None
                if ctypes.c_int.from_address(definition + flags_at).value & 0x80:
                    methods.add(name)
                    classes.add(kind.__name__)
    assert {"split", "pop"} <= methods <= harmless._ARRAY_METHODS
    assert {"str", "list"} <= classes <= harmless._ARRAY_CLASSES


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("version", ["this", *OTHERS])
def test_nothing_that_proved_programs_reach_breaks_the_interpreter(version: str) -> None:
    script = Path(__file__).with_name("reach.py")
    python = sys.executable if version == "this" else interpreter(version)
    ran = subprocess.run(
        [python, "-B", script, str(REACH_S), str(time.time_ns() % 10**9)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": PATHS, "PYTHONMALLOC": "debug"},
    )
    assert (ran.returncode, ran.stderr) == (0, ""), ran.stdout


@pytest.fixture(scope="module")
def lone(sandbox: Sandbox) -> list[str]:
    """What becomes of each neighbour in a process of its own."""
    outcomes = [sandbox.run([source])[0] for source in NEIGHBOURS]
    assert {outcome.status for outcome in outcomes} == {"ok", "error"}
    return described(outcomes)


@pytest.fixture(scope="module")
def unhurried() -> Iterator[Sandbox]:
    """For programs that end at another limit than that of time, however slow the machine is."""
    with Sandbox(Limits(wall_s=60, cpu_s=20, memory_mb=128, output_kb=64)) as sandbox:
        yield sandbox


@pytest.mark.parametrize("what", LEFTOVERS)
def test_what_a_program_leaves_behind_changes_no_neighbour(
    unhurried: Sandbox, lone: list[str], what: str
) -> None:
    for size in (1, 30, 100) if "{0}" in LEFTOVERS[what] else (0,):
        body = LEFTOVERS[what].format(size)
        lines = body.replace("\n", "\n    ")
        early = f"{body}\ndef solution(): return 1"
        late = f"def solution():\n    {lines}\n    return 1"
        found = described(unhurried.run([early, *NEIGHBOURS, late, *NEIGHBOURS]))
        assert found[1 : len(lone) + 1] == lone
        assert found[len(lone) + 2 :] == lone
        assert [found[0], found[len(lone) + 1]] == described(
            [unhurried.run([program])[0] for program in (early, late)]
        )


@settings(
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(program=proved_programs)
def test_no_generated_program_changes_its_neighbours(
    sandbox: Sandbox, lone: list[str], program: str
) -> None:
    assert described(sandbox.run([program, *NEIGHBOURS]))[1:] == lone


def test_names_that_only_pythons_compiler_uses_are_no_instructions() -> None:
    """Python 3.12 numbers them above 255, `LOAD_METHOD` among them; no code object holds one."""
    code = (
        "import dis\n"
        "dis.opname += ['<none>'] * (266 - len(dis.opname)) + ['LOAD_METHOD']\n"
        "from pad_ray.sandbox.harmless import is_harmless\n"
        "print(is_harmless(compile('def solution(): return 1', '', 'exec')))\n"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert ran.stdout == "True\n", ran.stderr
