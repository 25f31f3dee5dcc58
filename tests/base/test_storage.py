"""Object storage: the same dataset as on a disk, through real clients and servers of our own.

Moto speaks S3 and gcp-storage-emulator Google's protocol, over HTTP on loopback; no cloud is asked.
"""

from __future__ import annotations

import json
import runpy
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import gcp_storage_emulator.server
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fsspec.registry import _registry
from kills import ROOT, job_command, rows_after_a_kill, rows_without_timings, run_job
from moto.server import ThreadedMotoServer
from upath import UPath

from pad_ray.base.config import resolve
from pad_ray.base.errors import ConfigError
from pad_ray.base.records import Completion
from pad_ray.base.storage import (
    is_remote,
    locate,
    move_folder,
    parquet_dataset,
    remove_folder,
    url_of,
)
from pad_ray.flow import lease
from pad_ray.flow.holding import hold, let_go
from pad_ray.flow.parquet_folder import null_count, rows_of, writing
from pad_ray.flow.rows import REQUESTS, requests_are_written, write_requests
from pad_ray.flow.stages import read_manifest
from pad_ray.synthesis.journal import Journal, spent_in
from pad_ray.synthesis.run import synthesize
from pad_ray.synthesis.settings import SynthesisSettings
from pad_ray.training.data import read_training_rows

QUESTIONS = "".join(
    f'{{"question": "Ann has {n} pens and buys {n} more. How many?", '
    f'"answer": "She has {n} + {n} = <<{n}+{n}={2 * n}>>{2 * n} pens.\\n#### {2 * n}"}}\n'
    for n in range(2, 62)
)
WRITTEN = "def solution():\n    pens = %d\n    return pens + pens"


@pytest.fixture(scope="module", params=["s3", "gs"])
def bucket(request: pytest.FixtureRequest) -> Iterator[Path]:
    """An empty bucket; clients here and in processes begun here find it by the environment."""
    server = {"s3": s3_server, "gs": gs_server}[request.param]
    with pytest.MonkeyPatch.context() as patch, server(patch):
        place = UPath(f"{request.param}://bucket", use_listings_cache=False)
        place.fs.clear_instance_cache()
        place.fs.mkdir("bucket")
        yield Path(f"{request.param}://bucket")


@contextmanager
def s3_server(patch: pytest.MonkeyPatch) -> Iterator[None]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    patch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
    patch.setenv("AWS_ACCESS_KEY_ID", "test")
    patch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    yield
    server.stop()


@contextmanager
def gs_server(patch: pytest.MonkeyPatch) -> Iterator[None]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    server = gcp_storage_emulator.server.create_server("127.0.0.1", port, in_memory=True)
    server.start()
    patch.setenv("STORAGE_EMULATOR_HOST", f"http://127.0.0.1:{port}")
    # It would ask Google what kind of bucket this is.
    patch.setenv("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false")
    yield
    server.stop()


@pytest.fixture
def folder(bucket: Path, request: pytest.FixtureRequest) -> Path:
    return locate(bucket / request.node.originalname)  # type: ignore[attr-defined]


def test_one_run_at_a_time(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "_BEAT_S", 0.2)
    monkeypatch.setattr(lease, "_WATCHED_S", 10.0)
    other = lease.Lease(folder / ".lock")
    assert other.acquire()
    with pytest.raises(ConfigError, match=f"{folder} is in use by another run"):
        hold(folder)
    other.release()
    hold(folder)
    assert (folder / ".lock").exists()
    let_go(folder)
    assert not (folder / ".lock").exists()


def test_paths_of_both_kinds() -> None:
    # pathlib makes one slash of two, and settings come through it.
    assert is_remote(Path("s3://bucket/a"))
    assert is_remote(Path("gs://bucket/a"))
    assert not any(map(is_remote, map(Path, ("s3", "a/s3:/b", "/s3/b", "s3:"))))
    assert locate(Path("a")) == resolve(Path("a")) == Path.cwd() / "a"
    with pytest.raises(ConfigError, match=r"s3://bucket/a: object storage is not taken here"):
        resolve(Path("s3://bucket/a"))
    with pytest.raises(
        ConfigError, match=r"s3://bucket/run\[1\]: names in object storage may hold"
    ):
        locate(Path("s3://bucket/run[1]"))


@pytest.mark.parametrize(
    ("key", "said"), [("test", "Could not connect"), (None, "Unable to locate credentials")]
)
def test_storage_that_does_not_answer_is_one_line(
    monkeypatch: pytest.MonkeyPatch, key: str | None, said: str
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)
        if key is not None:
            monkeypatch.setenv(name, key)
    UPath("s3://bucket").fs.clear_instance_cache()
    with pytest.raises(ConfigError, match=rf"s3://gone/a: the storage cannot be reached: {said}"):
        locate(Path("s3://gone/a"))
    UPath("s3://bucket").fs.clear_instance_cache()


def test_a_bucket_that_is_not_there_is_not_made(bucket: Path) -> None:
    gone = bucket.with_name("bukcet") / "a"
    with pytest.raises(ConfigError, match=rf"{url_of(gone)}: there is no such bucket"):
        locate(gone)


def test_storage_whose_package_is_missing_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gcsfs", None)
    # The client may be remembered from a test before.
    monkeypatch.delitem(_registry, "gs", raising=False)
    with pytest.raises(ConfigError, match=r"gs://b/a: .*gcsfs.*pip install 'pad-ray\[gs\]'"):
        locate(Path("gs://b/a"))


def test_a_folder_is_written_anew_and_read(folder: Path) -> None:
    schema = pa.schema([("row_id", pa.string()), ("n", pa.int64())])
    for rows in (5, 3):
        with writing(folder / "part", schema) as write:
            write(pa.table({"row_id": [str(i) for i in range(rows)], "n": [None, *range(1, rows)]}))
    assert rows_of([folder / "part"]) == parquet_dataset(folder / "part").count_rows() == 3
    assert null_count(folder / "part", "n") == 1
    remove_folder(folder / "part")
    remove_folder(folder / "part")
    assert not folder.exists()


def test_requests_without_their_mark_are_written_again(folder: Path, tmp_path: Path) -> None:
    blocks = [pa.table({"row_id": [name]}) for name in "ab"]

    def broken() -> Iterator[pa.Table]:
        yield pa.table({"row_id": ["torn"]})
        raise KeyboardInterrupt

    for work in (folder, tmp_path / "work"):
        with pytest.raises(KeyboardInterrupt):
            write_requests(broken(), work)
        assert not requests_are_written(work)
        write_requests(blocks, work)
        write_requests(broken(), work)
        found = parquet_dataset(work / REQUESTS).to_table()["row_id"].to_pylist()
        assert found == ["a", "b"]


def test_a_folder_moves_and_its_mark_comes_last(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "work"
    (source / "a").mkdir(parents=True)
    for name in ("mark.json", "a/z.txt", "z.txt"):
        (source / name).write_text(name)
    storage = folder.fs  # type: ignore[attr-defined]
    seen = []
    put = storage.put_file
    monkeypatch.setattr(storage, "put_file", lambda *p: (seen.append(Path(p[1]).name), put(*p)))
    move_folder(source, folder / "work", last="mark.json")
    assert seen[-1] == "mark.json" and len(seen) == 3
    assert (folder / "work" / "a" / "z.txt").read_text() == "a/z.txt"
    assert not source.exists()


def test_answers_are_kept_and_counted(folder: Path, tmp_path: Path) -> None:
    for kept in (folder, tmp_path):
        journal = Journal(kept / "block")
        asked = {("problem", index): f"key {index}" for index in range(3)} | {("other", 0): "key"}
        assert journal.read(asked) == {}
        for index in range(3):
            answer = Completion("x = 1", prompt_tokens=7, completion_tokens=index, cost_usd=0.5)
            journal.append({("problem", index): answer}, asked)
        Journal(kept / "block-2").append({("other", 0): Completion("y", prompt_tokens=1)}, asked)
        assert {index for _, index in journal.read(asked)} == {0, 1, 2}
        other = journal.read(asked | {("problem", 1): "other"})
        assert {index for _, index in other} == {0, 2}
        totals = spent_in(kept)
        assert (totals.prompt_tokens, totals.completion_tokens, totals.cost_usd) == (22, 3, 1.5)


@pytest.fixture(scope="module")
def made(bucket: Path) -> Path:
    """A dataset that a job made of a problem file, both in the bucket."""
    place = locate(bucket / "made")
    (place / "problems.jsonl").write_text(QUESTIONS)
    flags = (
        f"--task gsm8k --problems {place}/problems.jsonl --teacher rationale --out {place}/data "
        "--rows_per_block 20"
    )
    for said in ("kept 60 of 60 samples", "is complete; nothing to do"):
        job = job_command("synthesize", flags)
        ran = subprocess.run(job, cwd=ROOT, capture_output=True, text=True, timeout=300)
        assert said in ran.stdout, ran.stderr
    return place


@pytest.mark.slow
def test_a_dataset_is_the_one_of_a_local_disk(made: Path, local_ray: None, tmp_path: Path) -> None:
    problems = tmp_path / "problems.jsonl"
    problems.write_text(QUESTIONS)
    settings = SynthesisSettings(
        task="gsm8k", problems=problems, teacher="rationale", out=tmp_path / "data"
    )
    synthesize(settings)
    assert rows_without_timings(made / "data") == rows_without_timings(tmp_path / "data")
    there, here = read_manifest(made / "data"), read_manifest(tmp_path / "data")
    assert there["counts"] == here["counts"] and there["inputs"] == here["inputs"]
    assert {path.name for path in (made / "data").iterdir()} == {
        path.name for path in (tmp_path / "data").iterdir()
    }
    assert read_training_rows([made / "data"], "program") == read_training_rows(
        [tmp_path / "data"], "program"
    )


@pytest.mark.slow
def test_completions_are_replayed(made: Path, tmp_path: Path) -> None:
    answers = made / "answers"
    rows = [
        {"question": f"Ann has {n} pens and buys {n} more. How many?", "completion": WRITTEN % n}
        for n in range(2, 62)
    ]
    (answers / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows[:40]))
    with (answers / "b.parquet").open("wb") as file:
        pq.write_table(pa.Table.from_pylist(rows[40:]), file)
    flags = (
        f"--task gsm8k --problems {made}/problems.jsonl --teacher recorded "
        f"--completions {answers} --out"
    )
    run_job(job_command("synthesize", f"{flags} {tmp_path}/data"))
    assert rows_of([tmp_path / "data" / "verified"]) == 60
    (answers / "a.jsonl").write_text("no JSON\n")
    torn = job_command("synthesize", f"{flags} {tmp_path}/other")
    said = subprocess.run(torn, cwd=ROOT, capture_output=True, text=True, timeout=300).stderr
    assert f"synthesize: error: {answers}/a.jsonl, line 1: not a line of JSON" in said


def test_a_job_that_takes_none_says_so(
    training_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    entry = runpy.run_path(str(ROOT / "jobs" / "train.py"))["JOB"]
    flags = f"--data {training_data} --student scratch:tiny --max_steps 1 --out s3://bucket/student"
    with pytest.raises(SystemExit) as exited:
        entry.main(flags.split())
    assert exited.value.code == 2
    said = "object storage is not taken here; name a folder of all nodes"
    assert capsys.readouterr().err == f"train: error: s3://bucket/student: {said}\n"


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("bucket", ["s3", "gs"], indirect=True)
def test_a_killed_job_goes_on_and_others_follow(made: Path, tmp_path: Path) -> None:
    flags = "--task arithmetic --count 300 --teacher scripted --rows_per_block 10 --out"
    killed = made / "killed"
    rows, _ = rows_after_a_kill(
        lambda out: job_command("synthesize", f"{flags} {out}"), tmp_path / "whole", killed
    )
    assert not (killed / "work").exists()

    again = made / "again"
    run_job(job_command("judge", f"--data {killed} --out {again}"))
    assert rows_without_timings(again) == rows
    for job, flags in (("inject", "--count 2"), ("augment", "--copies 2")):
        run_job(job_command(job, f"{flags} --data {again} --out {made}/{job}"))
        assert rows_of([made / job / "verified"]) > 0
    flags = f"--data {again} --student scratch:tiny --max_steps 2 --out {tmp_path}/student"
    run_job(job_command("train", flags))
    assert (tmp_path / "student/model.safetensors").is_file()
