"""Asking a student one question on the command line."""

from __future__ import annotations

from rich.console import Console
from rich.syntax import Syntax
from rich.text import Text
from rich.tree import Tree

from pad_ray.decoding.one_question_settings import AskSettings
from pad_ray.decoding.search import Node
from pad_ray.decoding.settings import search_settings
from pad_ray.decoding.solution import Solution
from pad_ray.decoding.solver import Solver


def ask(settings: AskSettings) -> Solution:
    """Answer the question and print program and answer."""
    with Solver.from_pretrained(
        settings.student,
        limits=settings.sandbox.limits(),
        modules=settings.sandbox.modules,
        scorers=settings.scorers,
        precision=settings.precision,
        threads=settings.threads,
    ) as solver:
        solution = solver.solve(settings.question, settings=search_settings(settings))
    console = Console()
    if settings.show_tree:
        console.print(tree_of(solution.question, solution.tree))
    if solution.program is None:
        console.print(solution.text, markup=False, highlight=False)
    else:
        console.print(Syntax(solution.program, "python", background_color="default"))
    outcome = solution.outcome
    if outcome is not None and outcome.status != "ok":
        reason = ": ".join(part for part in (outcome.error_type, outcome.message) if part)
        console.print(f"no answer: {outcome.status} {reason}", markup=False)
    elif not solution.finished:
        console.print("no answer: what was written is not finished")
    elif outcome is None and solution.answer is None:
        console.print("no answer: none can be read from what was written")
    else:
        console.print(f"answer: {solution.answer}", markup=False)
    if solution.truncated:
        console.print("the search was cut short: its tokens or its time ran out")
    return solution


def tree_of(question: str, nodes: tuple[Node, ...]) -> Tree:
    """Return the search as a tree: what was kept in plain text, what lost dimmed, with why."""
    tree = Tree(Text(question, style="bold"))
    branches: dict[int | None, Tree] = {None: tree}
    for node in nodes:
        label = Text(node.code.strip("\n"), style="" if node.kept else "dim")
        label.append(f"\n  {_judgement(node)}", style="green" if node.kept else "dim red")
        branches[node.number] = branches[node.parent].add(label)
    return tree


def _judgement(node: Node) -> str:
    scores = "".join(f", {name} {score:.2f}" for name, score in node.scores.items())
    fate = "kept" if node.kept else node.reason
    return f"{fate}: log p {node.logprob:.2f}{scores}, rank {node.rank:.3f}"
