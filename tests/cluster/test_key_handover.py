"""A key that only the driver has, used on a node that has none of it, and written nowhere."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from ray.cluster_utils import Cluster
from shared_machines import AGAIN_IF_BUSY

from tests.teachers.openai_server import Call, OpenAIServer, Reply, chat, openai_server

pytestmark = [pytest.mark.cluster, AGAIN_IF_BUSY, pytest.mark.timeout(900)]
ROOT = Path(__file__).parents[2]
PROBLEMS = 40


@pytest.fixture
def sessions() -> Iterator[Path]:
    """Where Ray keeps its sessions: a short path, for sockets lie below it."""
    with tempfile.TemporaryDirectory(prefix="pk", dir="/tmp") as folder:
        yield Path(folder)


@pytest.fixture
def cluster(sessions: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    """A head on which nothing but the driver fits, and a node for all actors."""
    monkeypatch.setenv("RAY_TMPDIR", str(sessions))
    monkeypatch.setenv("RAY_ADDRESS", "")
    memory = {"object_store_memory": 100 * 1024**2}
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, **memory})
    made.add_node(num_cpus=5, **memory)
    yield made
    made.shutdown()


def slowly(call: Call) -> Reply:
    program = "def solution():\n    return 12"
    return replace(chat(*[program] * call.body.get("n", 1)), delay_s=0.5)


def holding(key: str, without: int) -> list[str]:
    """Return which processes below this one have the key in their variables or their command."""
    found = []
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):
            if process.pid != without:
                told = [*process.environ().values(), *process.cmdline()]
                found += [process.name() for text in told if key in text]
    return found


def written_in(folder: Path, key: str) -> list[str]:
    files = [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
    return [str(path) for path in files if key.encode() in path.read_bytes()]


def answers(server: OpenAIServer) -> list[Call]:
    """Return the requests for samples; the check before a run has no system prompt."""
    return [call for call in server.calls if len(call.body["messages"]) > 1]


def test_a_key_reaches_other_nodes_and_is_written_nowhere(
    cluster: Cluster, sessions: Path, tmp_path: Path
) -> None:
    key = f"sk-{secrets.token_hex(24)}"
    out = tmp_path / "out"
    flags = (
        f"--task arithmetic --count {PROBLEMS} --teacher endpoint --endpoint.model m "
        f"--endpoint.api_key_env MY_KEY --endpoint.concurrency 2 --out {out}"
    )
    with openai_server(slowly) as server:
        words = [sys.executable, "-m", "pad_ray", "synthesize", *flags.split()]
        driver = subprocess.Popen(
            [*words, "--endpoint.base_url", server.base_url],
            cwd=ROOT,
            env={**os.environ, "RAY_ADDRESS": cluster.address, "MY_KEY": key},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        deadline = time.monotonic() + 400
        while len(answers(server)) < 4 and driver.poll() is None:
            assert time.monotonic() < deadline, "nothing is asked"
            time.sleep(0.2)
        running = driver.poll() is None
        assert holding(key, driver.pid) == []
        said, _ = driver.communicate(timeout=400)
        assert driver.returncode == 0 and running, said
        sent = {call.headers["authorization"] for call in answers(server)}
    assert sent == {f"Bearer {key}"} and len(answers(server)) == PROBLEMS
    assert key not in said
    # Ray's logs of both nodes and its state, and all that the job leaves.
    assert len(list(sessions.rglob("*.log"))) > 5
    assert written_in(sessions, key) == []
    assert written_in(out, key) == []
