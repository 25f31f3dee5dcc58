"""Stage directories: complete ones are recognised, foreign and differing ones are refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import ClassVar

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from pad_ray.base.config import Settings
from pad_ray.base.errors import ConfigError, DataError
from pad_ray.flow.stages import (
    CONFIG,
    MANIFEST,
    Stage,
    file_fingerprint,
    fingerprint,
    open_stage,
    read_manifest,
    write_json,
    write_text,
)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


class Baking(Settings):
    """Settings of a made-up job."""

    runtime_fields: ClassVar[frozenset[str]] = frozenset({"out", "ovens"})

    flour: str = "rye"
    """Kind of flour."""
    ovens: int = 1
    """Ovens used side by side."""


def opened(out: Path, baking: Baking | None = None, job: str = "bake", data: str = "aa") -> Stage:
    return open_stage(out, job, baking or Baking(), {"problems": data})


def begun(out: Path) -> Stage:
    stage = opened(out)
    stage.begin()
    return stage


@given(st.dictionaries(st.text(), JSON, max_size=5))
def test_fingerprint_does_not_depend_on_the_order_of_keys(record: dict[str, object]) -> None:
    backwards = dict(reversed(record.items()))
    assert fingerprint(record) == fingerprint(backwards)
    assert len(fingerprint(record)) == 16


@given(st.dictionaries(st.text(), st.integers(), min_size=1, max_size=5), st.integers(1, 100))
def test_fingerprint_changes_with_any_value(record: dict[str, int], step: int) -> None:
    for key in record:
        assert fingerprint({**record, key: record[key] + step}) != fingerprint(record)


def test_file_fingerprint_is_of_the_bytes_alone(tmp_path: Path) -> None:
    for name, text in (("a", "one"), ("b", "one"), ("c", "two")):
        (tmp_path / name).write_text(text)
    a, b, c = (file_fingerprint(tmp_path / name) for name in "abc")
    assert a == b != c


def test_file_fingerprint_of_a_missing_file_names_it(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"gone\.jsonl: cannot be read"):
        file_fingerprint(tmp_path / "gone.jsonl")


def test_new_directory_is_open_and_saves_its_settings(tmp_path: Path) -> None:
    stage = begun(tmp_path / "deep" / "out")
    assert stage.complete is None
    saved = yaml.safe_load((stage.out / CONFIG).read_text())
    assert saved == {"job": "bake", "settings": {"flour": "rye"}, "inputs": {"problems": "aa"}}


def test_finished_stage_is_complete_with_its_manifest(tmp_path: Path) -> None:
    manifest = begun(tmp_path / "out").finish({"loaves": 3})
    again = opened(tmp_path / "out")
    assert again.complete == manifest == read_manifest(tmp_path / "out")
    assert manifest["loaves"] == 3
    assert manifest["fingerprint"] == again.fingerprint
    assert {"pad_ray", "ray", "torch"} <= set(manifest["versions"])


def test_interrupted_stage_is_taken_up(tmp_path: Path) -> None:
    begun(tmp_path / "out")
    (tmp_path / "out" / "work").mkdir()
    assert opened(tmp_path / "out").complete is None


def test_other_settings_are_refused_with_field_and_both_values(tmp_path: Path) -> None:
    begun(tmp_path / "out").finish({})
    with pytest.raises(ConfigError, match=r"flour \('rye' there, 'spelt' now\)"):
        opened(tmp_path / "out", Baking(flour="spelt"))


def test_changed_input_is_refused(tmp_path: Path) -> None:
    begun(tmp_path / "out").finish({})
    with pytest.raises(ConfigError, match=r"problems \('aa' there, 'bb' now\)"):
        opened(tmp_path / "out", data="bb")


def test_runtime_settings_may_change(tmp_path: Path) -> None:
    manifest = begun(tmp_path / "out").finish({})
    assert opened(tmp_path / "out", Baking(ovens=8)).complete == manifest


def test_another_jobs_directory_is_refused(tmp_path: Path) -> None:
    begun(tmp_path / "out")
    with pytest.raises(ConfigError, match="made by job 'bake'"):
        opened(tmp_path / "out", job="roast")


def test_looking_writes_nothing(tmp_path: Path) -> None:
    opened(tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert opened(tmp_path / "out", Baking(flour="spelt")).complete is None


def test_foreign_directory_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(ConfigError, match="is not empty"):
        opened(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_out_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("")
    with pytest.raises(ConfigError, match="^out: cannot write"):
        begun(tmp_path / "out")


@pytest.mark.parametrize("text", ['{"job": "ba', "[1, 2]", "\x00"])
def test_malformed_manifest_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / MANIFEST).write_text(text)
    with pytest.raises(DataError, match=MANIFEST):
        read_manifest(tmp_path)


def test_missing_manifest_says_what_the_folder_is_not(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="not a finished stage"):
        read_manifest(tmp_path)


def test_writing_leaves_the_new_text_and_nothing_else(tmp_path: Path) -> None:
    file = tmp_path / "file.json"
    write_text(file, "old")
    write_json(file, {"ä": [1, None]})
    assert json.loads(file.read_text(encoding="utf-8")) == {"ä": [1, None]}
    assert list(tmp_path.iterdir()) == [file]
