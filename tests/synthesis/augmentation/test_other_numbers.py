"""Other numbers: question and program change together, in kind, and nothing else does."""

from __future__ import annotations

import random
import re
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from written import problems, program

from pad_ray.sandbox import Sandbox
from pad_ray.synthesis.augmentation.numbers import other_numbers
from pad_ray.synthesis.augmentation.senses import (
    answer_text,
    fault_of_answer,
    steps_lost_sense,
    traced,
)

NUMBER = re.compile(r"(?<![\w.])\d[\d,_]*(?:\.\d+)?")
QUESTION = (
    "In 2015 Tom had 1,250 coins and 18 boxes. He sold 20% of the coins for $2.50 each, and three "
    "friends gave him 48 more. How many has he?"
)
PROGRAM = '''def solution():
    """Tom had 1,250 coins."""
    coins = 1_250  # 1250 at first
    sold = coins * 20 / 100
    price = 2.5
    income = sold * price
    gained = 48
    year = 2015
    return coins - sold + gained * 3'''


PROBLEMS = [*problems("arithmetic", 80), *problems("dates", 20), (QUESTION, PROGRAM)]


def value(text: str) -> Fraction:
    return Fraction(text.replace(",", "").replace("_", ""))


@given(problem=st.sampled_from(PROBLEMS), seed=st.integers(0, 2**32))
@settings(max_examples=200)
def test_numbers_change_together_and_nothing_else_does(problem: tuple[str, str], seed: int) -> None:
    question, text = problem
    made = other_numbers(question, text, random.Random(seed))
    assert made == other_numbers(question, text, random.Random(seed))
    if made is None:
        return
    assert made.question != question and made.program != text
    changed: dict[Fraction, Fraction] = {}
    for old, new in ((question, made.question), (text, made.program)):
        assert NUMBER.sub("#", old) == NUMBER.sub("#", new)
        pairs = zip(NUMBER.findall(old), NUMBER.findall(new), strict=True)
        for before, after in ((value(b), value(a)) for b, a in pairs):
            assert changed.setdefault(before, after) == after
            assert before == after or (before not in (0, 1) and after not in (0, 1))
    assert changed != {n: n for n in changed}


@given(seed=st.integers(0, 2**32))
def test_numbers_keep_their_kind_and_order(seed: int) -> None:
    made = other_numbers(QUESTION, PROGRAM, random.Random(seed))
    assert made is not None
    year, coins, boxes, percent, price, gained = NUMBER.findall(made.question)
    assert (year, boxes) == ("2015", "18")
    assert re.fullmatch(r"\d,\d\d0|\d{3}", coins) and 625 <= value(coins) <= 2500
    assert re.fullmatch(r"\d\.\d0", price)
    assert re.fullmatch(r"[1-9]\d?", percent)
    assert gained.isdigit() and int(gained) % 2 == 0
    by_size = [value(price), value(boxes), value(gained), value(coins), value(year)]
    assert all(low < high for low, high in pairwise(by_size[:-1]))
    assert f"coins = {int(value(coins)):_}  # {int(value(coins))} at first" in made.program
    assert f'"""Tom had {coins} coins."""' in made.program
    assert "gained * 3" in made.program and "three friends" in made.question


def drawn(question: str, text: str) -> set[tuple[str, str] | None]:
    found = (other_numbers(question, text, random.Random(i)) for i in range(40))
    return {made and (made.question, made.program) for made in found}


@pytest.mark.parametrize(
    ("question", "lines"),
    [
        ("Ann has 7 pens and 7 cups.", ["pens = 7", "return pens * 2"]),
        ("Ann has seven pens.", ["return 7 * 2"]),
        ("Ann has 1 pen and 0 cups.", ["return 1 + 0"]),
        ("Ann has 5 pens and seven cups; 5.0 are red.", ["return 5 + 7"]),
        ("Ann has 12 pens and gives 5 away.", ["pens = 12", "return pens - 3"]),
        ("Ann has 12 pens and gives 5 away.", ["return 7"]),
        ("Ann has 2 pens, each costs 3 dollars.", ["pens = 2", "return round(8 / 3, 2)"]),
        ("Ann has 9 pens.", ["pens = [0, 1]", "return pens[9]"]),
        ("Ann has 9 pens.", ["pens = 9", "print(f'{pens} of 9')", "return pens"]),
        ("Ann has 9 pens.", ["first_9_pens = 9", "return first_9_pens"]),
        ("Ann has 9 pens.", ["return 2 ** 9"]),
        ("Ann works 24 hours.", ["return 24"]),
        ("Ann starts at 9 am.", ["return 9"]),
        ("Ann starts at 9:30.", ["return 9 + 30"]),
        ("Ann eats 3/4 of it.", ["return 3 / 4"]),
        ("In 1984 Ann was born.", ["return 1984"]),
        ("Ann has 2 pens twice.", ["pens = 2", "return pens * 2"]),
        ("Ann adds 150% of it.", ["return 150"]),
        ("Ann has 50% of 0.5 tons.", ["return 0.5"]),
        ("Ann has 9 pens.", ["return 9 +"]),
    ],
)  # fmt: skip
def test_what_is_not_told_apart_for_certain_is_left_alone(question: str, lines: list[str]) -> None:
    assert drawn(question, program(*lines)) == {None}


def test_a_percent_changes_as_its_share_too() -> None:
    text = program("price = 80", "return price * 0.2")
    for made in drawn("A coat of $80 is 20% off.", text) - {None}:
        assert made is not None
        price, percent = NUMBER.findall(made[0])
        assert made[1] == program(f"price = {price}", f"return price * {int(percent) / 100!r}")
        assert 1 <= int(percent) <= 99


def test_a_week_has_no_eighth_day() -> None:
    for made in drawn("Ann swims 5 days a week, 40 laps.", program("return 5 * 40")) - {None}:
        assert made is not None
        assert int(NUMBER.findall(made[0])[0]) <= 7


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        (12, 13, None),
        (12.0, 13, None),
        (2.5, 13, None),
        (2.5, 3.25, None),
        (12, 13.5, "other_kind"),
        (2.5, 10 / 3, "other_kind"),
        (1 / 3, 1 / 7, None),
        (12, 0, "not_positive"),
        (12, -1, "not_positive"),
        (-3, -4, None),
        (12, 12.0, "same_answer"),
        (12, float("inf"), "other_kind"),
        (12, float("nan"), "not_positive"),
        (12, 10**400, "other_kind"),
        (12, "13", "other_kind"),
        (12, True, "other_kind"),
        ("May 3", "May 4", None),
        ("May 3", "May 3", "same_answer"),
    ],
)
def test_an_answer_keeps_its_kind(old: object, new: object, fault: str | None) -> None:
    assert fault_of_answer(old, new) == fault


def test_answers_are_written_as_gold_ones() -> None:
    values = (12, 12.0, 0.1 + 0.2, 1 / 3, "May 3", ["a", 1])
    texts = ["12", "12", "0.3", "0.333333333", "May 3", '["a", 1]']
    assert [answer_text(value) for value in values] == texts


def test_steps_are_traced() -> None:
    text = traced(program("a = 3", "b = a - 4", "a = 7", "return b * b"))
    assert text is not None
    with Sandbox() as sandbox:
        assert sandbox.run([text])[0].value == [3, -1, 7]
    assert traced("x = 3") is None and traced("def solution(:") is None
    assert steps_lost_sense([3, 1], [3, -1]) and steps_lost_sense([3, 1], [3, 0.5])
    assert not steps_lost_sense([3, -1], [3, -2]) and not steps_lost_sense([3], [3, -2])
