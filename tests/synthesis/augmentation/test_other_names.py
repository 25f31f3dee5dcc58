"""Other names: everyone is called otherwise, everywhere, and nothing else changes."""

from __future__ import annotations

import builtins
import keyword
import random
import re
import sys

from hypothesis import given, settings
from hypothesis import strategies as st
from written import problems

from pad_ray.sandbox import Limits, Sandbox
from pad_ray.synthesis.augmentation.first_names import FEMALE, MALE, WITH
from pad_ray.synthesis.augmentation.names import other_names, people_in

QUESTION = "Tom's sister Anna has 3 pens; Mark and Tom have 4. Tomorrow Anna gets Tom's. How many?"
PROGRAM = """def solution():
    # Tom and Anna
    toms_pens = 4
    pens_of_anna = 3
    ANNA = "Anna's tomatoes"
    max_pens = max(toms_pens, pens_of_anna)
    atom = f"{toms_pens} of Tom"
    return toms_pens + pens_of_anna"""


PROBLEMS = [*problems("arithmetic", 120), (QUESTION, PROGRAM)]


@given(problem=st.sampled_from(PROBLEMS), seed=st.integers(0, 2**32))
@settings(max_examples=200)
def test_renaming_can_be_undone(problem: tuple[str, str], seed: int) -> None:
    question, program = problem
    made = other_names(question, program, random.Random(seed))
    assert made == other_names(question, program, random.Random(seed))
    old = people_in(question)
    assert (made is None) == (not old)
    if made is None:
        return
    new = people_in(made.question)
    assert len(new) == len(old) and not set(new) & set(old)
    back = dict(zip(new, old, strict=True))
    for name in new:
        assert WITH[name] is WITH[back[name]]
        pattern = rf"\b{name}\b"
        assert not re.search(pattern, question)
    again = made.question
    for name, before in back.items():
        again = re.sub(rf"\b{name}\b", before, again)
    assert again == question


def test_the_program_follows() -> None:
    made = other_names(QUESTION, PROGRAM, random.Random(3))
    assert made is not None
    tom, anna = people_in(made.question)
    assert made.question == QUESTION.replace("Tom's", f"{tom}'s").replace(
        " Tom ", f" {tom} "
    ).replace("Anna", anna)
    expected = (
        PROGRAM.replace("Tom ", f"{tom} ")
        .replace('Tom"', f'{tom}"')
        .replace("toms_", f"{tom.lower()}s_")
    )
    expected = expected.replace("Anna", anna).replace("anna", anna.lower())
    assert made.program == expected.replace("ANNA", anna.upper())
    with Sandbox(Limits()) as sandbox:
        before, after = sandbox.run([PROGRAM, made.program])
    assert before.status == after.status == "ok" and before.value == after.value == 7


def test_nobody_is_called_as_someone_else_is() -> None:
    question = f"{MALE[0]} has 3 pens."
    program = "def solution():\n" + "\n".join(f"    {name.lower()} = 3" for name in MALE[:-1])
    made = other_names(question, program, random.Random(0))
    assert made is not None and made.question == f"{MALE[-1]} has 3 pens."
    full = program + f"\n    {MALE[-1].lower()}s = 3"
    assert other_names(question, full, random.Random(0)) is None


def test_names_mean_nothing_in_programs() -> None:
    reserved = {*dir(builtins), *keyword.kwlist, *keyword.softkwlist, *sys.stdlib_module_names}
    assert not {name.lower() for name in WITH} & {word.lower() for word in reserved}
    assert not set(FEMALE) & set(MALE)
    assert not {f"{name}s" for name in WITH} & set(WITH)
    assert all(re.fullmatch("[A-Z][a-z]+", name) for name in WITH)
