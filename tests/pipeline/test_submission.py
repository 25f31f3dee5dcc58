"""What goes along with a submitted job, and which settings it finds on the cluster."""

from __future__ import annotations

import json
import os
import runpy
import shlex
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from pad_ray.base.commands import find_job
from pad_ray.base.config import Job, Settings, parse_settings
from pad_ray.base.errors import ConfigError
from pad_ray.pipeline.submission import package as submission_package
from pad_ray.pipeline.submission import start as submission_start
from pad_ray.pipeline.submission.client import _Output, _stop, connect
from pad_ray.pipeline.submission.package import SETTINGS, pack
from pad_ray.pipeline.submission.run import SubmitSettings
from pad_ray.pipeline.submission.start import start

ROOT = Path(__file__).parents[2]
CONFIGS = sorted((ROOT / "jobs/configs").glob("*.yaml"))


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "laptop/data").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "laptop")
    for name in ("data/train.jsonl", "test.jsonl", "my_task.py"):
        Path(name).write_text(name)
    Path("student").mkdir()
    Path("student/config.json").write_text("{}")
    return tmp_path


def packed(here: Path, flags: str, storage: Path | None = None) -> tuple[Path, dict[str, Any]]:
    job = find_job("synthesize")
    folder = here / "package"
    pack(job, job.parse(flags.split()), folder, storage)
    return folder, yaml.safe_load((folder / SETTINGS).read_text())


def test_inputs_named_by_relative_paths_go_along(here: Path) -> None:
    folder, values = packed(
        here,
        "--task my_task.py:TASK --problems data/train.jsonl --teacher student "
        "--student.path ./student --decontaminate [other=test.jsonl] --out /mnt/out",
    )
    for found, name in (
        (values["problems"], "data/train.jsonl"),
        (values["task"].removesuffix(":TASK"), "my_task.py"),
        (values["decontaminate"][0].removeprefix("other="), "test.jsonl"),
    ):
        assert found.startswith("{package}/inputs/")
        assert Path(found.replace("{package}", str(folder))).read_text() == name
    placed = Path(values["student"]["path"].replace("{package}", str(folder)))
    assert (placed / "config.json").read_text() == "{}"
    assert values["out"] == "/mnt/out"
    assert (folder / "pad_ray/base/templates/dataset_card.md.j2").is_file()
    assert not list(folder.rglob("*.pyc"))


def test_a_file_named_twice_goes_along_once(here: Path) -> None:
    folder, values = packed(
        here,
        "--task jsonl --problems test.jsonl --decontaminate [test.jsonl,../laptop/test.jsonl] "
        "--teacher recorded --completions test.jsonl --out /out",
    )
    assert len(list((folder / "inputs").iterdir())) == 1
    assert values["problems"] == values["completions"] == values["decontaminate"][1]


def test_absolute_paths_names_and_hub_ids_are_the_clusters(here: Path) -> None:
    Path("coin_flip").mkdir()
    _, values = packed(
        here,
        "--task coin_flip --teacher student --student.path Qwen/Qwen2.5-0.5B --out /mnt/out",
    )
    assert (values["task"], values["student"]["path"]) == ("coin_flip", "Qwen/Qwen2.5-0.5B")
    flags = "--task jsonl --problems /mnt/p.jsonl --teacher rationale --out /mnt/out"
    assert packed(here / "other", flags)[1]["problems"] == "/mnt/p.jsonl"


def test_storage_holds_outputs_and_what_is_not_here(here: Path) -> None:
    flags = "--task jsonl --problems gone/p.jsonl --teacher rationale --out runs/a"
    _, values = packed(here, flags, Path("/mnt/nfs"))
    assert (values["problems"], values["out"]) == ("/mnt/nfs/gone/p.jsonl", "/mnt/nfs/runs/a")


def test_inputs_that_are_too_large_are_named(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(submission_package, "_MOST_BYTES", submission_package._REST_BYTES + 20)
    with pytest.raises(ConfigError, match=r"^data/train.jsonl: .* absolute path"):
        packed(
            here,
            "--task jsonl --problems data/train.jsonl --decontaminate [test.jsonl] "
            "--teacher rationale --out /out",
        )


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_the_cluster_reads_the_settings_that_were_sent(
    path: Path, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    _, _, name, *flags = shlex.split(path.read_text().splitlines()[0])
    job = find_job(Path(name).stem)
    settings = job.parse(flags)
    seen: list[Settings] = []
    arrive(monkeypatch, here, job, settings, seen.append)
    assert seen[0].model_dump_json().replace("/mnt/nfs/", "") == settings.model_dump_json()


def test_a_question_arrives_whole(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job = find_job("solve")
    question = 'What\'s 3 * "4"?\nAnd $HOME; `ls`?'
    settings = job.parse([question, "--student", "scratch"])
    seen: list[Any] = []
    arrive(monkeypatch, here, job, settings, seen.append)
    assert seen[0] == settings


def arrive(
    monkeypatch: pytest.MonkeyPatch,
    here: Path,
    job: Job[Any],
    settings: Settings,
    run: Callable[[Any], object],
) -> None:
    """Pack a job and start it as the cluster does, up to its call."""
    folder = here / "package"
    pack(job, settings, folder, Path("/mnt/nfs"))
    monkeypatch.chdir(folder)
    monkeypatch.setattr(
        runpy, "run_path", lambda _: {"JOB": Job(job.name, job.model, run, job.positional)}
    )
    monkeypatch.setattr(sys, "path", list(sys.path))
    start(job.name, None)


def test_storage_that_the_node_does_not_have_is_one_line(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, _ = packed(here, "--task coin_flip --teacher scripted --out a", Path("/gone"))
    monkeypatch.chdir(folder)
    with pytest.raises(SystemExit) as exited:
        submission_start.start("synthesize", "/gone")
    assert exited.value.code == 2
    assert (
        capsys.readouterr().err == "synthesize: error: storage: /gone is no folder on this node\n"
    )


FLAGS = st.lists(
    st.tuples(
        st.sampled_from(["--task", "--teacher", "--budget.max_tokens", "--config", "--address.x"]),
        st.sampled_from(["a", "-1", "[b, c]", "k=v"]),
        st.booleans(),
    )
)


@given(FLAGS, st.permutations(["--address=http://h:1", "--wait=false", "--env=[A=--x]"]))
def test_every_flag_finds_its_job(flags: list[tuple[str, str, bool]], own: list[str]) -> None:
    others: list[str] = []
    for name, value, joined in flags:
        if not name.startswith("--address"):
            others += [f"{name}={value}"] if joined else [name, value]
    middle = len(own) // 2
    line = ["synthesize", *own[:middle], *others, *own[middle:]]
    found = parse_settings(SubmitSettings, line, "submit", "job", "arguments")
    assert (found.job, found.address, found.wait, found.env) == (
        "synthesize",
        "http://h:1",
        False,
        ["A=--x"],
    )
    assert found.arguments == others


@given(st.lists(st.text(min_size=1)), st.data())
def test_output_goes_on_where_the_connection_broke(chunks: list[str], data: st.DataObject) -> None:
    written: list[str] = []
    output = _Output(written.append)
    for _ in range(3):
        output.seen = 0
        for chunk in chunks[: data.draw(st.integers(0, len(chunks)))]:
            output.show(chunk)
    output.seen = 0
    for chunk in chunks:
        output.show(chunk)
    assert "".join(written) == "".join(chunks)


class Dashboard(BaseHTTPRequestHandler):
    """Answers what a client asks first, and about a job that has ended in some way."""

    ended = "SUCCEEDED"

    def do_GET(self) -> None:
        if self.path.startswith("/api/jobs/"):
            self._say({"type": "SUBMISSION", "status": self.ended, "entrypoint": "job"})
        else:
            self._say({"version": "4", "ray_version": "2.60.0", "ray_commit": ""})

    def do_POST(self) -> None:
        self._say({"stopped": True})

    def _say(self, values: dict[str, Any]) -> None:
        body = json.dumps(values).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def dashboard(handler: type[Dashboard] = Dashboard) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize("name", ["RAY_ADDRESS", "RAY_API_SERVER_ADDRESS"])
def test_the_address_given_is_the_one_asked(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "http://127.0.0.1:9")
    with dashboard() as address:
        assert connect(address, True).get_address() == address
    assert os.environ[name] == "http://127.0.0.1:9"


@pytest.mark.parametrize(
    ("ended", "told"),
    [
        ("STOPPED", "job-1 is stopped; submitted again, it goes on from there"),
        ("SUCCEEDED", "job-1 succeeded before it was stopped"),
        ("FAILED", "job-1 failed before it was stopped"),
    ],
)
def test_how_a_job_ended_that_was_to_stop_is_told(
    capsys: pytest.CaptureFixture[str], ended: str, told: str
) -> None:
    with dashboard(type("Ended", (Dashboard,), {"ended": ended})) as address:
        _stop(connect(address, True), "job-1")
    assert capsys.readouterr().out == f"submit: {told}\n"
