"""A teacher behind any OpenAI-compatible chat endpoint.

The official client speaks the protocol and retries 408, 409, 429, 5xx, timeouts and lost
connections with exponential backoff, or after `Retry-After` where it is at most two minutes. What
one request may be to blame for (refused, a server's fault, a timeout, an answer that is none) costs
only its own samples; too many of them end the run (`flow/failures.py`). What would fail every
request ends it at once: no connection, no key, no such model, no quota.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from itertools import islice
from typing import Any

from pad_ray.base.errors import TeacherError
from pad_ray.base.records import Completion
from pad_ray.flow.ledger import Ledger, LedgerLike
from pad_ray.tasks.base import Exemplar
from pad_ray.teachers.base import Request
from pad_ray.teachers.endpoint.chat import completions
from pad_ray.teachers.endpoint.client import EndpointClient, RequestFailed, RequestRefused
from pad_ray.teachers.endpoint.requests import (
    CHARS_A_TOKEN,
    SEED_MASK,
    chat_body,
    prompt_chars,
    request_seed,
    sample_body,
)
from pad_ray.teachers.endpoint.settings import EndpointAddress, EndpointSettings
from pad_ray.teachers.prompts import Message, Prompt, chat_messages

__all__ = ["EndpointAddress", "EndpointSettings", "EndpointTeacher"]

_CHECK_RETRIES = 2
_FORBIDDEN = 403
_NOT_ASKED = "not asked: the budget is spent"
_CHECK_PROMPT = Message(role="user", content="Answer with the word ok.")


@dataclass(frozen=True)
class EndpointTeacher:
    """Asks a chat model for solutions; `seed` is the run's seed.

    Picklable: the clients and their threads are made at first use and stay in their process.
    Which exemplars are shown turns with the round. `prompt` puts a question to the model: by
    default it asks for a program.
    """

    settings: EndpointSettings
    exemplars: tuple[Exemplar, ...]
    seed: int
    ledger: LedgerLike = field(default_factory=Ledger, compare=False)
    prompt: Prompt = chat_messages

    name = "endpoint"

    def __reduce__(self) -> tuple[Callable[..., EndpointTeacher], tuple[object, ...]]:
        # The ledger stays in its process.
        values = (self.settings, self.exemplars, self.seed)
        return partial(EndpointTeacher, prompt=self.prompt), values

    def with_ledger(self, ledger: LedgerLike) -> EndpointTeacher:
        """Return the teacher with a ledger that it asks before each request."""
        asking = replace(self, ledger=ledger)
        # Made before several threads ask for them; the clients, which may raise, are at first use.
        _ = asking._threads, asking._one_by_one
        return asking

    @property
    def most_tokens(self) -> int:
        """What an answer may have."""
        return self.settings.max_tokens

    def asks(self, request: Request, index: int) -> str:
        """Return 16 hex digits that change with anything that is asked for a sample.

        But for the limit of tokens: what ends before it is the same under another.
        """
        body = self._body(request, (index,))
        del body[self.settings.max_tokens_field]
        text = json.dumps(body, sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]

    @cached_property
    def _endpoints(self) -> list[EndpointClient]:
        return [
            EndpointClient(address, self.settings, self.ledger.key(address.api_key_env))
            for address in self.settings.addresses
        ]

    def keys(self) -> dict[str, str]:
        """Return this process's keys by the names of their variables, for actors elsewhere."""
        names = {address.api_key_env for address in self.settings.addresses}
        return {name: os.environ[name] for name in names if name in os.environ}

    @cached_property
    def _threads(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(self.settings.concurrency, thread_name_prefix="endpoint")

    @cached_property
    def _one_by_one(self) -> threading.Event:
        return threading.Event()

    def check(self) -> None:
        """Send one small chat request to each endpoint with the run's own parameters.

        Listing the models would be cheaper, but not every server can, and it would prove neither
        that the model is there nor that it takes these parameters.
        """
        retries = min(_CHECK_RETRIES, self.settings.max_retries)
        for endpoint in self._endpoints:
            body = chat_body(self.settings, [_CHECK_PROMPT], self.seed & SEED_MASK)
            try:
                endpoint.ask(body, retries)
            except RequestRefused as refusal:
                if refusal.status == _FORBIDDEN:
                    raise endpoint.key_refused(_FORBIDDEN) from None
                raise TeacherError(
                    f"{endpoint.address.base_url} refuses the request: {refusal}; "
                    "set the parameter that it names to what this model takes"
                ) from None

    def complete(self, requests: Sequence[Request]) -> list[list[Completion]]:
        """Return one completion a sample, at most `settings.concurrency` requests in flight.

        Raises TeacherError where every further request would fail too.
        """
        found = {
            (id(request), index): completion
            for request, indices, completions in self.complete_each(requests)
            for index, completion in zip(indices, completions, strict=True)
        }
        missing = Completion("", error=_NOT_ASKED)
        return [
            [found.get((id(request), index), missing) for index in request.sample_indices]
            for request in requests
        ]

    def complete_each(
        self, requests: Sequence[Request]
    ) -> Iterator[tuple[Request, tuple[int, ...], list[Completion]]]:
        """Yield completions as they come; see `PaidTeacher`.

        Another request goes out when one has been taken: what nobody has taken yet is lost with
        the process, and it is paid for.
        """
        size = 1 if self._one_by_one.is_set() else self.settings.n_per_request
        wanted = (
            (request, indices)
            for request in requests
            for indices in _parts(request.sample_indices, size)
        )
        asked: dict[Future[_Answered], tuple[Request, tuple[int, ...]]] = {}
        ended: _Ended | None = None
        while True:
            free = 0 if ended else self.settings.concurrency - len(asked)
            for part in islice(wanted, free):
                asked[self._threads.submit(self._sample, *part)] = part
            if not asked:
                break
            for future in wait(asked, return_when=FIRST_COMPLETED).done:
                request, indices = asked.pop(future)
                completions, error = future.result()
                # What is in flight is paid for: it is waited for, and nothing more is asked.
                ended = ended if isinstance(ended, TeacherError) else error or ended
                if completions:
                    yield request, indices[: len(completions)], completions
        if isinstance(ended, TeacherError):
            raise ended

    def _sample(self, request: Request, indices: tuple[int, ...]) -> _Answered:
        """Ask for these samples together, then one by one for those that did not come.

        Returns the first ones' completions, and what kept the others from being asked for.
        """
        found: list[Completion] = []
        try:
            found += self._ask(request, indices)
            if len(indices) == 1:
                return found or [Completion("", error="the endpoint returned no choice")], None
            took_several = bool(found)
            while len(found) < len(indices):
                one = self._ask(request, (indices[len(found)],))
                found += one or [Completion("", error="the endpoint returned no choice")]
                # Those that answer one by one are not asked for several again.
                if took_several or found[-1].error is None:
                    self._one_by_one.set()
        except (_BudgetSpent, TeacherError) as error:
            return found, error
        return found, None

    def _body(self, request: Request, indices: tuple[int, ...]) -> dict[str, Any]:
        sampling = self.settings
        if request.temperature is not None:
            sampling = sampling.model_copy(update={"temperature": request.temperature})
        return sample_body(
            sampling,
            self.exemplars,
            self.seed,
            request.problem,
            indices[0],
            n=len(indices),
            round_number=request.round,
            prompt=self.prompt,
        )

    def _ask(self, request: Request, indices: tuple[int, ...]) -> list[Completion]:
        body = self._body(request, indices)
        # A sample asks the endpoint that its seed names; the next ones stand in for one that fails.
        seed = request_seed(self.seed, request.problem.problem_id, indices[0])
        order = _by_weight(self._endpoints, seed)
        for turn, endpoint in enumerate(order):
            try:
                answer = self._turn(endpoint, body, len(indices))
            except RequestRefused as refusal:
                # A refusal of several samples may be one of n > 1: asking for one tells.
                return [] if len(indices) > 1 else [Completion("", error=str(refusal))]
            except TeacherError as error:
                if turn + 1 < len(order):
                    continue
                if isinstance(error, RequestFailed):
                    return [Completion("", error=str(error))] * len(indices)
                raise
            else:
                return answer
        raise AssertionError

    def _turn(
        self, endpoint: EndpointClient, body: dict[str, Any], wanted: int
    ) -> list[Completion]:
        """Wait for a turn, ask, and note what it took."""
        address = endpoint.address
        reserved = prompt_chars(body) // CHARS_A_TOKEN + self.settings.max_tokens * body.get("n", 1)
        seconds = self.ledger.reserve(address.door, address.rates, reserved)
        if seconds is None:
            raise _BudgetSpent
        time.sleep(seconds)
        prompt = completion = 0
        try:
            started = time.monotonic()
            answer, retries = endpoint.ask(body, self.settings.max_retries)
            latency_s = round(time.monotonic() - started, 3)
            prompt = answer.usage.prompt_tokens or 0
            completion = answer.usage.completion_tokens or 0
        finally:
            cost = address.cost_usd(prompt, completion) or 0.0
            self.ledger.record(address.door, address.rates, reserved, prompt, completion, cost)
        return [
            replace(endpoint.priced(one), latency_s=latency_s, retries=retries)
            for one in completions(answer, wanted)
        ]


class _BudgetSpent(Exception):
    """The ledger has no room for another request."""


_Ended = _BudgetSpent | TeacherError
# Completions of the first samples of a request, and what kept the others from being asked for.
_Answered = tuple[list[Completion], _Ended | None]


def _parts(indices: tuple[int, ...], size: int) -> Iterator[tuple[int, ...]]:
    for at in range(0, len(indices), size):
        yield indices[at : at + size]


def _by_weight(endpoints: Sequence[EndpointClient], seed: int) -> list[EndpointClient]:
    """Return the endpoint that a seed falls on, by weight, and after it the others in order."""
    point = seed / (SEED_MASK + 1) * sum(one.address.weight for one in endpoints)
    first = 0
    for first, one in enumerate(endpoints):  # noqa: B007
        point -= one.address.weight
        if point < 0:
            break
    return [*endpoints[first:], *endpoints[:first]]
