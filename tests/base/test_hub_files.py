"""Files on the Hugging Face Hub: a path reaches its file system, and what fails is one line."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from fsspec.registry import _registry

from pad_ray.base.config import Job
from pad_ray.base.errors import ConfigError, DataError
from pad_ray.base.storage import is_on_hub, is_remote, locate, url_of
from pad_ray.tasks.inputs import problem_input
from pad_ray.tasks.settings import ProblemSettings

FILE = Path("hf://datasets/owner/name/main/train.jsonl")
SETTINGS = {"task": "jsonl", "problems": FILE}


class HubFiles(MemoryFileSystem):
    """Files in memory under the Hub's names, in place of those that need a network."""

    protocol = "hf"
    store: ClassVar[dict[str, Any]] = {}
    pseudo_dirs: ClassVar[list[str]] = [""]

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return super()._strip_protocol(path.removeprefix("hf://"))


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[HubFiles]:
    monkeypatch.setitem(_registry, "hf", HubFiles)
    files = HubFiles()
    rows = [{"question": f"What is {i} and 1?", "answer": i + 1, "id": f"q{i}"} for i in range(3)]
    text = "".join(json.dumps(row) + "\n" for row in rows)
    for name in ("main/train.jsonl", "main/test.jsonl", "README.md"):
        files.pipe_file(f"hf://datasets/owner/name/{name}", text.encode())
    yield files
    files.store.clear()
    fsspec.get_filesystem_class("hf").clear_instance_cache()


def test_a_problem_file_is_read_from_the_hub(hub: HubFiles) -> None:
    assert is_remote(FILE) and is_on_hub(FILE)
    assert url_of(FILE) == url_of(locate(FILE)) == "hf://datasets/owner/name/main/train.jsonl"
    _, problems, _ = ProblemSettings(**SETTINGS).load()
    assert [(p.own_id, p.answer) for p in problems] == [("q0", "1"), ("q1", "2"), ("q2", "3")]
    before = problem_input("problems", FILE)
    assert before == problem_input("problems", FILE.with_name("test.jsonl"))
    hub.pipe_file(url_of(FILE), b'{"question": "Q?", "answer": 1}')
    assert problem_input("problems", FILE) != before


def test_a_data_sets_id_alone_names_its_files(hub: HubFiles) -> None:
    whole = {**SETTINGS, "problems": FILE.parents[1]}
    said = r"name: is a folder; name one of its files: main/test\.jsonl, main/train\.jsonl$"
    with pytest.raises(DataError, match=said):
        ProblemSettings(**whole).load()


def test_a_local_folder_names_its_files_too(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").touch()
    with pytest.raises(DataError, match=r"is a folder; name one of its files: a\.jsonl$"):
        ProblemSettings(task="jsonl", problems=tmp_path).load()


@pytest.mark.parametrize(
    "given",
    [
        "owner/name",
        "datasets/owner/name",
        "https://huggingface.co/datasets/owner/name",
        "https://huggingface.co/datasets/owner/name/blob/main/train.jsonl",
    ],
)
def test_a_data_sets_bare_name_is_told_its_path(
    given: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    said = r"name.*: no such file; of a data set on the Hub give hf://datasets/owner/name/FILE$"
    with pytest.raises(DataError, match=said):
        ProblemSettings(task="jsonl", problems=Path(given)).load()


@pytest.mark.parametrize(
    "given", ["there/name", "owner/name.jsonl", "owner/a/b", "name", "../a/b", "/a/b"]
)
def test_what_was_meant_for_a_local_file_is_told_of_no_hub(
    given: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "there").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match=r": no such file$"):
        ProblemSettings(task="jsonl", problems=Path(given)).load()


def test_a_data_sets_path_without_its_kind_is_told_the_kind(hub: HubFiles) -> None:
    said = (
        r"^hf://owner/name: there is no such file on the Hub \(a data set's: hf://datasets/NAME\)"
    )
    with pytest.raises(ConfigError, match=said):
        locate(Path("hf://owner/name"))


def test_what_is_not_on_the_hub_is_one_line(hub: HubFiles) -> None:
    with pytest.raises(ConfigError, match=r"hf://datasets/owner/other/a: there is no such file"):
        locate(Path("hf://datasets/owner/other/a"))


def test_a_hub_that_cannot_be_reached_is_one_line(
    hub: HubFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(*_: object, **__: object) -> None:
        raise ConnectionError("Cannot reach the Hub\nin offline mode")

    monkeypatch.setattr(HubFiles, "info", unreachable)
    with pytest.raises(ConfigError) as caught:
        locate(FILE)
    assert (
        str(caught.value) == f"{url_of(FILE)}: the storage cannot be reached: Cannot reach the Hub"
    )


def test_a_missing_package_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(_registry, "hf", raising=False)
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ConfigError, match=r"hf://.*; pip install huggingface_hub$"):
        locate(FILE)


def test_no_job_writes_to_the_hub(capsys: pytest.CaptureFixture[str]) -> None:
    class Settings(ProblemSettings):
        out: Path

    job = Job("none", Settings, "tests.none:run")
    with pytest.raises(SystemExit) as caught:
        job.main(["--task", "coin_flip", "--out", "hf://datasets/owner/name"])
    assert caught.value.code == 2
    assert "out: hf://datasets/owner/name: the Hub is read, not written" in capsys.readouterr().err
