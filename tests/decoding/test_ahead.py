"""Steps without rivals are written on while they are judged."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import contextmanager
from importlib import import_module
from typing import Any

import pytest
from small_students import Example

from pad_ray.decoding.search import Ahead
from pad_ray.decoding.settings import SearchSettings, Weights
from pad_ray.decoding.solution import Solution
from pad_ray.decoding.solver import Solver
from pad_ray.students.models import Student
from pad_ray.verifiers.base import Candidate

# The package gives its strategies the modules' names.
STEPWISE = import_module("pad_ray.decoding.strategies.stepwise")
# So narrow that this student proposes one step each time.
SEARCH = SearchSettings(
    strategy="stepwise", width=2, proposals=3, margin=0.01, weights=Weights(value=1, execution=0)
)


class Even:
    """A scorer that likes all alike."""

    def score(self, candidates: Sequence[Candidate]) -> list[list[float]]:
        return [[0.5] * len(candidate.steps) for candidate in candidates]

    def forget(self, search: int) -> None:
        pass


class Patient(Even):
    """A scorer that answers once the student has written on."""

    solver: Solver
    waited_in_vain = False

    def score(self, candidates: Sequence[Candidate]) -> list[list[float]]:
        engine, end = self.solver.engine, time.monotonic() + 60
        before = engine.ticks
        while engine.ticks == before and not all(c.finished for c in candidates):
            self.waited_in_vain |= time.monotonic() > end
            if self.waited_in_vain:
                break
            time.sleep(0.001)
        return super().score(candidates)


class Cutting(Even):
    """In place of execution: says that the first way to write a program's second step fails."""

    def __init__(self) -> None:
        self.seen: dict[str, str] = {}

    def score(self, candidates: Sequence[Candidate]) -> list[list[float]]:
        return [self._of(candidate) for candidate in candidates]

    def _of(self, candidate: Candidate) -> list[float]:
        text = candidate.before + "".join(candidate.steps)
        if candidate.before.count("\n") != 2:
            return [1.0] * len(candidate.steps)
        failing = self.seen.setdefault(candidate.question, text)
        return [1.0] * (len(candidate.steps) - 1) + [0.0 if text == failing else 1.0]


@contextmanager
def one_after_the_other() -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(STEPWISE, "_may_go_ahead", lambda *_: False)
        yield


def alike(one: Solution, other: Solution) -> bool:
    trees = [
        [(n.number, n.parent, n.code, n.kept, n.reason, n.scores) for n in s.tree]
        for s in (one, other)
    ]
    return (one.text, one.notes, trees[0]) == (other.text, other.notes, trees[1])


def test_the_student_writes_while_its_step_is_judged(
    student: Student, examples: list[Example]
) -> None:
    scorer = Patient()
    with Solver(student, scorers={"value": scorer}) as solver:
        scorer.solver = solver
        solution = solver.solve(examples[0].question, settings=SEARCH)
    assert not scorer.waited_in_vain
    assert solution.finished and len(solution.tree) > 2
    assert all("value" in step.scores for step in solution.steps)


def test_what_is_found_is_what_waiting_finds(student: Student, examples: list[Example]) -> None:
    questions = [e.question for e in examples[:6]]
    for search in (SEARCH, SEARCH.model_copy(update={"margin": 4.0})):
        with Solver(student, scorers={"value": Even()}) as solver:
            ahead = solver.solve_batch(questions, settings=search)
            with one_after_the_other():
                waiting = solver.solve_batch(questions, settings=search)
        for one, other in zip(ahead, waiting, strict=True):
            assert alike(one, other)
            assert one.tokens == other.tokens


def test_what_was_written_below_a_step_that_fails_is_thrown_away(
    student: Student, examples: list[Example]
) -> None:
    search = SEARCH.model_copy(update={"weights": Weights(execution=1)})
    questions = [e.question for e in examples[:4]]
    with Solver(student, scorers={"execution": Cutting()}) as solver:
        ahead = solver.solve_batch(questions, settings=search)
    with Solver(student, scorers={"execution": Cutting()}) as solver, one_after_the_other():
        waiting = solver.solve_batch(questions, settings=search)
    for one, other in zip(ahead, waiting, strict=True):
        assert one.notes["dead_end"] in ("wider", "greedy")
        assert alike(one, other)
        assert one.tokens > other.tokens


@pytest.mark.parametrize("is_writing", [False, True])
def test_a_deadline_ends_what_is_judged_and_written_at_once(
    student: Student, examples: list[Example], is_writing: bool
) -> None:
    with Solver(student, scorers={"value": Even()}) as solver:
        job = solver.submit(examples[0].question, SEARCH)
        while not (isinstance(job.request, Ahead) and bool(job.growth) == is_writing):
            assert not job.done
            solver.scheduler.step()
        job.deadline = 0
        solver.scheduler.run()
        solution = solver.solution(job)
    assert solution.truncated and solution.error is None
    assert solution.state == "partial" and solution.answer is None
    assert solution.text and not solution.text.rstrip().endswith("return total")
    assert solver.engine.rows_in_use == 0
