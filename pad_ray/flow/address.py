"""Whether a Ray head answers at an address and takes the token: Ray itself asks for minutes."""

from __future__ import annotations

import os
import re
from pathlib import Path

import grpc

from pad_ray.base.errors import ClusterError

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

    Takes seconds at most; what needs certificates (RAY_USE_TLS) is left to Ray.
    """
    found = _ADDRESS.fullmatch(address)
    if found is None or not 0 < int(found[2]) < 65536:
        raise ClusterError(
            f"RAY_ADDRESS={address}: is no address of a cluster; give HOST:6379 of its head, auto, "
            "or local"
        )
    if os.environ.get("RAY_USE_TLS", "0").lower() in ("1", "true"):
        return
    # Ray goes round proxies too.
    options = [("grpc.enable_http_proxy", 0)]
    with grpc.insecure_channel(f"{found[1]}:{found[2]}", options) as channel:
        token = auth_token()
        ask = channel.unary_unary(_ALIVE)
        metadata = () if token is None else (("authorization", f"Bearer {token}"),)
        try:
            ask(b"", timeout=_ANSWERS_WITHIN_S, metadata=metadata, wait_for_ready=True)
        except grpc.RpcError as error:
            _judge(address, error.code())


def _judge(address: str, code: grpc.StatusCode) -> None:
    if code in _REFUSED:
        raise ClusterError(f"RAY_ADDRESS={address}: the cluster refuses the token; {TOKEN_REMEDY}")
    if code in _SILENT:
        raise ClusterError(
            f"RAY_ADDRESS={address}: no Ray cluster answers there; is its head running, and is "
            "that the head's own port (6379 unless `ray start --port` said another)?"
        )


def auth_token() -> str | None:
    """Return the token that Ray's clients here would send, or None."""
    if os.environ.get("RAY_AUTH_MODE", "token").lower() != "token":
        return None
    if token := os.environ.get("RAY_AUTH_TOKEN", "").strip():
        return token
    place = os.environ.get("RAY_AUTH_TOKEN_PATH") or "~/.ray/auth_token"
    try:
        return Path(place).expanduser().read_text().strip() or None
    except (OSError, UnicodeDecodeError):
        return None
