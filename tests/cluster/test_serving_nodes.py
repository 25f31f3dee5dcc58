"""A node of the endpoint's cluster dies under load: kill -9 of its raylet, real raylets."""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import shutil
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx2
import psutil
import pytest
import ray
import torch
from ray import serve
from ray.cluster_utils import Cluster
from shared_machines import AGAIN_IF_BUSY
from small_students import Example, example, taught

from pad_ray.decoding.settings import SearchSettings
from pad_ray.decoding.solver import Solver
from pad_ray.serving import ServingSettings, build
from pad_ray.serving.settings import StudentSettings
from pad_ray.students.models import save_student

pytestmark = [pytest.mark.cluster, AGAIN_IF_BUSY]
# The goal is 30 s on a machine of one's own (RESULTS.md); others share these cores.
BACK_WITHIN_S = 120
REFUSED = {429, 503}
SEARCH = SearchSettings(strategy="stepwise", max_new_tokens=120)
# All else is Ray's default. Every second the GCS asks each raylet, which has two seconds to
# answer; five failures in a row are a dead node: 5 s after a raylet's end, 15 s after a freeze.
# Ray's own 3 s and 10 s make that 15 s and 65 s.
HEALTH = {
    "RAY_health_check_initial_delay_ms": "5000",
    "RAY_health_check_period_ms": "1000",
    "RAY_health_check_timeout_ms": "2000",
    "RAY_health_check_failure_threshold": "5",
}


@dataclass(frozen=True)
class Asked:
    """One request and what became of it; status 0: accepted and lost, or a broken connection."""

    began: float
    ended: float
    status: int
    right: bool
    streamed: bool


@dataclass
class Load:
    """Questions asked over and over by a few clients; every second one has its answer streamed."""

    url: str
    examples: list[Example]
    asked: list[Asked] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)

    def ask(self, number: int) -> None:
        with httpx2.Client(base_url=self.url, timeout=120) as client:
            at = number * 7
            while not self.stop.is_set():
                one = self.examples[at % len(self.examples)]
                done = self._ask(client, one, streamed=number % 2 == 1)
                self.asked.append(done)
                if done.status in REFUSED | {0}:
                    time.sleep(1)
                else:
                    at += 1

    def _ask(self, client: httpx2.Client, one: Example, streamed: bool) -> Asked:
        began, status, right = time.monotonic(), 0, False
        try:
            body = {"question": one.question, "stream": streamed}
            response = client.post("/v1/solve", json=body)
            status = response.status_code
            if status == 200:
                found = last_event(response.text) if streamed else response.json()
                status = 503 if found.get("error") else status
            if "have died" in response.text:
                status = 0
            if status == 200:
                right = found.get("answer") == one.answer and bool(found.get("program"))
        except httpx2.TransportError:
            pass
        return Asked(began, time.monotonic(), status, right, streamed)


def last_event(text: str) -> dict[str, Any]:
    data = text.rstrip().rsplit("data: ", 1)[1]
    found: dict[str, Any] = json.loads(data)
    return found


@contextmanager
def load(url: str, examples: list[Example], clients: int = 4) -> Iterator[Load]:
    found = Load(url, examples)
    threads = [threading.Thread(target=found.ask, args=(n,)) for n in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield found
    finally:
        found.stop.set()
        for thread in threads:
            thread.join(120)


@dataclass(frozen=True)
class Report:
    """Times in seconds after the kill."""

    asked: list[Asked]
    replicas_before: list[int]
    replicas_after: int
    given_on: int
    killed: float
    node_dead_s: float
    replicas_back_s: float


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@contextmanager
def three_nodes(temporary: str) -> Iterator[Cluster]:
    """A head that holds the proxy and the ingress, and two workers that hold the replicas."""
    os.environ.update(HEALTH, RAY_TMPDIR=temporary, RAY_ADDRESS="")
    memory = {"object_store_memory": 100 * 1024**2}
    head = {"num_cpus": 2, "resources": {"front": 1}, "include_dashboard": False, **memory}
    head["dashboard_port"] = free_port()
    cluster = Cluster(initialize_head=True, head_node_args=head)
    try:
        for _ in range(2):
            cluster.add_node(num_cpus=2, resources={"back": 2}, **memory)
        ray.init(address=cluster.address, log_to_driver=False)
        yield cluster
    finally:
        ray.shutdown()
        cluster.shutdown()


def deploy(student: Path) -> str:
    port = free_port()
    serve.start(proxy_location="HeadOnly", http_options={"host": "127.0.0.1", "port": port})
    front = {"num_cpus": 0.1, "resources": {"front": 0.1}}
    back = {"num_cpus": 0.5, "resources": {"back": 0.5}}
    settings = ServingSettings(
        students={"demo": StudentSettings(path=str(student), search=SEARCH)},
        ingress={"ray_actor_options": front},
        solver={"num_replicas": 2, "ray_actor_options": back},
    )
    serve.run(build(settings), name="nodes", route_prefix="/")
    return f"http://127.0.0.1:{port}"


def raylet_pid(node: Any) -> int:
    return int(node.all_processes["raylet"][0].process.pid)


def replicas_of(node: Any) -> int:
    """Count the solver replicas that are processes of a node's raylet."""
    found = 0
    for process in processes_of(node):
        with suppress(psutil.NoSuchProcess):
            found += "ServeReplica:nodes:solver" in " ".join(process.cmdline())
    return found


def running() -> int:
    states = serve.status().applications["nodes"].deployments["solver"].replica_states
    return states.get("RUNNING", 0)


def alive() -> int:
    return sum(node["Alive"] for node in ray.nodes())


def wait_for(condition: Callable[[], bool], seconds: float, what: str) -> float:
    """Return when it came true."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not in time: {what}"
        time.sleep(0.1)
    return time.monotonic()


def given_on(temporary: str) -> int:
    """Count the requests that the ingress took from a dead replica to another one."""
    logs = Path(temporary).glob("ray/session_2*/logs/serve/replica_nodes_ingress*.log")
    return sum(log.read_text().count("replica died under a request") for log in logs)


def kill_raylet(node: Any) -> None:
    psutil.Process(raylet_pid(node)).kill()


def freeze_node(node: Any) -> None:
    """As a machine that has lost its network or its power: no connection is closed."""
    for process in processes_of(node):
        process.suspend()


def processes_of(node: Any) -> list[psutil.Process]:
    raylet = psutil.Process(raylet_pid(node))
    return [raylet, *raylet.children(recursive=True)]


def scenario(student: Path, examples: list[Example], end: Callable[[Any], None]) -> Report:
    """End a node in the middle of the load, and report."""
    temporary = tempfile.mkdtemp(prefix="pad")
    try:
        with three_nodes(temporary) as cluster:
            url = deploy(student)
            workers = sorted(cluster.worker_nodes, key=raylet_pid)
            with load(url, examples) as asked:
                found = ended_under(asked, workers, end)
            return replace(found, asked=asked.asked, given_on=given_on(temporary))
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def ended_under(asked: Load, workers: list[Any], end: Callable[[Any], None]) -> Report:
    wait_for(lambda: len(asked.asked) > 20, 90, "answers before the kill")
    before = [replicas_of(node) for node in workers]
    victim, survivor = workers
    doomed = processes_of(victim)
    end(victim)
    killed = time.monotonic()
    try:
        return watched(asked, before, survivor, killed)
    finally:
        # What is frozen ends by no other signal.
        for process in doomed:
            with suppress(psutil.NoSuchProcess):
                process.kill()


def watched(asked: Load, before: list[int], survivor: Any, killed: float) -> Report:
    """Wait until the service is whole again."""
    dead = wait_for(lambda: alive() == 2, 60, "the node's death is noticed")
    whole = sum(before)
    back = wait_for(
        lambda: running() == whole and replicas_of(survivor) == whole, 90, "replicas are back"
    )
    seen = len(asked.asked)
    wait_for(lambda: len(asked.asked) > seen + 20, 90, "answers after")
    after = replicas_of(survivor)
    return Report([], before, after, 0, killed, dead - killed, back - killed)


@pytest.fixture(scope="module")
def student_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("nodes") / "student"
    threads = torch.get_num_threads()
    # A tiny student's threads wait for each other where the machine is busy: minutes, not seconds.
    torch.set_num_threads(1)
    save_student(taught("scratch:tiny"), folder)
    torch.set_num_threads(threads)
    return folder


def answered_alone(folder: Path) -> list[Example]:
    """Return questions, each with the answer that the student gives on this machine, right or not.

    Where its training stops, and with it what it copies wrongly, differs between machines.
    """
    rng = random.Random(99)
    asked = [example(rng) for _ in range(40)]
    with Solver.from_pretrained(folder, threads=1) as solver:
        solutions = solver.solve_batch([one.question for one in asked], settings=SEARCH)
    found = [
        replace(one, answer=solution.answer)
        for one, solution in zip(asked, solutions, strict=True)
        if isinstance(solution.answer, int)
    ]
    assert len(found) > 20
    return found


@pytest.mark.timeout(1200)
# A frozen node is found dead after 15 s, and then a replica has to start.
@pytest.mark.parametrize(("end", "back_s"), [(kill_raylet, BACK_WITHIN_S), (freeze_node, 150)])
def test_a_dead_node_loses_no_request(
    student_folder: Path, end: Callable[[Any], None], back_s: float
) -> None:
    examples = answered_alone(student_folder)
    # In a process of its own: this one may hold the session's local Ray.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        found = pool.submit(scenario, student_folder, examples, end).result(500)
    print(summary(found))
    assert found.replicas_before == [1, 1] and found.replicas_after == 2
    assert {one.status for one in found.asked} <= {200} | REFUSED
    assert all(one.right for one in found.asked if one.status == 200)
    assert found.given_on > 0
    assert found.replicas_back_s < back_s
    later = [one for one in found.asked if one.ended > found.killed and one.status == 200]
    assert {one.streamed for one in later} == {False, True}
    assert max(one.ended - one.began for one in later) < BACK_WITHIN_S


def summary(found: Report) -> str:
    """Return what was measured, for the log."""
    at_kill = [one for one in found.asked if one.began < found.killed < one.ended]
    since = sorted(one.ended - found.killed for one in found.asked if one.began > found.killed)
    took = [one.ended - one.began for one in found.asked if one.ended > found.killed]
    statuses = [one.status for one in found.asked]
    return (
        f"node dead {found.node_dead_s:.1f} s, replicas back {found.replicas_back_s:.1f} s; "
        f"given on {found.given_on}; "
        f"{ {status: statuses.count(status) for status in set(statuses)} }; in flight at the kill "
        f"{[round(one.ended - found.killed, 1) for one in at_kill]}; first new answer "
        f"{since[0]:.1f} s; longest {max(took):.1f} s"
    )
