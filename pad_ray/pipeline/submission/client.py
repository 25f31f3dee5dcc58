"""Ray's job API, with its errors told in one line and a job's output followed to its end."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import aiohttp
import requests
from ray.exceptions import AuthenticationError
from ray.job_submission import JobStatus, JobSubmissionClient
from rich.prompt import Confirm

from pad_ray.base.errors import ClusterError, reason_of
from pad_ray.flow.address import TOKEN_REMEDY

# A head whose state outlives it is back within a minute or two.
_AWAY_S = 300.0
_AGAIN_S = 2.0
_STOPS_WITHIN_S = 60.0
_INTERRUPTED = 130
_UNREACHABLE = (requests.RequestException, aiohttp.ClientError, ConnectionError, OSError)
T = TypeVar("T")


def connect(address: str, verify: bool | str) -> JobSubmissionClient:
    """Return a client of the cluster whose dashboard is at an address.

    Raises `ClusterError` when nothing answers, or the token is missing or wrong.
    """
    if not address.startswith(("http://", "https://")):
        raise ClusterError(f"address: {address} is no http:// or https:// address of a dashboard")
    # It tells of every package and connection, among the job's own output.
    for name in ("ray.dashboard.modules.job.sdk", "ray.dashboard.modules.dashboard_sdk"):
        logging.getLogger(name).setLevel(logging.ERROR)
    logging.getLogger("ray._private.runtime_env.packaging").setLevel(logging.ERROR)
    with mistakes_told(address), _no_other(address):
        return JobSubmissionClient(address, verify=verify)


@contextmanager
def _no_other(address: str) -> Iterator[None]:
    """Keep Ray's client from taking RAY_ADDRESS before the address that it is given."""
    name = "RAY_API_SERVER_ADDRESS"
    before = os.environ.get(name)
    os.environ[name] = address
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


@contextmanager
def mistakes_told(address: str) -> Iterator[None]:
    """Turn what a cluster refuses into `ClusterError`s of one line."""
    try:
        yield
    except AuthenticationError as error:
        said = reason_of(error).rstrip(".: ")
        raise ClusterError(f"{address}: {said}; {TOKEN_REMEDY}") from None
    except _UNREACHABLE:
        raise ClusterError(f"{address}: no Ray dashboard answers there") from None
    except RuntimeError as error:
        raise ClusterError(f"{address}: {_last_line(str(error))}") from None


def _last_line(text: str) -> str:
    """Return what went wrong from a refusal that may quote the server's traceback."""
    lines = [line.strip(" .'\"}") for line in text.replace("\\n", "\n").splitlines()]
    return next((line for line in reversed(lines) if line), "refused")


def follow(client: JobSubmissionClient, submission_id: str, command: str) -> int:
    """Print a job's output until it ends; return its exit status.

    An interrupt asks on a terminal whether to stop the job, and elsewhere leaves it alone; either
    way the status is 130. `command` is what goes on following.
    """
    try:
        return _followed(client, submission_id)
    except KeyboardInterrupt:
        if sys.stdin.isatty() and Confirm.ask(f"\nstop {submission_id}?", default=False):
            _stop(client, submission_id)
        else:
            print(f"submit: {submission_id} goes on; follow it with: {command}", file=sys.stderr)
        return _INTERRUPTED


@dataclass
class _Output:
    """What of a job's output has been written; a new connection begins at its start."""

    write: Callable[[str], object]
    written: int = 0
    seen: int = 0

    def show(self, text: str) -> None:
        start = max(0, self.written - self.seen)
        self.seen += len(text)
        if start < len(text):
            self.write(text[start:])
            self.written = self.seen


def _followed(client: JobSubmissionClient, submission_id: str) -> int:
    output = _Output(lambda text: print(text, end="", flush=True))
    address = client.get_address()
    with mistakes_told(address):
        info = client.get_job_info(submission_id)
    while True:
        ended = info.status.is_terminal()
        _patiently(address, lambda: _tail(client, submission_id, output))
        if ended:
            break
        time.sleep(_AGAIN_S / 2)
        info = _patiently(address, lambda: client.get_job_info(submission_id))
    if info.status == JobStatus.SUCCEEDED:
        return 0
    print(f"submit: {submission_id} {info.status.value.lower()}: {_reason(info.message)}")
    if info.status == JobStatus.STOPPED:
        return _INTERRUPTED
    return info.driver_exit_code or 1


def _reason(message: str | None) -> str:
    """Return the first line: after it Ray repeats the output that has been shown."""
    return (message or "no reason given").strip().splitlines()[0]


def _tail(client: JobSubmissionClient, submission_id: str, output: _Output) -> None:
    async def read() -> None:
        output.seen = 0
        async for text in client.tail_job_logs(submission_id):
            output.show(text)

    asyncio.run(read())


def _patiently(address: str, ask: Callable[[], T]) -> T:
    """Ask again while the cluster is away; what it refuses is told at once."""
    away_since: float | None = None
    while True:
        try:
            return ask()
        except AuthenticationError:
            with mistakes_told(address):
                raise
        except (*_UNREACHABLE, RuntimeError):
            now = time.monotonic()
            if away_since is None:
                away_since = now
                print(f"submit: {address} is away; waiting for it", file=sys.stderr)
            elif now - away_since > _AWAY_S:
                raise ClusterError(f"{address}: away for {_AWAY_S:.0f} s") from None
            time.sleep(_AGAIN_S)


def _stop(client: JobSubmissionClient, submission_id: str) -> None:
    with mistakes_told(client.get_address()):
        client.stop_job(submission_id)
        deadline = time.monotonic() + _STOPS_WITHIN_S
        while time.monotonic() < deadline:
            status = client.get_job_status(submission_id)
            if status == JobStatus.STOPPED:
                print(f"submit: {submission_id} is stopped; submitted again, it goes on from there")
                return
            if status.is_terminal():
                print(f"submit: {submission_id} {status.value.lower()} before it was stopped")
                return
            time.sleep(0.5)
    print(f"submit: {submission_id} has been told to stop", file=sys.stderr)
