"""A local server that speaks as much of the Hub's API as making and filling a repository takes."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

WRITE_TOKEN = "hf_" + "w" * 34


@dataclass
class Hub:
    """What the server was asked for; `files` is what was committed, by path."""

    url: str = ""
    created: list[dict[str, Any]] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)
    refuse_commits: bool = False

    def answer(self, path: str, body: bytes) -> tuple[int, dict[str, Any]]:
        """Return the status and the JSON for a POST."""
        if path == "/api/repos/create":
            self.created.append(json.loads(body))
            made = self.created[-1]
            owner = made.get("organization") or "me"
            return 200, {"url": f"{self.url}/datasets/{owner}/{made['name']}"}
        if path == "/api/validate-yaml":
            return 200, {"errors": [], "warnings": []}
        if path.endswith("/preupload/main"):
            paths = [file["path"] for file in json.loads(body)["files"]]
            kind = {"uploadMode": "regular", "shouldIgnore": False}
            return 200, {"files": [{"path": path, **kind} for path in paths]}
        if path.endswith("/commit/main") and not self.refuse_commits:
            for line in map(json.loads, body.splitlines()):
                if line["key"] == "file":
                    self.files[line["value"]["path"]] = base64.b64decode(line["value"]["content"])
            return 200, {"success": True, "commitUrl": f"{self.url}/c/1", "commitOid": "0" * 40}
        return 413, {"error": "the quota is\nused up"}


@contextmanager
def serve_hub() -> Iterator[Hub]:
    """Run the server until the end of the block."""
    hub = Hub()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if self.headers.get("Authorization") == f"Bearer {WRITE_TOKEN}":
                status, said = hub.answer(self.path.split("?")[0], body)
            else:
                status, said = 401, {"error": "Invalid username or password."}
            text = json.dumps(said).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hub.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
