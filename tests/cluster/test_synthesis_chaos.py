"""Synthesis under kill -9 of actors, a raylet and the driver, with an endpoint that misbehaves.

PAD_RAY_CHAOS_SAMPLES is the number of samples; the kills are spread over the run.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import pyarrow.dataset as pads
import pytest
from ray.cluster_utils import Cluster
from shared_machines import AGAIN_IF_BUSY

pytestmark = [pytest.mark.cluster, AGAIN_IF_BUSY]
ROOT = Path(__file__).parents[2]
SAMPLES = int(os.environ.get("PAD_RAY_CHAOS_SAMPLES", 8_000))
A_PROBLEM = 8
PARTS = ("verified", "rejected")
# Times, and how often the endpoint had to be asked, which is what its faults change.
MEASURED = ("cpu_s", "wall_s", "solve_s", "retries")


@contextmanager
def endpoint(faults: float) -> Iterator[str]:
    """Run tests/cluster/flaky_endpoint.py and yield its address."""
    script = Path(__file__).with_name("flaky_endpoint.py")
    command = [sys.executable, str(script), str(SAMPLES // A_PROBLEM), str(faults)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    try:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
    finally:
        process.kill()
        process.wait()


def delivered(url: str) -> int:
    with urllib.request.urlopen(f"{url}/delivered", timeout=10) as response:
        return int(response.read())


@contextmanager
def three_nodes() -> Iterator[Cluster]:
    memory = {"object_store_memory": 100 * 1024**2}
    # A short path: Ray's sockets lie below it.
    with tempfile.TemporaryDirectory(prefix="pr", dir="/tmp") as temporary:
        before = dict(os.environ)
        os.environ.update(RAY_TMPDIR=temporary, RAY_ADDRESS="")
        head = {"num_cpus": 3, "include_dashboard": False, **memory}
        cluster = Cluster(initialize_head=True, head_node_args=head)
        try:
            for _ in range(2):
                cluster.add_node(num_cpus=3, **memory)
            yield cluster
        finally:
            cluster.shutdown()
            os.environ.clear()
            os.environ.update(before)


def command(out: Path, url: str) -> list[str]:
    flags = (
        f"--task arithmetic --count {SAMPLES // A_PROBLEM} --samples {A_PROBLEM} "
        f"--teacher endpoint --endpoint.base_url {url}/v1 --endpoint.model m "
        f"--endpoint.n_per_request {A_PROBLEM} --endpoint.timeout_s 2 --endpoint.max_retries 9 "
        f"--teacher_actors 2 --sandbox_actors 2 --rows_per_block 256 --out {out}"
    )
    return [sys.executable, str(ROOT / "jobs/synthesize.py"), *flags.split()]


def start(out: Path, url: str, cluster: Cluster) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "RAY_ADDRESS": cluster.address}
    return subprocess.Popen(command(out, url), cwd=ROOT, env=environment)


def processes(named: str) -> list[psutil.Process]:
    """Return the cluster's own: its raylets are children of this process."""
    found = []
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            if named in " ".join(process.cmdline()):
                found.append(process)
    return found


def kill_one(named: str) -> str:
    victims = processes(named)
    assert victims, f"no process is called {named}"
    random.choice(victims).kill()
    return f"kill -9 of {named}"


def rows(out: Path) -> dict[str, dict[str, Any]]:
    tables = [pads.dataset(out / part, format="parquet").to_table() for part in PARTS]
    found = [row for table in tables for row in table.drop_columns(list(MEASURED)).to_pylist()]
    assert len({row["row_id"] for row in found}) == len(found)
    return {row["row_id"]: row for row in found}


def wait_for(reached: Callable[[], bool], driver: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 1800
    while not reached():
        assert driver.poll() is None, f"the driver ended with {driver.returncode}"
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.2)


@pytest.mark.timeout(7200)
def test_kills_and_faults_change_no_row_and_cost_few_completions(tmp_path: Path) -> None:
    whole, chaos = tmp_path / "whole", tmp_path / "chaos"
    with three_nodes() as cluster, endpoint(0.0) as url:
        began = time.monotonic()
        assert start(whole, url, cluster).wait(3600) == 0
        undisturbed_s, undisturbed = time.monotonic() - began, delivered(url)

    events: list[str] = []
    with three_nodes() as cluster, endpoint(0.1) as url:
        began = time.monotonic()
        driver = start(chaos, url, cluster)
        for share, what in zip(
            (0.15, 0.3, 0.45, 0.6, 0.75),
            ("judge", "teacher", "driver", "raylet", "driver"),
            strict=True,
        ):
            wait_for(lambda share=share: delivered(url) >= share * SAMPLES, driver)
            if what == "judge":
                events.append(kill_one("ProgramJudge"))
            elif what == "teacher":
                events.append(kill_one("TeacherStage"))
            elif what == "raylet":
                node = cluster.list_all_nodes()[-1]
                cluster.remove_node(node, allow_graceful=False)
                events.append("kill -9 of a raylet")
            else:
                os.kill(driver.pid, signal.SIGKILL)
                driver.wait()
                events.append("kill -9 of the driver")
                driver = start(chaos, url, cluster)
        # The driver may have been on the dead node: the same command goes on then, too.
        for _ in range(3):
            if driver.wait(3600) == 0:
                break
            driver = start(chaos, url, cluster)
        assert driver.returncode == 0
        disturbed_s, disturbed = time.monotonic() - began, delivered(url)

    assert (chaos / "manifest.json").is_file()
    assert len(events) == 5
    assert rows(chaos) == rows(whole)
    verified = json.loads((whole / "manifest.json").read_text())["counts"]["verified"]
    assert verified > SAMPLES / 20
    print(
        f"{SAMPLES} samples: undisturbed {undisturbed_s:.0f} s and {undisturbed} completions, "
        f"disturbed {disturbed_s:.0f} s and {disturbed} ({disturbed / undisturbed - 1:+.2%}); "
        f"{verified} verified in both"
    )
    assert disturbed < undisturbed * 1.03
