"""A real HTTP server on loopback that speaks the chat completion protocol, faults on demand."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

PROGRAM = "def solution():\n    return 12"


@dataclass(frozen=True)
class Call:
    """One request as the server saw it, header names in lower case; `number` counts from 0."""

    number: int
    path: str
    headers: Mapping[str, str]
    body: dict[str, Any]


@dataclass(frozen=True)
class Reply:
    """What to answer; `delay_s` is waited first, and `drip_s` before each byte of the body."""

    status: int = 200
    body: object = None
    headers: Mapping[str, str] = field(default_factory=dict)
    delay_s: float = 0.0
    drip_s: float = 0.0


Script = Callable[[Call], Reply]


@dataclass
class OpenAIServer:
    """The running server's address and what it has seen."""

    base_url: str
    calls: list[Call] = field(default_factory=list)
    in_flight: int = 0
    most_in_flight: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)


def chat(*texts: str | None, usage: tuple[int, int] | None = (100, 20), **choice: object) -> Reply:
    """Return a chat completion with these choices; `choice` goes into each of them."""
    choices = [
        {"index": i, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
        | choice
        for i, text in enumerate(texts)
    ]
    body: dict[str, object] = {"id": "c", "object": "chat.completion", "choices": choices}
    if usage:
        body["usage"] = {"prompt_tokens": usage[0], "completion_tokens": usage[1]}
    return Reply(body=body)


def failure(status: int, message: str = "no", **headers: str) -> Reply:
    """Return an error in the protocol's form; `retry_after="1"` sets Retry-After."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply(status, {"error": {"message": message, "type": "t", "code": None}}, named)


def as_asked(call: Call) -> Reply:
    """Answer as many programs as were asked for."""
    return chat(*[PROGRAM] * call.body.get("n", 1))


def first_then(faults: int, fault: Reply, script: Script = as_asked) -> Script:
    """Answer the first calls by the fault, the others by the script."""
    return lambda call: fault if call.number < faults else script(call)


@contextmanager
def openai_server(script: Script = as_asked) -> Iterator[OpenAIServer]:
    """Serve the script's replies on a free loopback port."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with seen.lock:
                headers = {name.lower(): value for name, value in self.headers.items()}
                call = Call(len(seen.calls), self.path, headers, body)
                seen.calls.append(call)
                seen.in_flight += 1
                seen.most_in_flight = max(seen.most_in_flight, seen.in_flight)
            reply = script(call)
            time.sleep(reply.delay_s)
            with seen.lock:
                seen.in_flight -= 1
            self._send(reply)

        def _send(self, reply: Reply) -> None:
            html = reply.body if isinstance(reply.body, str) else None
            content = (json.dumps(reply.body) if html is None else html).encode()
            self.send_response(reply.status)
            self.send_header("Content-Type", "application/json" if html is None else "text/html")
            self.send_header("Content-Length", str(len(content)))
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.end_headers()
            if not reply.drip_s:
                self.wfile.write(content)
                return
            for byte in content:
                time.sleep(reply.drip_s)
                self.wfile.write(bytes([byte]))

        def handle(self) -> None:
            # A client that has timed out is gone before the answer is written.
            try:
                super().handle()
            except (BrokenPipeError, ConnectionResetError):
                self.close_connection = True

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    seen = OpenAIServer(f"http://127.0.0.1:{server.server_address[1]}/v1")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield seen
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
