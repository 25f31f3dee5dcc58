"""A model as an input: whatever in its folder makes other answers counts."""

from __future__ import annotations

from pathlib import Path

import pytest

from pad_ray.students import files
from pad_ray.students.files import hub_revision, model_input, models_input

WRITTEN = {
    "config.json": "{}",
    "tokenizer.json": "[]",
    "model.safetensors.index.json": "{}",
    "model-00001-of-00002.safetensors": "one",
    "model-00002-of-00002.safetensors": "two",
    "pad_ray_student.json": "{}",
}


@pytest.fixture
def student(tmp_path: Path) -> Path:
    folder = tmp_path / "student"
    folder.mkdir()
    for name, text in WRITTEN.items():
        (folder / name).write_text(text)
    return folder


@pytest.mark.parametrize("name", sorted(WRITTEN))
def test_every_file_of_a_model_counts(student: Path, name: str) -> None:
    before = model_input("student", str(student))
    (student / name).write_text("something else")
    assert model_input("student", str(student)) != before


@pytest.mark.parametrize(
    "name", ["manifest.json", "metrics.jsonl", "work/state.json", ".lock", "config.yaml", "a.html"]
)
def test_what_else_lies_in_the_folder_does_not(student: Path, name: str) -> None:
    before = model_input("student", str(student))
    (student / name).parent.mkdir(exist_ok=True)
    (student / name).write_text("2026")
    assert model_input("student", str(student)) == before


def test_where_it_is_does_not_count(student: Path, tmp_path: Path) -> None:
    before = model_input("student", str(student))
    assert model_input("student", str(student.rename(tmp_path / "moved"))) == before


def test_names_are_those_that_directories_have(student: Path, tmp_path: Path) -> None:
    assert list(model_input("student", str(student))) == [
        "student/model.safetensors.index.json",
        "student/pad_ray_student.json",
        "student/others",
    ]
    (tmp_path / "m.gguf").write_text("weights")
    assert list(models_input("student", [str(tmp_path / "m.gguf")])) == ["student_0/m.gguf"]
    assert model_input("student", "scratch:small") == {"student": "scratch:small"}
    assert model_input("verifier", Path("runs/none")) == {"verifier": "runs/none"}


def test_a_hub_id_stands_with_the_revision_that_it_means(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import huggingface_hub.constants as constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    files.hub_revision.cache_clear()
    for name in ("me/own", "me/o--wn", "./gone", "../me", "/me/own", "a/b/c", "own.gguf"):
        assert hub_revision(name) is None
    files.hub_revision.cache_clear()
    home = tmp_path / "models--me--own"
    revision = "0123456789abcdef0123456789abcdef01234567"
    for path, text in ((f"snapshots/{revision}/config.json", "{}"), ("refs/main", revision)):
        (home / path).parent.mkdir(parents=True)
        (home / path).write_text(text)
    files.hub_revision.cache_clear()
    assert model_input("student", "me/own") == {
        "student": "me/own",
        "student/revision": revision,
    }
    files.hub_revision.cache_clear()
