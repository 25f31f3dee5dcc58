"""A teacher behind any OpenAI-compatible chat endpoint.

The official client speaks the protocol and retries 408, 409, 429, 5xx, timeouts and lost
connections with exponential backoff, or after `Retry-After` where it is at most two minutes. What
is still failing then ends the run: it can be resumed once the endpoint is back, whereas a row
rejected for an outage would be lost. A request refused for its own sake (400, 413, 422: content
filter, prompt too long) costs only its own samples.
"""

from __future__ import annotations

import hashlib
import ipaddress
import os
import threading
from collections.abc import Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, cast
from urllib.parse import urlsplit

import openai
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from pad_ray.errors import TeacherError
from pad_ray.records import Completion
from pad_ray.tasks.base import Exemplar
from pad_ray.teachers.base import Request
from pad_ray.teachers.chat import ChatAnswer, completions, one_line
from pad_ray.teachers.prompts import Message, chat_messages

__all__ = ["EndpointSettings", "EndpointTeacher"]

_NO_KEY = "none"
_CHECK_RETRIES = 2
_SEED_MASK = 2**31 - 1
_CHECK_PROMPT = Message(role="user", content="Answer with the word ok.")


class EndpointSettings(BaseModel):
    """Where the teacher is and how it samples."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", hide_input_in_errors=True, use_attribute_docstrings=True
    )

    base_url: str
    """Address of the API up to and including its version, as in http://127.0.0.1:8000/v1."""

    model: str = Field(min_length=1)
    """Model name as the endpoint knows it."""

    api_key_env: str = Field(default="OPENAI_API_KEY", min_length=1)
    """Environment variable that holds the key; on a loopback address it may be unset."""

    temperature: float | None = Field(default=0.7, ge=0)
    """Sampling temperature; null leaves it to the endpoint."""

    top_p: float | None = Field(default=1.0, gt=0, le=1)
    """Nucleus sampling mass; null leaves it to the endpoint, whose own default may be below 1."""

    max_tokens: int = Field(default=512, ge=1)
    """Longest completion, in tokens; a longer one is cut and kept."""

    max_tokens_field: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    """Name of the length limit in the request; OpenAI's reasoning models want the second."""

    send_seed: bool = True
    """Send a seed with each request; turn off for endpoints that refuse the field."""

    timeout_s: float = Field(default=60, gt=0)
    """Longest wait for one answer, in seconds."""

    max_retries: int = Field(default=6, ge=0)
    """Further attempts after 408, 409, 429, 5xx, a timeout or a lost connection."""

    concurrency: int = Field(default=8, ge=1)
    """Requests in flight at once, per actor."""

    shots: int = Field(default=4, ge=0)
    """Worked examples in the prompt."""

    n_per_request: int = Field(default=1, ge=1, le=128)
    """Samples asked for in one request.

    One gives every sample its own seed, so that resumed runs repeat, and true token counts on
    servers that count only the first choice. More saves prompt tokens where these are billed;
    endpoints that ignore or refuse it are then asked one by one.
    """

    @field_validator("base_url")
    @classmethod
    def _plain_url(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("give an http:// or https:// address with a host")
        if parts.username or parts.password or parts.query:
            raise ValueError("keep credentials out of the address: set the key's variable")
        return value.rstrip("/")


@dataclass(frozen=True)
class EndpointTeacher:
    """Asks a chat model for programs; `seed` is the run's seed.

    Picklable: the client and its threads are made at first use and stay in their process.
    """

    settings: EndpointSettings
    exemplars: tuple[Exemplar, ...]
    seed: int

    name = "endpoint"

    def __reduce__(self) -> tuple[type[EndpointTeacher], tuple[object, ...]]:
        return EndpointTeacher, (self.settings, self.exemplars, self.seed)

    @cached_property
    def _endpoint(self) -> _Endpoint:
        return _Endpoint(self.settings)

    def check(self) -> None:
        """Send one small chat request with the run's own parameters.

        Listing the models would be cheaper, but not every server can, and it would prove neither
        that the model is there nor that it takes these parameters.
        """
        retries = min(_CHECK_RETRIES, self.settings.max_retries)
        try:
            self._endpoint.ask([_CHECK_PROMPT], n=1, seed=self.seed & _SEED_MASK, retries=retries)
        except _RequestRefused as refusal:
            raise TeacherError(
                f"{self.settings.base_url} refuses the request: {refusal}; "
                "set the parameter that it names to what this model takes"
            ) from None

    def complete(self, requests: Sequence[Request]) -> list[list[Completion]]:
        """Return one completion a sample, at most `settings.concurrency` requests in flight.

        Raises TeacherError where every further request would fail too.
        """
        endpoint = self._endpoint
        size = 1 if endpoint.one_by_one.is_set() else self.settings.n_per_request
        pending: list[list[Future[list[Completion]]]] = [
            [
                endpoint.threads.submit(
                    self._sample, request, request.sample_indices[at : at + size]
                )
                for at in range(0, len(request.sample_indices), size)
            ]
            for request in requests
        ]
        futures = [future for row in pending for future in row]
        try:
            done, _ = wait(futures, return_when=FIRST_EXCEPTION)
            for future in done:
                future.result()
        finally:
            for future in futures:
                future.cancel()
        return [[one for future in row for one in future.result()] for row in pending]

    def _sample(self, request: Request, indices: tuple[int, ...]) -> list[Completion]:
        """Ask for these samples together, then one by one for those that did not come."""
        found = self._ask(request, indices)
        if len(found) == len(indices):
            return found
        if len(indices) == 1:
            return [Completion("", error="the endpoint returned no choice")]
        if found:
            self._endpoint.one_by_one.set()
        rest = [self._sample(request, (index,)) for index in indices[len(found) :]]
        if any(one.error is None for (one,) in rest):
            self._endpoint.one_by_one.set()
        return found + [one for (one,) in rest]

    def _ask(self, request: Request, indices: tuple[int, ...]) -> list[Completion]:
        exemplars = self.exemplars[: self.settings.shots]
        messages = chat_messages(request.problem.question, exemplars)
        seed = _request_seed(self.seed, request.problem.problem_id, indices[0])
        try:
            answer = self._endpoint.ask(messages, n=len(indices), seed=seed)
        except _RequestRefused as refusal:
            # A refusal of several samples may be one of n > 1: asking for one tells.
            return [] if len(indices) > 1 else [Completion("", error=str(refusal))]
        return completions(answer, len(indices))


class _RequestRefused(Exception):
    """The endpoint refused one request for its own sake; others may be answered."""


class _Endpoint:
    """The connection of one process: client, threads, and whether n > 1 is of use."""

    def __init__(self, settings: EndpointSettings) -> None:
        self.settings = settings
        self.key = _api_key(settings)
        self.client = openai.OpenAI(
            base_url=settings.base_url,
            api_key=self.key,
            timeout=settings.timeout_s,
            max_retries=settings.max_retries,
        )
        self.threads = ThreadPoolExecutor(settings.concurrency, thread_name_prefix="endpoint")
        self.one_by_one = threading.Event()

    def ask(
        self, messages: list[Message], n: int, seed: int, retries: int | None = None
    ) -> ChatAnswer:
        """Return the answer, or raise TeacherError or _RequestRefused."""
        client = self.client if retries is None else self.client.with_options(max_retries=retries)
        parameters = self._parameters(n, seed)
        try:
            raw = client.chat.completions.with_raw_response.create(
                model=self.settings.model, messages=cast(Any, messages), **parameters
            )
        except openai.APIStatusError as error:
            raise self._status_error(error) from None
        except openai.APITimeoutError:
            raise self._fatal(
                f"no answer within {self.settings.timeout_s:g} s, retries included",
                "raise timeout_s, or lower concurrency or max_tokens",
            ) from None
        except openai.APIConnectionError as error:
            reason = self._clean(str(error.__cause__ or error))
            raise self._fatal(
                f"cannot be reached ({reason})", "start the server or correct base_url"
            ) from None
        try:
            return ChatAnswer.model_validate_json(raw.http_response.content)
        except ValidationError:
            beginning = self._clean(raw.http_response.text, 60)
            raise self._fatal(
                f"the answer is no chat completion (it begins {beginning!r})",
                "base_url must lead to an OpenAI-compatible API, mostly ending in /v1",
            ) from None

    def _parameters(self, n: int, seed: int) -> dict[str, Any]:
        settings = self.settings
        parameters: dict[str, Any] = {settings.max_tokens_field: settings.max_tokens}
        if settings.temperature is not None:
            parameters["temperature"] = settings.temperature
        if settings.top_p is not None:
            parameters["top_p"] = settings.top_p
        if settings.send_seed:
            parameters["seed"] = seed
        if n > 1:
            parameters["n"] = n
        return parameters

    def _status_error(self, error: openai.APIStatusError) -> Exception:
        status = error.status_code
        said = self._clean(_server_message(error))
        if status in (400, 413, 422):
            return _RequestRefused(f"HTTP {status}: {said}")
        if status in (401, 403):
            # What the server says here is left out: it may quote the key.
            return self._fatal(
                f"the key is refused (HTTP {status})",
                f"put a valid key in the environment variable {self.settings.api_key_env}",
            )
        remedies = {
            404: f"check base_url and that it serves the model {self.settings.model!r}",
            429: "lower concurrency, raise max_retries, or see to the account's quota",
        }
        remedy = remedies.get(status, "see the server's log, then run the same command again")
        return self._fatal(f"answers HTTP {status}: {said}", remedy)

    def _fatal(self, happened: str, remedy: str) -> TeacherError:
        return TeacherError(f"teacher endpoint {self.settings.base_url}: {happened}; {remedy}")

    def _clean(self, text: str, limit: int = 200) -> str:
        return one_line(text if self.key == _NO_KEY else text.replace(self.key, "[key]"), limit)


def _server_message(error: openai.APIStatusError) -> str:
    body = error.body
    message = body.get("message") if isinstance(body, dict) else body
    return str(message or error.message)


def _request_seed(seed: int, problem_id: str, sample_index: int) -> int:
    """Return a seed of 31 bits: some servers read the field as a signed 32-bit integer."""
    digest = hashlib.sha256(f"{seed}\0{problem_id}\0{sample_index}".encode()).digest()
    return int.from_bytes(digest[:4], "big") & _SEED_MASK


def _api_key(settings: EndpointSettings) -> str:
    key = os.environ.get(settings.api_key_env, "").strip()
    if not key and _is_loopback(urlsplit(settings.base_url).hostname or ""):
        return _NO_KEY
    # A key that cannot stand in a header would be quoted in the transport's own error.
    if key and key.isascii() and key.isprintable() and " " not in key:
        return key
    fault = "the key holds spaces or non-ASCII characters" if key else "there is no key"
    raise TeacherError(
        f"teacher endpoint {settings.base_url}: {fault}; put it in the environment variable "
        f"{settings.api_key_env} (any text, if the endpoint asks for none)"
    )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
