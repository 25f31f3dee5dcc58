"""The head dies and comes back, with its state in Redis: what runs goes on."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml
from hosts import POSSIBLE, REDIS, WHY_NOT, Hosts, hosts, row_ids
from shared_machines import AGAIN_IF_BUSY
from small_students import taught

from pad_ray.serving.keys import hashed
from pad_ray.students.models import save_student

REDIS_SERVER = shutil.which("redis-server")
pytestmark = [
    pytest.mark.cluster,
    AGAIN_IF_BUSY,
    pytest.mark.timeout(1500),
    pytest.mark.skipif(not POSSIBLE, reason=WHY_NOT),
    pytest.mark.skipif(REDIS_SERVER is None, reason="redis-server is not installed"),
]
ROOT = Path(__file__).parents[2]
PORT = 8000
WORKERS = ("one", "two")
KEY = "a-key-of-this-test"
ASK = """
import json, sys, urllib.request
body = json.dumps({"question": sys.argv[2], "strategy": "greedy"}).encode()
head = {"Content-Type": "application/json", "Authorization": "Bearer " + sys.argv[3]}
request = urllib.request.Request(sys.argv[1] + "/v1/solve", body, head)
print(urllib.request.urlopen(request, timeout=60).status)
"""


@pytest.fixture(scope="module")
def storage() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="pad-storage-"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Hosts]:
    """A head whose state is in Redis on a host of its own, and two workers that wait for it."""
    with hosts("head", *WORKERS, "store", "client") as made:
        made.start(
            "store",
            [
                *(str(REDIS_SERVER), "--bind", made.address("store"), "--port", str(REDIS)),
                *("--protected-mode", "no", "--save", "", "--dir", str(made.folder)),
            ],
        )
        start_head(made)
        for name in WORKERS:
            start_worker(made, name)
        yield made


def start_worker(cluster: Hosts, name: str) -> None:
    cluster.start_worker(name, RAY_gcs_rpc_server_reconnect_timeout_s="300")


def start_head(cluster: Hosts) -> None:
    cluster.start_head(
        RAY_REDIS_ADDRESS=f"{cluster.address('store')}:{REDIS}",
        RAY_external_storage_namespace="pad-ray",
        RAY_gcs_rpc_server_reconnect_timeout_s="300",
    )


@pytest.fixture
def whole(cluster: Hosts) -> Hosts:
    """The cluster with its head and both workers, whatever an earlier attempt did to them."""
    if "head" not in cluster.first:
        start_head(cluster)
    for name in WORKERS:
        if cluster.address(name) not in cluster.nodes():
            start_worker(cluster, name)
    return cluster


@dataclass
class Asking:
    """Asks the endpoint on one host again and again, until the block ends."""

    cluster: Hosts
    host: str
    answers: list[tuple[float, str]] = field(default_factory=list)

    def __enter__(self) -> Asking:
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._ask)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _ask(self) -> None:
        while not self._stop.is_set():
            self.answers.append((time.monotonic(), ask(self.cluster, self.host)))
            time.sleep(0.5)

    def since(self, moment: float) -> list[str]:
        return [said for when, said in self.answers if when >= moment]


def ask(cluster: Hosts, host: str) -> str:
    """Return the status of one request, or the last line of what went wrong."""
    words = [sys.executable, "-c", ASK, f"http://{cluster.address(host)}:{PORT}", "2 plus 3?", KEY]
    ran = cluster.run(host, words, check=False)
    return ran.stdout.strip() or ran.stderr.strip().splitlines()[-1]


def deploy(cluster: Hosts, storage: Path) -> None:
    """Put the endpoint on the cluster from the client: two replicas, one a node."""
    model = taught("scratch:tiny", 0.5)
    save_student(model, storage / "student")
    config = yaml.safe_load((ROOT / "cluster/serve.yaml").read_text())
    (application,) = config["applications"]
    config["http_options"] = {"host": "0.0.0.0", "port": PORT}
    config["proxy_location"] = "EveryNode"
    (storage / "keys").write_text(f"test:{hashed(KEY)}\n")
    one_a_node = {"num_replicas": 2, "max_replicas_per_node": 1}
    application["args"] = {
        "students": {"demo": {"path": str(storage / "student"), "search": {"max_new_tokens": 30}}},
        "doors": {"keys_file": str(storage / "keys"), "requests_a_minute": 6000},
        "solver": one_a_node | {"ray_actor_options": {"num_cpus": 0.5}},
        "ingress": one_a_node,
    }
    (storage / "serve.yaml").write_text(yaml.safe_dump(config))
    serve = [str(Path(sys.executable).with_name("serve")), "deploy", str(storage / "serve.yaml")]
    cluster.run("client", [*serve, "--address", cluster.dashboard])
    for name in WORKERS:
        cluster.wait(lambda name=name: ask(cluster, name) == "200", f"the endpoint on {name}", 300)
        # Who has never spoken to a replica finds it through the head alone: let each meet all.
        assert {ask(cluster, name) for _ in range(15)} == {"200"}


def test_serve_answers_and_a_job_goes_on_without_the_head(whole: Hosts, storage: Path) -> None:
    deploy(whole, storage)
    # Of this attempt: rows of an earlier one would be taken for the job's.
    kept = Path(tempfile.mkdtemp(prefix="kept-", dir=storage))
    words = (
        "synthesize --task arithmetic --count 800 --teacher scripted --rows_per_block 10 "
        f"--out out --storage {kept} --entrypoint_num_cpus 0.5 --address {whole.dashboard}"
    )
    with (kept / "submit.log").open("wb") as log:
        job = subprocess.Popen(
            whole.command("client", [sys.executable, str(ROOT / "jobs/submit.py"), *words.split()]),
            env=whole.environment(),
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    parts = kept / "out"
    whole.wait(lambda: len(list(parts.rglob("done/*.parquet"))) >= 5, "the first rows", 300)
    with Asking(whole, "two") as asked:
        whole.kill("head")
        died = time.monotonic()
        whole.wait(lambda: len(asked.since(died)) >= 10, "answers without a head")
        start_head(whole)
        back = time.monotonic()
        whole.wait(lambda: len(asked.since(back)) >= 10, "answers with the head back")
    assert set(asked.since(died)) == {"200"}
    assert job.wait(500) == 0, (kept / "submit.log").read_text()
    said = (kept / "submit.log").read_text()
    assert "is away; waiting for it" in said
    ids = row_ids(parts)
    assert len(ids) == len(set(ids)) == 800
    assert json.loads((parts / "manifest.json").read_text())["counts"]["rows"] == 800


def test_a_node_of_the_endpoint_dies(whole: Hosts, storage: Path) -> None:
    with Asking(whole, "two") as asked:
        whole.wait(lambda: len(asked.answers) >= 3, "answers")
        whole.kill("one")
        died = time.monotonic()
        whole.wait(lambda: len(asked.since(died)) >= 10, "answers of the other node")
    said = asked.since(died)
    assert said.count("200") >= len(said) - 1, said
    assert set(said[-5:]) == {"200"}
    start_worker(whole, "one")
    whole.wait(lambda: ask(whole, "one") == "200", "the endpoint on the node that is back", 300)
