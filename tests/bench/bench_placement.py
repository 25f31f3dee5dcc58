"""Scorers and sandbox inside the replica against deployments of their own, in turn in one run.

The same solver answers the same questions; in the second way each call of a scorer or of the
sandbox goes to a Serve deployment on the same machine. The student is the demo's, or
PAD_RAY_BENCH_STUDENT.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from time import perf_counter
from typing import Any

import pytest
import torch
from package_models import minilm
from ray import serve
from rich.console import Console
from rich.table import Table

from pad_ray.decoding.settings import SearchSettings, Weights
from pad_ray.decoding.solver import Solver
from pad_ray.sandbox import Limits, Outcome, Sandbox
from pad_ray.students.models import load_student
from pad_ray.tasks import get_task
from pad_ray.verifiers.alignment import AlignmentScorer
from pad_ray.verifiers.base import Candidate

ROUNDS, QUESTIONS = 5, 8


@serve.deployment
class Scoring:
    """A deployment that embeds steps."""

    def __init__(self, model: str) -> None:
        torch.set_num_threads(1)
        self._scorer = AlignmentScorer(model, torch.device("cpu"))

    def score(self, candidates: Sequence[Candidate]) -> list[list[float]]:
        return self._scorer.score(candidates)


@serve.deployment
class Running:
    """A deployment that runs programs."""

    def __init__(self) -> None:
        self._sandbox = Sandbox(Limits())

    def run(self, programs: Sequence[str]) -> list[Outcome]:
        return self._sandbox.run(programs)


class FarScorer:
    """A scorer whose work is done by a deployment."""

    def __init__(self, handle: Any) -> None:
        self._handle = handle

    def score(self, candidates: Sequence[Candidate]) -> list[list[float]]:
        return list(self._handle.score.remote(candidates).result())

    def forget(self, search: int) -> None:
        pass


class FarSandbox:
    """A sandbox whose work is done by a deployment."""

    def __init__(self, handle: Any) -> None:
        self._handle = handle

    def run(self, programs: Sequence[str]) -> list[Outcome]:
        return list(self._handle.run.remote(list(programs)).result())

    def close(self) -> None:
        pass


@pytest.fixture(scope="module")
def sentences(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(minilm(tmp_path_factory.mktemp("minilm")))


@pytest.fixture(scope="module")
def solvers(local_ray: None, student: str, sentences: str) -> Iterator[dict[str, Solver]]:
    torch.set_num_threads(1)
    loaded = load_student(student)
    scoring = serve.run(Scoring.bind(sentences), name="scoring", route_prefix=None)
    running = serve.run(Running.bind(), name="running", route_prefix=None)
    # Each has a scorer of its own: embeddings are kept.
    near, also = ({"alignment": AlignmentScorer(sentences, torch.device("cpu"))} for _ in "12")
    with (
        Solver(loaded, scorers=near) as here,
        Solver(loaded, scorers=also) as away,
        Solver(loaded, scorers={"alignment": FarScorer(scoring)}) as far,
    ):
        away.sandbox.close()
        away.sandbox = FarSandbox(running)  # type: ignore[assignment]
        away.reset()
        yield {"in the replica": here, "scorer apart": far, "sandbox apart": away}
    serve.shutdown()


@pytest.mark.parametrize("strategy", ["stepwise", "vote"])
def test_where_scorers_and_sandbox_serve_best(solvers: dict[str, Solver], strategy: str) -> None:
    search = SearchSettings(
        strategy=strategy,
        n=8,
        weights=Weights(alignment=1, execution=0),
        max_new_tokens=250,
    )
    generate = get_task("arithmetic").generate
    assert generate is not None
    questions = [p.question for p in generate(QUESTIONS * ROUNDS, "test", 3, None)]
    seconds: dict[str, list[float]] = {name: [] for name in solvers}
    for start in range(0, len(questions), QUESTIONS):
        texts = []
        turn = start // QUESTIONS % len(solvers)
        for name in [*list(solvers)[turn:], *list(solvers)[:turn]]:
            started = perf_counter()
            asked = questions[start : start + QUESTIONS]
            found = solvers[name].solve_batch(asked, settings=search)
            seconds[name].append(perf_counter() - started)
            texts.append([solution.text for solution in found])
        assert texts[0] == texts[1] == texts[2]
    table = Table("", "s a batch", "times as long", title=f"{QUESTIONS} questions, {strategy}")
    for name, times in seconds.items():
        ratios = [t / base for t, base in zip(times, seconds["in the replica"], strict=True)]
        spread = f"{statistics.median(ratios):.2f} ({min(ratios):.2f}..{max(ratios):.2f})"
        table.add_row(name, f"{statistics.median(times):.2f}", spread)
    Console(width=100).print(table)
