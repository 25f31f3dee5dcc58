"""Reading the answer that a chain-of-thought text states."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pad_ray.tasks import numbers_equal, texts_equal
from pad_ray.tasks.answers import answer_sentence, judged_answer, stated_answer


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
        ("So 1 + 2 = 3.\n#### 1,250", 1250.0),
        ("#### Step 1\nThe answer is 4.", 4.0),
        ("The answer is 3/4 of it.", 0.75),
        ("The answer is 3/0.", 3.0),
        ("The answer is **Ndaa**.", "Ndaa"),
        ("The answer is **", None),
        (r"Therefore she needs \(\boxed{34}\) spoons.", 34.0),
        (r"The answer is $\boxed{34}$.", 34.0),
        (r"So \[ \boxed{\$1{,}250.50} \] in all.", 1250.5),
        (r"\boxed{\frac{3}{4}}", 0.75),
        (r"$\boxed{12 \text{ days}}$", 12.0),
        (r"\boxed{\text{yes}}", "yes"),
        (r"\boxed{7}? No: the answer is 8.", 8.0),
        (r"The answer is 8? No: \boxed{7}.", 7.0),
        (r"\boxed{}", None),
        (r"\boxed{7", None),
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


@given(st.integers(-(10**12), 10**12))
def test_an_answer_written_down_is_read_back(number: int) -> None:
    assert judged_answer(answer_sentence(str(number)), str(number), numbers_equal)[1]


def test_a_number_inside_a_text_is_no_other_answer() -> None:
    text = "He sits there. The answer is room 5."
    assert judged_answer(text, "room 5", texts_equal) == ("room 5", True)
    assert judged_answer(text, "5", numbers_equal) == (5.0, True)
    assert judged_answer(text, "6", numbers_equal) == (5.0, False)
    assert judged_answer("Nobody knows.", "6", numbers_equal) == (None, False)


@given(st.text())
def test_any_text_is_read_without_an_error(text: str) -> None:
    answer = stated_answer(f"answer is {text}")
    assert answer is None or isinstance(answer, float | str)
