"""Answers the requests of many searches at once: one engine, one batch a scorer, one sandbox call.

A search joins at the next step border and leaves when it is done, cancelled or out of budget;
others are not delayed by more than a step.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pad_ray.decoding.engine import Engine, Grow, Growth
from pad_ray.decoding.hypothesis import Hypothesis
from pad_ray.decoding.search import Open, Request, Run, Search, Trail, Verify, with_scores
from pad_ray.decoding.settings import SearchSettings
from pad_ray.decoding.strategies import STRATEGIES, Strategy
from pad_ray.sandbox import Sandbox
from pad_ray.students.models import prompt_fits
from pad_ray.verifiers.base import Candidate, StepScorer

# Where so many rows write nothing any more, stopping to let their searches go on pays.
_IDLE_SHARE = 0.3
# Where this share of rows is of no use any more, the others are packed anew.
_WASTED_SHARE = 0.5


@dataclass
class Job:
    """One search: its trail, and where it stands."""

    number: int
    source: str
    trail: Trail
    strategy: Strategy
    on_done: Callable[[Job], None] | None = None
    search: Search | None = None
    request: Request | None = None
    growth: Growth | None = None
    started: float = field(default_factory=time.monotonic)
    spent: int = 0
    done: bool = False
    cancelled: bool = False
    truncated: bool = False
    error: Exception | None = None

    @property
    def settings(self) -> SearchSettings:
        return self.trail.settings

    @property
    def tokens(self) -> int:
        """Tokens written for it so far, those of dropped hypotheses too."""
        return self.spent + (0 if self.growth is None else self.growth.written)

    def over_budget(self) -> bool:
        """Tell whether it has used up its tokens or its time."""
        s = self.settings
        late = s.budget_s is not None and time.monotonic() - self.started >= s.budget_s
        return late or (s.budget_tokens is not None and self.tokens >= s.budget_tokens)


class Scheduler:
    """Runs searches; not thread-safe. `seconds` says where the time went."""

    def __init__(
        self,
        engine: Engine,
        scorers: Mapping[str, StepScorer],
        sandbox: Sandbox | None,
        max_rows: int = 64,
    ) -> None:
        self.engine = engine
        self.seconds = dict.fromkeys(("generate", "arrange", *scorers, "run"), 0.0)
        self._scorers = scorers
        self._sandbox = sandbox
        self._max_rows = max_rows
        self._waiting: list[Job] = []
        self._jobs: list[Job] = []
        self._numbers = itertools.count()

    def submit(
        self,
        source: str,
        trail: Trail,
        strategy: Strategy | None = None,
        on_done: Callable[[Job], None] | None = None,
    ) -> Job:
        """Queue a search for the answer to the trail's question; `source` is its prompt.

        `strategy` is used in place of the one that the trail's settings name.
        """
        chosen = strategy or STRATEGIES[trail.settings.strategy]
        job = Job(next(self._numbers), source, trail, chosen, on_done)
        self._waiting.append(job)
        return job

    @property
    def idle(self) -> bool:
        """Tell whether there is nothing to do."""
        return not self._waiting and not self._jobs

    def step(self) -> None:
        """Work until the next step border at most."""
        self._admit()
        self._answer()
        stopped = self._stop()
        growing = [job for job in self._jobs if isinstance(job.request, Grow)]
        fresh = [job for job in growing if job.growth is None]
        if fresh or stopped or not self._jobs or self.engine.free_share >= _WASTED_SHARE:
            with self._timed("arrange"):
                grows = [job.request for job in fresh if isinstance(job.request, Grow)]
                begun = self.engine.arrange(grows, stopped)
            for job, growth in zip(fresh, begun, strict=True):
                job.growth = growth
        with self._timed("generate"):
            self._write()
        self._collect()

    def run(self) -> None:
        """Work until all searches are done."""
        while not self.idle:
            self.step()

    def _admit(self) -> None:
        """Start as many waiting searches as there are rows for, in order; one at least."""
        used = sum(job.settings.rows_at_work for job in self._jobs)
        joining: list[Job] = []
        while self._waiting:
            job = self._waiting[0]
            if used and used + job.settings.rows_at_work > self._max_rows:
                break
            used += job.settings.rows_at_work
            joining.append(self._waiting.pop(0))
        joining = [job for job in joining if not self._ended(job)]
        if not joining:
            return
        with self._timed("generate"):
            roots = self.engine.open([job.source for job in joining])
        for job, root in zip(joining, roots, strict=True):
            job.search = job.strategy(job.trail, root)
            self._jobs.append(job)
            self._resume(job, None)

    def _resume(self, job: Job, answer: Any) -> None:
        """Send a search its answer and take its next request, or end it."""
        assert job.search is not None
        try:
            if job.growth is not None:
                job.spent += job.growth.written
                job.growth = None
            job.request = job.search.send(answer)
        except StopIteration:
            self._end(job)

    def _end(self, job: Job) -> None:
        job.done, job.request = True, None
        if job.search is not None:
            job.search.close()
        if job in self._jobs:
            self._jobs.remove(job)
        if job.trail.best is not None and not job.cancelled:
            job.trail.settle([job.trail.best])
        for scorer in self._scorers.values():
            scorer.forget(job.number)
        if job.on_done is not None:
            job.on_done(job)

    def _ended(self, job: Job) -> bool:
        """End a search that is cancelled or out of budget; what it offered last is its answer."""
        if not job.cancelled and not job.over_budget():
            return False
        job.truncated = not job.cancelled
        self._end(job)
        return True

    def _stop(self) -> list[Growth]:
        """End searches whose budget is over; return their growths."""
        ended = [job for job in list(self._jobs) if self._ended(job)]
        return [job.growth for job in ended if job.growth is not None]

    def _answer(self) -> None:
        """Answer all that asks for something else than growing, each kind in one batch."""
        while True:
            asking = [job for job in self._jobs if not isinstance(job.request, Grow)]
            asking = [job for job in asking if not self._ended(job)]
            if not asking:
                return
            for kind, answer in ((Verify, self._verify), (Run, self._run), (Open, self._open)):
                jobs = [job for job in asking if isinstance(job.request, kind)]
                if jobs:
                    for job, result in zip(jobs, answer(jobs), strict=True):
                        self._resume(job, result)

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

    def _run(self, jobs: Sequence[Job]) -> list[list[Any]]:
        programs = [job.request.programs for job in jobs if isinstance(job.request, Run)]
        assert self._sandbox is not None, "this scheduler runs no programs"
        with self._timed("run"):
            outcomes = iter(self._sandbox.run([text for texts in programs for text in texts]))
        return [[next(outcomes) for _ in texts] for texts in programs]

    def _open(self, jobs: Sequence[Job]) -> list[Hypothesis | None]:
        sources = [job.request.source for job in jobs if isinstance(job.request, Open)]
        fit = [prompt_fits(self.engine.student, source) for source in sources]
        opened = [source for source, fits in zip(sources, fit, strict=True) if fits]
        roots = iter(self.engine.open(opened) if opened else ())
        return [next(roots) if fits else None for fits in fit]

    def _write(self) -> None:
        """Tick until enough searches have what they asked for, or one is out of budget."""
        while self.engine.at_work:
            self.engine.tick()
            finished = False
            for job in self._jobs:
                finished = finished or (job.growth is not None and job.growth.done)
                if job.over_budget() or job.cancelled:
                    return
            if self.engine.free_share >= _WASTED_SHARE:
                return
            if finished and (self._waiting or self.engine.idle_share >= _IDLE_SHARE):
                return

    def _collect(self) -> None:
        for job in list(self._jobs):
            growth = job.growth
            if growth is not None and growth.done:
                self._resume(job, [self.engine.results(group) for group in growth.groups])

    def _timed(self, what: str) -> _Timed:
        return _Timed(self.seconds, what)


class _Timed:
    """Adds the time of a block to a sum."""

    def __init__(self, sums: dict[str, float], what: str) -> None:
        self._sums, self._what = sums, what

    def __enter__(self) -> None:
        self._started = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        self._sums[self._what] += time.perf_counter() - self._started


def _to_verify(job: Job) -> tuple[Hypothesis, ...]:
    assert isinstance(job.request, Verify)
    return job.request.hypotheses


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
