"""One connection to an OpenAI-compatible endpoint, and what each of its failures means."""

from __future__ import annotations

import ipaddress
import json
import os
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from pad_ray.base.errors import TeacherError
from pad_ray.base.records import Completion
from pad_ray.teachers.endpoint.chat import ChatAnswer, error_in, one_line
from pad_ray.teachers.endpoint.settings import EndpointAddress, EndpointSettings

if TYPE_CHECKING:
    import openai

__all__ = ["EndpointClient", "RequestFailed", "RequestRefused"]

_NO_KEY = "none"
_NO_KEY_STATUS = 401
# For what was asked: a parameter, a prompt too long, a content filter or moderation (403).
_REFUSALS = frozenset({400, 403, 413, 422})
_SEE_LOG = "see the server's log, then run the same command again"
_PAUSE_S, _LONGEST_PAUSE_S = 0.5, 8.0


class RequestRefused(Exception):
    """The endpoint refused one request for its own sake; others may be answered."""

    def __init__(self, said: str, status: int) -> None:
        super().__init__(f"HTTP {status}: {said}")
        self.status = status


class RequestFailed(TeacherError):
    """The endpoint had no answer to a request, retries included; others may be answered."""


class EndpointClient:
    """The connection of one process to one address."""

    def __init__(
        self, address: EndpointAddress, settings: EndpointSettings, key: str | None = None
    ) -> None:
        # Takes a second, which those wait for who ask.
        import openai

        from pad_ray.teachers.endpoint.deadline import deadline_hooks

        self.address = address
        self.settings = settings
        self.key = _api_key(address, key)
        self.client = openai.OpenAI(
            base_url=address.base_url,
            api_key=self.key,
            timeout=settings.timeout_s,
            max_retries=settings.max_retries,
            default_headers=settings.headers,
            http_client=openai.DefaultHttpxClient(event_hooks=deadline_hooks(settings.timeout_s)),
        )

    def priced(self, completion: Completion) -> Completion:
        """Return a completion with what it cost and which model wrote it."""
        tokens = (completion.prompt_tokens or 0, completion.completion_tokens or 0)
        return replace(
            completion,
            cost_usd=self.address.cost_usd(*tokens),
            by=f"endpoint:{self.address.model}",
        )

    def ask(self, body: dict[str, Any], retries: int) -> tuple[ChatAnswer, int]:
        """Return this address's answer, and how many further attempts it took.

        Raises RequestRefused, RequestFailed, or the TeacherError of what would fail every request.
        An answer that is no chat completion is asked for again like a lost connection.
        """
        taken = 0
        for attempt in range(retries + 1):
            content, again = self._post(body, retries)
            taken += again
            try:
                return self._read(content), taken
            except RequestFailed:
                if attempt == retries:
                    raise
            taken += 1
            time.sleep(min(_LONGEST_PAUSE_S, _PAUSE_S * 2**attempt))
        raise AssertionError

    def _read(self, content: bytes) -> ChatAnswer:
        text = content.decode(errors="replace")
        try:
            answer = json.loads(text)
            error = error_in(answer)
            if error is None:
                return ChatAnswer.model_validate(answer)
        except (ValueError, RecursionError):
            raise self._failed(
                f"the answer is no chat completion (it begins {self._clean(text, 60)!r})",
                "base_url must lead to an OpenAI-compatible API, mostly ending in /v1",
            ) from None
        said, code = self._clean(error[0]), error[1]
        if code in _REFUSALS:
            raise RequestRefused(said, code)
        if code == _NO_KEY_STATUS:
            raise self.key_refused(code)
        raise self._failed(f"answers with an error{f' {code}' if code else ''}: {said}", _SEE_LOG)

    def _post(self, body: dict[str, Any], retries: int) -> tuple[bytes, int]:
        import openai

        client = self.client.with_options(max_retries=retries)
        further = self.settings.extra_body
        known = {name: value for name, value in body.items() if name not in further}
        try:
            raw = client.chat.completions.with_raw_response.create(
                **{**known, "model": self.address.model}, extra_body=further
            )
        except openai.APIStatusError as error:
            raise self._status_error(error) from None
        except openai.APITimeoutError:
            raise self._failed(
                f"no answer within {self.settings.timeout_s:g} s, retries included",
                "raise timeout_s, or lower concurrency or max_tokens",
            ) from None
        except openai.APIConnectionError as error:
            reason = self._clean(str(error.__cause__ or error))
            raise self._fatal(
                f"cannot be reached ({reason})", "start the server or correct base_url"
            ) from None
        return raw.http_response.content, raw.retries_taken

    def _status_error(self, error: openai.APIStatusError) -> Exception:
        status = error.status_code
        said = self._clean(_server_message(error))
        if status in _REFUSALS:
            return RequestRefused(said, status)
        if status == _NO_KEY_STATUS:
            return self.key_refused(status)
        if status >= 500 or status in (408, 409):
            return self._failed(f"answers HTTP {status}: {said}", _SEE_LOG)
        remedies = {
            404: f"check base_url and that it serves the model {self.address.model!r}",
            429: "lower concurrency, raise max_retries, or see to the account's quota",
        }
        return self._fatal(f"answers HTTP {status}: {said}", remedies.get(status, _SEE_LOG))

    def key_refused(self, status: int) -> TeacherError:
        """Return the error of a key that is not taken."""
        # What the server says here is left out: it may quote the key.
        return self._fatal(
            f"the key is refused (HTTP {status})",
            f"put a valid key in the environment variable {self.address.api_key_env}",
        )

    def _fatal(self, happened: str, remedy: str) -> TeacherError:
        return TeacherError(f"teacher endpoint {self.address.base_url}: {happened}; {remedy}")

    def _failed(self, happened: str, remedy: str) -> RequestFailed:
        return RequestFailed(str(self._fatal(happened, remedy)))

    def _clean(self, text: str, limit: int = 200) -> str:
        return one_line(text if self.key == _NO_KEY else text.replace(self.key, "[key]"), limit)


def _server_message(error: openai.APIStatusError) -> str:
    body = error.body
    message = body.get("message") if isinstance(body, dict) else body
    return str(message or error.message)


def _api_key(settings: EndpointAddress, given: str | None) -> str:
    key = (given or os.environ.get(settings.api_key_env, "")).strip()
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
