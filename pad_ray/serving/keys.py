"""API keys: kept as hashes, compared in constant time, each with a rate of its own.

`python -m pad_ray.serving.keys NAME` prints a new key and the line for the keys file.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import os
import re
import secrets
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from pad_ray.base.errors import ConfigError, reason_of
from pad_ray.serving.errors import no_key, too_often
from pad_ray.serving.settings import DoorSettings

_LINE = re.compile(r"([\w.-]{1,64}):([0-9a-f]{64})")


def hashed(key: str) -> str:
    """Return a key's hash as the keys file has it."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


def read_keys(doors: DoorSettings) -> dict[str, str]:
    """Return the hashes by name; `ConfigError` names a malformed line."""
    lines: list[tuple[str, str]] = []
    if doors.keys_file is not None:
        try:
            text = Path(doors.keys_file).read_text(encoding="utf-8")
        except OSError as error:
            raise ConfigError(f"doors.keys_file: {doors.keys_file}: {reason_of(error)}") from error
        where = f"{doors.keys_file}, line "
        lines += [(f"{where}{n}", line) for n, line in enumerate(text.splitlines(), 1)]
    listed = os.environ.get(doors.keys_env, "")
    lines += [(doors.keys_env, line) for line in listed.split(",")]
    keys: dict[str, str] = {}
    for where, line in lines:
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        found = _LINE.fullmatch(line.strip())
        if found is None:
            raise ConfigError(f"{where}: expected name:sha256-hex")
        keys[found[1]] = found[2]
    return keys


@dataclass
class Bucket:
    """A token bucket: `rate` requests a second, `most` at once."""

    rate: float
    most: float
    left: float
    filled: float = field(default_factory=time.monotonic)

    def take(self, count: int = 1) -> float:
        """Take so many; return 0, or the seconds to wait until there will be enough."""
        now = time.monotonic()
        self.left = min(self.most, self.left + (now - self.filled) * self.rate)
        self.filled = now
        if self.left >= count:
            self.left -= count
            return 0.0
        return (count - self.left) / self.rate


class Doorkeeper:
    """Lets requests in by key and rate; without keys only those from this machine."""

    def __init__(self, doors: DoorSettings) -> None:
        self._doors = doors
        self._keys = read_keys(doors)
        self._buckets: dict[str, Bucket] = {}

    def admit(self, authorization: str | None, client: str | None, count: int = 1) -> str:
        """Return the caller's name, or raise ApiError 401 or 429; `count` requests are counted."""
        name = self._name(authorization, client)
        rate = self._doors.requests_a_minute
        bucket = self._buckets.setdefault(name, Bucket(rate / 60, rate, rate))
        wait_s = bucket.take(min(count, int(rate) or 1))
        if wait_s:
            raise too_often(wait_s)
        return name

    def _name(self, authorization: str | None, client: str | None) -> str:
        if not self._keys:
            if client is not None and _is_loopback(client):
                return "loopback"
            raise no_key("no keys are configured, so only this machine itself is served")
        scheme, _, key = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not key.strip():
            raise no_key("send your key as 'Authorization: Bearer KEY'")
        given = hashed(key.strip())
        # All are compared, so that the time taken tells nothing.
        matches = [n for n, known in self._keys.items() if hmac.compare_digest(given, known)]
        if not matches:
            raise no_key("this key is not known")
        return matches[0]


def _is_loopback(client: str) -> bool:
    try:
        return ipaddress.ip_address(client).is_loopback
    except ValueError:
        return False


def main(arguments: list[str]) -> int:
    """Print a new key, and the line for the keys file."""
    if len(arguments) != 1 or not re.fullmatch(r"[\w.-]{1,64}", arguments[0]):
        print("usage: python -m pad_ray.serving.keys NAME", file=sys.stderr)
        return 2
    key = f"pad-{secrets.token_urlsafe(32)}"
    print(f"key, shown once: {key}")
    print(f"keys file line:  {arguments[0]}:{hashed(key)}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
