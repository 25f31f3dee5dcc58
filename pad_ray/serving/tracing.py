"""OpenTelemetry spans of requests; OTEL_* variables say where they go.

No span holds a question, an answer or a key: errors are named, and their texts are left out.
Ray Serve has spans of its own (`tracing_config`), but they know no queue, student or tokens, write
exceptions' texts, and are set for a whole cluster.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pad_ray.base.errors import ConfigError
from pad_ray.serving.errors import ApiError
from pad_ray.serving.messages import Answered, Ask, Trace
from pad_ray.serving.metrics import answer_class

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

    from pad_ray.serving.loop import Timing

_METHODS = {"GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH"}


def check_tracing(on: bool) -> None:
    """Raise `ConfigError` where tracing is asked for and its package is missing."""
    try:
        found = not on or find_spec("opentelemetry.exporter.otlp.proto.http") is not None
    except ModuleNotFoundError:
        found = False
    if not found:
        raise ConfigError(
            "tracing: the package opentelemetry-exporter-otlp-proto-http is missing; "
            "pip install 'pad-ray[tracing]'"
        )


class Tracing:
    """The spans of one process; where tracing is off, nothing is made or sent."""

    def __init__(self, on: bool) -> None:
        check_tracing(on)
        self._provider = _provider() if on else None

    def sent(self) -> Trace | None:
        """Return what a call made now carries to a replica."""
        if self._provider is None:
            return None
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        headers: dict[str, str] = {}
        TraceContextTextMapPropagator().inject(headers)
        return Trace(headers, time.time_ns())

    def note(self, names: Mapping[str, str | int]) -> None:
        """Say something of the current request; the tokens of a batch add up."""
        if self._provider is None:
            return
        from opentelemetry.sdk.trace import Span
        from opentelemetry.trace import get_current_span

        span = get_current_span()
        if isinstance(span, Span):
            before = dict(span.attributes or {}).get("pad_ray.tokens")
            span.set_attributes({f"pad_ray.{name}": value for name, value in names.items()})
            if isinstance(before, int) and "tokens" in names:
                span.set_attribute("pad_ray.tokens", before + int(names["tokens"]))

    @contextmanager
    def request(self, scope: Scope) -> Iterator[dict[str, Any]]:
        """Make a request's span, the caller's child; the mapping takes its status."""
        if self._provider is None:
            yield {}
            return
        from opentelemetry.trace import SpanKind, use_span

        tracer = self._provider.get_tracer("pad_ray")
        method = scope["method"] if scope["method"] in _METHODS else "_OTHER"
        headers = {key.decode("latin-1"): v.decode("latin-1") for key, v in scope["headers"]}
        span = tracer.start_span(method, _context(headers), SpanKind.SERVER)
        said: dict[str, Any] = {"http.request.method": method}
        try:
            with use_span(span, record_exception=False, set_status_on_exception=False):
                yield said
        except BaseException as error:
            said["error.type"] = type(error).__name__
            raise
        finally:
            # A path that is no route's could hold anything.
            route = getattr(scope.get("route"), "path", None)
            if route is not None:
                said["http.route"] = route
                span.update_name(f"{method} {route}")
            _end(span, said, None)

    @contextmanager
    def search(self, ask: Ask, timing: Timing) -> Iterator[dict[str, Any]]:
        """Make the spans of a search's wait and work when it ends; the mapping takes its result."""
        said = {"request_id": ask.request_id, **_names(ask)}
        try:
            yield said
        except BaseException as error:
            said["error.type"] = type(error).__name__
            raise
        finally:
            if self._provider is not None and ask.trace is not None:
                self._searched(ask.trace, timing, said)

    def _searched(self, trace: Trace, timing: Timing, said: dict[str, Any]) -> None:
        assert self._provider is not None
        tracer, parent = self._provider.get_tracer("pad_ray"), _context(trace.headers)
        now = time.time_ns()
        joined = now if timing.joined_ns is None else timing.joined_ns
        about = {k if "." in k else f"pad_ray.{k}": value for k, value in said.items()}
        # The ingress's clock may be ahead of this machine's.
        wait = tracer.start_span("queue", parent, start_time=min(trace.sent_ns, joined))
        if timing.joined_ns is None:
            _end(wait, about, now)
            return
        _end(wait, {"pad_ray.request_id": said["request_id"]}, joined)
        seconds = {f"pad_ray.seconds.{part}": spent for part, spent in timing.seconds.items()}
        _end(tracer.start_span("search", parent, start_time=joined), about | seconds, now)

    def close(self) -> None:
        """Send what waits; blocks until then."""
        provider, self._provider = self._provider, None
        if provider is not None:
            provider.shutdown()


class RequestSpans:
    """ASGI middleware: a span around each request to the API."""

    def __init__(self, app: ASGIApp, tracing: Tracing) -> None:
        self._app = app
        self._tracing = tracing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "").removeprefix(scope.get("root_path", ""))
        if scope["type"] != "http" or not path.startswith("/v1/"):
            await self._app(scope, receive, send)
            return
        with self._tracing.request(scope) as said:

            async def noted(message: Message) -> None:
                if message["type"] == "http.response.start":
                    said["http.response.status_code"] = message["status"]
                await send(message)

            await self._app(scope, receive, noted)


def asked(ask: Ask) -> dict[str, str | int]:
    """Return what a request's span says of a question; a batch's questions share a number."""
    return {"request_id": ask.request_id.partition("-")[0], **_names(ask)}


def ended(found: Answered | ApiError) -> dict[str, str | int]:
    """Return what a span says of a search's end."""
    if isinstance(found, ApiError):
        return {"result": found.code or found.type}
    tokens = found.prompt_tokens + found.solution.tokens
    return {"tokens": tokens, "result": answer_class(found.solution)}


def _names(ask: Ask) -> dict[str, str | int]:
    return {"student": ask.student, "strategy": ask.search.strategy}


def _context(headers: Mapping[str, str]) -> Any:
    from opentelemetry.context import Context
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    return TraceContextTextMapPropagator().extract(headers, Context())


def _end(span: Any, said: Mapping[str, Any], at_ns: int | None) -> None:
    from opentelemetry.trace import Status, StatusCode

    span.set_attributes(said)
    if "error.type" in said or said.get("http.response.status_code", 0) >= 500:
        span.set_status(Status(StatusCode.ERROR))
    span.end(at_ns)


def _provider() -> TracerProvider:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    named = "OTEL_SERVICE_NAME" in os.environ
    resource = Resource.create({} if named else {"service.name": "pad-ray"})
    provider = TracerProvider(resource=resource)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return provider
