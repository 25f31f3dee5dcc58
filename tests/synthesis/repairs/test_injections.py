"""Every kind of injected error: that it is one, that it shows as it says, and that it is small."""

from __future__ import annotations

import ast
import difflib
import random
import warnings
from collections import Counter
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pad_ray.base.errors import ConfigError
from pad_ray.programs.canonical import normalise_program
from pad_ray.sandbox import Limits, Outcome, Sandbox
from pad_ray.synthesis.repairs.injections.kinds import INJECTIONS, check_weights, inject
from pad_ray.tasks import get_task

EQUAL = dict.fromkeys(INJECTIONS, 1.0)
QUESTION = "Tom has 12 apples and 3 bags of 4.5 pounds; 1,200 people buy 7 each. What is left?"

LOOP = '''def solution():
    """Count."""
    total = 0  # the sum
    for day in range(1, 8):
        if day % 2 == 0 and day > 3:
            total += day * 3
        else:
            total += 1
    # what is left
    left = total - 4
    return left'''
BRANCH = """def solution():
    price = 12.5
    count = 7
    if count >= 5:
        discount = price * 0.1
    else:
        discount = 0
    cost = (price - discount) * count
    while cost > 1000:
        cost = cost - 100
    final_cost = max(round(cost / (count + 1), 2), 3)
    return final_cost"""
TEXT = """import math

def half(number):
    return number / 2

def solution():
    name = 'Léa'; letters = len(name)
    words = ["ab (", 'c]', f"{letters} d"]
    longest = max([len(word) for word in words])  # not ) this
    boxes = math.ceil(half(longest + letters * 3))
    return boxes

print(solution())
"""
NESTED = """def solution():
    first = (
        3
        + 4  # of them
    )
    second = [first, [first * 2, (first - 1) ** 2]]
    third = sum(second[1]) - second[0]
    unit = -2 if third < 0 else 2
    return (third * unit) // (first - 5)"""
SHORT = "def solution():\n    apples = 12\n    return apples - 3"
LONE = "def solution():\n    return 12 - 3"
ONE_LINE = "def solution(): return 12 - 3"
TABS = "def solution():\n\tcount = 12\n\trest = count - 3\n\treturn rest"
EARLY = """def solution():
    count = 12
    if count > 3:
        return count - 3
    rest = count * 2
    return rest"""
STRAIGHT = (NESTED, SHORT, LONE, ONE_LINE, TABS, TEXT)
BY_HAND = (LOOP, BRANCH, EARLY, *STRAIGHT)
# The kinds that change the line they stand in; the others lose or move lines.
IN_PLACE = (
    "rename_use",
    "wrong_operator",
    "swapped_operands",
    "wrong_constant",
    "wrong_return",
    "call_arity",
    "int_str",
    "indentation",
    "brackets",
)


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(Limits()) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def gold() -> list[tuple[str, str]]:
    problems = list(get_task("arithmetic").generate(200, "train", 3, None))
    return [(p.program or "", p.question) for p in problems]


def how(outcome: Outcome) -> str:
    return "value" if outcome.status == "ok" else outcome.status


def broken(name: str, programs: list[tuple[str, str]], seed: int = 0) -> list[str | None]:
    edit = INJECTIONS[name].edit
    return [edit(p, q, random.Random(seed + i)) for i, (p, q) in enumerate(programs)]


def compiles(text: str) -> bool:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            compile(text, "program", "exec")
    except SyntaxError:
        return False
    return True


@pytest.mark.parametrize("name", INJECTIONS)
def test_a_kind_applies_to_gold_programs_and_shows_as_it_says(
    name: str, gold: list[tuple[str, str]], sandbox: Sandbox
) -> None:
    texts = broken(name, gold)
    applied = [(text, p) for text, (p, _) in zip(texts, gold, strict=True) if text is not None]
    assert len(applied) / len(gold) > (0.7 if name == "swapped_operands" else 0.97)
    outcomes = sandbox.run([text for text, _ in applied])
    right = sandbox.run([program for _, program in applied])
    changed = 0
    for (text, program), outcome, before in zip(applied, outcomes, right, strict=True):
        assert how(outcome) in INJECTIONS[name].shows, text
        assert normalise_program(text, rename=False) != normalise_program(program, rename=False)
        assert compiles(text) == ("invalid" not in INJECTIONS[name].shows)
        changed += outcome.status != "ok" or outcome.value != before.value
        if outcome.status != "ok":
            line = outcome.error_line
            assert line is not None and 1 <= line <= len(text.split("\n"))
    assert changed / len(applied) > 0.95


@pytest.mark.parametrize(
    ("name", "errors"),
    [
        ("rename_use", {"NameError"}),
        ("use_before_definition", {"UnboundLocalError", "NameError"}),
        ("missing_assignment", {"NameError", "UnboundLocalError"}),
        ("call_arity", {"TypeError"}),
        ("indentation", {"IndentationError"}),
        ("illegal_return", {"SyntaxError"}),
        ("brackets", {"SyntaxError"}),
    ],
)
def test_a_sure_error_is_the_one_of_its_kind_in_straight_programs(
    name: str, errors: set[str], sandbox: Sandbox
) -> None:
    programs = [(p, QUESTION) for p in STRAIGHT for _ in range(60)]
    texts = [text for text in broken(name, programs) if text is not None]
    assert len(texts) > len(programs) * 0.4
    for text, outcome in zip(texts, sandbox.run(texts), strict=True):
        assert outcome.error_type in errors, text
        if name == "illegal_return":
            assert outcome.message == "'return' outside function"


@pytest.mark.parametrize("name", INJECTIONS)
def test_a_kind_shows_as_it_says_in_programs_with_blocks(name: str, sandbox: Sandbox) -> None:
    programs = [(p, QUESTION) for p in BY_HAND for _ in range(60)]
    texts = broken(name, programs, seed=1000)
    applied = [(t, p) for t, (p, _) in zip(texts, programs, strict=True) if t is not None]
    assert {p for _, p in applied} >= {LOOP, BRANCH, EARLY}
    for (text, program), outcome in zip(
        applied, sandbox.run([text for text, _ in applied]), strict=True
    ):
        assert how(outcome) in INJECTIONS[name].shows, text
        assert normalise_program(text, rename=False) != normalise_program(program, rename=False)


@given(
    name=st.sampled_from(sorted(INJECTIONS)),
    program=st.sampled_from(BY_HAND),
    seed=st.integers(0, 2**32),
)
@settings(max_examples=150)
def test_an_edit_is_small_and_the_same_for_the_same_seed(
    name: str, program: str, seed: int
) -> None:
    edit = INJECTIONS[name].edit
    text = edit(program, QUESTION, random.Random(seed))
    assert text == edit(program, QUESTION, random.Random(seed))
    if text is None:
        return
    old, new = program.split("\n"), text.split("\n")
    matcher = difflib.SequenceMatcher(None, old, new, autojunk=False)
    changes = [c for c in matcher.get_opcodes() if c[0] != "equal"]
    if name in IN_PLACE:
        ((_, start, end, new_start, new_end),) = changes
        assert new_end - new_start <= end - start <= (4 if "(\n" in program else 1)
        assert any(start < line <= end for line in statement_lines(program))
    elif name in ("missing_assignment", "missing_return"):
        assert len(changes) == 1 and len(old) - 4 <= len(new) <= len(old)
    elif name != "illegal_return":
        assert len(changes) <= 2 and abs(len(new) - len(old)) <= 4


def statement_lines(program: str) -> set[int]:
    nodes = (n for n in ast.walk(ast.parse(program)) if isinstance(n, ast.stmt))
    return {line for n in nodes for line in range(n.lineno, (n.end_lineno or n.lineno) + 1)}


def test_only_the_edited_statement_is_written_anew() -> None:
    found = {INJECTIONS["wrong_constant"].edit(TEXT, "7", random.Random(i)) for i in range(20)}
    assert TEXT.replace("letters * 3))", "letters * 7))") in found
    found = {INJECTIONS["wrong_constant"].edit(LOOP, "9", random.Random(i)) for i in range(60)}
    assert LOOP.replace("total = 0  # the sum", "total = 9  # the sum") in found
    assert LOOP.replace("day > 3", "day > 9") in found


def test_a_wrong_constant_stands_in_the_question() -> None:
    edit = INJECTIONS["wrong_constant"].edit
    texts = {edit(SHORT, QUESTION, random.Random(i)) for i in range(200)}
    old = {"apples = 12": (3, 4.5, 1200, 7), "apples - 3": (12, 4.5, 1200, 7)}
    expected = {
        SHORT.replace(part, f"{part.rpartition(' ')[0]} {number}")
        for part, numbers in old.items()
        for number in numbers
    }
    assert texts == expected
    assert edit(SHORT, "No number here", random.Random(0)) is None
    assert edit(LONE.replace("12", "3"), "Only 3", random.Random(0)) is None


def test_loops_count_one_too_many_or_too_few() -> None:
    program = "def solution():\n    n = 4\n    return sum([1 for i in range(n)])"
    texts = {INJECTIONS["off_by_one_step"].edit(program, "", random.Random(i)) for i in range(40)}
    assert texts == {program.replace("range(n)", f"range(n {sign} 1)") for sign in "+-"}


@pytest.mark.parametrize("name", INJECTIONS)
def test_no_kind_touches_what_it_cannot_read(name: str) -> None:
    edit, rng = INJECTIONS[name].edit, random.Random(0)
    for program in ("", "def solution(:\n", "x = 3", "def other():\n    return 3", "print(3)"):
        assert edit(program, QUESTION, rng) is None
    assert edit(SHORT.replace("\n", "\r\n"), QUESTION, rng) is None


def test_a_name_that_has_a_value_outside_is_not_left_undefined() -> None:
    shadowing = "sum = 2\n\ndef solution():\n    sum = 3\n    max = 4\n    return sum + max"
    edit = INJECTIONS["missing_assignment"].edit
    assert edit(shadowing, "", random.Random(0)) is None
    starred = "from math import *\n\ndef solution():\n    e_pi = 3\n    return e_pi"
    for i in range(30):
        text = INJECTIONS["rename_use"].edit(starred, "", random.Random(i)) or ""
        assert "return e_pi_" in text


def body(*lines: str) -> str:
    return "\n".join(("def solution():", *(f"    {line}" for line in lines)))


def all_of(name: str, program: str) -> set[str | None]:
    edit = INJECTIONS[name].edit
    return {edit(program, QUESTION, random.Random(seed)) for seed in range(60)}


def test_what_is_not_evaluated_for_certain_is_left_alone() -> None:
    program = body("a = 0", "b = 5", "c = a and b", "d = 9 < a < b", "return 3 if c else b")
    for text in all_of("rename_use", program):
        changed = set((text or "").split("\n")) - set(program.split("\n"))
        assert all(line.endswith((" and b", " < b", "else b")) for line in changed)


def test_a_definition_below_another_one_of_its_name_is_not_moved(sandbox: Sandbox) -> None:
    program = body("x = 3", "y = 4", "x = y + 1", "z = x * 2", "w = z + 1", "return w")
    texts = [text for text in all_of("use_before_definition", program) if text]
    assert {outcome.error_type for outcome in sandbox.run(texts)} == {"UnboundLocalError"}


def test_the_steps_of_a_while_keep_their_operators() -> None:
    program = body("i = 0", "while i < 10:", "    i += 1", "return i")
    assert all_of("wrong_operator", program) == {None}
    assert all_of("swapped_operands", program) == {None}


def test_an_edited_statement_keeps_its_quotes() -> None:
    for quote in "'\"":
        program = body(f"name = {quote}a{quote}", f"both = name + {quote}b{quote}", "return both")
        found = all_of("wrong_operator", program)
        assert found == {program.replace("+", "-"), program.replace("+", "*")}


def test_a_copy_is_no_other_result() -> None:
    program = body("a = 3", "b = a * 2", "c = b + 5", "result = c", "return result")
    assert all_of("wrong_return", program) == {program.replace("return result", "return b")}
    for text in all_of("off_by_one_step", program):
        assert text is not None and "return c" not in text


def test_injections_are_a_fixed_list() -> None:
    assert list(INJECTIONS)[:3] == ["rename_use", "use_before_definition", "illegal_return"]
    assert len(INJECTIONS) == 14
    for name, injection in INJECTIONS.items():
        assert injection.name == name and injection.weight > 0
        assert injection.shows and injection.shows <= {"error", "invalid", "value"}


def test_inject_is_deterministic_and_follows_the_weights(gold: list[tuple[str, str]]) -> None:
    weights = {"rename_use": 3.0, "brackets": 1.0, "wrong_operator": 0.0}
    drawn: Counter[str] = Counter()
    for i in range(5):
        for program, question in gold:
            made = inject(program, question, random.Random(f"{i} {program}"), weights)
            again = inject(program, question, random.Random(f"{i} {program}"), weights)
            assert made is not None and made == again
            drawn.update(made.kinds)
    assert set(drawn) == {"rename_use", "brackets"}
    assert 0.69 < drawn["rename_use"] / drawn.total() < 0.81


def test_inject_takes_the_next_kind_where_one_does_not_apply() -> None:
    weights = {"swapped_operands": 1e9, "wrong_constant": 1.0}
    program = "def solution():\n    return 12 + 3"
    made = inject(program, QUESTION, random.Random(0), weights)
    assert made is not None and made.kinds == ("wrong_constant",)
    assert inject(program, "", random.Random(0), weights) is None
    assert inject("def solution(:", QUESTION, random.Random(0), EQUAL) is None


def test_inject_combines_two_kinds(gold: list[tuple[str, str]]) -> None:
    pairs = Counter()
    for i, (program, question) in enumerate(gold):
        made = inject(program, question, random.Random(i), EQUAL, combine=1.0)
        assert made is not None and len(made.kinds) == 2 == len(set(made.kinds))
        shows = [INJECTIONS[kind].shows for kind in made.kinds]
        assert "invalid" not in shows[0] or "invalid" in shows[1]
        form = normalise_program(made.text, rename=False)
        assert form != normalise_program(program, rename=False)
        assert compiles(made.text) == ("invalid" not in shows[1])
        pairs[made.kinds] += 1
    assert len(pairs) > 40
    kinds = [
        len(made.kinds)
        for i, (p, q) in enumerate(gold)
        if (made := inject(p, q, random.Random(i), EQUAL, combine=0.3))
    ]
    assert 0.2 < kinds.count(2) / len(kinds) < 0.4


def test_a_second_error_does_not_undo_the_first() -> None:
    program = "def solution():\n    a = 3\n    b = a * 2\n    c = b * 2\n    return c"
    undoing = {"off_by_one_step": 1.0, "wrong_return": 1.0}
    made = [inject(program, "", random.Random(i), undoing, combine=1.0) for i in range(200)]
    assert all(m is not None and m.text != program for m in made)
    assert {len(m.kinds) for m in made if m is not None} == {1, 2}


def test_one_kind_alone_is_never_combined() -> None:
    made = inject(SHORT, QUESTION, random.Random(0), {"brackets": 1.0}, combine=1.0)
    assert made is not None and made.kinds == ("brackets",)
    made = inject(SHORT, QUESTION, random.Random(0), {"brackets": 1, "indentation": 1}, combine=1.0)
    assert made is not None and len(made.kinds) == 1


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({"no_such": 1.0}, "weights: unknown injection 'no_such'; known: rename_use, "),
        ({"brackets": -1.0}, "weights: brackets must be a number from 0, not -1.0"),
        ({"brackets": float("nan")}, "weights: brackets must be a number from 0"),
        ({"brackets": 0.0}, "weights: all are zero"),
        ({}, "weights: all are zero"),
    ],
)
def test_wrong_weights_are_refused(weights: dict[str, float], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        check_weights(weights)
    with pytest.raises(ConfigError, match=message):
        inject(SHORT, QUESTION, random.Random(0), weights)
