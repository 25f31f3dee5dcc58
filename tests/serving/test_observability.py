"""Metrics and logs of the running endpoint, and the dashboard that is drawn from them."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path

import httpx2
import ray
from endpoints import Endpoint
from small_students import Example

ROOT = Path(__file__).parents[2]
DASHBOARD = ROOT / "cluster/grafana-dashboard.json"
METRICS = ROOT / "pad_ray/serving/metrics.py"


def exported() -> str:
    ports = [node["MetricsExportPort"] for node in ray.nodes() if node["Alive"]]
    return httpx2.get(f"http://127.0.0.1:{ports[0]}/metrics", timeout=30).text


def test_metrics_that_the_dashboard_draws_are_exported(
    endpoint: Endpoint, examples: list[Example]
) -> None:
    with endpoint.client() as client:
        client.post("/v1/solve", json={"question": examples[0].question})
    ours = tuple(f"ray_{name}" for name in re.findall(r'"(pad_ray_\w+)"', METRICS.read_text()))
    drawn = set(re.findall(r"ray_pad_ray_\w+", DASHBOARD.read_text()))
    wanted = {name for name in drawn if name.startswith(ours)}
    assert len(wanted) >= 8
    deadline = time.monotonic() + 40
    while missing := {name for name in wanted if name not in (text := exported())}:
        assert time.monotonic() < deadline, missing
        time.sleep(2)
    assert 'strategy="stepwise"' in text


def test_logs_hold_ids_and_no_question(endpoint: Endpoint, examples: list[Example]) -> None:
    with endpoint.client() as client:
        found = client.post("/v1/solve", json={"question": examples[2].question}).json()
    session = ray._private.worker._global_node.get_session_dir_path()
    logs = Path(session) / "logs" / "serve"
    deadline = time.monotonic() + 20
    while True:
        texts = [file.read_text() for file in logs.glob("replica_pad-ray_*.log")]
        lines = [line for text in texts for line in text.splitlines() if found["id"] in line]
        if lines:
            break
        assert time.monotonic() < deadline
        time.sleep(0.5)
    record = json.loads(lines[0])
    assert record["message"] == "solved" and record["result"] == "ok"
    assert record["strategy"] == "stepwise" and record["tokens"] > 0
    assert not any(examples[2].question in text for text in texts)
    assert not any("pad-test-key" in text for text in texts)
