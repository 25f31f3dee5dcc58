"""When an answer is right: numbers to a tolerance, texts by their words, bools never numbers."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pad_ray.tasks import TASKS, answers_equal_rounded, numbers_equal, texts_equal
from pad_ray.tasks.base import numbers_equal_rounded
from pad_ray.tasks.files import number_or_text_equal

NUMBERS = st.integers(-(10**12), 10**12) | st.floats(-1e12, 1e12).filter(lambda x: abs(x) > 1e-3)
ANYTHING = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(),
    st.lists(st.integers()),
    st.dictionaries(st.text(), st.integers()),
)


@given(NUMBERS)
def test_a_number_equals_itself_however_written(number: float) -> None:
    assert numbers_equal(number, repr(number))
    assert numbers_equal(float(number), repr(number))
    assert number_or_text_equal(number, repr(number))


@given(NUMBERS.filter(bool), st.floats(1e-5, 10))
def test_a_number_off_by_more_than_the_tolerance_is_wrong(number: float, share: float) -> None:
    assert not numbers_equal(number * (1 + share), repr(number))
    assert not numbers_equal(number * (1 - share), repr(number))


@given(NUMBERS.filter(bool), st.floats(-5e-7, 5e-7))
def test_floating_point_noise_is_forgiven(number: float, noise: float) -> None:
    assert numbers_equal(number * (1 + noise), repr(number))


def test_exact_is_not_rounded() -> None:
    assert not numbers_equal(7.4, "7")
    assert numbers_equal_rounded(7.4, "7")
    assert not numbers_equal_rounded(7.6, "7")


@pytest.mark.parametrize("value", [True, False])
def test_a_bool_is_no_number(value: bool) -> None:
    for equal in (numbers_equal, numbers_equal_rounded, number_or_text_equal):
        assert not equal(value, str(int(value)))


@pytest.mark.parametrize("value", ["7", None, [7], {"value": 7}, 7j])
def test_only_numbers_equal_numbers(value: object) -> None:
    assert not numbers_equal(value, "7")
    assert not numbers_equal_rounded(value, "7")


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 10**400])
def test_values_past_all_bounds_are_wrong_without_an_error(value: float) -> None:
    for equal in (numbers_equal, numbers_equal_rounded, number_or_text_equal):
        assert not equal(value, "7")


@given(ANYTHING, st.text())
def test_comparing_never_raises(value: object, answer: str) -> None:
    for equal in (numbers_equal, numbers_equal_rounded, texts_equal, number_or_text_equal):
        assert isinstance(equal(value, answer), bool)


@given(st.text(), st.sampled_from(["", " ", "\n", "\t "]))
def test_texts_are_equal_up_to_case_and_margins(text: str, margin: str) -> None:
    assert texts_equal(margin + text + margin, text)
    assert texts_equal(text, margin + text)


@pytest.mark.parametrize(("value", "answer"), [("YES", "yes"), ("Straße", "STRASSE"), ("", " ")])
def test_texts_that_are_equal(value: str, answer: str) -> None:
    assert texts_equal(value, answer)


@pytest.mark.parametrize(("value", "answer"), [("no", "yes"), ("a b", "ab"), (5, "5"), (None, "")])
def test_texts_that_are_not(value: object, answer: str) -> None:
    assert not texts_equal(value, answer)


def test_users_own_rows_compare_by_what_the_gold_answer_is() -> None:
    assert number_or_text_equal(3.0, "3")
    assert number_or_text_equal("3", "3")
    assert number_or_text_equal(" paris", "Paris")
    assert not number_or_text_equal(3, "Paris")
    assert not number_or_text_equal("3.0", "3")


@given(ANYTHING, st.integers().map(str) | st.text())
def test_rounding_never_takes_back_an_exact_match(value: object, answer: str) -> None:
    assert answers_equal_rounded(value, answer, True)
    if not numbers_equal_rounded(value, answer):
        assert not answers_equal_rounded(value, answer, False)


@pytest.mark.parametrize(
    "name", ["gsm8k", "svamp", "asdiv", "multiarith", "gsm_hard", "arithmetic"]
)
def test_number_tasks_compare_numbers(name: str) -> None:
    assert TASKS[name].answers_equal(12.0, "12")
    assert not TASKS[name].answers_equal("12", "12")


@pytest.mark.parametrize("name", ["coin_flip", "last_letters"])
def test_symbolic_tasks_compare_texts(name: str) -> None:
    assert TASKS[name].answers_equal("Yes ", "yes")
    assert not TASKS[name].answers_equal(True, "True")
