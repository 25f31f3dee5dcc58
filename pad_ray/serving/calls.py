"""Calls to the solver replicas: given on when a replica dies, refused when all are full."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

from ray.exceptions import RayActorError
from ray.serve.exceptions import BackPressureError, DeploymentUnavailableError
from ray.serve.handle import DeploymentHandle, DeploymentResponseGenerator

from pad_ray.serving.errors import OVERLOADED, ApiError, overloaded
from pad_ray.serving.messages import Answered, Ask, Event
from pad_ray.serving.settings import ServingSettings
from pad_ray.serving.tracing import Tracing, asked, ended

# Between two attempts to find a place.
_PAUSE_S = 0.3

logger = logging.getLogger("ray.serve")


class Solvers:
    """The solver deployment as the ingress sees it."""

    def __init__(self, settings: ServingSettings, handle: DeploymentHandle[Any]) -> None:
        self._tries = settings.tries
        self._several = len(settings.students) > 1
        self._handle = handle
        self.tracing = Tracing(settings.tracing)

    async def solve(self, ask: Ask) -> Answered:
        """Return the answer, or raise `ApiError`."""
        self.tracing.note(asked(ask))
        for tried in range(1, self._tries + 1):
            response = self._to(ask).solve.remote(self._sent(ask))
            try:
                found = await response
            except asyncio.CancelledError:
                response.cancel()  # type: ignore[no-untyped-call]
                raise
            except BackPressureError as error:
                raise overloaded() from error
            except (RayActorError, DeploymentUnavailableError) as error:
                self._died(ask, tried, error)
                continue
            self.tracing.note(ended(found))
            if isinstance(found, ApiError):
                raise found
            assert isinstance(found, Answered)
            return found
        raise overloaded("the replicas that this was given to have died")

    async def solve_when_free(self, ask: Ask) -> Answered:
        """Return the answer, having waited for a place where all are taken; or raise `ApiError`.

        The wait is a part of the budget. One question of many waits in place of its caller, who
        would have to send all of them again.
        """
        assert ask.search.budget_s is not None
        ends = time.monotonic() + ask.search.budget_s
        while True:
            try:
                return await self.solve(ask)
            except ApiError as error:
                if error.code != OVERLOADED or ends - time.monotonic() <= _PAUSE_S:
                    raise
            await asyncio.sleep(_PAUSE_S * random.uniform(0.5, 1))
            left = ends - time.monotonic()
            ask = replace(ask, search=ask.search.model_copy(update={"budget_s": left}))

    async def stream(self, ask: Ask) -> AsyncIterator[Event | None]:
        """Yield events, the end last; None says that all so far is void, and comes again."""
        self.tracing.note(asked(ask))
        for tried in range(1, self._tries + 1):
            events = self._to(ask).options(stream=True).stream.remote(self._sent(ask))
            assert isinstance(events, DeploymentResponseGenerator)
            try:
                async for event in events:
                    if event.end is not None:
                        self.tracing.note(ended(event.end))
                    yield event
                return
            except BackPressureError as error:
                raise overloaded() from error
            except (RayActorError, DeploymentUnavailableError) as error:
                self._died(ask, tried, error)
                yield None
            finally:
                events.cancel()  # type: ignore[no-untyped-call]
        raise overloaded("the replicas that this was given to have died")

    def _to(self, ask: Ask) -> DeploymentHandle[Any]:
        if self._several:
            return self._handle.options(multiplexed_model_id=ask.student)
        return self._handle

    def _sent(self, ask: Ask) -> Ask:
        return replace(ask, trace=self.tracing.sent())

    def _died(self, ask: Ask, tried: int, error: Exception) -> None:
        self.tracing.note({"given_on": tried})
        logger.warning(
            "replica died under a request",
            extra={"solve_id": ask.request_id, "tried": tried, "error": type(error).__name__},
        )
