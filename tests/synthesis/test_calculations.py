"""The step checker: what a text calculates, and whether it is right."""

from __future__ import annotations

from fractions import Fraction

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pad_ray.base.schemas import JUDGED_SCHEMA
from pad_ray.synthesis.calculations import StepCounts, calculations, count_steps
from pad_ray.synthesis.step_accounting import record_steps, step_metrics

NUMBERS = st.integers(1, 10**6)
OPERATORS = {"+": Fraction.__add__, "-": Fraction.__sub__, "*": Fraction.__mul__}

RIGHT = [
    "12 * 9 = 108",
    "<<12*9=108>>",
    "He bakes 12*9=<<12*9=108>>108 rolls.",
    "He pays $1,250 + $50 = $1,300.",
    "20% of 50 = 10",
    "10 percent of 50 = 5",
    "20 / 50 = 40%",
    "100% - 40% = 60%",
    "1/2 of 48 = 24",
    "1/2 + 1/4 = 3/4",
    "2 1/2 * 2 = 5",
    "50 / 1/2 = 100",
    "10 / 3 = 3.33",
    "10 / 3 = 3",
    "5 / 2 = 3",
    "4 apples + 3 apples = 7 apples",
    "3 x 4 = 12",
    "(3 + 4) * 2 = 14",
    "5 - 12 = -7",
    "x = 2 * 3 = 6",
    "2^3 = 8",
]
WRONG = [
    "12 * 9 = 107",
    "<<12*9=107>>",
    "He pays $1,250 + $50 = $1,200.",
    "20% of 50 = 20",
    "10 / 3 = 3.34",
    "10 / 3 = 4.5",
    "1/2 of 48 = 23",
    "4 apples + 3 apples = 8 apples",
    "The total is 39 + 16 = 56.",
]
NO_STATEMENT = [
    "",
    "So 5 = 5.",
    "x = 5",
    "2x + 3 = 7",
    "2/3 of the tank = 16",
    "He leaves at 0900 - 0130 = 0730.",
    "There are 3 + 4 of them.",
    "a == b",
    "1 / 0 = 5",
    "<<>>",
]


@pytest.mark.parametrize("text", RIGHT)
def test_right_statements(text: str) -> None:
    assert count_steps(text) == StepCounts(1, 0)


@pytest.mark.parametrize("text", WRONG)
def test_wrong_statements(text: str) -> None:
    assert count_steps(text) == StepCounts(1, 1)


@pytest.mark.parametrize("text", NO_STATEMENT)
def test_what_states_no_calculation(text: str) -> None:
    assert count_steps(text) == StepCounts(0, 0)


def test_each_side_of_a_chain_is_its_own_statement() -> None:
    (last,) = calculations("2 * 9 + 3 = 18 + 3 = 21")
    assert (last.text, last.value) == ("18 + 3 = 21", 21)


@given(NUMBERS, NUMBERS, st.sampled_from(sorted(OPERATORS)), st.integers(-50, 50))
def test_a_statement_is_wrong_just_where_its_result_is(
    a: int, b: int, operator: str, slip: int
) -> None:
    result = int(OPERATORS[operator](Fraction(a), Fraction(b))) + slip
    for text in (f"It is {a} {operator} {b} = {result}.", f"<<{a}{operator}{b}={result}>>{result}"):
        assert count_steps(text) == StepCounts(1, int(slip != 0))
    assert count_steps(f"${a:,} {operator} ${b:,} = ${result:,}".replace("$-", "-$")) == StepCounts(
        1, int(slip != 0)
    )


@given(NUMBERS, st.integers(1, 999), st.integers(0, 4))
def test_rounding_to_the_stated_decimals_is_right(a: int, b: int, decimals: int) -> None:
    exact = Fraction(a, b)
    rounded = f"{float(exact):.{decimals}f}"
    assert count_steps(f"{a} / {b} = {rounded}") == StepCounts(1, 0)
    off = f"{float(exact) + 2.5 * 10**-decimals:.{decimals}f}"
    assert count_steps(f"{a} / {b} = {off}") == StepCounts(1, 1)


@given(st.text())
def test_any_text_is_read_without_an_error(text: str) -> None:
    for line in (text, f"1 + {text} = 3", f"<<{text}>>", f"{text} = 7"):
        counts = count_steps(line)
        assert 0 <= counts.wrong <= counts.checked


def judged(*texts: tuple[str | None, str | None]) -> pa.Table:
    rows = []
    for text, reason in texts:
        row: dict[str, object] = {"chain_of_thought": text, "reason": reason}
        record_steps(row)
        rows.append(row)
    return pa.Table.from_pylist(rows, schema=JUDGED_SCHEMA)


def test_wrong_steps_are_counted_apart_for_right_and_wrong_answers() -> None:
    table = judged(
        ("1 + 1 = 2", None),
        ("1 + 1 = 3, then 2 + 2 = 4", None),
        ("1 + 1 = 3", "wrong_answer"),
        ("Nothing is worked out.", "no_answer"),
        (None, "teacher_error"),
    )
    metrics = step_metrics(table)
    assert metrics is not None
    assert (metrics["texts"], metrics["checked"], metrics["wrong"]) == (4, 4, 2)
    assert (metrics["wrong_when_right"], metrics["wrong_when_wrong"]) == (0.5, 1.0)
    low, high = metrics["wrong_when_right_95"]
    assert 0 <= low <= 0.5 <= high <= 1


def test_programs_have_no_steps_to_check() -> None:
    assert step_metrics(judged((None, None), (None, "wrong_answer"))) is None
    metrics = step_metrics(judged(("The answer is 5.", None)))
    assert metrics is not None and metrics["wrong_when_right"] is None
