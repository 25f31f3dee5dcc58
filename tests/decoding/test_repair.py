"""Repair: a student that errs on purpose reads the interpreter's message and mends its program."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
from small_students import train_on_texts

from pad_ray.decoding.solver import Solver
from pad_ray.decoding.strategies.repair import error_text
from pad_ray.sandbox import Limits, Outcome, Sandbox
from pad_ray.students.card import format_repair, format_source

NOUNS = "pens eggs cups figs".split()


def programs(noun: str, first: int, second: int) -> tuple[str, str, str]:
    """Return the right program, one that raises, and one that raises where it is odd."""
    lines = f"def solution():\n    {noun} = {first}\n    more = {second}\n"
    right = f"{lines}    return {noun} + more\n"
    return right, f"{lines}    return {noun} + extra\n", f"{lines}    return {noun} + (more\n"


def question(noun: str, first: int, second: int) -> str:
    return f"There are {first} {noun} and {second} more. How many {noun}?"


def kind_of(noun: str) -> str:
    """Figs are never right; pens and eggs fail first, in two ways; cups are right at once."""
    return {"pens": "raises", "eggs": "invalid", "figs": "never", "cups": "right"}[noun]


@pytest.fixture(scope="module")
def erring() -> Iterator[Solver]:
    """A student that writes broken programs at first, and right ones when it is shown them."""
    pairs = []
    with Sandbox(Limits()) as sandbox:
        for noun in NOUNS:
            for first in range(2, 10):
                for second in range(2, 10):
                    asked = question(noun, first, second)
                    right, raises, invalid = programs(noun, first, second)
                    kind = kind_of(noun)
                    written = {"right": right, "invalid": invalid}.get(kind, raises)
                    pairs.append((format_source(asked, "program"), written))
                    if kind == "right":
                        continue
                    (outcome,) = sandbox.run([written])
                    prompt = format_repair(asked, written, error_text(outcome))
                    pairs.append((prompt, raises if kind == "never" else right))
    random.Random(0).shuffle(pairs)
    with Solver(train_on_texts(pairs, "scratch:tiny", 0.003, 0)) as solver:
        yield solver


@pytest.mark.parametrize("noun", ["pens", "eggs"])
def test_a_failed_program_is_repaired(erring: Solver, noun: str) -> None:
    solution = erring.solve(question(noun, 3, 4), strategy="repair", n=2)
    first, second = solution.notes["attempts"]
    assert first["status"] == ("error" if noun == "pens" else "invalid")
    assert first["error"].startswith("NameError" if noun == "pens" else "SyntaxError")
    assert (second["status"], second["value"]) == ("ok", 7)
    assert solution.answer == 7 and solution.program == second["program"]
    assert [node.kept for node in solution.tree] == [False, True]
    assert solution.tokens == first["tokens"] + second["tokens"]


def test_what_runs_is_left_alone(erring: Solver) -> None:
    repaired = erring.solve(question("cups", 3, 4), strategy="repair", n=5)
    assert repaired.text == erring.solve(question("cups", 3, 4)).text
    assert len(repaired.notes["attempts"]) == 1


def test_it_ends_at_a_fixed_point(erring: Solver) -> None:
    solution = erring.solve(question("figs", 3, 4), strategy="repair", n=10)
    attempts = solution.notes["attempts"]
    assert len(attempts) == 2 and attempts[0]["program"] == attempts[1]["program"]
    assert solution.answer is None and solution.outcome is not None
    assert solution.outcome.error_type == "NameError"


def test_no_more_repairs_than_asked_for(erring: Solver) -> None:
    solution = erring.solve(question("pens", 5, 4), strategy="repair", n=1)
    assert len(solution.notes["attempts"]) == 2


def test_only_what_fails_goes_round(erring: Solver) -> None:
    questions = [question(noun, a, 6) for noun in NOUNS for a in (2, 5, 8)]
    random.Random(3).shuffle(questions)
    together = erring.solve_batch(questions, strategy="repair", n=3)
    for asked, found in zip(questions, together, strict=True):
        alone = erring.solve(asked, strategy="repair", n=3)
        assert (found.text, found.tokens) == (alone.text, alone.tokens)
        assert found.notes["attempts"] == alone.notes["attempts"]
        kind = kind_of(asked.split()[3])
        assert len(found.notes["attempts"]) == (1 if kind == "right" else 2)


def test_a_program_too_long_to_be_read_again_is_the_answer(
    erring: Solver, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = question("pens", 3, 4)
    size = len(erring.student.tokenizer(format_source(asked, "program")).input_ids)
    monkeypatch.setattr(erring.student.model.config, "max_position_embeddings", size + 20)
    solution = erring.solve(asked, strategy="repair", n=3)
    assert len(solution.notes["attempts"]) == 1
    assert solution.outcome is not None and solution.outcome.status == "error"


def test_error_texts_name_line_and_message() -> None:
    raised = Outcome("error", error_type="NameError", error_line=4, message="no 'x'")
    assert error_text(raised) == "NameError: no 'x' (line 4)"
    assert error_text(Outcome("memory")) == "memory: memory"
    assert error_text(Outcome("ok", 3)) == "WrongAnswer: returned 3"
