"""The head on the student's states says while it writes what it says of the whole text."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small_students import llama_like, taught

from pad_ray.base.errors import StudentError
from pad_ray.decoding.engine import Engine
from pad_ray.decoding.scheduler import Scheduler
from pad_ray.decoding.settings import Weights
from pad_ray.decoding.solver import Solver
from pad_ray.sandbox import OutcomeCache
from pad_ray.students.card import StudentCard
from pad_ray.students.files import STATES_FILE
from pad_ray.students.models import Student, make_scratch_student
from pad_ray.training.state_head import fit_head, logits_of, read_states
from pad_ray.training.verifier_data import JudgedProgram
from pad_ray.verifiers.settings import ScorerSettings
from pad_ray.verifiers.states import (
    StateHead,
    StateScorer,
    load_state_head,
    save_state_head,
    student_mark,
)

PROGRAM = "def solution():\n    pens = 3\n    total = pens + 4\n    return total"
QUESTIONS = ["Tom has 3 pens and 4 more. How many?", "How many cups?", "What is it, then?"]


def made(kind: str) -> Student:
    card = StudentCard("program", "test")
    size = "scratch:t5-tiny" if kind == "t5" else "scratch:tiny"
    student = make_scratch_student(size, [PROGRAM, *QUESTIONS], card=card, seed=0)
    if kind == "llama":
        student = llama_like(student)
    return student


@cache
def quickly_taught(kind: str) -> Student:
    return taught(f"scratch:{kind}", 0.2)


def head_for(student: Student, seed: int = 0) -> StateHead:
    size = student.model.get_input_embeddings().weight.shape[1]
    weight = np.random.default_rng(seed).normal(size=size)
    return StateHead("test", student_mark(student.model), tuple(map(float, weight)), 0.3)


def has_the_value_of_its_logit(student: Student, search: dict[str, Any]) -> None:
    head = head_for(student)
    with Solver(student, scorers={"value": StateScorer(head)}) as solver:
        weights = Weights(value=1, execution=0)
        found = solver.solve_batch(QUESTIONS, weights=weights, max_new_tokens=60, **search)
    steps = [step for solution in found for step in solution.steps]
    assert steps
    for step in steps:
        assert step.logit is not None
        assert step.scores["value"] == pytest.approx(head.probability(step.logit))


@pytest.mark.parametrize("kind", ["tiny", pytest.param("t5-tiny", marks=pytest.mark.slow)])
@pytest.mark.parametrize("proposal", ["beam", "sample"])
def test_each_step_has_the_logit_of_the_state_that_ended_it(kind: str, proposal: str) -> None:
    search = {"strategy": "stepwise", "width": 2, "proposals": 2, "proposal": proposal}
    has_the_value_of_its_logit(quickly_taught(kind), search)


@pytest.mark.parametrize("kind", ["lfm2", "llama", "t5"])
def test_whole_texts_have_logits_in_every_family(kind: str) -> None:
    has_the_value_of_its_logit(made(kind), {"strategy": "vote", "n": 3})


@pytest.mark.parametrize("guess", [False, True])
@pytest.mark.parametrize("kind", ["tiny", pytest.param("t5-tiny", marks=pytest.mark.slow)])
def test_what_is_read_of_a_text_is_what_was_seen_while_it_was_written(
    kind: str, guess: bool
) -> None:
    student = quickly_taught(kind)
    head = head_for(student)
    question = "Ann has 3 pens and gets 4 more. How many pens in all?"
    with Solver(student, scorers={"value": StateScorer(head)}) as solver:
        solver.engine = Engine(student, guess=guess, head=head)
        solver.scheduler = Scheduler(solver.engine, solver.scorers, OutcomeCache(solver.sandbox))
        # The second time the guesses come of the first.
        for _ in range(2):
            solution = solver.solve(question, strategy="vote", n=4, max_new_tokens=80)
    assert solution.program is not None
    judged = JudgedProgram("1", question, solution.program.strip(), True)
    (expected,) = logits_of(head, read_states(student, [judged]))
    assert len(expected) == len(solution.steps) > 1
    assert [step.logit for step in solution.steps] == pytest.approx(expected, abs=1e-3)


def test_a_head_finds_what_the_states_tell() -> None:
    student = made("llama")
    rng = np.random.default_rng(0)
    programs = [JudgedProgram(str(i), f"q{i // 4}", PROGRAM, i % 2 == 0) for i in range(120)]
    states = [rng.normal(size=(3, 32)) + (0.5 if p.right else -0.5) for p in programs]
    head = fit_head(student_mark(student.model), "here", programs[:80], states[:80])
    told = [logits[-1] > 0 for logits in logits_of(head, states[80:])]
    right = [p.right for p in programs[80:]]
    assert np.mean(np.array(told) == np.array(right)) > 0.9


def test_a_saved_head_is_the_same_and_serves_its_own_student_alone(tmp_path: Path) -> None:
    student, other = made("llama"), made("lfm2")
    head = replace(head_for(student), scale=0.5, shift=-1.0)
    save_state_head(head, tmp_path)
    assert load_state_head(tmp_path) == head
    scorers = ScorerSettings(value=tmp_path)
    with Solver(student, scorers=scorers) as solver:
        assert isinstance(solver.scorers["value"], StateScorer)
    with pytest.raises(StudentError, match=r"scorers.value: .* states of test, .* another"):
        Solver(other, scorers=scorers)
    # A student trained further is another; one in bf16 is the same.
    assert student_mark(made("llama").model.to(torch.bfloat16)) == head.student
    with torch.no_grad():
        student.model.lm_head.weight += 0.1
    with pytest.raises(StudentError, match="trained further"):
        Solver(student, scorers=scorers)


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"weight": 3}', '{"weight": ["a"]}'])
def test_a_broken_file_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / STATES_FILE).write_text(text)
    with pytest.raises(StudentError, match=f"scorers.value: .*{STATES_FILE}: cannot be read"):
        load_state_head(tmp_path)
