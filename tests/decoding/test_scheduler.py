"""Between two ticks searches join, end, stream and go on; one's trouble is never another's."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from dataclasses import replace
from itertools import count, product
from typing import Any

import pytest
import torch
from small_students import Example, llama_like
from transformers import GPT2Config, GPT2LMHeadModel

from pad_ray.base.errors import ConfigError
from pad_ray.decoding import scheduler
from pad_ray.decoding.growth import Group
from pad_ray.decoding.hypothesis import Hypothesis, Step
from pad_ray.decoding.scheduler import Job
from pad_ray.decoding.search import Open, Run, Search, Trail, write
from pad_ray.decoding.settings import SearchSettings, Weights
from pad_ray.decoding.solution import Solution
from pad_ray.decoding.solver import Solver
from pad_ray.decoding.strategies import STRATEGIES
from pad_ray.students.models import Student, tokenise_source
from pad_ray.verifiers.base import Candidate

ENDLESS = "def solution():\n    while True:\n        pass\n"


def steps_until(solver: Solver, job: Job, most: int = 10_000) -> int:
    """Return after how many steps of the scheduler a search is done."""
    for steps in range(1, most + 1):
        solver.scheduler.step()
        if job.done:
            return steps
    raise AssertionError(f"not done after {most} steps")


def alike(one: Solution, other: Solution) -> bool:
    return (one.text, one.answer, one.tokens) == (other.text, other.answer, other.tokens)


def test_a_short_question_joins_a_long_one(student: Student, examples: list[Example]) -> None:
    with Solver(llama_like(student)) as solver:
        long = solver.submit(examples[0].question, SearchSettings(max_new_tokens=400))
        for _ in range(3):
            solver.scheduler.step()
        short = solver.submit(examples[1].question, SearchSettings(max_new_tokens=5))
        assert steps_until(solver, short) <= 8
        assert not long.done
        long.cancelled = True
        solver.scheduler.run()


def test_what_waits_in_the_queue_ends_when_it_is_late_or_cancelled(
    student: Student, examples: list[Example]
) -> None:
    with Solver(llama_like(student), max_rows=1) as solver:
        running = solver.submit(examples[0].question, SearchSettings(max_new_tokens=300))
        solver.scheduler.step()
        late = solver.submit(
            examples[1].question, SearchSettings(), deadline=time.monotonic() - 1e-3
        )
        cancelled = solver.submit(examples[2].question, SearchSettings())
        patient = solver.submit(examples[3].question, SearchSettings(max_new_tokens=5))
        cancelled.cancelled = True
        solver.scheduler.step()
        assert (late.done, cancelled.done, patient.done, running.done) == (True, True, False, False)
        assert solver.solution(late).truncated and solver.solution(late).text == ""
        running.cancelled = True
        solver.scheduler.run()
        assert patient.done and patient.tokens == 5


class Clock:
    """Time that passes by a second a step."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    perf_counter = monotonic


def test_a_budget_of_time_begins_when_a_search_does(
    solver: Solver, examples: list[Example], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    monkeypatch.setattr(scheduler, "time", clock)

    def steps(narrow: Solver) -> float:
        started = clock.now
        while not narrow.scheduler.idle:
            clock.now += 1
            narrow.scheduler.step()
        return clock.now - started

    with Solver(solver.student, sandbox=solver.sandbox, max_rows=1) as narrow:
        narrow.submit(examples[0].question, SearchSettings())
        budget = 5 * steps(narrow)
        settings = SearchSettings(budget_s=budget)
        late = clock.now + budget
        jobs = [narrow.submit(e.question, settings) for e in examples[:30]]
        hurried = narrow.submit(examples[0].question, settings, deadline=late)
        assert steps(narrow) > 2 * budget
        assert not any(narrow.solution(job).truncated for job in jobs)
        assert narrow.solution(hurried).truncated


@pytest.mark.parametrize(
    "budgets_tried", [16, pytest.param(10**6, marks=pytest.mark.slow, id="every budget")]
)
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_every_budget_of_tokens_returns_the_best_of_what_was_finished(
    solver: Solver, examples: list[Example], strategy: str, budgets_tried: int
) -> None:
    settings = SearchSettings(strategy=strategy, n=6, temperature=1.2, confidence=0.95, width=3)
    question = examples[1].question
    whole = solver.solve(question, settings=settings)
    assert not whole.truncated and whole.finished
    budgets = {*range(1, whole.tokens, max(1, whole.tokens // budgets_tried))}
    budgets |= {whole.tokens - 1, whole.tokens}
    for budget in sorted(budgets):
        found = solver.solve(question, settings=settings, budget_tokens=budget)
        assert found.truncated == (found.tokens < whole.tokens)
        assert found.tokens >= budget
        if not found.truncated:
            assert alike(found, whole)
        if found.finished and found.program is not None:
            assert found.outcome is not None
            (outcome,) = solver.sandbox.run([found.program])
            assert (outcome.status, outcome.value) == (found.outcome.status, found.outcome.value)
        else:
            assert (found.program, found.outcome, found.answer) == (None, None, None)
        assert found.state == ("finished" if found.finished else "partial")


def test_most_of_the_tokens_of_a_vote_count_what_is_finished(
    solver: Solver, examples: list[Example]
) -> None:
    answered = 0
    # Where all samples are of one length, none is finished before the others.
    for heat, example in product((1.0, 1.6, 2.4), examples[:4]):
        if answered and heat > 1:
            break
        settings = SearchSettings(strategy="vote", n=8, temperature=heat)
        whole = solver.solve(example.question, settings=settings)
        budget = int(0.95 * whole.tokens)
        found = solver.solve(example.question, settings=settings, budget_tokens=budget)
        assert found.truncated
        # Each pass writes a token to every sample that is not finished.
        lengths = [sample["tokens"] for sample in whole.notes["samples"]]
        passes = next(n for n in count(1) if sum(min(n, length) for length in lengths) >= budget)
        expected = [
            sample["answer"] if sample["tokens"] <= passes else None
            for sample in whole.notes["samples"]
        ]
        assert [sample["answer"] for sample in found.notes["samples"]] == expected
        finished = [answer for answer in expected if answer is not None]
        assert (found.answer is None) == (not finished)
        assert sum(found.notes.get("votes", {}).values()) == pytest.approx(len(finished))
        answered += len(finished)
    assert answered


@pytest.mark.parametrize(
    ("strategy", "changes"),
    [
        ("vote", {"n": 20}),
        ("stepwise", {"width": 6, "proposals": 4}),
        ("stepwise", {"width": 4, "proposals": 5, "proposal": "sample"}),
        ("diverse", {"width": 6, "proposals": 3}),
        ("beam", {"width": 5}),
        ("auto", {"n": 12, "confidence": 1.0}),
        ("hierarchical", {}),
    ],
)
def test_few_rows_change_nothing(
    solver: Solver, examples: list[Example], strategy: str, changes: dict[str, Any]
) -> None:
    settings = SearchSettings(strategy=strategy, **changes)
    questions = [e.question for e in examples[:4]]
    wide = [solver.solve(q, settings=settings) for q in questions]
    with Solver(solver.student, sandbox=solver.sandbox, max_rows=6) as narrow:
        jobs = [narrow.submit(q, settings) for q in questions]
        while not narrow.scheduler.idle:
            narrow.scheduler.step()
            assert narrow.engine.rows_in_use <= 6
        for job, expected in zip(jobs, wide, strict=True):
            assert alike(narrow.solution(job), expected)


def test_what_has_to_begin_again_costs_and_says_the_same(
    solver: Solver, examples: list[Example], monkeypatch: pytest.MonkeyPatch
) -> None:
    lost: list[int] = []
    put_back = Group.put_back

    def counted(group: Group) -> int:
        lost.append(put_back(group))
        return lost[-1]

    monkeypatch.setattr(Group, "put_back", counted)
    settings = SearchSettings(strategy="stepwise", width=4, proposals=8, margin=8.0)
    questions = [e.question for e in examples[:6]]
    with Solver(solver.student, sandbox=solver.sandbox, max_rows=10) as narrow:
        found = narrow.solve_batch(questions, settings=settings)
    assert max(lost) > 1
    lost.clear()
    for question, solution in zip(questions, found, strict=True):
        assert alike(solution, solver.solve(question, settings=settings))
    assert not lost


@pytest.mark.parametrize(
    "settings",
    [
        SearchSettings(strategy="vote", n=256, max_new_tokens=6),
        SearchSettings(strategy="stepwise", width=64, proposals=64, max_new_tokens=24),
        SearchSettings(strategy="beam", width=64, max_new_tokens=12),
    ],
    ids=lambda settings: str(settings.strategy),
)
def test_the_bound_on_rows_holds_for_the_largest_searches(
    student: Student, examples: list[Example], settings: SearchSettings
) -> None:
    with Solver(student, max_rows=8) as solver:
        job = solver.submit(examples[0].question, settings)
        other = solver.submit(examples[1].question, SearchSettings())
        while not solver.scheduler.idle:
            solver.scheduler.step()
            assert solver.engine.rows_in_use <= 8
        assert job.error is None and other.error is None
        assert solver.solution(other).answer == solver.solve(examples[1].question).answer


class Picky:
    """A scorer that fails over some questions."""

    def __init__(self, hated: Sequence[str]) -> None:
        self.hated = set(hated)

    def score(self, candidates: list[Candidate]) -> list[list[float]]:
        for candidate in candidates:
            if candidate.question in self.hated:
                raise ZeroDivisionError("cannot judge this")
        return [[0.5] * len(candidate.steps) for candidate in candidates]

    def forget(self, search: int) -> None:
        pass


def test_an_error_over_one_question_is_that_questions(
    student: Student, examples: list[Example]
) -> None:
    questions = [e.question for e in examples[:8]]
    settings = SearchSettings(strategy="stepwise", width=2, weights=Weights(value=1))
    asked = [*questions[:5], "  ", "word " * 5000, *questions[5:]]
    with Solver(student, scorers={"value": Picky(questions[3:4])}) as solver:
        found = solver.solve_batch(asked, settings=settings)
        for question, solution in zip(asked, found, strict=True):
            if question == questions[3]:
                assert solution.error == "ZeroDivisionError: cannot judge this"
                with pytest.raises(ZeroDivisionError):
                    solver.solve(question, settings=settings)
            elif question in questions:
                assert solution.error is None and solution.state == "finished"
                assert alike(solution, solver.solve(question, settings=settings))
            else:
                assert (solution.error or "").startswith(("question: is empty", "question: is too"))
            assert (solution.state == "failed") == (solution.error is not None)
        assert solver.engine.rows_in_use == 0


def test_a_program_that_hangs_holds_nobody_up(solver: Solver, examples: list[Example]) -> None:
    ended: list[str] = []
    trail = Trail("hang", SearchSettings())
    solver.scheduler.submit("hang", trail, hanging, on_done=lambda _: ended.append("hang"))

    def counted(trail: Trail, root: Hypothesis) -> Search:
        written = yield from write(trail, root)
        assert written is not None
        ended.append("written")

    solver.scheduler.step()
    for example in examples[:6]:
        source = solver.student.card.prompt(example.question)
        solver.scheduler.submit(source, Trail(example.question, SearchSettings()), counted)
    solver.scheduler.run()
    assert ended == ["written"] * 6 + ["hang"]
    assert trail.notes["status"] == "timeout"


@pytest.mark.slow
def test_a_thousand_questions_of_which_some_are_hostile(
    solver: Solver, examples: list[Example]
) -> None:
    """Every other answer is that of the question alone."""
    rng = random.Random(3)
    strategies = ("greedy", "stepwise", "vote", "auto", "beam", "repair", "diverse", "hierarchical")
    alone: dict[tuple[str, str], Solution] = {}
    jobs: list[tuple[str, str, Job]] = []
    hostile = ["word " * 5000, "", "\x00\ufffd\x7f" * 40, "hang"]
    with Solver(solver.student, sandbox=solver.sandbox, max_rows=48) as busy:
        for _ in range(1000):
            strategy = rng.choice(strategies)
            settings = SearchSettings(strategy=strategy, n=4, width=3, proposals=3)
            question = rng.choice(examples).question
            if rng.random() < 0.05:
                question = rng.choice(hostile)
                if question == "hang":
                    trail = Trail(question, settings)
                    jobs.append((question, "", busy.scheduler.submit("hang", trail, hanging)))
                    continue
                if not question.startswith("\x00"):
                    with pytest.raises(ConfigError):
                        busy.submit(question, settings)
                    continue
                settings = settings.model_copy(update={"max_new_tokens": 60, "longest_step": 30})
            jobs.append((question, strategy, busy.submit(question, settings)))
        while not busy.scheduler.idle:
            busy.scheduler.step()
            assert busy.engine.rows_in_use <= 48
        for question, strategy, job in jobs:
            assert job.done and job.error is None
            if question in hostile:
                continue
            if (question, strategy) not in alone:
                settings = SearchSettings(strategy=strategy, n=4, width=3, proposals=3)
                alone[question, strategy] = solver.solve(question, settings=settings)
            assert alike(busy.solution(job), alone[question, strategy])


def hanging(trail: Trail, root: Hypothesis) -> Search:
    """Have a program run that never ends."""
    (outcome,) = yield Run((ENDLESS,))
    trail.notes["status"] = outcome.status


def test_greedy_tells_each_statement_as_it_stands(solver: Solver, examples: list[Example]) -> None:
    heard: list[Step] = []
    job = solver.submit(examples[0].question, SearchSettings(), on_settled=heard.extend)
    early = 0
    while not job.done:
        solver.scheduler.step()
        early = max(early, 0 if job.done or job.growth is None else len(heard))
    solution = solver.solution(job)
    assert "".join(step.code for step in heard) == solution.text
    assert [step.code for step in heard] == [step.code for step in solution.steps]
    assert 0 < early < len(heard)


class Cutting:
    """A judge that cuts programs at some step, as often as it is told."""

    def __init__(self, step: int, times: int) -> None:
        self.step, self.times = step, times
        self.cuts = 0

    def score(self, candidates: list[Candidate]) -> list[list[float]]:
        at_end = [c.program.count("\n") >= self.step for c in candidates]
        cuts = any(at_end) and self.cuts < self.times
        self.cuts += cuts
        return [
            [0.0 if cuts and ended else 1.0] * len(candidate.steps)
            for candidate, ended in zip(candidates, at_end, strict=True)
        ]

    def forget(self, search: int) -> None:
        pass


@pytest.mark.parametrize("strategy", ["stepwise", "diverse"])
@pytest.mark.parametrize(("times", "way"), [(1, "wider"), (1000, "greedy")])
def test_a_dead_end_falls_back_and_says_so(
    student: Student, examples: list[Example], strategy: str, times: int, way: str
) -> None:
    with Solver(student, scorers={"execution": Cutting(3, times)}) as solver:
        question = examples[0].question
        found = solver.solve(question, strategy=strategy, width=2, proposals=2)
        assert found.notes["dead_end"] == way
        assert found.state == "finished" and not found.truncated
        assert any(node.reason == "cannot run" for node in found.tree)
        if way == "greedy":
            assert found.text == solver.solve(question).text
    with Solver(student, scorers={"execution": Cutting(3, 0)}) as solver:
        assert "dead_end" not in solver.solve(question, strategy=strategy, width=2).notes


def short_gpt2(student: Student, positions: int) -> Student:
    """Return an untrained student with learned positions, and few of them."""
    torch.manual_seed(0)
    config = GPT2Config(
        vocab_size=len(student.tokenizer),
        n_positions=positions,
        n_embd=32,
        n_layer=2,
        n_head=2,
        bos_token_id=None,
        eos_token_id=student.tokenizer.eos_token_id,
    )
    return Student(GPT2LMHeadModel(config).eval(), student.tokenizer, student.card)


@pytest.mark.parametrize("strategy", ["greedy", "stepwise", "vote", "repair"])
def test_texts_end_where_the_students_context_does(
    student: Student, examples: list[Example], strategy: str
) -> None:
    questions = [e.question for e in examples[:6]]
    prompts = [student.card.prompt(q) for q in questions]
    longest = max(len(student.tokenizer(p).input_ids) for p in prompts)
    limit = longest + 20
    small = short_gpt2(student, limit)
    with Solver(small) as solver:
        settings = SearchSettings(strategy=strategy, n=3, width=2, temperature=1.0)
        found = solver.solve_batch([*questions, "many words " * 300], settings=settings)
        for prompt, solution in zip(prompts, found, strict=False):
            assert solution.error is None
            assert solution.truncated or solution.finished
            read = len(tokenise_source(small.tokenizer, prompt, False))
            assert sum(step.tokens for step in solution.steps) <= limit - read
        assert (found[-1].error or "").startswith("question: is too long")
        # Twice, so that guesses come of what was written before.
        again = solver.solve_batch(questions, settings=settings)
        assert [s.text for s in again] == [s.text for s in found[:-1]]


def test_a_preamble_takes_no_copy_of_the_model(student: Student, examples: list[Example]) -> None:
    card = replace(student.card, preamble=student.card.prompt(examples[9].question) + "\n\n")
    with Solver(Student(student.model, student.tokenizer, card)) as solver:
        job = solver.submit(examples[0].question, SearchSettings())
        other = solver.submit(examples[1].question, SearchSettings())
        solver.scheduler.step()
        assert solver.engine._rows is not None
        assert solver.engine._rows._model is student.model
        for one in (job, other):
            one.cancelled = True
        solver.scheduler.run()


def test_all_prompts_of_a_search_begin_with_the_preamble(
    student: Student, examples: list[Example]
) -> None:
    preamble = student.card.prompt(examples[9].question) + "\n\n"
    shown = Student(student.model, student.tokenizer, replace(student.card, preamble=preamble))
    opened: list[str] = []

    def ask_again(trail: Trail, root: Hypothesis) -> Search:
        again = yield Open(student.card.prompt("Once more?"))
        opened.extend(student.tokenizer.decode(list(one.source)) for one in (root, again))

    with Solver(shown) as solver:
        source = shown.card.prompt(examples[0].question)
        solver.scheduler.submit(source, Trail("q", SearchSettings()), ask_again)
        solver.scheduler.run()
    assert len(opened) == 2
    assert all(text.startswith(preamble) for text in opened)


def test_settings_that_a_student_cannot_serve_are_refused_at_once(
    solver: Solver, examples: list[Example]
) -> None:
    with pytest.raises(ConfigError, match=r"weights.value: needs scorers.value"):
        solver.solve_batch([examples[0].question], strategy="vote", weights=Weights(value=1))
    assert solver.scheduler.idle
