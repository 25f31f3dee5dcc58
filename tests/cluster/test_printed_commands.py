"""Each command of README.md and docs/ is run as it is printed, in the order of the pages.

On a machine of its own; cluster commands on another one, where `ray start --head` has made a head
that wants its token. What differs from what is printed, and what is not run, is listed in
`tests/printed_commands.py`.
"""

from __future__ import annotations

import json
import os
import random
import re
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hosts import POSSIBLE, RAY, WHY_NOT, Hosts, hosts
from number_teacher import program_of
from package_models import minilm
from pages import ROOT
from printed_commands import Command, as_run, commands, files, why_not
from small_students import example, misreading

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.timeout(5400),
    pytest.mark.skipif(not POSSIBLE, reason=WHY_NOT),
]
# What a reader has: the checkout, and files that the pages name but do not show.
CHECKOUT = ("pad_ray", "jobs", "cluster", "requirements.txt", "pyproject.toml", ".gitignore")
ON_THE_CLUSTER = re.compile(r"pad-ray submit |.*ray job submit |export RAY_AUTH")
PLACE = re.compile(r"runs/[\w./-]+")
# Ray's own sums leave nothing for a job on this many real cores.
CPUS = 8


class Reader:
    """Somebody who types the commands of the pages, one after the other, in one folder."""

    def __init__(self, laid: Hosts, home: Path) -> None:
        self.hosts = laid
        self.home = home
        self.here = home / "checkout"
        self.storage = home / "storage"
        self.endpoint = ""
        self.exports: list[str] = []
        self.made: set[str] = set()
        self.serving: subprocess.Popen[str] | None = None
        self.said: dict[str, str] = {}

    @property
    def token(self) -> str:
        return (self.home / ".ray/auth_token").read_text().strip()

    def environment(self) -> dict[str, str]:
        """Return a shell's variables where nothing of Ray is set."""
        kept = {n: v for n, v in self.hosts.environment().items() if not n.startswith("RAY_")}
        del kept["GLOO_SOCKET_IFNAME"]
        home = {"HOME": str(self.home), "PYTHONPATH": str(self.here), "OPENAI_API_KEY": "sk-test"}
        return kept | home | {"OMP_NUM_THREADS": "1", "RAY_USAGE_STATS_ENABLED": "0"}

    def shell(self, host: str, text: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self.hosts.command(host, ["bash", "-c", "\n".join([*self.exports, text])]),
            cwd=self.here,
            env=self.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, host: str, text: str, patience_s: float = 900) -> str:
        process = self.shell(host, text)
        try:
            said, _ = process.communicate(timeout=patience_s)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
        self.said[text] = said
        assert process.returncode == 0, f"$ {text}\n{said[-6000:]}"
        return said

    def type(self, text: str) -> None:
        """Run one command; an output that is taken is made beside the one that is there."""
        host = "cluster" if ON_THE_CLUSTER.match(text) else "laptop"
        if text.startswith("export "):
            self.exports.append(text)
        elif text.startswith("serve run "):
            self.serving = self.shell(host, f"exec {text}")
            alive = "until curl -sf http://127.0.0.1:8000/healthz; do sleep 1; done"
            try:
                self.run(host, alive, patience_s=400)
            except subprocess.TimeoutExpired:
                raise AssertionError(f"$ {text}\n{self.close()[-6000:]}") from None
        elif text.startswith("curl "):
            said = self.run(host, f"{text} --silent --fail-with-body")
            assert "program" in json.loads(said), said
            self.close()
        else:
            self.run(host, self._elsewhere(text, host))

    def _elsewhere(self, text: str, host: str) -> str:
        found = re.search(r"--out (runs/[\w-]+)", text)
        if found is None or host == "cluster":
            return text
        place, number = found[1], 1
        while place in self.made:
            number += 1
            place = f"{found[1]}-{number}"
        self.made.add(place)
        return text.replace(found[0], f"--out {place}")

    def lacks(self, text: str) -> bool:
        """Tell whether a command reads what a later one makes."""
        if not text.startswith("pad-ray "):
            return False
        home = self.storage if ON_THE_CLUSTER.match(text) else self.here
        read = PLACE.findall(re.sub(r"--out \S+", "", text))
        return not all((home / place).exists() for place in read)

    def close(self) -> str:
        """End what serves, if anything does; return what it said."""
        serving, self.serving = self.serving, None
        if serving is None:
            return ""
        # What is signalled here is only what entered the host; it may have ended by itself.
        self.run("laptop", "pkill -INT -x serve || true")
        said, _ = serving.communicate(timeout=120)
        return said


@pytest.fixture(scope="module")
def reader() -> Iterator[Reader]:
    home = Path(tempfile.mkdtemp(prefix="pad-reader-"))
    with hosts("laptop", "cluster") as laid:
        made = Reader(laid, home)
        made.here.mkdir()
        made.storage.mkdir()
        for name in CHECKOUT:
            place = ROOT / name
            if place.is_dir():
                ignored = shutil.ignore_patterns("__pycache__")
                shutil.copytree(place, made.here / name, ignore=ignored)
            else:
                shutil.copy(place, made.here / name)
        lay_out(made.here)
        made.run("cluster", f"{RAY} get-auth-token --generate")
        start_head(made)
        server = f"{sys.executable} {ROOT}/tests/cluster/number_teacher.py"
        endpoint = made.shell("laptop", f"PYTHONPATH={ROOT} exec {server}")
        assert endpoint.stdout is not None
        made.endpoint = endpoint.stdout.readline().strip()
        (made.here / "teacher.yaml").write_text(
            f"endpoint: {{base_url: '{made.endpoint}', model: m, usd_per_million_prompt_tokens: 1, "
            "usd_per_million_completion_tokens: 4}\n"
        )
        by_hand = f"{{task: coin_flip, count: 20, teacher: scripted, out: {made.storage}/hand}}\n"
        (made.here / "by_hand.yaml").write_text(by_hand)
        try:
            yield made
        finally:
            made.close()
            endpoint.kill()
            endpoint.wait()
    shutil.rmtree(home, ignore_errors=True)


def start_head(reader: Reader) -> None:
    """Start Ray as a reader does; it gives up after 30 s, which a busy machine may need."""
    start = f"RAY_AUTH_MODE=token {RAY} start --head --num-cpus {CPUS}"
    for _ in range(5):
        try:
            reader.run("cluster", start)
            return
        except AssertionError:
            reader.run("cluster", f"{RAY} stop --force")
    reader.run("cluster", start)


def lay_out(here: Path) -> None:
    """Write the files that the pages name or show, and the student that `make demo` leaves."""
    for name, text in files().items():
        (here / name).write_text(text)
    rng = random.Random(3)
    questions = {found.question: found for found in (example(rng) for _ in range(400))}
    drawn = list(questions.values())
    for name, part in (
        ("gsm8k_train.jsonl", drawn[:60]),
        ("gsm8k_test.jsonl", drawn[60:68]),
        # Some half of them have both right and wrong samples, and a tuning needs ten of those.
        ("validation.jsonl", drawn[68:98]),
    ):
        rows = [{"question": one.question, "answer": told(one.question)} for one in part]
        (here / name).write_text("".join(json.dumps(row) + "\n" for row in rows))
    receipts = [{"items": f"{n} pens at ${n} each", "total": f"${n * n}"} for n in range(2, 8)]
    svamp = [{"input": one.question, "target": one.answer} for one in drawn[98:102]]
    for name, rows in (("SVAMP.jsonl", svamp), ("receipts.jsonl", receipts)):
        (here / name).write_text("".join(json.dumps(row) + "\n" for row in rows))
    from pad_ray.students.models import save_student

    # Where no job takes it along: it is more than a cluster accepts.
    minilm(here / "runs")
    save_student(misreading(share=0.5), here / "pupil")
    shutil.copytree(here / "pupil", here / "runs/demo/student")


def told(question: str) -> str:
    """Return a worked solution in the form of GSM8K."""
    first, *others = map(int, re.findall(r"\d+", question))
    if len(others) == 1:
        total = first + others[0]
        return (
            f"In all {first} + {others[0]} = <<{first}+{others[0]}={total}>>{total}.\n#### {total}"
        )
    more = others[0] * others[1]
    total = first + more
    return (
        f"More are {others[0]} * {others[1]} = <<{others[0]}*{others[1]}={more}>>{more}.\n"
        f"In all {first} + {more} = <<{first}+{more}={total}>>{total}.\n#### {total}"
    )


def answer_batch(here: Path) -> None:
    """Do what the comment between two commands says: have a batch answered, and save its output."""
    if (here / "runs/answers").exists():
        return
    (here / "runs/answers").mkdir()
    for file in sorted((here / "runs/batch").glob("requests-*.jsonl")):
        said = []
        for line in map(json.loads, file.read_text().splitlines()):
            message = {
                "role": "assistant",
                "content": program_of(line["body"]["messages"][-1]["content"]),
            }
            body = {
                "id": "c",
                "object": "chat.completion",
                "model": "m",
                "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
                "usage": {"prompt_tokens": 100, "completion_tokens": 20},
            }
            response = {"status_code": 200, "request_id": "r", "body": body}
            said.append({"custom_id": line["custom_id"], "response": response, "error": None})
        text = "".join(json.dumps(row) + "\n" for row in said)
        (here / "runs/answers" / file.name.replace("requests", "output")).write_text(text)


def typed(reader: Reader, left: list[Command]) -> list[str]:
    """Run commands, each once what it reads is there; return what went wrong."""
    failed: list[str] = []
    while left:
        later = []
        for one in left:
            text = as_run(
                one.text,
                storage=str(reader.storage),
                token=reader.token,
                endpoint=reader.endpoint,
            )
            if "runs/answers" in text and (reader.here / "runs/batch").exists():
                answer_batch(reader.here)
            if reader.lacks(text):
                later.append(one)
                continue
            started = time.monotonic()
            try:
                reader.type(text)
            except (AssertionError, subprocess.TimeoutExpired) as error:
                failed.append(f"{one.page}: {error}")
                # At once: the run may be ended before its last command.
                print(failed[-1], flush=True)
            print(f"{time.monotonic() - started:5.0f} s  {text[:150]}", flush=True)
        if len(later) == len(left):
            return failed + [f"{one.page}: nothing makes what it reads: {one.text}" for one in left]
        left = later
    return failed


def run_here(on_the_cluster: bool) -> list[Command]:
    return [
        one
        for one in commands()
        if why_not(one.text) is None
        and (ON_THE_CLUSTER.match(one.text) is not None) is on_the_cluster
    ]


def test_printed_commands_run_on_a_cluster(reader: Reader) -> None:
    failed = typed(reader, run_here(on_the_cluster=True))
    assert not failed, "\n\n".join(failed)
    kept = sorted(path.parent.name for path in reader.storage.rglob("manifest.json"))
    assert kept == ["gsm8k", "hand", "student"], kept


def test_printed_commands_run_on_a_laptop(reader: Reader) -> None:
    failed = typed(reader, run_here(on_the_cluster=False))
    assert not failed, "\n\n".join(failed)


def test_the_head_wants_its_token(reader: Reader) -> None:
    """That the commands above were let in is worth something."""
    refused = reader.hosts.command(
        "cluster", [str(RAY), "job", "list", "--address", "http://127.0.0.1:8265"]
    )
    wrong = reader.environment() | {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": secrets.token_hex(32),
    }
    ran = subprocess.run(refused, env=wrong, capture_output=True, text=True, cwd=os.sep)
    assert ran.returncode != 0
    assert "401" in ran.stdout + ran.stderr or "uthentic" in ran.stdout + ran.stderr
