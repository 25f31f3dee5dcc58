"""Stage directories: complete ones are recognised, foreign and differing ones are refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import pytest
import yaml
from filelock import FileLock, Timeout
from hypothesis import given
from hypothesis import strategies as st

from pad_ray.base.config import Settings
from pad_ray.base.errors import ConfigError, DataError
from pad_ray.base.fields import Input, Runtime
from pad_ray.flow.holding import ATTEMPTS, LOCK, let_go_of_all
from pad_ray.flow.stages import (
    CONFIG,
    MANIFEST,
    Stage,
    file_fingerprint,
    fingerprint,
    open_stage,
    read_manifest,
    stage_fingerprint,
    stage_folder,
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

    flour: str = "rye"
    """Kind of flour."""
    ovens: Annotated[int, Runtime] = 1
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
    assert saved == {
        "job": "bake",
        "fingerprint": stage.fingerprint,
        "settings": {"flour": "rye"},
        "inputs": {"problems": "aa"},
    }


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


class Kneading(Settings):
    """Settings of a job that has grown since."""

    dough: Annotated[str, Input(lambda name, value: {f"{name}/flour": value}, is_saved=True)]
    """What is kneaded."""
    minutes: int = 5
    """How long."""
    rest: int = 60
    """Minutes it then rests."""


def older_record(out: Path, inputs: dict[str, str], **settings: object) -> None:
    """Write the record of a directory as versions without fingerprints in it did."""
    out.mkdir()
    record = {"job": "knead", "settings": settings, "inputs": inputs}
    (out / CONFIG).write_text(yaml.safe_dump(record))


@pytest.mark.parametrize("inputs", [{}, {"dough/flour": "rye"}, {"dough/other": "x"}])
def test_an_older_directory_is_gone_on_with_where_the_settings_agree(
    tmp_path: Path, inputs: dict[str, str]
) -> None:
    out = tmp_path / "out"
    older_record(out, inputs, dough="rye", minutes=5)
    now = Kneading(dough="rye")
    if "dough/other" in inputs:  # it was there, and is no more
        with pytest.raises(ConfigError, match=r"dough/other \('x' there, None now\)"):
            open_stage(out, "knead", now)
    else:
        open_stage(out, "knead", now).begin()
        assert open_stage(out, "knead", now).complete is None
    with pytest.raises(ConfigError, match=r"rest \(60 there, 90 now\)"):
        open_stage(out, "knead", Kneading(dough="rye", rest=90))


def test_an_input_that_older_directories_know_by_name_is_compared_by_it(tmp_path: Path) -> None:
    older_record(tmp_path / "out", {}, dough="rye", minutes=5)
    with pytest.raises(ConfigError, match=r"dough/flour \(None there, 'spelt' now\)"):
        open_stage(tmp_path / "out", "knead", Kneading(dough="spelt"))


def test_a_default_is_no_part_of_a_fingerprint() -> None:
    class Older(Settings):
        """Before there was a `rest`."""

        dough: Annotated[str, Input(lambda name, value: {name: value})]
        """What is kneaded."""
        minutes: int = 5
        """How long."""

    inputs = {"dough/flour": "rye"}
    now = Kneading(dough="rye")
    assert stage_fingerprint(now, inputs) == stage_fingerprint(Older(dough="rye"), inputs)
    assert stage_fingerprint(now, inputs) != stage_fingerprint(now, {"dough/flour": "oat"})
    changed = Kneading(dough="rye", rest=61)
    assert stage_fingerprint(changed, inputs) != stage_fingerprint(now, inputs)


def test_a_revision_counts_only_where_both_are_known(tmp_path: Path) -> None:
    known = open_stage(tmp_path, "bake", Baking(), {"student": "hub", "student/revision": "a1"})
    known.begin()
    open_stage(tmp_path, "bake", Baking(), {"student": "hub"})
    with pytest.raises(ConfigError, match=r"student/revision \('a1' there, 'b2' now\)"):
        open_stage(tmp_path, "bake", Baking(), {"student": "hub", "student/revision": "b2"})


def test_what_may_grow_is_told_and_nothing_else_passes(tmp_path: Path) -> None:
    begun(tmp_path)
    spelt = Baking(flour="spelt")
    inputs = {"problems": "aa"}
    assert open_stage(tmp_path, "bake", spelt, inputs, ["flour"]).grown == ("flour",)
    assert open_stage(tmp_path, "bake", Baking(), inputs, ["flour"]).grown == ()
    with pytest.raises(ConfigError, match="problems"):
        open_stage(tmp_path, "bake", spelt, {"problems": "bb"}, ["flour"])


class Batches(Settings):
    loaves: int = 4
    """Loaves of a batch."""


@pytest.mark.parametrize(("now", "grown"), [(4, ()), (5, ("loaves",))])
def test_a_number_may_rise(tmp_path: Path, now: int, grown: tuple[str, ...]) -> None:
    open_stage(tmp_path, "bake", Batches()).begin()
    assert open_stage(tmp_path, "bake", Batches(loaves=now), may_rise=["loaves"]).grown == grown
    with pytest.raises(ConfigError, match=r"loaves \(4 there, 3 now\)"):
        open_stage(tmp_path, "bake", Batches(loaves=3), may_rise=["loaves"])
    with pytest.raises(ConfigError, match=r"loaves \(4 there, 5 now\)"):
        open_stage(tmp_path, "bake", Batches(loaves=5))


def test_two_runs_do_not_write_in_one_directory(tmp_path: Path) -> None:
    stage = opened(tmp_path)
    other = FileLock(tmp_path / LOCK, timeout=0)  # as another process has
    with other, pytest.raises(ConfigError, match="in use by another run"):
        stage.begin()
    stage.begin()
    with pytest.raises(Timeout), other:
        pass
    stage.finish({})
    with other:
        pass


def test_what_another_run_has_done_meanwhile_is_not_done_again(tmp_path: Path) -> None:
    early, other = opened(tmp_path), opened(tmp_path, Baking(flour="spelt"))
    begun(tmp_path).finish({})
    with pytest.raises(ConfigError, match="has just been finished by another run"):
        early.begin()
    with pytest.raises(ConfigError, match="flour"):
        other.begin()
    let_go_of_all()


def test_a_stage_that_is_withdrawn_leaves_the_directory_to_others(tmp_path: Path) -> None:
    begun(tmp_path).withdraw()
    assert not list(tmp_path.iterdir())
    begun_otherwise = opened(tmp_path, Baking(flour="spelt"))
    begun_otherwise.begin()
    begun_otherwise.finish({})
    assert {path.name for path in tmp_path.iterdir()} == {CONFIG, MANIFEST}


def test_leftovers_of_a_killed_run_do_not_block(tmp_path: Path) -> None:
    (tmp_path / LOCK).touch()
    (tmp_path / ATTEMPTS).write_text('{"count": 1, "earl')
    (tmp_path / f".{CONFIG}.123.partial").write_text("job: ba")
    (tmp_path / f".{MANIFEST}.partial").write_text("{")
    begun(tmp_path).finish({})


def test_seconds_of_all_attempts_add_up(tmp_path: Path) -> None:
    killed = opened(tmp_path)
    object.__setattr__(killed, "started", killed.started - 1000)
    killed.begin()
    (tmp_path / "last").write_text("written before it was killed")
    let_go_of_all()
    last = opened(tmp_path)
    last.begin()
    manifest = last.finish({})
    assert 1000 <= manifest["wall_s"] < 1100
    assert manifest["attempts"] == 2
    # One that is taken up after its end goes on from there.
    more = opened(tmp_path)
    more.begin()
    manifest = more.finish({})
    assert 1000 <= manifest["wall_s"] < 1100
    assert manifest["attempts"] == 3


def test_a_folder_among_others_that_an_older_version_named_is_found(tmp_path: Path) -> None:
    now = Kneading(dough="rye", minutes=7)
    inputs = {"dough/flour": "rye", "data_0": "from before"}
    older_record(tmp_path / "knead-01234567", inputs, dough="rye", minutes=7)
    older_record(tmp_path / "knead-11234567", inputs, dough="rye", minutes=8)
    found = stage_folder(tmp_path, "knead", now, ["from before"])
    assert found.name == "knead-01234567"
    for run, marks in (
        (now, ["from another"]),
        (now, []),
        (Kneading(dough="rye", minutes=7, rest=1), ["from before"]),
        (Kneading(dough="oat", minutes=7), ["from before"]),
    ):
        assert not stage_folder(tmp_path, "knead", run, marks).exists()
