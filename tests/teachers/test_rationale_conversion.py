import ast
import builtins
import keyword
import re
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pad_ray.teachers.rationale.conversion import Conversion, convert_rationale

BAKERY = (
    "A bakery bakes 40 loaves in the morning. In the afternoon it bakes half as many loaves. "
    "How many loaves does it bake in a day?"
)
BAKERY_RATIONALE = (
    "The bakery bakes 40/2 = <<40/2=20>>20 loaves in the afternoon.\n"
    "It bakes 40 + 20 = <<40+20=60>>60 loaves altogether.\n#### 60"
)


def value_of(conversion: Conversion) -> float:
    assert conversion.program is not None, conversion.reason
    code = conversion.program + "\nprint(solution())"
    done = subprocess.run(
        [sys.executable, "-I", "-c", code], capture_output=True, text=True, timeout=10, check=True
    )
    return float(done.stdout)


def value_in_process(conversion: Conversion) -> float:
    assert conversion.program is not None, conversion.reason
    scope: dict[str, object] = {}
    exec(conversion.program, scope)
    return float(scope["solution"]())  # type: ignore[operator]


def assigned_names(program: str) -> list[str]:
    return [
        target.id
        for node in ast.walk(ast.parse(program))
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    ]


def test_marked_rationale_becomes_linked_program() -> None:
    conversion = convert_rationale(BAKERY, BAKERY_RATIONALE)
    assert value_of(conversion) == 60
    assert (conversion.steps, conversion.linked, conversion.reason) == (2, 3, None)
    program = conversion.program or ""
    assert program.startswith("def solution():\n") and program.endswith("    return result\n")
    assert program.count("40") == 1, "the question's number is assigned once and then linked"
    assert "20" not in program and "60" not in program


def test_names_come_from_the_sentence() -> None:
    names = assigned_names(convert_rationale(BAKERY, BAKERY_RATIONALE).program or "")
    assert names[0].startswith("loaves")
    assert any("afternoon" in name for name in names)


def test_chain_of_thought_has_no_marks_and_ends_in_the_answer() -> None:
    thought = convert_rationale(BAKERY, BAKERY_RATIONALE).chain_of_thought
    assert "<<" not in thought and "####" not in thought
    assert "40/2 = 20 loaves" in thought
    assert thought.endswith("The answer is 60.")


@pytest.mark.parametrize("gold", ["60", "61", "-3", "1,000", "$7", "no number", ""])
def test_gold_number_never_reaches_the_program(gold: str) -> None:
    changed = BAKERY_RATIONALE.replace("#### 60", f"#### {gold}")
    original = convert_rationale(BAKERY, BAKERY_RATIONALE)
    assert convert_rationale(BAKERY, changed).program == original.program


@given(st.text(max_size=30))
def test_nothing_after_the_hashes_reaches_the_program(gold: str) -> None:
    body = "She picks 3 * 4 = 12 plums. Then she eats some and 12 - 5 = <<12-5=7>>7 stay.\n#### "
    question = "Ida picks 3 plums from each of 4 trees and eats 5. How many stay?"
    expected = convert_rationale(question, body + "7").program
    assert convert_rationale(question, body + gold).program == expected


def test_unmarked_last_step_is_recovered() -> None:
    conversion = convert_rationale(
        "Omar has 3 crates of 12 lemons. He squeezes 9 lemons. How many lemons are left?",
        "Omar has 3 * 12 = <<3*12=36>>36 lemons.\n"
        "So he has 36 lemons - 9 lemons = 27 lemons left.\n#### 27",
    )
    assert value_of(conversion) == 27
    assert conversion.steps == 2


def test_answer_without_arithmetic_is_not_written_as_a_literal() -> None:
    conversion = convert_rationale("How many eggs?", "There are <<31=31>>31 eggs.\n#### 31")
    assert conversion.program is None
    assert conversion.reason is not None
    assert conversion.chain_of_thought.endswith("The answer is 31.")


def test_equal_results_are_told_apart_by_their_nouns() -> None:
    conversion = convert_rationale(
        "Mia plants 4 rows of 6 tulips and 3 beds of 8 roses. She gives away 5 tulips. Of the "
        "roses 9 wilt. How many roses are left?",
        "Mia has 4 * 6 = <<4*6=24>>24 tulips.\nMia has 3 * 8 = <<3*8=24>>24 roses.\n"
        "After the gift there are 24 tulips - 5 tulips = <<24-5=19>>19 tulips.\n"
        "In the end 24 roses - 9 roses = <<24-9=15>>15 roses are left.\n#### 15",
    )
    assert value_of(conversion) == 15
    assert conversion.ambiguous_links == 1
    program = conversion.program or ""
    assert "8" in program and " 6" not in program, "15 hangs on the roses and on nothing else"


def test_single_source_is_not_counted_as_ambiguous() -> None:
    assert convert_rationale(BAKERY, BAKERY_RATIONALE).ambiguous_links == 0


def test_same_quantity_twice_takes_two_sources() -> None:
    conversion = convert_rationale(
        "A hutch holds 5 hens that lay 5 eggs a day. How many eggs is that a day?",
        "They lay 5*5 = <<5*5=25>>25 eggs a day.\n#### 25",
    )
    assert value_of(conversion) == 25
    names = assigned_names(conversion.program or "")
    assert len(names) == 4 and conversion.ambiguous_links == 2


def test_multiplier_is_not_linked_to_a_result_of_the_same_value() -> None:
    conversion = convert_rationale(
        "Lea had 9 kites and lost 7. Tom has twice as many kites as Ben, who has 15. "
        "How many kites do Lea and Tom have?",
        "Lea has 9 - 7 = <<9-7=2>>2 kites.\nTom has twice that of Ben, 15 * 2 = <<15*2=30>>30.\n"
        "Both have 2 + 30 = <<2+30=32>>32 kites.\n#### 32",
    )
    assert value_of(conversion) == 32
    assert re.search(r"= \w+ \* 2$", conversion.program or "", re.M)


def test_unit_constant_is_not_linked_to_a_result_of_the_same_value() -> None:
    conversion = convert_rationale(
        "Ann sold 90 pens and kept 30. She walks 2 hours. How many minutes does she walk?",
        "She has 90 - 30 = <<90-30=60>>60 pens.\n"
        "She walks 2 hours * 60 minutes an hour = <<2*60=120>>120 minutes.\n#### 120",
    )
    assert value_of(conversion) == 120
    assert "* 60" in (conversion.program or "")


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("It is 20*.01*50 = <<20*.01*50=10>>10.", 10),
        ("It is $1,250 + $750 = $<<1250+750=2000>>2,000.", 2000),
        ("It is 3 x (4 + 5) = <<3*(4+5)=27>>27.", 27),
        ("It is 6(7) = 42 tiles.", 42),
        ("Each gets 84 divided by 12 equals <<7=7>>7.", 7),
        ("It is 9 × 8 ÷ 6 = 12.", 12),
        ("It is 15 − 20 = -5 degrees.", -5),
        ("It is 2 * 1 1/2 = 3 cups.", 3),
        ("It is 6 * (1 and 1/3) = 8 cups.", 8),
        ("It is 1/2 * 10 = <<1/2*10=5>>5.", 5),
        ("The share is 8 birds / 20 birds * 100% = 40%.", 40),
        ("The chance is 70% * 50% = 35%.", 35),
        ("It takes 7 trips * 20 minutes per trip = 140 minutes.", 140),
        ("He needs 7 / 2 = <<7/2=3>>3 full boxes.", 3),
        ("Each gets 10 / 3 = $<<10/3=3.33>>3.33.", 3.33),
        ("He has 12 times 3 equals 36 stamps.", 36),
        ("Let x be the mass.\n2x + 3 = 11\n2x = 8\nx = <<4=4>>4", 4),
        ("Let p be the price. 5p - 20 = 3p + 10. So p = 15.", 15),
    ],
)
def test_notation(line: str, value: float) -> None:
    assert value_in_process(convert_rationale("How much is it?", line)) == pytest.approx(value)


def test_solved_unknown_is_calculated_not_quoted() -> None:
    conversion = convert_rationale(
        "Twice a number and 14 make 50. What is the number?",
        "Let n be the number.\n2n + 14 = 50\n2n = 36\nn = <<18=18>>18\n#### 18",
    )
    assert value_in_process(conversion) == 18
    assert "18" not in (conversion.program or "") and "36" not in (conversion.program or "")


def test_question_in_cents_scales_a_result_in_dollars() -> None:
    conversion = convert_rationale(
        "Four nails cost $3. What does a nail cost in cents?", "A nail is $3 / 4 = $0.75.\n#### 75"
    )
    assert value_in_process(conversion) == 75


def test_last_sentence_that_rounds_up_rounds_the_answer() -> None:
    conversion = convert_rationale(
        "A bus seats 8. How many buses do 20 people need?",
        "They need 20 / 8 = <<20/8=2.5>>2.5 buses.\nSo they need to order 3 buses.\n#### 3",
    )
    assert value_in_process(conversion) == 3


def test_last_sentence_that_names_an_earlier_result_returns_it() -> None:
    conversion = convert_rationale(
        "Gus earns 8 dollars an hour for 5 hours. How much does he earn?",
        "He earns 8 * 5 = <<8*5=40>>40 dollars.\nAs a check, 40 / 5 = <<40/5=8>>8 dollars.\n"
        "So he earns 40 dollars.\n#### 40",
    )
    assert value_in_process(conversion) == 40


def test_part_of_an_expression_is_no_step() -> None:
    conversion = convert_rationale("How many?", "We try 2 + 3 * 4 = 12 and stop.\n#### 12")
    assert conversion.program is None, "3 * 4 = 12 is not what the text says"


def test_chain_of_equations_keeps_its_first_side() -> None:
    conversion = convert_rationale(
        "Pia has 9 boxes of 2 figs and 3 loose figs. How many figs has she?",
        "Pia has 2 * 9 + 3 = 18 + 3 = <<18+3=21>>21 figs.\n#### 21",
    )
    assert value_in_process(conversion) == 21
    assert "18" not in (conversion.program or "") and conversion.linked == 3


def test_sides_that_disagree_are_no_step() -> None:
    conversion = convert_rationale("How many?", "We know that 3 + 4 = 9 is wrong.\n#### 9")
    assert conversion.program is None


def test_steps_the_answer_does_not_need_are_left_out() -> None:
    conversion = convert_rationale(
        "Zoe has 5 red hats and 6 blue hats. She buys 7 green hats. How many are blue or green?",
        "She has 5 + 7 = <<5+7=12>>12 red and green hats.\n"
        "She has 6 + 7 = <<6+7=13>>13 blue and green hats.\n#### 13",
    )
    assert value_in_process(conversion) == 13
    assert conversion.steps == 1 and "5" not in (conversion.program or "")


def test_names_shadow_nothing() -> None:
    conversion = convert_rationale(
        "The sum is 3. The class has 4. The list has 5. The max is 6. What is the sum?",
        "The sum is 3 + 4 = 7 class.\nThe max is 7 + 5 = 12 list.\nThe list is 12 + 6 = 18 int.",
    )
    names = assigned_names(conversion.program or "")
    assert names and not set(names) & (set(dir(builtins)) | set(keyword.kwlist))


WORDS = (
    "apples dollars she has then total twice half percent the of so x y Let be is each "
    "2 3 7 12 60 100 0 1/2 2.50 $5 1,000 + - * / = ( ) % << >> <<2*3=6>> <<6/0=1>> ^ 9**9 "
    "\n . , #### × ÷ − é ٣ 2x x=3 equals times"
)
pieces = st.lists(st.sampled_from(WORDS.split(" ")), max_size=40).map(" ".join)


@settings(max_examples=300, deadline=None)
@given(pieces | st.text(max_size=200), pieces | st.text(max_size=300))
def test_any_text_gives_a_program_that_compiles_or_a_reason(question: str, rationale: str) -> None:
    conversion = convert_rationale(question, rationale)
    assert conversion == convert_rationale(question, rationale)
    assert (conversion.program is None) == (conversion.reason is not None)
    if conversion.program is not None:
        scope: dict[str, object] = {}
        exec(compile(conversion.program, "program", "exec"), scope)
        assert callable(scope["solution"])
        names = assigned_names(conversion.program)
        assert len(names) == len(set(names))
        assert all(name.isascii() and name == name.lower() for name in names)


@pytest.mark.parametrize("rationale", ["(" * 5000 + "=1", "1+" * 5000 + "1=2", "9**9**9**9=1"])
def test_hostile_arithmetic_is_refused_quickly(rationale: str) -> None:
    assert convert_rationale("", rationale).program is None


@settings(max_examples=100, deadline=None)
@given(st.integers(2, 500), st.integers(2, 500), st.integers(1, 400))
def test_value_follows_the_arithmetic_of_the_text(boxes: int, pens: int, lost: int) -> None:
    total = boxes * pens
    conversion = convert_rationale(
        f"A shop gets {boxes} boxes with {pens} pens in each. It loses {lost} pens. How many stay?",
        f"The shop gets {boxes} * {pens} = <<{boxes}*{pens}={total}>>{total:,} pens.\n"
        f"It keeps {total} - {lost} = {total - lost} pens.\n#### {total - lost}",
    )
    assert value_in_process(conversion) == total - lost
