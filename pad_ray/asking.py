"""Asking a student one question on the command line."""

from __future__ import annotations

from rich.console import Console
from rich.syntax import Syntax

from pad_ray.config import Settings
from pad_ray.decoding import Solution, Solver


class AskSettings(Settings):
    """Ask a student one question: its program, the program's value and how sure it was."""

    question: str
    """The question."""
    student: str
    """Student folder, hub id or .gguf file."""
    strategy: str = "greedy"
    """Decoding strategy."""
    max_new_tokens: int = 512
    """Longest program, in tokens."""


def ask(settings: AskSettings) -> Solution:
    """Answer the question and print program and answer."""
    with Solver.from_pretrained(settings.student) as solver:
        solution = solver.solve(
            settings.question, strategy=settings.strategy, max_new_tokens=settings.max_new_tokens
        )
    console = Console()
    if solution.program is None:
        console.print(solution.text, markup=False, highlight=False)
    else:
        console.print(Syntax(solution.program, "python", background_color="default"))
    outcome = solution.outcome
    if outcome is not None and outcome.status != "ok":
        reason = ": ".join(part for part in (outcome.error_type, outcome.message) if part)
        console.print(f"no answer: {outcome.status} {reason}", markup=False)
    else:
        console.print(f"answer: {solution.answer}", markup=False)
    return solution
