"""One thread that decodes for many requests: a search joins between two ticks."""

from __future__ import annotations

import asyncio
import contextlib
import math
import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pad_ray.base.errors import PadError
from pad_ray.decoding.hypothesis import Step
from pad_ray.decoding.search import Node
from pad_ray.decoding.settings import SearchSettings
from pad_ray.decoding.solution import Solution

if TYPE_CHECKING:
    from pad_ray.decoding.scheduler import Job
    from pad_ray.decoding.solver import Solver

# Seconds between two calls of `on_border`.
_TELL_S = 0.2


class LoopClosedError(Exception):
    """The student has left this replica's memory, or its loop has died."""


@dataclass(eq=False)
class Timing:
    """When a search left the queue, and where the replica's time went until it ended.

    `seconds` are of the whole batch: searches share each call of the student and the scorers.
    """

    joined_ns: int | None = None
    seconds: dict[str, float] = field(default_factory=dict)
    _before: dict[str, float] = field(default_factory=dict)

    def join(self, now_ns: int, sums: Mapping[str, float]) -> None:
        """Begin between two ticks, with the sums of seconds so far."""
        self.joined_ns = now_ns
        self._before = dict(sums)

    def end(self, sums: Mapping[str, float], answer_s: float) -> None:
        """End with the sums of seconds, and those of running the programs of answers."""
        self.seconds = {part: sums[part] - self._before[part] for part in sums}
        self.seconds["answer"] = answer_s


@dataclass(eq=False)
class Listener:
    """What a request wants to hear while it is searched; called in its own event loop."""

    on_nodes: Callable[[Sequence[Node]], None] | None = None
    on_settled: Callable[[Sequence[Step]], None] | None = None
    timing: Timing = field(default_factory=Timing)


@dataclass(eq=False)
class _Ticket:
    question: str
    settings: SearchSettings
    listener: Listener
    home: asyncio.AbstractEventLoop
    future: asyncio.Future[Solution]
    job: Job | None = None
    cancelled: bool = False
    deadline: float = math.inf

    def __post_init__(self) -> None:
        # What a request may take counts its time in the queue.
        if self.settings.budget_s is not None:
            self.deadline = time.monotonic() + self.settings.budget_s

    def cancel(self) -> None:
        self.cancelled = True
        if self.job is not None:
            self.job.cancelled = True

    def call(self, function: Callable[..., Any], *arguments: Any) -> None:
        # The request's loop may be gone with its process's end.
        with contextlib.suppress(RuntimeError):
            self.home.call_soon_threadsafe(function, *arguments)

    def resolve(self, solution: Solution) -> None:
        self.call(self._end, solution, None)

    def reject(self, error: BaseException) -> None:
        self.call(self._end, None, error)

    def _end(self, solution: Solution | None, error: BaseException | None) -> None:
        if self.future.done():
            return
        if error is not None:
            self.future.set_exception(error)
        elif solution is not None:
            self.future.set_result(solution)

    def hooks(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name in ("on_nodes", "on_settled"):
            heard = getattr(self.listener, name)
            if heard is not None:
                found[name] = lambda what, heard=heard: self.call(heard, what)
        return found


@dataclass
class DecodingLoop:
    """A solver of its own thread; `solve` may be called from any event loop, many at a time.

    `on_border` is called in that thread with the solver, a few times a second and when a search
    ends.
    """

    solver: Solver
    on_border: Callable[[Solver], None] | None = None
    _inbox: queue.SimpleQueue[_Ticket | None] = field(default_factory=queue.SimpleQueue)
    _tickets: dict[int, _Ticket] = field(default_factory=dict)
    _finished: list[Job] = field(default_factory=list)
    _closed: bool = False
    _told: float = 0.0

    def __post_init__(self) -> None:
        self._thread = threading.Thread(target=self._run, name="decoding", daemon=True)
        self._thread.start()

    @property
    def searches(self) -> int:
        """Searches that wait or run."""
        return len(self._tickets) + self._inbox.qsize()

    async def solve(
        self, question: str, settings: SearchSettings, listener: Listener | None = None
    ) -> Solution:
        """Answer a question; if the caller is cancelled, its rows are freed at the next tick.

        Raises `ConfigError` for what the student cannot serve, `LoopClosedError` where the loop
        has ended.
        """
        if self.closed:
            raise LoopClosedError
        home = asyncio.get_running_loop()
        ticket = _Ticket(question, settings, listener or Listener(), home, home.create_future())
        self._inbox.put(ticket)
        try:
            return await ticket.future
        finally:
            ticket.cancel()

    @property
    def closed(self) -> bool:
        """Tell whether it takes no more."""
        return self._closed or not self._thread.is_alive()

    def __del__(self) -> None:
        # Serve's multiplexing calls this, in a thread, where it drops a student.
        self.close()

    def close(self) -> None:
        """Finish what runs, and end; blocks until then."""
        if not self._closed:
            self._closed = True
            self._inbox.put(None)
            self._thread.join()
            self.solver.close()

    def _run(self) -> None:
        closing = False
        while not (closing and self.solver.scheduler.idle):
            closing = self._take(closing) or closing
            try:
                self._step()
            except Exception as error:
                self._fail(error)
        # Whoever came after the end is sent elsewhere.
        with contextlib.suppress(queue.Empty):
            while True:
                ticket = self._inbox.get_nowait()
                if ticket is not None:
                    ticket.reject(LoopClosedError())

    def _take(self, closing: bool) -> bool:
        """Begin what has come, waiting for it where there is nothing to do; tell of the end."""
        while True:
            wait = self.solver.scheduler.idle and not closing
            try:
                ticket = self._inbox.get(block=wait)
            except queue.Empty:
                return False
            if ticket is None:
                return True
            self._begin(ticket)

    def _begin(self, ticket: _Ticket) -> None:
        if ticket.cancelled:
            return
        try:
            job = self.solver.submit(
                ticket.question,
                ticket.settings,
                on_done=self._finished.append,
                deadline=ticket.deadline,
                **ticket.hooks(),
            )
        except PadError as error:
            ticket.reject(error)
            return
        ticket.job = job
        job.cancelled = ticket.cancelled
        self._tickets[job.number] = ticket

    def _step(self) -> None:
        if not self.solver.scheduler.idle:
            self._scheduled_step()
        done, self._finished[:] = list(self._finished), []
        wanted = [job for job in done if not job.cancelled]
        started = time.perf_counter()
        solutions = [None if job.error else self.solver.solution(job) for job in wanted]
        answer_s = time.perf_counter() - started
        tickets = {job.number: self._tickets.pop(job.number) for job in done}
        for job, solution in zip(wanted, solutions, strict=True):
            ticket = tickets[job.number]
            # Out of budget in the queue, it never joined.
            if ticket.listener.timing.joined_ns is not None:
                ticket.listener.timing.end(self.solver.scheduler.seconds, answer_s)
            if solution is None:
                assert job.error is not None
                ticket.reject(job.error)
            else:
                ticket.resolve(solution)
        if self.on_border is not None and (done or started - self._told >= _TELL_S):
            self._told = started
            self.on_border(self.solver)

    def _scheduled_step(self) -> None:
        border, sums = time.time_ns(), dict(self.solver.scheduler.seconds)
        self.solver.scheduler.step()
        for ticket in self._tickets.values():
            timing, job = ticket.listener.timing, ticket.job
            if timing.joined_ns is None and job is not None and job.search is not None:
                timing.join(border, sums)

    def _fail(self, error: Exception) -> None:
        """A bug: all that was in work is lost with its rows."""
        for ticket in self._tickets.values():
            ticket.reject(error)
        self._tickets.clear()
        self._finished.clear()
        self.solver.reset()
