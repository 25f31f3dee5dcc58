"""The deployment that decodes: a student, its scorers and a sandbox a replica."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from functools import partial
from typing import TYPE_CHECKING

from ray import serve

from pad_ray.base.errors import ConfigError, PadError
from pad_ray.decoding.settings import SearchSettings
from pad_ray.decoding.solution import Solution
from pad_ray.serving.errors import ApiError, bad_field, out_of_time
from pad_ray.serving.loop import DecodingLoop, Listener, LoopClosedError
from pad_ray.serving.messages import Answered, Ask, Event
from pad_ray.serving.metrics import ReplicaMetrics, answer_class
from pad_ray.serving.settings import ServingSettings
from pad_ray.serving.tracing import Tracing, ended

if TYPE_CHECKING:
    from pad_ray.decoding.solver import Solver

logger = logging.getLogger("ray.serve")

_HEALTH = SearchSettings(strategy="greedy", max_new_tokens=4)


class SolverReplica:
    """Holds the students that were asked for last, and searches for many requests at a time."""

    def __init__(self, settings: ServingSettings) -> None:
        self._tracing = Tracing(settings.tracing)
        self._settings = settings
        self._metrics = ReplicaMetrics()
        self._loops: dict[str, DecodingLoop] = {}
        # The default student is there before the first request comes.
        self._open(settings.default_student)

    async def student(self, name: str) -> DecodingLoop:
        """Return a student's loop, loading it where need be."""
        loop = self._loops.get(name)
        if loop is not None and not loop.closed:
            return loop
        return await asyncio.to_thread(self._open, name)

    def _open(self, name: str) -> DecodingLoop:
        # Here, because who only makes the application needs no model, and waits for no import.
        from pad_ray.decoding.solver import Solver

        student = self._settings.students[name]
        solver = Solver.from_pretrained(
            student.path,
            limits=self._settings.sandbox.limits(),
            modules=self._settings.sandbox.modules,
            scorers=student.scorers,
            precision=student.precision,
            max_rows=self._settings.max_rows,
            threads=self._settings.threads,
        )
        loop = DecodingLoop(solver, partial(self._at_border, name))
        self._loops[name] = loop
        return loop

    def _at_border(self, student: str, solver: Solver) -> None:
        self._metrics.at_border(student, solver, self._loops[student].searches)

    async def solve(self, ask: Ask) -> Answered | ApiError:
        """Answer a question; an error for the client is returned, not raised."""
        return await self._solve(ask, Listener())

    async def stream(self, ask: Ask) -> AsyncIterator[Event]:
        """Yield what happens in a search, its end last."""
        events: asyncio.Queue[Event] = asyncio.Queue()
        listener = Listener(
            lambda nodes: events.put_nowait(Event("nodes", nodes=tuple(nodes))),
            lambda steps: events.put_nowait(Event("settled", steps=tuple(steps))),
        )
        task = asyncio.create_task(self._solve(ask, listener))
        task.add_done_callback(lambda done: events.put_nowait(Event("end")))
        try:
            while (event := await events.get()).kind != "end":
                yield event
            yield Event("end", end=task.result())
        finally:
            task.cancel()

    async def _solve(self, ask: Ask, listener: Listener) -> Answered | ApiError:
        with self._tracing.search(ask, listener.timing) as said:
            found = await self._found(ask, listener)
            said |= ended(found)
            return found

    async def _found(self, ask: Ask, listener: Listener) -> Answered | ApiError:
        started = time.monotonic()
        try:
            loop, solution = await self._searched(ask, listener)
        except PadError as error:
            return _refusal(error)
        seconds = time.monotonic() - started
        self._metrics.answered(ask.student, solution, seconds)
        self._log(ask, solution, seconds)
        if not solution.text and solution.truncated and ask.search.budget_s is not None:
            return out_of_time(ask.search.budget_s)
        return Answered(solution, loop.solver.prompt_tokens(ask.question))

    async def _searched(self, ask: Ask, listener: Listener) -> tuple[DecodingLoop, Solution]:
        while True:
            loop: DecodingLoop = await self.student(ask.student)
            try:
                return loop, await loop.solve(ask.question, ask.search, listener)
            except LoopClosedError:
                # The student has just left this replica's memory for another one.
                await asyncio.sleep(0.05)

    def _log(self, ask: Ask, solution: Solution, seconds: float) -> None:
        found = {
            "solve_id": ask.request_id,
            "student": ask.student,
            "strategy": solution.strategy,
            "seconds": round(seconds, 3),
            "tokens": solution.tokens,
            "result": answer_class(solution),
        }
        if self._settings.doors.log_questions:
            found |= {"question": ask.question, "answer": repr(solution.answer)}
        logger.info("solved", extra=found)

    def __del__(self) -> None:
        # Serve calls this when a replica leaves.
        self._tracing.close()

    async def check_health(self) -> None:
        """Decode a few tokens with each student that is loaded."""
        for loop in list(self._loops.values()):
            if not loop.closed:
                await loop.solve("1 + 1?", _HEALTH)


def _refusal(error: PadError) -> ApiError:
    field, _, rest = str(error).partition(": ")
    known = isinstance(error, ConfigError) and rest
    return bad_field(field, str(error)) if known else bad_field("student", str(error))


def replica_class(settings: ServingSettings) -> type[SolverReplica]:
    """Return the deployment's class, which keeps as many students as the settings say."""

    class Solvers(SolverReplica):
        @serve.multiplexed(  # type: ignore[untyped-decorator]
            max_num_models_per_replica=settings.students_a_replica
        )
        async def student(self, name: str) -> DecodingLoop:
            return await SolverReplica.student(self, name)

    return Solvers
