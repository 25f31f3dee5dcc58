"""Reading the answer that a chain-of-thought text states, and writing answers down."""

from __future__ import annotations

import time
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pad_ray.tasks import equal, numbers_equal, texts_equal
from pad_ray.tasks.answers import (
    answer_sentence,
    gold_text,
    judged_answer,
    marked_number,
    number_text,
    plain_number,
    stated_answer,
)


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("2 and 3 make 5.\nThe answer is 5.", 5),
        ("The answer is: 1,250 apples", 1250),
        ("the ANSWER IS $3.50.", 3.5),
        ("The answer is -4", -4),
        ("The answer is -$4.", -4),
        ("The answer is \u22124.", -4),
        ("The answer is - 4", -4),
        ("The answer is .5", 0.5),
        ("The answer is 1e5", 100_000),
        ("The answer is 2.5e-3", 0.0025),
        ("The answer is $1.2 million.", 1_200_000),
        ("The answer is about 12.", 12),
        ("The answer is 3.\nNo, wait. The answer is 4.", 4),
        ("The answer is 3. No, the answer is 4.", 4),
        ("The answer is 5. For 2 and 3 make 5.", 5),
        ("The answer is 12 apples and 3 pears.", 12),
        ("The answer is 12 apples, 3 pears.", 12),
        ("The answer is that twice 4 = 8 pens.", 8),
        ("The answer is that twice 4 = 8 pens and 3 boxes.", 8),
        ("The answer is that she has 3/0 pens.", "that she has 3/0 pens"),
        (f"The answer is -1{'0' * 400}/3.", f"-1{'0' * 400}/3"),
        ("The answer is that Ann has 12 apples.", 12),
        ("The answer is that Ann has 12 and Bob 3.", "that Ann has 12 and Bob 3"),
        ("12 minus 4 leaves 8.\nThe answer is 12 - 4 = 8.", 8),
        ("The answer is 5 x 3 = 15.", 15),
        ("The answer is x = 5", 5),
        ("The answer is 12 - 4", "12 - 4"),
        ("The answer is 5-10.", "5-10"),
        ("So the answer is yes.", "yes"),
        ("The answer is yes. It is more.", "yes"),
        ("The answer is: Ndaa ", "Ndaa"),
        ("The answer is room B12.", "room B12"),
        ("The answer is 01/06/2015.", "01/06/2015"),
        ("The answer is 3:40 pm.", "3:40 pm"),
        ("The answer is 1, 2, 3.", "1, 2, 3"),
        ("The answer is 40%.", "40%"),
        ("So 1 + 2 = 3.\n#### 1,250", 1250),
        ("#### 15\nThe answer is: 15", 15),
        ("#### 12 rolls", 12),
        ("#### \u22128", -8),
        ("#### (8)", -8),
        ("#### Step 1\nThe answer is 4.", 4),
        ("#### Step 1\nIt is 4.", None),
        ("The answer is 3/4 of it.", 0.75),
        ("The answer is 2 1/2 cups.", 2.5),
        ("The answer is 3/0.", "3/0"),
        ("The answer is **Ndaa**.", "Ndaa"),
        ("The answer is **blue.**", "blue"),
        ("The answer is **red**. It is no other.", "red"),
        ("The answer is blue<|im_end|>", "blue"),
        ("The answer is blue\nand I hope so.", "blue"),
        ("Answer: Xavier", "Xavier"),
        (r"The answer is \text{blue}.", "blue"),
        ("**Answer:** 5", 5),
        ("Final answer = 7 rolls", 7),
        ("Answer: blue", "blue"),
        ("Answer: red and blue pens", "red and blue pens"),
        ("Answer: let us look for it", None),
        ("Answer: 12 apples and 3 pears in two boxes", 12),
        ("The answer is 5000.5.", 5000.5),
        ("The answer is 2 hours 30 minutes.", "2 hours 30 minutes"),
        ("The answer is 11 March 2024.", "11 March 2024"),
        ("Answer: Let us think about this step by step.\nIt is 4.", None),
        ("The answer is **", None),
        ("**Final Answer**\n\n15", 15),
        ("### Answer\n\n15 pens", 15),
        ("#### The final answer\n**15**", 15),
        ("## Answer\nYes", "Yes"),
        ("Final Answer\n------------\n15", 15),
        ("### Answer\r\n15\r\n", 15),
        ("It is 8.\n### Answer\nWe add up all the boxes:", None),
        ("It is 8.\nAnswer\n------\nWe add up:", None),
        ("It is 8.\n**Answer**\nWe add up:", None),
        ("The answer is 5.\nAnswer:", 5),
        ("The answer is 15.\n### Answer\nSee above.", 15),
        ("Answer:\nred and blue pens", "red and blue pens"),
        ("The answer is 8?\n<answer>\n15\n</answer>", 15),
        ("<answer>Ada of the green house</answer> I hope so.", "Ada of the green house"),
        ("The answer is 15.</s>", 15),
        ("#### 15<|im_end|>", 15),
        ("The answer is Yes, because 3 > 2.", "Yes"),
        ("The answer is **No**, he has 3 left.", "No"),
        ("The answer is no since 3 < 5", "no"),
        ("The answer is No. 5", 5),
        (r"Therefore she needs \(\boxed{34}\) spoons.", 34),
        (r"The answer is $\boxed{34}$.", 34),
        (r"So \[ \boxed{\$1{,}250.50} \] in all.", 1250.5),
        (r"\boxed{\frac{3}{4}}", 0.75),
        (r"\boxed{3\dfrac{1}{2}}", 3.5),
        (r"\boxed{x = \frac{\text{12}}{\text{3}}}", 4),
        (r"$\boxed{12 \text{ days}}$", 12),
        (r"\boxed{\text{yes}}", "yes"),
        (r"\boxed{7}? No: the answer is 8.", 8),
        (r"The answer is 8? No: \boxed{7}.", 7),
        (r"\boxed{7}? No: \boxed{8}.", 8),
        (r"\boxed{\boxed{8}}", 8),
        (r"\boxed{7 \text{ or } \boxed{8}}", 8),
        (r"A brace } before \boxed{8}.", 8),
        (r"\boxed{}", None),
        (r"\boxed{7", None),
        ("It is 5.", None),
        ("", None),
        ("The answer is", None),
    ],
)
def test_stated_answers(text: str, answer: float | str | None) -> None:
    found = stated_answer(text)
    assert (found, type(found)) == (answer, type(answer))


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
    assert judged_answer(text, "5", numbers_equal) == (5, True)
    assert judged_answer(text, "6", numbers_equal) == (5, False)
    assert judged_answer("Nobody knows.", "6", numbers_equal) == (None, False)
    assert judged_answer("The answer is 40%.", "0.4", equal) == ("40%", True)


@given(st.text())
def test_any_text_is_read_without_an_error(text: str) -> None:
    for before in ("answer is ", "#### ", r"\boxed{", "answer: "):
        answer = stated_answer(before + text)
        assert answer is None or isinstance(answer, int | float | str)


@pytest.mark.parametrize(
    "piece", ["1", "1 ", "1,", "1/", "a ", "-", "(", "1 000", "\\boxed{", "#### "]
)
def test_no_text_takes_long_to_read(piece: str) -> None:
    text = f"The answer is {piece * 20_000}"
    started = time.process_time()
    stated_answer(text)
    equal(text, piece * 4_000)
    assert time.process_time() - started < 2


@pytest.mark.parametrize(
    ("worked", "number"),
    [
        # A line below the mark, a unit behind the number, and as GSM8K has it.
        ("3 boxes of 5 pens are 3 * 5 = 15 pens.\n#### 15\nThe answer is: 15", "15"),
        ("2 * 6 = 12.\n#### 12 rolls", "12"),
        ("It has 7.\n#### 7", "7"),
        ("2 - 10 = <<2-10=-8>>\u22128\n#### \u22128", "-8"),
        ("####\n7", "7"),
        ("#### 15 The answer is: 15", "15"),
        ("#### The answer is 15", "15"),
        ("#### The answer is 3/4", "0.75"),
        ("#### The answer is \u00bd", "0.5"),
        ("#### The answer is 15, so 15 pens", "15"),
        ("#### The answer is 15 in B12", None),
        ("#### The answer is 15 on 3/4/2015", None),
        ("#### $3.50", "3.50"),
        ("#### 3 3/4", "3.75"),
        ("#### 1/3", "1/3"),
        ("#### -$5", "-5"),
        ("#### 1e5", "100000"),
        ("#### 1.5e3", "1500"),
        ("#### 40%", "40%"),
        ("#### many", None),
        ("#### 3 4", None),
        ("#### 3 of 4", None),
        ("####", None),
    ],
)
def test_the_number_on_the_marks_line_is_gold(worked: str, number: str | None) -> None:
    assert marked_number(worked) == number


@pytest.mark.parametrize(
    ("answer", "gold"),
    [
        ("$1,250.50", "1250.50"),
        (" 12. ", "12"),
        ("1/2", "0.5"),
        ("3 3/4", "3.75"),
        (r"\frac{3}{8}", "0.375"),
        ("-1/3", "-1/3"),
        ("1/1024", "0.0009765625"),
        ("1/4096", "0.000244140625"),
        ("1/8192", "1/8192"),
        ("1.2345678901234567e19", "1.2345678901234567e+19"),
        ("0.05", "0.05"),
        ("\u22120.05", "-0.05"),
        ("-1.50", "-1.50"),
        ("€5", "5"),
        ("£5", "5"),
        ("₹5", "5"),
        ("¥5", "5"),
        ("40%", "40%"),
        ("12.5 %", "12.5%"),
        # A unit, a time and a name are kept.
        ("12 rolls", "12 rolls"),
        ("5 m", "5 m"),
        ("3:40 pm", "3:40 pm"),
        ("B: 12", "B: 12"),
        ("$1.2 million", "$1.2 million"),
        ("room 5", "room 5"),
        (" Paris ", "Paris"),
    ],
)
def test_gold_answers_are_numbers_in_plain_digits_or_texts(answer: str, gold: str) -> None:
    assert gold_text(answer) == gold
    assert equal(gold_text(answer), answer)


@given(st.fractions(max_denominator=10**6))
def test_a_number_written_down_is_read_back(value: Fraction) -> None:
    assert numbers_equal(value, number_text(value))
    assert plain_number(number_text(value)) == number_text(value)
