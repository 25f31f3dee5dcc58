"""The endpoint under load on loopback, against plain peers, in turn in one run.

Replicas and peers compute with one thread. The student is the demo's, or PAD_RAY_BENCH_STUDENT.
"""

from __future__ import annotations

import asyncio
import random
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pytest
from ray import serve
from rich.console import Console
from rich.table import Table

from pad_ray.decoding.settings import SearchSettings
from pad_ray.serving import ServingSettings, build
from pad_ray.serving.settings import DoorSettings, StudentSettings
from pad_ray.tasks import get_task

ROOT = Path(__file__).resolve().parents[2]
CLIENTS = 16
SECONDS = 20.0
LONGEST = 256
BATCHED_GOAL = 3.0
PEER_GOAL = 2.0
TAIL_GOAL = 3.0
SHED_GOAL = 1.5


@dataclass
class Found:
    """What one load met: seconds of each answered request, and the statuses."""

    seconds: list[float] = field(default_factory=list)
    statuses: dict[int, int] = field(default_factory=dict)
    right: int = 0
    wall_s: float = 0.0

    @property
    def rate(self) -> float:
        return len(self.seconds) / self.wall_s

    def quantile(self, share: float) -> float:
        return sorted(self.seconds)[min(len(self.seconds) - 1, int(share * len(self.seconds)))]

    @property
    def accuracy(self) -> float:
        return self.right / max(1, len(self.seconds))


@dataclass
class Load:
    """Questions of the demo's arithmetic, of one or two steps, with their answers."""

    url: str
    more: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        generate = get_task("arithmetic").generate
        assert generate is not None
        self.problems = list(generate(400, "test", 7, range(1, 3)))

    async def one(self, client: httpx2.AsyncClient, number: int, found: Found) -> None:
        problem = self.problems[number % len(self.problems)]
        started = time.perf_counter()
        response = await client.post(
            f"{self.url}/v1/solve", json={"question": problem.question, **self.more}
        )
        found.statuses[response.status_code] = found.statuses.get(response.status_code, 0) + 1
        if response.status_code == 200:
            found.seconds.append(time.perf_counter() - started)
            answer = response.json()["answer"]
            found.right += get_task("arithmetic").answers_equal(answer, problem.answer)

    async def closed(self, clients: int = CLIENTS, seconds: float = SECONDS) -> Found:
        """Each client asks again as soon as it is answered."""
        found = Found()
        numbers = iter(range(10**9))
        async with _client() as client:
            end = time.perf_counter() + seconds
            started = time.perf_counter()

            async def ask() -> None:
                while time.perf_counter() < end:
                    await self.one(client, next(numbers), found)

            await asyncio.gather(*(ask() for _ in range(clients)))
            found.wall_s = time.perf_counter() - started
        return found

    async def open(self, rate: float, seconds: float = SECONDS) -> Found:
        """Requests come at random times, however long the answers take."""
        found, rng = Found(), random.Random(1)
        async with _client() as client:
            started, number, tasks = time.perf_counter(), 0, []
            due = started
            while due < started + seconds:
                await asyncio.sleep(max(0.0, due - time.perf_counter()))
                tasks.append(asyncio.create_task(self.one(client, number, found)))
                number += 1
                due += rng.expovariate(rate)
            await asyncio.gather(*tasks)
            found.wall_s = time.perf_counter() - started
        return found


def _client() -> httpx2.AsyncClient:
    limits = httpx2.Limits(max_connections=2000, max_keepalive_connections=200)
    return httpx2.AsyncClient(timeout=120, limits=limits)


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@pytest.fixture(scope="module")
def port(local_ray: None) -> Iterator[int]:
    found = _free_port()
    serve.start(http_options={"host": "127.0.0.1", "port": found})
    yield found
    serve.shutdown()


@contextmanager
def served(student: str, port: int, **changes: Any) -> Iterator[str]:
    solver = {
        "num_replicas": 1,
        "max_ongoing_requests": 64,
        "ray_actor_options": {"num_cpus": 1},
        **changes,
    }
    if "autoscaling_config" in changes:
        del solver["num_replicas"]
    settings = ServingSettings(
        students={
            "demo": StudentSettings(
                path=student, search=SearchSettings(strategy="greedy", max_new_tokens=LONGEST)
            )
        },
        doors=DoorSettings(requests_a_minute=10**9),
        solver=solver,
    )
    serve.run(build(settings), name="bench", route_prefix="/")
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        serve.delete("bench")


@contextmanager
def peer(student: str, batch: int) -> Iterator[str]:
    port = _free_port()
    command = [sys.executable, str(Path(__file__).with_name("serving_peers.py"))]
    flags = [f"--student={student}", f"--port={port}", f"--batch={batch}", f"--longest={LONGEST}"]
    process = subprocess.Popen(command + flags, cwd=ROOT)
    try:
        url = f"http://127.0.0.1:{port}"
        for _ in range(240):
            try:
                httpx2.get(f"{url}/docs", timeout=1)
                break
            except httpx2.TransportError:
                time.sleep(0.5)
        yield url
    finally:
        process.terminate()
        process.wait(20)


def _row(table: Table, name: str, found: Found, note: str = "") -> None:
    table.add_row(
        name,
        f"{found.rate:.1f}",
        f"{found.quantile(0.5):.2f}",
        f"{found.quantile(0.99):.2f}",
        f"{found.accuracy:.1%}",
        " ".join(f"{status}: {count}" for status, count in sorted(found.statuses.items())),
        note,
    )


def _table(title: str) -> Table:
    return Table("", "answers/s", "p50 s", "p99 s", "right", "statuses", "", title=title)


def _warm(url: str, more: dict[str, Any] | None = None) -> Load:
    load = Load(url, more or {})
    asyncio.run(load.closed(CLIENTS, 3))
    return load


@pytest.mark.parametrize("strategy", ["greedy", "stepwise"])
def test_batched_against_one_at_a_time_and_peers(student: str, port: int, strategy: str) -> None:
    table = _table(f"{CLIENTS} clients, closed loop, {strategy}")
    more = {"strategy": strategy}
    with served(student, port) as url:
        batched = asyncio.run(_warm(url, more).closed())
    _row(table, "endpoint, batched", batched)
    with served(student, port, max_ongoing_requests=1) as url:
        single = asyncio.run(_warm(url, more).closed())
    gain = batched.rate / single.rate
    note = f"{gain:.1f} times this (goal {BATCHED_GOAL}: {_verdict(gain >= BATCHED_GOAL)})"
    _row(table, "endpoint, max_batch_size=1", single, note)
    if strategy == "greedy":
        rates = []
        for batch in (1, 16):
            with peer(student, batch) as url:
                plain = asyncio.run(_warm(url).closed())
            rates.append(plain.rate)
            gain = batched.rate / plain.rate
            _row(table, f"FastAPI + generate, batch {batch}", plain, f"{gain:.1f} times this")
        gain = batched.rate / max(rates)
        table.caption = (
            f"{gain:.1f} times the better peer (goal {PEER_GOAL}: {_verdict(gain >= PEER_GOAL)})"
        )
    Console(width=140).print(table)


def test_open_loop_below_and_past_saturation(student: str, port: int) -> None:
    table = _table("open loop, greedy, Poisson arrivals")
    with served(student, port, max_ongoing_requests=32, max_queued_requests=8) as url:
        load = _warm(url)
        saturated = asyncio.run(load.closed(32))
        _row(table, "saturation (32 clients, closed loop)", saturated)
        below = asyncio.run(load.open(0.7 * saturated.rate))
        tail = below.quantile(0.99) / below.quantile(0.5)
        _row(
            table,
            "70% of it",
            below,
            f"p99 is {tail:.1f} times p50 (goal {TAIL_GOAL}: {_verdict(tail <= TAIL_GOAL)})",
        )
        past = asyncio.run(load.open(2.0 * saturated.rate))
        grown = past.quantile(0.99) / saturated.quantile(0.99)
        _row(
            table,
            "200% of it",
            past,
            f"p99 of accepted is {grown:.1f} times saturation's "
            f"(goal {SHED_GOAL}: {_verdict(grown <= SHED_GOAL)})",
        )
    Console(width=140).print(table)


def test_autoscaling_up_and_down(student: str, port: int) -> None:
    config = {
        "min_replicas": 1,
        "max_replicas": 2,
        "target_ongoing_requests": 8,
        "upscale_delay_s": 3,
        "downscale_delay_s": 10,
        "metrics_interval_s": 1,
        "look_back_period_s": 4,
    }
    with served(student, port, autoscaling_config=config) as url:
        load = _warm(url)

        async def watch() -> tuple[float, float]:
            started = time.perf_counter()
            task = asyncio.create_task(load.closed(48, 60))
            up = await _replicas(2, started)
            await task
            stopped = time.perf_counter()
            return up, await _replicas(1, stopped)

        up, down = asyncio.run(watch())
    console = Console(width=140)
    console.print(f"autoscaling: 1 to 2 replicas {up:.0f} s after the load came, ")
    console.print(f"back to 1 {down:.0f} s after it ended")


async def _replicas(count: int, since: float) -> float:
    while True:
        status = await asyncio.to_thread(serve.status)
        states = status.applications["bench"].deployments["solver"].replica_states
        running = {str(state): number for state, number in states.items()}
        if running.get("RUNNING", 0) == count and sum(running.values()) == count:
            return time.perf_counter() - since
        assert time.perf_counter() - since < 120, running
        await asyncio.sleep(0.5)


def _verdict(met: bool) -> str:
    return "met" if met else "missed"


def test_medians_are_of_numbers() -> None:
    assert Found([1.0, 2.0, 3.0], {}, 0, 1.0).quantile(0.5) == statistics.median([1, 2, 3])
