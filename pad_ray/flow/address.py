"""Whether a Ray head answers at an address and takes the token: Ray itself asks for minutes."""

from __future__ import annotations

import os
import re
from pathlib import Path

import grpc

from pad_ray.base.errors import ClusterError, reason_of

__all__ = ["TOKEN_REMEDY", "auth_token", "check_address"]

TOKEN_REMEDY = (
    "give the cluster's token in RAY_AUTH_TOKEN, or the file that holds it in RAY_AUTH_TOKEN_PATH, "
    "with RAY_AUTH_MODE=token"
)
_ANSWERS_WITHIN_S = 8.0
_ADDRESS = re.compile(r"(?:ray://)?(\[[^\]]+\]|[^:/\[\]]+):(\d+)")
# What `ray health-check` asks. Another version of Ray may not know it: it answers all the same.
_ALIVE = "/ray.rpc.NodeInfoGcsService/CheckAlive"
_REFUSED = (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED)
_SILENT = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)


def check_address(address: str) -> None:
    """Raise `ClusterError` where nothing answers at `host:port`, or the token is not taken.

    Takes seconds at most. With RAY_USE_TLS it shows Ray's certificates.
    """
    found = _ADDRESS.fullmatch(address)
    if found is None or not 0 < int(found[2]) < 65536:
        raise ClusterError(
            f"RAY_ADDRESS={address}: is no address of a cluster; give HOST:6379 of its head, auto, "
            "or local"
        )
    certificates = _certificates() if _uses_tls() else None
    # Ray goes round proxies too.
    options = [("grpc.enable_http_proxy", 0)]
    with _channel(f"{found[1]}:{found[2]}", certificates, options) as channel:
        token = auth_token()
        ask = channel.unary_unary(_ALIVE)
        metadata = () if token is None else (("authorization", f"Bearer {token}"),)
        try:
            ask(b"", timeout=_ANSWERS_WITHIN_S, metadata=metadata, wait_for_ready=True)
        except grpc.RpcError as error:
            _judge(address, error.code())


def _uses_tls() -> bool:
    return os.environ.get("RAY_USE_TLS", "0").lower() in ("1", "true")


def _certificates() -> grpc.ChannelCredentials:
    """Return what Ray shows and trusts, from the files that its variables name."""
    held = []
    for name in ("RAY_TLS_CA_CERT", "RAY_TLS_SERVER_KEY", "RAY_TLS_SERVER_CERT"):
        place = os.environ.get(name)
        if not place:
            raise ClusterError(f"{name}: is not set, and RAY_USE_TLS wants it")
        try:
            held.append(Path(place).read_bytes())
        except OSError as error:
            raise ClusterError(f"{name}={place}: cannot be read: {reason_of(error)}") from error
    return grpc.ssl_channel_credentials(*held)


def _channel(
    target: str, certificates: grpc.ChannelCredentials | None, options: list[tuple[str, int]]
) -> grpc.Channel:
    if certificates is None:
        return grpc.insecure_channel(target, options)
    return grpc.secure_channel(target, certificates, options)


def _judge(address: str, code: grpc.StatusCode) -> None:
    if code in _REFUSED:
        raise ClusterError(f"RAY_ADDRESS={address}: the cluster refuses the token; {TOKEN_REMEDY}")
    if code in _SILENT:
        tls = " Does it take these certificates, and they its own (RAY_TLS_CA_CERT)?"
        raise ClusterError(
            f"RAY_ADDRESS={address}: no Ray cluster answers there; is its head running, and is "
            "that the head's own port (6379 unless `ray start --port` said another)?"
            f"{tls if _uses_tls() else ''}"
        )


def auth_token() -> str | None:
    """Return the token that Ray's clients here would send, or None."""
    if os.environ.get("RAY_AUTH_MODE", "token").lower() != "token":
        return None
    if token := os.environ.get("RAY_AUTH_TOKEN", "").strip():
        return token
    place = os.environ.get("RAY_AUTH_TOKEN_PATH") or "~/.ray/auth_token"
    try:
        return Path(place).expanduser().read_text(encoding="utf-8").strip() or None
    except (OSError, UnicodeDecodeError):
        return None
