"""Replicas and the proxy are killed, and the student is replaced, under load."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
import psutil
import pytest
from endpoints import Endpoint, settings_for
from ray import serve
from shared_machines import AGAIN_IF_BUSY
from small_students import Example

from pad_ray.serving import build

pytestmark = [pytest.mark.cluster, AGAIN_IF_BUSY]
# A shared machine may stand still for a minute; how long it took is printed.
PATIENCE_S = 180


@dataclass
class Load:
    """Questions asked over and over by a few clients, and what became of them."""

    url: str
    examples: list[Example]
    statuses: list[int] = field(default_factory=list)
    broken: list[float] = field(default_factory=list)
    wrong: int = 0
    stop: threading.Event = field(default_factory=threading.Event)

    def ask(self, number: int) -> None:
        with httpx2.Client(base_url=self.url, timeout=90) as client:
            at = number
            while not self.stop.is_set():
                one = self.examples[at % len(self.examples)]
                at += 1
                try:
                    response = client.post("/v1/solve", json={"question": one.question})
                except httpx2.TransportError:
                    self.broken.append(time.monotonic())
                    time.sleep(0.2)
                    continue
                self.statuses.append(response.status_code)
                if response.status_code == 200:
                    self.wrong += response.json()["answer"] != one.answer


@contextmanager
def load(endpoint: Endpoint, examples: list[Example], clients: int = 4) -> Iterator[Load]:
    found = Load(endpoint.url, examples)
    threads = [threading.Thread(target=found.ask, args=(n * 7,)) for n in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield found
    finally:
        found.stop.set()
        for thread in threads:
            thread.join(90)


@pytest.fixture(scope="module")
def endpoint(serving: int, student_folder: Path) -> Iterator[Endpoint]:
    """Two solver replicas, no keys: loopback is let in."""
    deploy(student_folder)
    yield Endpoint(f"http://127.0.0.1:{serving}", serving)
    serve.delete("chaos")


def deploy(student: Path) -> None:
    options = {"num_replicas": 2, "ray_actor_options": {"num_cpus": 0.5}}
    settings = settings_for(student, None, solver=options | {"health_check_period_s": 1})
    serve.run(build(settings), name="chaos", route_prefix="/")


def processes(name: str) -> list[psutil.Process]:
    found = []
    for process in psutil.Process().children(recursive=True):
        try:
            if name in " ".join(process.cmdline()):
                found.append(process)
        except psutil.NoSuchProcess:
            continue
    return found


def wait_for(condition: Callable[[], object]) -> float:
    """Return how many seconds it took."""
    started = time.monotonic()
    while not condition():
        assert time.monotonic() - started < PATIENCE_S, "not in time"
        time.sleep(0.2)
    return time.monotonic() - started


def test_a_killed_replica_loses_no_request(endpoint: Endpoint, examples: list[Example]) -> None:
    with load(endpoint, examples) as asked:
        wait_for(lambda: len(asked.statuses) > 20)
        replicas = processes("ServeReplica:chaos:solver")
        assert len(replicas) == 2
        replicas[0].kill()
        seen = len(asked.statuses)
        wait_for(lambda: len(asked.statuses) > seen + 20)
        took = wait_for(lambda: len(processes("ServeReplica:chaos:solver")) == 2)
        seen = len(asked.statuses)
        wait_for(lambda: len(asked.statuses) > seen + 20)
    print(f"the replica is back {took:.1f} s after others answered")
    assert set(asked.statuses) == {200}
    assert not asked.broken


def test_a_killed_proxy_comes_back(endpoint: Endpoint, examples: list[Example]) -> None:
    with load(endpoint, examples) as asked:
        wait_for(lambda: len(asked.statuses) > 20)
        (proxy,) = processes("ProxyActor")
        proxy.kill()
        wait_for(lambda: asked.broken)
        seen = len(asked.statuses)
        took = wait_for(lambda: len(asked.statuses) > seen + 4)
    print(f"the proxy's answers are back after {took:.1f} s")
    assert set(asked.statuses) == {200}


def test_a_new_student_is_deployed_under_load(
    endpoint: Endpoint, examples: list[Example], student_folder: Path, tmp_path: Path
) -> None:
    new = tmp_path / "new-student"
    new.symlink_to(student_folder)
    before = {process.pid for process in processes("ServeReplica:chaos:solver")}
    with load(endpoint, examples) as asked:
        wait_for(lambda: len(asked.statuses) > 10)
        deploy(new)
        seen = len(asked.statuses)
        wait_for(lambda: len(asked.statuses) > seen + 20)
    after = {process.pid for process in processes("ServeReplica:chaos:solver")}
    assert after and not before & after
    assert set(asked.statuses) == {200}
    assert not asked.broken
