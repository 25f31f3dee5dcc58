"""Asking one question: what is printed, and the limits that the program runs under."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from small_students import Example

from pad_ray.base.errors import ConfigError
from pad_ray.base.sandbox_settings import SandboxSettings
from pad_ray.decoding.one_question import ask
from pad_ray.decoding.one_question_settings import AskSettings
from pad_ray.decoding.solver import Solver
from pad_ray.sandbox import Limits, Sandbox


def test_the_answer_is_printed_below_its_program(
    taught_folder: Path, examples: list[Example], capsys: pytest.CaptureFixture[str]
) -> None:
    settings = AskSettings(
        student=str(taught_folder), question=examples[0].question, strategy="stepwise"
    )
    solution = ask(settings)
    printed = capsys.readouterr().out
    assert "def solution():" in printed
    assert printed.rstrip().endswith(f"answer: {solution.answer}")


def test_programs_run_under_the_limits_that_are_asked_for(
    taught_folder: Path, examples: list[Example], monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Sandbox] = []

    class Noted(Sandbox):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            made.append(self)

    monkeypatch.setattr("pad_ray.decoding.solver.Sandbox", Noted)
    settings = AskSettings(
        student=str(taught_folder),
        question=examples[0].question,
        sandbox=SandboxSettings(cpu_s=0.5, memory_mb=64),
    )
    assert ask(settings).answer is not None
    (sandbox,) = made
    assert sandbox.limits == Limits(cpu_s=0.5, memory_mb=64)


def test_it_computes_with_as_many_threads_as_are_asked_for(
    taught_folder: Path, examples: list[Example]
) -> None:
    before = torch.get_num_threads()
    asked = {"student": str(taught_folder), "question": examples[0].question}
    try:
        torch.set_num_threads(1)
        answer = ask(AskSettings(**asked)).answer
        assert torch.get_num_threads() == 1  # left alone
        assert ask(AskSettings(**asked, threads=2)).answer == answer
        assert torch.get_num_threads() == 2
        with pytest.raises(ConfigError, match="threads: 0"):
            Solver.from_pretrained(taught_folder, threads=0)
    finally:
        torch.set_num_threads(before)


def test_what_is_no_question_costs_no_other(solver: Solver, examples: list[Example]) -> None:
    questions: list[Any] = [None, examples[0].question, 3, " "]
    found = solver.solve_batch(questions)
    said = ["question: is no text but NoneType", None, "question: is no text but int"]
    assert [one.error for one in found] == [*said, "question: is empty"]
    assert found[1].answer is not None
