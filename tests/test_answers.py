"""Reading the answer that a chain-of-thought text states."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pad_ray.answers import stated_answer


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("2 and 3 make 5.\nThe answer is 5.", 5.0),
        ("The answer is: 1,250 apples", 1250.0),
        ("the ANSWER IS $3.50.", 3.5),
        ("The answer is -4", -4.0),
        ("The answer is -$4.", -4.0),
        ("The answer is 3.\nNo, wait. The answer is 4.", 4.0),
        ("The answer is 3. No, the answer is 4.", 4.0),
        ("So the answer is yes.", "yes"),
        ("The answer is: Ndaa ", "Ndaa"),
        ("It is 5.", None),
        ("", None),
        ("The answer is", None),
    ],
)
def test_stated_answers(text: str, answer: float | str | None) -> None:
    assert stated_answer(text) == answer


@given(st.integers(-(10**12), 10**12))
def test_any_integer_is_read_back_plain_or_grouped(number: int) -> None:
    assert stated_answer(f"So.\nThe answer is {number}.") == number
    assert stated_answer(f"The answer is {number:,}") == number


@given(st.text())
def test_any_text_is_read_without_an_error(text: str) -> None:
    answer = stated_answer(f"answer is {text}")
    assert answer is None or isinstance(answer, float | str)
