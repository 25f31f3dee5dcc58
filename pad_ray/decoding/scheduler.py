"""Answers the requests of many searches at once: one engine, one batch a scorer, one sandbox call.

Its unit is the tick, one pass of the student: between two of them searches join where there are
rows, end where they are cancelled, late or out of budget, and go on where they have what they asked
for. Scorers and the sandbox work in a thread beside the ticks of those who do not wait for them.
"""

from __future__ import annotations

import itertools
import logging
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from pad_ray.base.errors import ResourceError
from pad_ray.decoding.engine import Engine
from pad_ray.decoding.growth import Grow, Growth
from pad_ray.decoding.hypothesis import Hypothesis
from pad_ray.decoding.search import (
    Ahead,
    Open,
    Request,
    Run,
    Search,
    Trail,
    Verify,
    with_scores,
)
from pad_ray.decoding.settings import SearchSettings
from pad_ray.decoding.strategies import STRATEGIES, Strategy
from pad_ray.programs.extraction import extract_program
from pad_ray.sandbox import Outcome, OutcomeCache, SandboxError
from pad_ray.students.models import prompt_fits
from pad_ray.verifiers.base import Candidate, StepScorer

_log = logging.getLogger(__name__)

# Scorers cost less a program in a batch: they are asked once so many rows wait for them, or one
# search has waited for about as many ticks as a step has tokens. Programs are run at once. A search
# that is written on meanwhile is to have its judgement by the time that its next step is there.
_IDLE_SHARE = 0.9
_PATIENCE_TICKS = {Verify: 12, Ahead: 3, Run: 2}
# In place of what would have been written ahead.
_NOTHING = object()
# How long a step may wait for scorers and the sandbox where nothing else is to be done.
_WAIT_S = 0.05


@dataclass(eq=False)
class Job:
    """One search: its trail, and where it stands.

    `truncated` says that its budget or its deadline ended it, `error` what did if nothing else
    should have. `held` are the hypotheses that it may grow next. `judged` and `grown` are the
    parts of the answer to `Ahead`, as they come.
    """

    number: int
    source: str
    trail: Trail
    strategy: Strategy
    on_done: Callable[[Job], None] | None = None
    deadline: float = math.inf
    search: Search | None = None
    request: Request | None = None
    growth: Growth | None = None
    judged: Sequence[Hypothesis] | None = None
    grown: Any = None
    held: list[Hypothesis] = field(default_factory=list)
    admitted: float = math.inf
    asked: int = 0
    spent: int = 0
    streamed: int = 0
    done: bool = False
    cancelled: bool = False
    truncated: bool = False
    ending: bool = False
    closing: bool = False
    error: Exception | None = None

    @property
    def settings(self) -> SearchSettings:
        return self.trail.settings

    @property
    def to_grow(self) -> Grow | None:
        """What it wants written, or has in writing."""
        if isinstance(self.request, Ahead):
            return self.request.grow if self.grown is None else None
        return self.request if isinstance(self.request, Grow) else None

    @property
    def to_judge(self) -> Verify | Run | None:
        """What scorers and sandbox are to say."""
        if isinstance(self.request, Ahead):
            return self.request.verify if self.judged is None else None
        return self.request if isinstance(self.request, Verify | Run) else None

    @property
    def tokens(self) -> int:
        """Tokens written for it so far, those of dropped hypotheses too."""
        return self.spent + (0 if self.growth is None else self.growth.written)

    def is_over(self, now: float) -> bool:
        """Tell whether it has used up its tokens or its time, or its caller's."""
        s = self.settings
        if now >= self.deadline or (s.budget_s is not None and now - self.admitted >= s.budget_s):
            return True
        return s.budget_tokens is not None and self.tokens >= s.budget_tokens


class Scheduler:
    """Runs searches; not thread-safe; close it. `seconds` says where the time went.

    Those of scorers and the sandbox pass beside those of the student.
    """

    def __init__(
        self, engine: Engine, scorers: Mapping[str, StepScorer], outcomes: OutcomeCache | None
    ) -> None:
        self.engine = engine
        self.seconds = dict.fromkeys(("generate", "arrange", *scorers, "run"), 0.0)
        self._scorers = scorers
        self._outcomes = outcomes
        self._waiting: list[Job] = []
        self._jobs: list[Job] = []
        self._numbers = itertools.count()
        self._ticks = 0
        self._tick_s = 0.0
        self._stopped: list[Growth] = []
        self._judges = ThreadPoolExecutor(1, thread_name_prefix="judges")
        self._asked: Future[list[tuple[Job, Any]]] | None = None
        # Searches that scorers should forget, once they are not asked.
        self._ended: list[int] = []

    def submit(
        self,
        source: str,
        trail: Trail,
        strategy: Strategy | None = None,
        on_done: Callable[[Job], None] | None = None,
        deadline: float = math.inf,
    ) -> Job:
        """Queue a search for the answer to the trail's question; `source` is its prompt.

        `strategy` is used in place of the one that the trail's settings name. `deadline`
        (`time.monotonic`) counts the time in the queue too, the settings' budgets do not.
        """
        chosen = strategy or STRATEGIES[trail.settings.strategy]
        job = Job(next(self._numbers), source, trail, chosen, on_done, deadline)
        self._waiting.append(job)
        return job

    @property
    def idle(self) -> bool:
        """Tell whether there is nothing to do."""
        return not self._waiting and not self._jobs

    def step(self) -> None:
        """Do what there is to do between two ticks, and tick once."""
        self._end_what_is_over()
        self._admit()
        self._answer()
        self._arrange()
        if self.engine.at_work:
            started = time.perf_counter()
            with self._timed("generate"):
                self.engine.tick()
            self._tick_s = time.perf_counter() - started
            self._ticks += 1
            self._collect()
        if self.idle:
            # Rows and what scorers remember are let go of, though no step may follow.
            self._arrange()
            if self._asked is None:
                self._forget(self._ended)
                self._ended = []

    def run(self) -> None:
        """Work until all searches are done."""
        while not self.idle:
            self.step()

    def close(self) -> None:
        """Give up all searches; waits for scorers and sandbox to end what they are at."""
        self._judges.shutdown(wait=True, cancel_futures=True)
        numbers = [*self._ended, *(job.number for job in self._jobs)]
        for job in (*self._waiting, *self._jobs):
            job.done = job.cancelled = True
        self._waiting, self._jobs, self._asked = [], [], None
        self._forget(numbers)

    def _end_what_is_over(self) -> None:
        now = time.monotonic()
        for job in [j for j in self._waiting if j.cancelled or now >= j.deadline]:
            self._waiting.remove(job)
            job.truncated = not job.cancelled
            self._end(job)
        for job in list(self._jobs):
            if job.cancelled:
                self._end(job)
            elif not job.ending and job.is_over(now):
                job.ending = True
                self._cut(job)

    def _cut(self, job: Job) -> None:
        """Answer a search that writes with what it has written, or end one that was about to."""
        if job.growth is not None:
            job.truncated = True
            found = [self.engine.cut(group) for group in job.growth.groups]
            self._stopped.append(job.growth)
            self._take_grown(job, found)
        elif isinstance(job.request, Ahead):
            self._take_grown(job, _NOTHING)
        elif job.to_grow is not None:
            self._refuse(job)

    def _refuse(self, job: Job) -> None:
        """End a search that asks for more than its budget."""
        assert job.search is not None
        job.truncated = True
        job.search.close()
        self._close(job)

    def _admit(self) -> None:
        """Start as many waiting searches as there are rows for, in order; one at least."""
        most = self.engine.max_rows
        # So that no search has all rows: others share them with it.
        largest = math.inf if most is None else max(1, most // 2)
        used = sum(min(job.settings.rows_at_work, largest) for job in self._jobs)
        while self._waiting:
            wanted = min(self._waiting[0].settings.rows_at_work, largest)
            if most is not None and used and used + wanted > most:
                return
            used += wanted
            job = self._waiting.pop(0)
            job.admitted = time.monotonic()
            self._jobs.append(job)
            (root,) = self.engine.open([job.source])
            job.search = job.strategy(job.trail, root)
            job.held = [root]
            self._resume(job, None)

    def _take_grown(self, job: Job, found: Any) -> None:
        """Answer a search by what was written for it."""
        if job.growth is not None:
            job.spent += job.growth.written
            job.growth = None
        if isinstance(job.request, Ahead):
            # What has been written already stays, whatever its budget.
            job.grown = found if job.grown is None else job.grown
            self._resume_ahead(job)
        else:
            self._resume(job, found)

    def _take_judged(self, job: Job, answer: Any) -> None:
        """Answer a search by what scorers or sandbox say."""
        if isinstance(job.request, Ahead):
            job.judged = answer
            try:
                job.request.on_judged(answer)
            except Exception as error:
                self._fail(job, error)
                return
            self._resume_ahead(job)
        else:
            self._resume(job, answer)

    def _resume_ahead(self, job: Job) -> None:
        if job.judged is not None and job.grown is not None:
            self._resume(job, (job.judged, None if job.grown is _NOTHING else job.grown))

    def _resume(self, job: Job, answer: Any) -> None:
        """Send a search its answer and take its next request, or end it."""
        assert job.search is not None
        job.judged = job.grown = None
        job.ending = job.ending or job.is_over(time.monotonic())
        job.asked = self._ticks
        try:
            job.request = job.search.send(answer)
        except StopIteration:
            self._close(job)
        except Exception as error:
            self._fail(job, error)
        else:
            if job.ending and isinstance(job.request, Grow | Open):
                self._refuse(job)
            elif job.ending and isinstance(job.request, Ahead):
                job.grown = _NOTHING

    def _close(self, job: Job) -> None:
        """Have the answer's program run where it was not yet, and end the search."""
        trail = job.trail
        job.closing, job.request = True, None
        if trail.is_answered and trail.outcome is None and not trail.reads_text:
            assert trail.best is not None
            program = extract_program(trail.best.text)
            if program is not None and self._outcomes is not None:
                job.request = Run((program,))
                return
        self._end(job)

    def _fail(self, job: Job, error: Exception) -> None:
        """End one search by an error; the others go on."""
        _log.error("a search failed: %s", job.trail.question[:80], exc_info=error)
        job.error = error
        self._end(job)

    def _end(self, job: Job) -> None:
        job.done, job.request = True, None
        if job.search is not None:
            job.search.close()
        if job.growth is not None:
            job.spent += job.growth.written
            self._stopped.append(job.growth)
            job.growth = None
        if job in self._jobs:
            self._jobs.remove(job)
            self._ended.append(job.number)
        if job.trail.best is not None and not job.cancelled:
            job.trail.settle([job.trail.best])
        if job.on_done is not None:
            job.on_done(job)

    def _answer(self) -> None:
        """Answer what asks for something else than growing; ask scorers and sandbox together."""
        while True:
            self._take_answers()
            for job in [job for job in self._jobs if isinstance(job.request, Open)]:
                self._open(job)
            for job in [job for job in self._jobs if self._is_unjudged(job)]:
                self._take_judged(job, _to_verify(job))
            if any(isinstance(job.request, Open) or self._is_unjudged(job) for job in self._jobs):
                continue
            if self._asked is None:
                self._ask()
            if self._asked is None or not self._wait(self._asked):
                return

    def _is_unjudged(self, job: Job) -> bool:
        """Tell whether a search wants to be judged by none of the scorers that there are."""
        weights = job.settings.weights
        return isinstance(job.to_judge, Verify) and not any(
            getattr(weights, name) > 0 for name in self._scorers
        )

    def _wait(self, asked: Future[Any]) -> bool:
        """Wait for scorers and sandbox as long as that delays nobody; tell whether they answered.

        What they answer within a tick's time goes on together with the others.
        """
        busy = self.engine.at_work or any(job.to_grow is not None for job in self._jobs)
        if any(job.to_judge is not None and job.to_grow is None for job in self._jobs):
            wait([asked], self._tick_s if busy else _WAIT_S)
        return asked.done()

    def _take_answers(self) -> None:
        if self._asked is None or not self._asked.done():
            return
        answers, self._asked = self._asked.result(), None
        for job, answer in answers:
            if job.done:
                continue
            if isinstance(answer, _Failure):
                self._fail(job, answer.error)
            elif job.closing:
                (job.trail.outcome,) = answer
                self._end(job)
            else:
                self._take_judged(job, answer)

    def _ask(self) -> None:
        """Ask scorers and sandbox for all that wait for them, where that is enough to pay."""
        jobs = [job for job in self._jobs if job.to_judge is not None]
        if not jobs:
            return
        late = any(self._ticks - job.asked >= _PATIENCE_TICKS[type(job.request)] for job in jobs)
        writing = self.engine.at_work
        if writing and not late and self.engine.idle_share < _IDLE_SHARE:
            return
        ended, self._ended = self._ended, []
        self._asked = self._judges.submit(self._judged, jobs, ended)

    def _judged(self, jobs: Sequence[Job], ended: Sequence[int]) -> list[tuple[Job, Any]]:
        """Answer requests, in the judges' thread."""
        self._forget(ended)
        found: list[tuple[Job, Any]] = []
        kinds: tuple[tuple[type, Callable[..., Any]], ...] = (
            (Verify, self._verify),
            (Run, self._run),
        )
        for kind, answer in kinds:
            asking = [job for job in jobs if isinstance(job.to_judge, kind)]
            found += _each(asking, answer)
        return found

    def _verify(self, jobs: Sequence[Job]) -> list[tuple[Hypothesis, ...]]:
        judged = {job.number: list(_to_verify(job)) for job in jobs}
        for name, scorer in self._scorers.items():
            asking = [job for job in jobs if getattr(job.settings.weights, name) > 0]
            candidates = [_candidate(job, h) for job in asking for h in _to_verify(job)]
            if not candidates:
                continue
            with self._timed(name):
                scores = iter(scorer.score(candidates))
            for job in asking:
                judged[job.number] = [
                    with_scores(h, name, next(scores)) for h in judged[job.number]
                ]
        return [tuple(judged[job.number]) for job in jobs]

    def _run(self, jobs: Sequence[Job]) -> list[list[Outcome]]:
        programs = [job.request.programs for job in jobs if isinstance(job.request, Run)]
        assert self._outcomes is not None, "this scheduler runs no programs"
        with self._timed("run"):
            outcomes = iter(self._outcomes.run([text for texts in programs for text in texts]))
        return [[next(outcomes) for _ in texts] for texts in programs]

    def _forget(self, numbers: Sequence[int]) -> None:
        for scorer in self._scorers.values():
            for number in numbers:
                scorer.forget(number)

    def _open(self, job: Job) -> None:
        assert isinstance(job.request, Open)
        source = self.engine.student.card.preamble + job.request.source
        root = None
        if prompt_fits(self.engine.student, source):
            (root,) = self.engine.open([source])
            job.held.append(root)
        self._resume(job, root)

    def _arrange(self) -> None:
        """Begin what searches want written, and let go of what none needs."""
        fresh = [job for job in self._jobs if job.to_grow is not None and job.growth is None]
        stopped, self._stopped = self._stopped, []
        engine = self.engine
        over = self.idle and engine.rows_in_use > 0
        if not (fresh or stopped or over or engine.may_begin or engine.is_sparse):
            return
        starting = set(map(id, fresh))
        held = [h for job in self._jobs if id(job) not in starting for h in job.held]
        with self._timed("arrange"):
            grows = [job.to_grow for job in fresh if job.to_grow is not None]
            begun = engine.arrange(grows, stopped, held)
        for job, growth in zip(fresh, begun, strict=True):
            job.growth, job.held, job.streamed = growth, [], 0

    def _collect(self) -> None:
        """Hand out what was written by the last tick."""
        for job in list(self._jobs):
            growth = job.growth
            if growth is None:
                continue
            if growth.done:
                found = [self.engine.results(group) for group in growth.groups]
                job.held = [*growth.grow.keep, *(h for f in found for h in f if not h.finished)]
                self._take_grown(job, found)
            elif growth.grow.stands and job.trail.on_settled is not None:
                self._stream(job, growth)

    def _stream(self, job: Job, growth: Growth) -> None:
        """Report statements of a program that will stand, as they are written."""
        ends = sum(len(line.ends) for line in growth.lines)
        if ends > job.streamed:
            job.streamed = ends
            stable = self.engine.stable(growth.groups[0])
            if stable is not None:
                job.trail.settle([stable])

    @contextmanager
    def _timed(self, what: str) -> Iterator[None]:
        started = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[what] += time.perf_counter() - started


@dataclass(frozen=True)
class _Failure:
    """An error in place of an answer."""

    error: Exception


def _each(jobs: Sequence[Job], answer: Callable[..., Sequence[Any]]) -> list[tuple[Job, Any]]:
    """Answer jobs in one batch, or where that fails one by one, so that an error is its job's.

    Raises `ResourceError` where the sandbox itself cannot work: that is no question's fault.
    """
    if not jobs:
        return []
    try:
        return list(zip(jobs, answer(jobs), strict=True))
    except SandboxError as error:
        raise ResourceError(f"sandbox: {error}") from error
    except Exception as error:
        if len(jobs) == 1:
            return [(jobs[0], _Failure(error))]
    return [pair for job in jobs for pair in _each([job], answer)]


def _to_verify(job: Job) -> tuple[Hypothesis, ...]:
    request = job.to_judge
    assert isinstance(request, Verify)
    return request.hypotheses


def _candidate(job: Job, hypothesis: Hypothesis) -> Candidate:
    codes = [step.code for step in hypothesis.steps]
    first = len(codes) - hypothesis.fresh
    return Candidate(
        job.number,
        hypothesis.parent,
        hypothesis.number,
        job.trail.question,
        "".join(codes[:first]),
        tuple(codes[first:]),
        hypothesis.finished,
        job.settings.forbid_negative,
        tuple(step.logit for step in hypothesis.steps[first:] if step.logit is not None),
    )
