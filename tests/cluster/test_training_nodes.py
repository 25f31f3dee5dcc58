"""A node of a training's cluster dies: kill -9 of its raylet, and fewer workers go on."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from ray.cluster_utils import Cluster
from shared_machines import AGAIN_IF_BUSY
from small_trainings import furthest_weights

from pad_ray.flow.stages import read_manifest

pytestmark = [pytest.mark.cluster, AGAIN_IF_BUSY]
ROOT = Path(__file__).parents[2]
STEPS = 100
A_CHECKPOINT = 10
# As tests/cluster/test_serving_nodes.py has them: a dead node is known in seconds.
HEALTH = {
    "RAY_health_check_initial_delay_ms": "5000",
    "RAY_health_check_period_ms": "1000",
    "RAY_health_check_timeout_ms": "2000",
    "RAY_health_check_failure_threshold": "5",
}


@contextmanager
def nodes_of_one_worker() -> Iterator[Cluster]:
    """A head without CPUs, and two nodes with room for one training worker each."""
    memory = {"object_store_memory": 100 * 1024**2}
    # A short path: Ray's sockets lie below it.
    with tempfile.TemporaryDirectory(prefix="pr", dir="/tmp") as temporary:
        before = dict(os.environ)
        os.environ.update(HEALTH, RAY_TMPDIR=temporary, RAY_ADDRESS="")
        head = {"num_cpus": 0, "include_dashboard": False, **memory}
        cluster = Cluster(initialize_head=True, head_node_args=head)
        try:
            for _ in range(2):
                cluster.add_node(num_cpus=1, **memory)
            os.environ["RAY_ADDRESS"] = cluster.address
            yield cluster
        finally:
            cluster.shutdown()
            os.environ.clear()
            os.environ.update(before)


def command(data: Path, out: Path, *more: str) -> list[str]:
    flags = (
        f"--data {data} --out {out} --student scratch:tiny --max_steps {STEPS} --batch_size 12 "
        f"--micro_batch_size 4 --log_every 1 --evaluate_every {A_CHECKPOINT} --zero_stage 2"
    )
    return [sys.executable, str(ROOT / "jobs/train.py"), *flags.split(), *more]


def metrics(out: Path) -> list[dict[str, Any]]:
    path = out / "metrics.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    return [json.loads(line) for line in lines if line.endswith("}")]


def kill_one_node(cluster: Cluster, out: Path, job: subprocess.Popen[bytes]) -> None:
    """Kill a node once the run is past its first checkpoint."""
    end = time.monotonic() + 400
    while not any(line["step"] > A_CHECKPOINT + 2 for line in metrics(out)):
        assert job.poll() is None and time.monotonic() < end
        time.sleep(0.05)
    cluster.remove_node(cluster.worker_nodes.copy().pop(), allow_graceful=False)


@pytest.mark.timeout(900)
def test_training_goes_on_with_fewer_workers_when_a_node_dies(
    training_data: Path, tmp_path: Path
) -> None:
    whole, out = tmp_path / "whole", tmp_path / "out"
    with nodes_of_one_worker() as cluster:
        subprocess.run(command(training_data, whole, "--workers", "1"), check=True, cwd=ROOT)
        elastic = command(training_data, out, "--workers", "2", "--min_workers", "1")
        with subprocess.Popen(elastic, cwd=ROOT) as job:
            kill_one_node(cluster, out, job)
        assert job.returncode == 0
    first, second = read_manifest(out)["worker_groups"]
    assert (first["workers"], first["from_step"], second["workers"]) == (2, 0, 1)
    assert 0 < second["from_step"] < STEPS and second["from_step"] % A_CHECKPOINT == 0
    assert [line["step"] for line in metrics(out) if "loss" in line] == list(range(1, STEPS + 1))
    assert furthest_weights(whole, out) < 1e-3
