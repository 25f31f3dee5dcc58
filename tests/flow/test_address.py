"""Addresses of clusters that are wrong, dead, silent, or refuse the token: one line, in seconds."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest

from pad_ray.base.errors import ClusterError
from pad_ray.flow import address
from pad_ray.flow.address import auth_token, check_address

ALIVE = "/ray.rpc.NodeInfoGcsService/CheckAlive"
TOKEN = "0123456789abcdef"


@pytest.fixture(autouse=True)
def no_token(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH", "RAY_USE_TLS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))


@contextmanager
def listening() -> Iterator[int]:
    """Listen on a port, and never answer."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port


class Head(grpc.GenericRpcHandler):
    """A head's server, which takes a token or none."""

    def __init__(self, token: str | None, knows: bool = True) -> None:
        self.token = token
        self.knows = knows

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler | None:
        if details.method != ALIVE or not self.knows:
            return None

        def answer(request: bytes, context: grpc.ServicerContext) -> bytes:
            given = dict(details.invocation_metadata).get("authorization")
            if self.token is not None and given != f"Bearer {self.token}":
                context.abort(grpc.StatusCode.UNAUTHENTICATED, "InvalidAuthToken")
            return b""

        return grpc.unary_unary_rpc_method_handler(answer)


@contextmanager
def served(head: Head, shown: grpc.ServerCredentials | None = None) -> Iterator[str]:
    server = grpc.server(ThreadPoolExecutor(1), handlers=[head])
    if shown is None:
        port = server.add_insecure_port("127.0.0.1:0")
    else:
        port = server.add_secure_port("127.0.0.1:0", shown)
    server.start()
    yield f"127.0.0.1:{port}"
    server.stop(None)


def refusal(address: str) -> str:
    with pytest.raises(ClusterError) as caught:
        check_address(address)
    said = str(caught.value)
    assert said.startswith(f"RAY_ADDRESS={address}: ") and "\n" not in said
    return said


def test_a_head_that_takes_the_token_is_good(monkeypatch: pytest.MonkeyPatch) -> None:
    with served(Head(None)) as address:
        check_address(address)
    monkeypatch.setenv("RAY_AUTH_TOKEN", TOKEN)
    with served(Head(TOKEN)) as address:
        check_address(address)
        check_address(f"ray://{address}")
    with served(Head(TOKEN, knows=False)) as address:  # of another version
        check_address(address)


def test_a_token_that_is_missing_or_wrong_is_told_with_the_remedy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with served(Head(TOKEN)) as address:
        for token in ("", "another", TOKEN):
            monkeypatch.setenv("RAY_AUTH_TOKEN", token)
            if token == TOKEN:
                monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
            said = refusal(address)
            assert "refuses the token" in said
            assert "RAY_AUTH_TOKEN" in said and "RAY_AUTH_MODE=token" in said


def test_the_token_is_looked_for_where_ray_does(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert auth_token() is None
    (tmp_path / ".ray").mkdir()
    (tmp_path / ".ray/auth_token").write_text("of the home\n")
    assert auth_token() == "of the home"
    (tmp_path / "token").write_text("of a file")
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(tmp_path / "token"))
    assert auth_token() == "of a file"
    monkeypatch.setenv("RAY_AUTH_TOKEN", "its own")
    assert auth_token() == "its own"
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    assert auth_token() is None


@pytest.mark.parametrize("text", ["nowhere", "http://head:8265", "head:", "head:0", "head:99999"])
def test_what_is_no_address_is_refused(text: str) -> None:
    assert "is no address of a cluster" in refusal(text)


def test_a_closed_port_is_told_within_seconds() -> None:
    started = time.monotonic()
    assert "no Ray cluster answers there" in refusal(f"127.0.0.1:{closed_port()}")
    assert time.monotonic() - started < 15


class Authority:
    """A certificate for 127.0.0.1 that is its own authority, as Ray is told of it."""

    def __init__(self, folder: Path) -> None:
        self.key, self.certificate = folder / "key.pem", folder / "certificate.pem"
        folder.mkdir()
        flags = f"-x509 -newkey rsa:2048 -nodes -days 2 -keyout {self.key} -out {self.certificate}"
        names = ["-subj", "/CN=ray", "-addext", "subjectAltName=IP:127.0.0.1"]
        words = ["openssl", "req", *flags.split(), *names]
        subprocess.run(words, check=True, capture_output=True)

    def name_it(self, patch: pytest.MonkeyPatch) -> None:
        patch.setenv("RAY_USE_TLS", "1")
        patch.setenv("RAY_TLS_SERVER_KEY", str(self.key))
        for name in ("RAY_TLS_SERVER_CERT", "RAY_TLS_CA_CERT"):
            patch.setenv(name, str(self.certificate))

    def shown(self) -> grpc.ServerCredentials:
        pair = (self.key.read_bytes(), self.certificate.read_bytes())
        return grpc.ssl_server_credentials([pair], pair[1], require_client_auth=True)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificates")
def test_a_head_behind_tls_is_asked_with_rays_certificates(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own, other = Authority(tmp_path / "own"), Authority(tmp_path / "other")
    own.name_it(monkeypatch)
    monkeypatch.setattr(address, "_ANSWERS_WITHIN_S", 4.0)
    monkeypatch.setenv("RAY_AUTH_TOKEN", TOKEN)
    with served(Head(TOKEN), own.shown()) as head:
        check_address(head)
        monkeypatch.setenv("RAY_AUTH_TOKEN", "another")
        assert "refuses the token" in refusal(head)
        other.name_it(monkeypatch)
        assert "Does it take these certificates" in refusal(head)
    with served(Head(None)) as head, listening() as silent:
        for place in (head, f"127.0.0.1:{silent}", f"127.0.0.1:{closed_port()}"):
            started = time.monotonic()
            assert "no Ray cluster answers there" in refusal(place)
            assert time.monotonic() - started < 15
    monkeypatch.setenv("RAY_TLS_CA_CERT", str(tmp_path / "gone"))
    for said in (f"RAY_TLS_CA_CERT={tmp_path / 'gone'}: cannot be read", "RAY_TLS_CA_CERT: is not"):
        with pytest.raises(ClusterError, match=f"^{said}"):
            check_address("127.0.0.1:6379")
        monkeypatch.delenv("RAY_TLS_CA_CERT", raising=False)


def test_a_port_that_never_answers_ends_a_job_with_one_line(tmp_path: Path) -> None:
    with listening() as port:
        flags = "--task coin_flip --teacher scripted --count 2 --out out".split()
        environment = {
            "PATH": "/usr/bin:/bin",
            "PYTHONPATH": str(Path(__file__).parents[2]),
            "RAY_ADDRESS": f"127.0.0.1:{port}",
        }
        words = [sys.executable, "-m", "pad_ray", "synthesize", *flags]
        ran = subprocess.run(words, env=environment, cwd=tmp_path, capture_output=True, text=True)
    assert ran.returncode == 2, ran.stderr
    assert ran.stderr.startswith(f"synthesize: error: RAY_ADDRESS=127.0.0.1:{port}: no Ray")
    assert ran.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()
