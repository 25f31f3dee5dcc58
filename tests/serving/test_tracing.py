"""Spans of real requests, sent to a real OTLP/HTTP listener."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from endpoints import KEY, Endpoint, settings_for
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from ray import serve
from small_students import Example

from pad_ray.base.errors import ConfigError
from pad_ray.serving import build
from pad_ray.serving.keys import hashed


@dataclass
class Collector:
    """What has come in."""

    bodies: list[bytes] = field(default_factory=list)

    def spans(self, trace_id: str | None = None) -> list[Span]:
        found = []
        for body in self.bodies:
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                found += [span for scope in resource.scope_spans for span in scope.spans]
        return [s for s in found if trace_id is None or s.trace_id.hex() == trace_id]

    def wait(self, count: int, trace_id: str) -> list[Span]:
        """Return a trace's spans once they are so many."""
        deadline = time.monotonic() + 30
        while len(found := self.spans(trace_id)) < count:
            assert time.monotonic() < deadline, [span.name for span in found]
            time.sleep(0.1)
        return found


@pytest.fixture(scope="module")
def collector() -> Iterator[tuple[Collector, int]]:
    heard = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            assert self.path == "/v1/traces"
            heard.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.send_header("Content-Type", "application/x-protobuf")
            self.end_headers()
            self.wfile.write(ExportTraceServiceResponse().SerializeToString())

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield heard, server.server_port
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def traced(
    serving: int,
    collector: tuple[Collector, int],
    student_folder: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Endpoint]:
    keys = tmp_path_factory.mktemp("keys") / "keys.txt"
    keys.write_text(f"tests:{hashed(KEY)}\n")
    sent_to = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{collector[1]}"}
    environment = {"env_vars": {**sent_to, "OTEL_BSP_SCHEDULE_DELAY": "300"}}
    options = {"num_cpus": 0.2, "runtime_env": environment}
    settings = settings_for(
        student_folder,
        keys,
        tracing=True,
        ingress={"ray_actor_options": options},
        solver={"num_replicas": 1, "ray_actor_options": options},
    )
    serve.run(build(settings), name="traced", route_prefix="/traced")
    yield Endpoint(f"http://127.0.0.1:{serving}/traced", serving)
    serve.delete("traced")


def attributes(span: Span) -> dict[str, Any]:
    return {a.key: getattr(a.value, a.value.WhichOneof("value")) for a in span.attributes}


def asked(
    endpoint: Endpoint, number: int, path: str, body: dict[str, Any], key: str | None = KEY
) -> tuple[str, str]:
    """Return the trace's id, and the response's text."""
    trace_id = f"{number:032x}"
    headers = {"traceparent": f"00-{trace_id}-00000000000000aa-01"}
    with endpoint.client(key) as client:
        return trace_id, client.post(path, json=body, headers=headers).text


@pytest.mark.slow
def test_a_request_has_spans_below_its_callers(
    traced: Endpoint, collector: tuple[Collector, int], examples: list[Example]
) -> None:
    body = {"question": examples[0].question}
    trace_id, text = asked(traced, 1, "/v1/solve", body)
    found = json.loads(text)
    spans = {span.name: span for span in collector[0].wait(3, trace_id)}
    assert set(spans) == {"POST /v1/solve", "queue", "search"}
    request, queue, search = spans["POST /v1/solve"], spans["queue"], spans["search"]
    assert request.parent_span_id.hex() == "00000000000000aa"
    assert queue.parent_span_id == search.parent_span_id == request.span_id
    tokens = found["usage"]["total_tokens"]
    common = {"pad_ray.student": "demo", "pad_ray.strategy": "stepwise", "pad_ray.result": "ok"}
    common |= {"pad_ray.request_id": found["id"], "pad_ray.tokens": tokens}
    assert attributes(request) == common | {
        "http.request.method": "POST",
        "http.route": "/v1/solve",
        "http.response.status_code": 200,
    }
    said = attributes(search)
    seconds = {name: said.pop(name) for name in list(said) if ".seconds." in name}
    assert said == common
    assert seconds["pad_ray.seconds.generate"] > 0 and seconds["pad_ray.seconds.execution"] > 0
    assert {"pad_ray.seconds.run", "pad_ray.seconds.answer"} <= set(seconds)
    assert sum(seconds.values()) <= (search.end_time_unix_nano - search.start_time_unix_nano) / 1e9
    times = [request.start_time_unix_nano, queue.start_time_unix_nano, queue.end_time_unix_nano]
    times += [search.start_time_unix_nano, search.end_time_unix_nano, request.end_time_unix_nano]
    assert times == sorted(times)


@pytest.mark.slow
def test_a_stream_and_a_batch_have_one_request_span(
    traced: Endpoint, collector: tuple[Collector, int], examples: list[Example]
) -> None:
    body = {"question": examples[1].question, "stream": True, "student": "quick"}
    streamed, _ = asked(traced, 2, "/v1/solve", body)
    questions = [one.question for one in examples[2:5]]
    batched, text = asked(traced, 3, "/v1/solve/batch", {"questions": questions})
    spans = {span.name: span for span in collector[0].wait(3, streamed)}
    assert attributes(spans["POST /v1/solve"])["pad_ray.strategy"] == "greedy"
    assert attributes(spans["POST /v1/solve"])["pad_ray.result"] == "ok"
    items = [item["solution"] for item in json.loads(text)["items"]]
    found = collector[0].wait(7, batched)
    assert sorted(span.name for span in found)[0] == "POST /v1/solve/batch"
    (request,) = [span for span in found if span.name.startswith("POST")]
    said = attributes(request)
    assert said["pad_ray.tokens"] == sum(item["usage"]["total_tokens"] for item in items)
    searches = [attributes(span) for span in found if span.name == "search"]
    ids = {item["id"] for item in items}
    assert {one["pad_ray.request_id"] for one in searches} == ids
    assert {one.partition("-")[0] for one in ids} == {said["pad_ray.request_id"]}


@pytest.mark.slow
def test_the_refused_are_traced_without_a_path_or_key(
    traced: Endpoint, collector: tuple[Collector, int], examples: list[Example]
) -> None:
    refused, _ = asked(traced, 4, "/v1/solve", {"question": examples[5].question}, "wrong-secret")
    lost, _ = asked(traced, 5, "/v1/some-secret-path", {})
    (span,) = collector[0].wait(1, refused)
    assert attributes(span)["http.response.status_code"] == 401
    assert span.status.code == Status.STATUS_CODE_UNSET
    (span,) = collector[0].wait(1, lost)
    assert span.name == "POST" and attributes(span)["http.response.status_code"] == 404
    everything = b"".join(collector[0].bodies)
    assert b"pad-ray" in everything
    secrets = [KEY, "wrong-secret", "some-secret-path", "def solution", "How many"]
    secrets += [one.question for one in examples[:6]]
    assert not [secret for secret in secrets if secret.encode() in everything]


def test_a_missing_package_is_told(monkeypatch: pytest.MonkeyPatch, student_folder: Path) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http", None)
    with pytest.raises(ConfigError, match=r"^tracing: the package .* 'pad-ray\[tracing\]'$"):
        build(settings_for(student_folder, None, tracing=True))
