"""Each status for its reason, with the value, type, line and message that belong to it."""

from __future__ import annotations

import dataclasses
import math
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pad_ray.sandbox import ALLOWED_MODULES, Limits, Outcome, Sandbox

RunOne = Callable[[str], Outcome]


def solution(expression: str, before: str = "") -> str:
    return f"{before}\ndef solution():\n    return {expression}\n"


def test_outcomes_come_in_order_with_times(sandbox: Sandbox) -> None:
    outcomes = sandbox.run([solution(str(number)) for number in range(30)])
    assert [outcome.value for outcome in outcomes] == list(range(30))
    assert {outcome.status for outcome in outcomes} == {"ok"}
    assert all(0 < outcome.cpu_s < 0.5 and 0 < outcome.wall_s < 2 for outcome in outcomes)


def test_no_programs_no_outcomes(sandbox: Sandbox) -> None:
    assert sandbox.run([]) == []


def test_a_program_in_the_papers_form(run_one: RunOne) -> None:
    program = (
        "import math\n\ndef solution():\n    eggs = 16 - 3 - 4\n    price = 2\n"
        "    result = math.floor(eggs * price)\n    return result\n"
    )
    assert run_one(program).value == 18


@pytest.mark.parametrize("module", ALLOWED_MODULES)
def test_offered_modules_import(run_one: RunOne, module: str) -> None:
    assert run_one(f"def solution():\n    import {module}\n    return 1").value == 1


@pytest.mark.parametrize(
    ("expression", "before", "value"),
    [
        ("datetime.strptime('2024-03-01', '%Y-%m-%d').month", "from datetime import datetime", 3),
        ("float(Fraction(1, 3) + Fraction(1, 6))", "from fractions import Fraction", 0.5),
        ("str(Decimal('1.10') * 3)", "from decimal import Decimal", "3.30"),
        ("statistics.median([3, 1, 2])", "import statistics", 2),
        ("calendar.month_name[2]", "import calendar", "February"),
        ("dict(Counter('aab'))", "from collections import Counter", {"a": 2, "b": 1}),
        ("'\\N{BLACK HEART SUIT}'", "", "\u2665"),
        ("größe", "größe = 5", 5),
    ],
)
def test_library_code_that_imports_late_works(
    run_one: RunOne, expression: str, before: str, value: object
) -> None:
    assert run_one(solution(expression, before)).value == value


@pytest.mark.parametrize("value", [None, True, -3, 2.5, "text", [1, [2]], {"a": {1: None}}])
def test_values_keep_their_types(run_one: RunOne, value: object) -> None:
    outcome = run_one(solution(repr(value)))
    assert (outcome.status, outcome.value, type(outcome.value)) == ("ok", value, type(value))


def test_tuples_become_lists(run_one: RunOne) -> None:
    assert run_one(solution("(1, (2, 3))")).value == [1, [2, 3]]


def test_a_name_error_tells_type_line_and_the_interpreters_message(run_one: RunOne) -> None:
    outcome = run_one("def solution():\n    apples = 3\n    return apples + pears\n")
    assert (outcome.status, outcome.error_type, outcome.error_line) == ("error", "NameError", 3)
    assert outcome.message == "name 'pears' is not defined"


def test_a_syntax_error_is_invalid_with_its_place(run_one: RunOne) -> None:
    outcome = run_one("def solution():\n    return (1 +\n")
    assert (outcome.status, outcome.error_type) == ("invalid", "SyntaxError")
    assert (outcome.error_line, outcome.error_offset) == (2, 12)
    assert outcome.message == "'(' was never closed"


def test_the_line_is_the_programs_own_when_library_code_raises(run_one: RunOne) -> None:
    outcome = run_one("import statistics\ndef solution():\n    return statistics.mean([])\n")
    assert (outcome.error_type, outcome.error_line) == ("StatisticsError", 3)


@pytest.mark.parametrize(
    ("program", "error_type"),
    [
        ("def solution():\n    return solution()", "RecursionError"),
        ("import sys\ndef solution():\n    sys.exit(3)", "SystemExit"),
        ("def solution():\n    return input()", "EOFError"),
        ("def solution(x):\n    return x", "TypeError"),
        ("def solution():\n    return str(10**5000)", "ValueError"),
        ("import sympy", "ModuleNotFoundError"),
        ("def solution():\n    return eval('1 +')", "SyntaxError"),
    ],
)
def test_exceptions_are_errors(run_one: RunOne, program: str, error_type: str) -> None:
    outcome = run_one(program)
    assert (outcome.status, outcome.error_type) == ("error", error_type)


@pytest.mark.parametrize(
    ("program", "error_type"),
    [
        ("e = 1\nfor _ in range(2000): e = ValueError(e)\nraise e", "ValueError"),
        ("e = 1\nfor _ in range(3000): e = [e]\nraise ValueError(e)", "ValueError"),
        *(
            (f"class E({base}):\n    {name} = property(lambda self: 1 / 0)\nraise E('a')", "E")
            for base, name in (
                ("Exception", "__traceback__"),
                ("Exception", "__class__"),
                ("SyntaxError", "filename"),
                ("SyntaxError", "lineno"),
            )
        ),
        ("class E(Exception):\n    def __repr__(self): return 1 / 0\nraise E", "E"),
        ("class E(Exception):\n    def __str__(self): return 1 / 0\nraise E", "E"),
        (
            "class M(type):\n    __name__ = property(lambda kind: 7)\n"
            "class E(Exception, metaclass=M): pass\nraise E",
            "E",
        ),
        ("class E(Exception):\n    def __repr__(self): raise SystemExit\nraise E([E()])", "E"),
    ],
)
def test_an_exception_that_cannot_be_shown_is_an_error_still(
    sandbox: Sandbox, program: str, error_type: str
) -> None:
    for outcome in sandbox.run([program, program, "import operator\n" + program]):
        assert (outcome.status, outcome.error_type) == ("error", error_type), outcome


def test_a_message_is_capped(run_one: RunOne) -> None:
    outcome = run_one("def solution():\n    raise ValueError('\\ud800' + '\u00e9' * 10**6)")
    assert outcome.status == "error"
    assert outcome.message is not None
    assert 400 < len(outcome.message) < 1000
    outcome.message.encode()


@pytest.mark.parametrize(
    ("program", "error_type"),
    [
        ("x = 1", "NoSolution"),
        ("", "NoSolution"),
        ("solution = 5", "NoSolution"),
        ("\ud800", "UnicodeEncodeError"),
        ("x = 1\0", "SyntaxError"),
        ("(" * 5000, "SyntaxError"),
        ("-" * 200_000 + "1", "MemoryError"),
    ],
)
def test_what_does_not_compile_or_has_no_solution_is_invalid(
    run_one: RunOne, program: str, error_type: str
) -> None:
    outcome = run_one(program)
    assert (outcome.status, outcome.error_type, outcome.value) == ("invalid", error_type, None)


@pytest.mark.parametrize(
    "program",
    [
        solution("object()"),
        solution("{1, 2}"),
        solution("1j"),
        solution("b'bytes'"),
        solution("(n for n in [1])"),
        "def solution():\n    yield 1",
        "async def solution():\n    return 1",
        solution("{(1, 2): 3}"),
        solution("Money(3)", "class Money(int): pass"),
        solution("Money(3)", "from decimal import Decimal\nclass Money(Decimal): pass"),
        solution("'\\ud800'"),
        solution("'x' * 66000"),
        solution("['x' * 1000] * 70"),
        solution("'x' * 60_000_000"),
        "def solution():\n    a = []\n    a.append(a)\n    return a",
    ],
)
def test_a_value_that_is_not_plain_is_unsupported(run_one: RunOne, program: str) -> None:
    outcome = run_one(program)
    assert (outcome.status, outcome.error_type) == ("error", "UnsupportedValue")
    assert outcome.value is None
    assert outcome.message


DECIMAL, FRACTION = "from decimal import Decimal as D", "from fractions import Fraction as F"


@pytest.mark.parametrize(
    ("expression", "before", "value"),
    [
        ("D('2.50')", DECIMAL, 2.5),
        ("D('1E+2')", DECIMAL, 100),
        ("D('1E+999999999')", DECIMAL, math.inf),
        ("D('1E-999999999')", DECIMAL, 0.0),
        ("D('-Infinity')", DECIMAL, -math.inf),
        ("[F(1, 4), {F(6, 3): D(7)}]", FRACTION + "\n" + DECIMAL, [0.25, {2: 7}]),
        ("F(10**5000, 3)", FRACTION, math.inf),
        ("-10**4300", "", -math.inf),
        ("10**4300 - 1", "", 10**4300 - 1),
        ("float('inf')", "", math.inf),
    ],
)
def test_numbers_become_plain_by_the_written_rule(
    run_one: RunOne, expression: str, before: str, value: object
) -> None:
    outcome = run_one(solution(expression, before))
    assert (outcome.status, repr(outcome.value)) == ("ok", repr(value))


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("date(2024, 3, 11)", "2024-03-11"),
        ("datetime(2024, 3, 11, 9, 5)", "2024-03-11T09:05:00"),
        ("time(9, 5)", "09:05:00"),
        ("date(2024, 3, 11) - date(2024, 3, 8)", "P3D"),
        ("timedelta(days=1, hours=2, seconds=3.5)", "P1DT2H3.5S"),
        ("-timedelta(minutes=90)", "-PT1H30M"),
        ("timedelta()", "P0D"),
        ("[date(2024, 3, 11)]", ["2024-03-11"]),
    ],
)
def test_dates_and_times_become_iso_text(run_one: RunOne, expression: str, value: object) -> None:
    outcome = run_one(solution(expression, "from datetime import *"))
    assert (outcome.status, outcome.value) == ("ok", value)


def test_not_a_number_stays_a_float(run_one: RunOne) -> None:
    value = run_one(solution("float('nan')")).value
    assert isinstance(value, float)
    assert math.isnan(value)


def test_keys_that_are_no_numbers_stay_as_many_as_they_are(run_one: RunOne) -> None:
    value = run_one("n = float('nan')\ndef solution(): return {n: 1, float('nan'): 2, 0: 3}").value
    assert isinstance(value, dict)
    assert list(value.values()) == [1, 2, 3]
    assert [math.isnan(key) for key in value if isinstance(key, float)] == [True, True]


def test_what_is_printed_is_kept_to_the_limit_and_apart_from_the_value(run_one: RunOne) -> None:
    program = "print('one', end='')\ndef solution():\n    print('two\\ud800')\n    return 3"
    outcome = run_one(program)
    assert (outcome.value, outcome.stdout) == (3, "onetwo\\ud800\n")
    flood = run_one("def solution():\n    for _ in range(9000): print('é' * 99)\n    return 3")
    assert flood.value == 3
    assert len(flood.stdout.encode()) in range(64 << 10, (64 << 10) + 3)
    failed = run_one("def solution():\n    print('seen')\n    return nothing")
    assert (failed.error_type, failed.stdout) == ("NameError", "seen\n")


# One that no Python guards against: iterators ask each other in C.
STACK_OVERFLOW = "x = ()\nfor _ in range(200000): x = map(abs, x)\nlist(x)"


@pytest.mark.parametrize(
    ("program", "status", "error_type", "said"),
    [
        ("while True: pass", "timeout", "CPUTime", "CPU time limit of 1 s"),
        ("import time\ntime.sleep(60)", "timeout", "WallTime", "wall time limit of 2 s"),
        ("import os\nos.fork()", "forbidden", "SIGSYS", "by os.fork"),
        (STACK_OVERFLOW, "crashed", "SIGSEGV", "SIGSEGV"),
        ("open('/etc/passwd')", "forbidden", "PermissionError", "/etc/passwd"),
        ("import socket", "forbidden", "ModuleNotFoundError", "socket"),
    ],
)
def test_the_outcome_tells_which_limit_call_or_signal(
    run_one: RunOne, program: str, status: str, error_type: str, said: str
) -> None:
    outcome = run_one(program)
    assert (outcome.status, outcome.error_type) == (status, error_type)
    assert outcome.message is not None
    assert said in outcome.message


def test_memory_that_is_full_of_any_size_of_object_is_told() -> None:
    with Sandbox(Limits(cpu_s=5, memory_mb=32)) as sandbox:
        for size in (1, 10, 20, 25, 30, 40, 60, 100, 10_000):
            program = f"kept = []\nwhile True:\n    kept.append([0] * {size})"
            outcome = sandbox.run([program])[0]
            assert (outcome.status, outcome.error_type) == ("memory", "MemoryError"), size


def test_memory_that_ends_as_a_broken_call_is_told() -> None:
    """CPython 3.11 forgets the MemoryError of a queue that cannot grow."""
    search = (
        "from collections import deque\ndef solution():\n    q = deque([(1, 1)])\n    while q:\n"
        "        a, b = q[0]\n        q.append((a + 1, b * 2 % 1000003))\n        q.append((a, b))"
    )
    with Sandbox(Limits(cpu_s=20, wall_s=60, memory_mb=32)) as sandbox:
        outcomes = [sandbox.run([search] * n)[0] for n in (1, 1, 2)]
    assert {outcome.status for outcome in outcomes} == {"memory"}


def test_what_is_no_text_is_invalid_and_a_bare_text_a_callers_mistake(sandbox: Sandbox) -> None:
    programs: list[str] = [None, "x" * (1 << 21), solution("1")]  # type: ignore[list-item]
    assert [outcome.status for outcome in sandbox.run(programs)] == ["invalid", "invalid", "ok"]
    with pytest.raises(TypeError, match="not one str"):
        sandbox.run(solution("1"))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("wall_s", 0),
        ("wall_s", math.nan),
        ("wall_s", math.inf),
        ("cpu_s", -1.0),
        ("cpu_s", "2"),
        ("memory_mb", 1),
        ("memory_mb", 256.5),
        ("memory_mb", True),
        ("output_kb", 0),
        ("output_kb", 10**9),
        ("required", {"landlok"}),
    ],
)
def test_bad_limits_name_their_field(field: str, value: object) -> None:
    with pytest.raises(ValueError, match=f"^Limits.{field}[ :][^\n]*$"):
        Limits(**{field: value})  # type: ignore[arg-type]


def test_limits_and_outcomes_are_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Limits().wall_s = 3  # type: ignore[misc]
    with pytest.raises(dataclasses.FrozenInstanceError):
        Outcome("ok").value = 3  # type: ignore[misc]


def test_the_room_imports_neither_ray_nor_torch_nor_other_rooms() -> None:
    code = (
        "import sys, pad_ray.sandbox\n"
        "print([m for m in sys.modules if m.partition('.')[0] in ('ray', 'torch', 'pydantic')"
        " or m.startswith('pad_ray.') and not m.startswith('pad_ray.sandbox')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_program_recurses_exactly_as_deep_as_in_plain_python(run_one: RunOne) -> None:
    program = (
        "def solution():\n    def down(calls):\n        try:\n            return down(calls + 1)\n"
        "        except RecursionError:\n            return calls\n    return down(0)\n"
    )
    command = [sys.executable, "-I", "-c", f"{program}print(solution())"]
    plain = subprocess.run(command, capture_output=True, text=True, check=True)
    assert run_one(program).value == int(plain.stdout)


def test_no_report_ends_an_owner_that_recurses_deep_or_reads_short_numbers_only() -> None:
    """The parser would overflow the owner's stack, and not read a whole number that is right."""
    code = (
        "import sys\n"
        "from pad_ray.sandbox import Limits\n"
        "from pad_ray.sandbox.outcome import judge\n"
        "from pad_ray.sandbox.wire import FRAMED, Reply\n"
        "sys.setrecursionlimit(10**8)\n"
        "def told(value):\n"
        '    report = b\'{"status": "ok", "value": \' + value + b"}"\n'
        "    return judge(Reply(FRAMED, 0, 0.0, 0.0, report), Limits())\n"
        "for limit in (640, 4300, 0):\n"
        "    sys.set_int_max_str_digits(limit)\n"
        "    parts = b'[', b'{\"\": ', b'\"[\", [', rb'\"\\\"[\", ['\n"
        "    deep = [told(part * 400000) for part in parts]\n"
        "    deep += [told(b'[' * 200000 + b']' * 200000)]\n"
        "    deep += [told(b'[],' * 99 + rb'\"\\[' * 99999)]\n"
        # Where json is given bytes it guesses their encoding, and these hold quotes that are none.
        '    head, ring = \'{"status": "ok", "value": [\', \'"\\u4122"\'\n'
        "    hidden = head + ring + ',' + '[' * 200000 + ring + ']}'\n"
        "    for coding in 'utf-8 utf-16 utf-16-le utf-16-be utf-32-le utf-32-be'.split():\n"
        "        report = Reply(FRAMED, 0, 0.0, 0.0, hidden.encode(coding))\n"
        "        deep.append(judge(report, Limits()))\n"
        "    assert {outcome.status for outcome in deep} == {'crashed'}\n"
        "    assert told(b'9' * 400000).status == told(b'9' * 4302).status == 'crashed'\n"
        "    assert told(b'-' + b'9' * 4300).value == 1 - 10**4300\n"
        "    assert told(b'7' * 641).value == 7 * (10**641 // 9)\n"
        "    assert told(b'[' * 32 + b'\"' + b'[{' * 200 + b'\"' + b']' * 32).status == 'ok'\n"
        "    assert told(b'[' * 33 + b']' * 33).status == 'crashed'\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=Path(__file__).parents[2]
    )
    assert (ran.returncode, ran.stderr) == (0, "")


def test_values_of_dicts_may_nest_as_deep_as_lists(run_one: RunOne) -> None:
    for link in ("[x]", "{1: x}", "{1: [x, {}, []]}"):
        outcome = run_one(f"x = 1\nfor _ in range(15): x = {link}\ndef solution(): return x")
        assert outcome.status == "ok", outcome
