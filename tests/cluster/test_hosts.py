"""Jobs submitted from a laptop to a head and two workers, each a host of its own."""

from __future__ import annotations

import json
import os
import pty
import secrets
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import yaml
from hosts import DASHBOARD, GCS, POSSIBLE, RAY, WHY_NOT, Hosts, hosts, row_ids
from shared_machines import AGAIN_IF_BUSY

pytestmark = [
    pytest.mark.cluster,
    AGAIN_IF_BUSY,
    pytest.mark.timeout(1500),
    pytest.mark.skipif(not POSSIBLE, reason=WHY_NOT),
]
ROOT = Path(__file__).parents[2]
SUBMIT = [sys.executable, str(ROOT / "jobs/submit.py")]
WORKERS = ("one", "two")
PIPELINE = {
    "title": "three hosts",
    "out": "runs/pipeline",
    "synthesis": [
        {"task": "jsonl", "problems": "coins.jsonl", "teacher": "recorded", "completions": "said"}
    ],
    "training": {
        "student": "scratch:tiny",
        "max_steps": 12,
        "batch_size": 8,
        "micro_batch_size": 4,
        "learning_rate": 4e-3,
        "validation_fraction": 0.1,
        # Two of them fit on no host, so that both must work, however Ray packs.
        "workers": 2,
        "cpus_per_worker": 4,
        "evaluate_every": 12,
    },
    "evaluation": [{"task": "jsonl", "problems": "coins.jsonl", "count": 10, "max_new_tokens": 20}],
}


@pytest.fixture(scope="module")
def cluster() -> Iterator[Hosts]:
    with hosts("head", *WORKERS, "client") as made:
        made.start_head()
        for name in WORKERS:
            made.start_worker(name)
        yield made


@pytest.fixture
def whole(cluster: Hosts) -> Hosts:
    """The cluster with both workers, whatever an earlier test did to them."""
    for name in WORKERS:
        if cluster.address(name) not in cluster.nodes():
            cluster.start_worker(name)
    return cluster


@pytest.fixture
def laptop(tmp_path: Path) -> Path:
    """A folder with problems and a teacher's answers, as a user has them at home."""
    folder = tmp_path / "laptop"
    (folder / "said").mkdir(parents=True)
    rows = [{"question": f"What is {i} plus {i}?", "answer": 2 * i} for i in range(120)]
    said = [
        {
            "question": row["question"],
            "completion": f"def solution():\n    total = {i} + {i}\n    return total\n",
        }
        for i, row in enumerate(rows)
    ]
    for name, lines in (("coins.jsonl", rows), ("said/answers.jsonl", said)):
        (folder / name).write_text("".join(json.dumps(line) + "\n" for line in lines))
    (folder / "pipeline.yaml").write_text(yaml.safe_dump(PIPELINE))
    return folder


@pytest.fixture
def storage() -> Iterator[Path]:
    """A folder that all hosts see."""
    folder = Path(tempfile.mkdtemp(prefix="pad-storage-"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def submitted(
    cluster: Hosts, laptop: Path, *words: str, **more: str
) -> subprocess.CompletedProcess[str]:
    flags = ["--address", cluster.dashboard]
    return cluster.run("client", [*SUBMIT, *words, *flags], cwd=laptop, check=False, more=more)


def named(name: str) -> str:
    """Return a job's name that is new on the cluster, which outlives a test's first attempt."""
    return f"{name}-{secrets.token_hex(3)}"


def synthesis(out: str, storage: Path, count: int = 60) -> list[str]:
    flags = f"--task arithmetic --count {count} --teacher scripted --rows_per_block 10 --out {out}"
    return ["synthesize", *flags.split(), "--storage", str(storage)]


def test_the_laptop_reaches_the_dashboard_alone(cluster: Hosts) -> None:
    script = "import socket, sys; socket.create_connection((sys.argv[1], int(sys.argv[2])), 3)"
    for name, port, reached in (
        ("head", DASHBOARD, True),
        ("head", GCS, False),
        ("one", 22, False),
    ):
        words = [sys.executable, "-c", script, cluster.address(name), str(port)]
        ran = cluster.run("client", words, check=False)
        assert (ran.returncode == 0) is reached, ran.stderr
        assert reached or "timed out" in ran.stderr


@pytest.mark.parametrize("token", ["f" * 64, ""])
def test_a_wrong_token_is_refused_in_one_line(
    cluster: Hosts, laptop: Path, storage: Path, token: str
) -> None:
    ran = submitted(cluster, laptop, *synthesis("out", storage), RAY_AUTH_TOKEN=token)
    assert ran.returncode == 2
    said = [line for line in ran.stderr.splitlines() if line.startswith("submit: error: ")]
    assert len(said) == 1 and "RAY_AUTH_TOKEN" in said[0], ran.stderr
    assert "Traceback" not in ran.stderr


def test_the_whole_pipeline(whole: Hosts, laptop: Path, storage: Path) -> None:
    flags = ["pipeline", "--config", "pipeline.yaml", "--storage", str(storage)]
    with Watched(whole) as worked:
        ran = submitted(whole, laptop, *flags)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert worked.hosts() == set(WORKERS)
    made = json.loads((storage / "runs/pipeline/metrics.json").read_text())
    assert made
    assert (storage / "runs/pipeline/student/model.safetensors").is_file()
    assert (storage / "runs/pipeline/report.html").is_file()
    again = submitted(whole, laptop, *flags)
    assert again.returncode == 0
    assert again.stdout.count("nothing to do") == 3, again.stdout


class Watched:
    """Notes, while a block runs, on which hosts Ray's workers did work."""

    def __init__(self, cluster: Hosts) -> None:
        self._cluster = cluster
        self._before = self._spent()

    def _spent(self) -> dict[str, float]:
        spent: dict[str, float] = {}
        for name in WORKERS:
            for process in self._cluster.inside(name):
                with suppress(Exception):
                    times = process.cpu_times()
                    spent[name] = spent.get(name, 0) + times.children_user + times.user
        return spent

    def __enter__(self) -> Watched:
        return self

    def __exit__(self, *_: object) -> None:
        self._after = self._spent()

    def hosts(self) -> set[str]:
        return {name for name in WORKERS if self._after[name] - self._before[name] > 1}


def test_the_status_and_the_reason_come_back(whole: Hosts, laptop: Path) -> None:
    flags = "--task jsonl --problems /gone/p.jsonl --teacher rationale --out /tmp/never"
    ran = submitted(whole, laptop, "synthesize", *flags.split())
    assert ran.returncode == 2
    assert "synthesize: error: /gone/p.jsonl" in ran.stdout, ran.stdout


def test_a_job_is_submitted_by_hand(whole: Hosts, storage: Path) -> None:
    """As docs/cluster.md has it; an output that Ray would delete with it is refused."""

    def submit(out: str) -> subprocess.CompletedProcess[str]:
        job = (
            f"python jobs/synthesize.py --task coin_flip --count 20 --teacher scripted --out {out}"
        )
        to_head = f"--address {whole.dashboard} --working-dir . --"
        words = [str(RAY), "job", "submit", *to_head.split(), *job.split()]
        return whole.run("client", words, cwd=ROOT, check=False, timeout=600)

    refused = submit("runs/lost")
    said = refused.stdout + refused.stderr
    assert refused.returncode != 0
    assert "synthesize: error: out: runs/lost would be deleted" in said
    assert "Traceback" not in said
    out = storage / "kept"
    ran = submit(str(out))
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert len(row_ids(out)) == 20


@pytest.mark.parametrize(
    ("host", "out", "token", "expected"),
    [
        (
            "head",
            "/tmp/ray/mine",
            None,
            "out: /tmp/ray/mine is not on storage that all nodes share",
        ),
        ("head", "shared", "f" * 64, "the cluster refuses the token; give the cluster's token in"),
        ("client", "shared", None, "no Ray cluster answers there; is its head running"),
    ],
)
def test_a_driver_by_hand_is_told_what_is_wrong(
    whole: Hosts, storage: Path, host: str, out: str, token: str | None, expected: str
) -> None:
    """Each host has a /tmp/ray of its own, and the client reaches the dashboard alone."""
    place = storage / out  # an absolute one stays
    flags = f"--task coin_flip --count 20 --teacher scripted --out {place}"
    words = [sys.executable, "-m", "pad_ray", "synthesize", *flags.split()]
    more = {"RAY_ADDRESS": f"{whole.address('head')}:{GCS}"}
    if token is not None:
        more["RAY_AUTH_TOKEN"] = token
    ran = whole.run(host, words, check=False, timeout=300, more=more)
    assert ran.returncode == 2, ran.stdout + ran.stderr
    assert ran.stderr.startswith("synthesize: error: ") and ran.stderr.count("\n") == 1
    assert expected in ran.stderr, ran.stderr
    # The corrected command finds nothing in its way.
    assert whole.run(host, ["ls", str(place)], check=False).returncode != 0


def test_a_taken_name_is_refused(whole: Hosts, laptop: Path, storage: Path) -> None:
    name = named("taken")
    words = [*synthesis("out", storage, 3), "--submission_id", name]
    first = submitted(whole, laptop, *words, "--wait", "false")
    assert first.returncode == 0
    assert " submit follow --address" in first.stdout
    second = submitted(whole, laptop, *words)
    assert second.returncode == 2
    assert name in second.stderr and second.stderr.count("\n") == 1, second.stderr
    followed = submitted(whole, laptop, "follow", "--submission_id", name)
    assert followed.returncode == 0
    assert "written to" in followed.stdout
    unknown = submitted(whole, laptop, "follow", "--submission_id", "unknown")
    assert unknown.returncode == 2
    assert "unknown" in unknown.stderr and "Traceback" not in unknown.stderr


@pytest.mark.parametrize("answer", ["y", "n"])
def test_an_interrupt_asks(whole: Hosts, laptop: Path, storage: Path, answer: str) -> None:
    name = named(f"asked-{answer}")
    words = [*synthesis("out", storage, 2000), "--submission_id", name]
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        whole.command("client", [*SUBMIT, *words, "--address", whole.dashboard]),
        env=whole.environment(),
        cwd=laptop,
        stdin=follower,
        stdout=follower,
        stderr=follower,
        preexec_fn=controlled_by(follower),
    )
    os.close(follower)
    try:
        said = read_until(leader, "2000 problems")
        os.write(leader, b"\x03")
        said += read_until(leader, f"stop {name}?")
        os.write(leader, answer.encode() + b"\n")
        # A busy cluster may not have stopped it within the minute that is waited.
        said += read_until(leader, "goes on", "has been told to stop")
        assert process.wait(60) == 130, said
    finally:
        process.kill()
        process.wait()
        os.close(leader)
    ran = submitted(whole, laptop, "follow", "--submission_id", name) if answer == "y" else None
    if ran is not None:
        assert ran.returncode == 130, ran.stdout
        assert "stopped" in ran.stdout
    else:
        stop = [str(Path(sys.executable).with_name("ray")), "job", "stop", name]
        assert whole.run("client", [*stop, "--address", whole.dashboard]).returncode == 0


def controlled_by(terminal: int) -> Any:
    """Return what makes a terminal the controlling one of a new process, so that ^C reaches it."""

    def begin() -> None:
        import fcntl
        import termios

        os.setsid()
        fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)
        signal.signal(signal.SIGINT, signal.default_int_handler)

    return begin


def read_until(terminal: int, *texts: str, patience_s: float = 400) -> str:
    """Return what a terminal's process says until one of the texts."""
    said = ""
    deadline = time.monotonic() + patience_s
    while not any(text in said for text in texts):
        ready, _, _ = select.select([terminal], [], [], max(0.0, deadline - time.monotonic()))
        assert ready, f"waited for {texts}: {said}"
        try:
            said += os.read(terminal, 4096).decode(errors="replace")
        except OSError:
            # It has no other end any more.
            pytest.fail(f"ended before {texts}: {said}")
    return said


class Submitted:
    """A job that is followed while the test does something else."""

    def __init__(self, cluster: Hosts, laptop: Path, *words: str) -> None:
        self.log = laptop / "submit.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                cluster.command("client", [*SUBMIT, *words, "--address", cluster.dashboard]),
                env=cluster.environment(),
                cwd=laptop,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def text(self) -> str:
        return self.log.read_text(errors="replace")

    def ends(self, patience_s: float = 400) -> int:
        return self.process.wait(patience_s)


def test_a_worker_dies_in_synthesis(whole: Hosts, laptop: Path, storage: Path) -> None:
    count = 1500
    words = synthesis("out", storage, count)
    job = Submitted(whole, laptop, *words, "--teacher_actors", "2", "--sandbox_actors", "2")
    parts = storage / "out"
    whole.wait(lambda: len(list(parts.rglob("done/*.parquet"))) >= 5, "the first rows", 240)
    whole.kill("two")
    assert job.ends() == 0, job.text()
    ids = row_ids(parts)
    assert len(ids) == len(set(ids)) == count


def test_a_worker_dies_in_training(whole: Hosts, laptop: Path, storage: Path) -> None:
    made = submitted(whole, laptop, *synthesis("data", storage, 200))
    assert made.returncode == 0, made.stdout
    flags = (
        "train --data data --student scratch:tiny --max_steps 150 --batch_size 8 "
        "--micro_batch_size 4 --learning_rate 0.004 --validation_fraction 0.1 --workers 2 "
        "--evaluate_every 50 --log_every 5 --out student"
    )
    job = Submitted(whole, laptop, *flags.split(), "--storage", str(storage))
    metrics = storage / "student/metrics.jsonl"

    def last_step() -> int:
        lines = metrics.read_text().splitlines() if metrics.is_file() else []
        return max((json.loads(line)["step"] for line in lines), default=0)

    whole.wait(lambda: last_step() >= 60, "60 steps", 300)
    trains = [
        name
        for name in WORKERS
        if any("RayTrainWorker" in " ".join(p.cmdline()) for p in whole.inside(name))
    ]
    whole.kill(trains[0])
    assert job.ends() == 0, job.text()
    assert last_step() == 150
    assert (storage / "student/model.safetensors").is_file()
