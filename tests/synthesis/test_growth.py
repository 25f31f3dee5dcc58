"""A dataset grows: only what is new is asked for, and what was there is judged among it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from finished_stages import synthesised
from kills import rows_without_timings

from pad_ray.base.errors import ConfigError
from pad_ray.flow.holding import let_go_of_all
from pad_ray.flow.stages import Stage, read_manifest
from pad_ray.synthesis import run
from pad_ray.synthesis.dataset.files import JudgedRows
from pad_ray.synthesis.growth import keep_earlier_rows
from pad_ray.synthesis.run import synthesize
from pad_ray.synthesis.settings import SynthesisSettings

GIVEN: dict[str, Any] = {
    "task": "arithmetic",
    "teacher": "scripted",
    "count": 6,
    "samples": 3,
    "faults": {"wrong_number": 0.2, "no_code": 0.2},
    "sandbox": {"wall_s": 0.2, "cpu_s": 0.2},
}


@pytest.fixture(autouse=True)
def _nothing_stays_held() -> Iterator[None]:
    yield
    let_go_of_all()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("grown") / "out"
    synthesised(out, **GIVEN)
    return out


def copied(made: Path, folder: Path) -> Path:
    """Return a copy of a finished dataset."""
    out = folder / "out"
    for file in made.rglob("*"):
        if file.is_file():
            place = out / file.relative_to(made)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(file.read_bytes())
    return out


def grown(out: Path, **changes: Any) -> Stage:
    """Write the requests for what is more than there is."""
    settings = SynthesisSettings(**{**GIVEN, "out": out, **changes})
    task = run.get_task(settings.task)
    stage = run._open(settings, task, run._may_grow(settings))
    assert stage.grown
    run._begin(stage, out / "work", task, settings)
    return stage


def asked(out: Path) -> list[str]:
    files = sorted((out / "work").glob("round-*/requests/*.parquet"))
    return sorted(row for file in files for row in pq.read_table(file)["row_id"].to_pylist())


def row_ids(out: Path) -> list[str]:
    return sorted(row["row_id"] for row in rows_without_timings(out))


@pytest.mark.parametrize("changes", [{"samples": 5}, {"count": 9}, {"samples": 4, "count": 8}])
def test_only_what_is_new_is_asked_for(made: Path, tmp_path: Path, changes: dict[str, int]) -> None:
    out = copied(made, tmp_path)
    stage = grown(out, **changes)
    assert set(stage.grown) == set(changes)
    there, more = row_ids(made), asked(out)
    assert not set(there) & set(more)
    samples, count = changes.get("samples", 3), changes.get("count", 6)
    assert len(there) + len(more) == samples * count
    assert {int(row.rsplit("-", 1)[1]) for row in [*there, *more]} == set(range(samples))
    kept = pq.read_table(out / "work/earlier/done")
    assert sorted(kept["row_id"].to_pylist()) == there


def test_a_grown_dataset_is_not_complete_until_it_is_finished(made: Path, tmp_path: Path) -> None:
    out = copied(made, tmp_path)
    grown(out, samples=4)
    settings = SynthesisSettings(**{**GIVEN, "out": out, "samples": 4})
    again = run._open(settings, run.get_task("arithmetic"), ())
    assert again.complete is None
    assert not again.grown
    # Grown once more before it was finished, it asks for what is new to that.
    first = asked(out)
    let_go_of_all()
    grown(out, samples=6)
    second = asked(out)
    assert len(set(second)) == len(second) == 6 * 3
    assert set(first) < set(second)
    blocks = [pq.read_table(f)["block"][0].as_py() for f in out.glob("work/round-*/*/*.parquet")]
    assert len(set(blocks)) == len(blocks)


def test_a_growth_that_was_killed_before_it_was_written_down_is_not_asked_for_twice(
    made: Path, tmp_path: Path
) -> None:
    out = copied(made, tmp_path)
    config = (out / "config.yaml").read_text()
    grown(out, samples=5)
    before = asked(out)
    (out / "config.yaml").write_text(config)
    let_go_of_all()
    grown(out, samples=5)
    assert asked(out) == before


def test_kept_rows_make_the_same_dataset_again(made: Path, tmp_path: Path) -> None:
    work = tmp_path / "work"
    keep_earlier_rows([made / "verified", made / "rejected"], work)
    with JudgedRows([work / "done"], tmp_path / "spill") as rows:
        again = rows.write(tmp_path, False)
    assert rows_without_timings(tmp_path) == rows_without_timings(made)
    manifest = read_manifest(made)
    assert again["rows_fingerprint"] == manifest["rows_fingerprint"]
    assert manifest["counts"]["by_reason"].get("duplicate"), "nothing was left out as a repeat"


@pytest.mark.parametrize("changes", [{"samples": 2}, {"count": 5}, {"samples": 4, "count": 5}])
def test_less_is_refused_and_nothing_touched(
    made: Path, tmp_path: Path, changes: dict[str, int]
) -> None:
    out = copied(made, tmp_path)
    key = "count" if "count" in changes else "samples"
    with pytest.raises(ConfigError, match=rf"{key} \({GIVEN[key]} there, {changes[key]} now\)"):
        grown(out, **changes)
    assert not (out / "work").exists()
    settings = SynthesisSettings(**{**GIVEN, "out": out})
    assert run._open(settings, run.get_task("arithmetic"), ()).complete == read_manifest(made)


def problem_file(path: Path, answers: list[int]) -> Path:
    rows = [{"question": f"What is {i} and 1?", "answer": str(a)} for i, a in enumerate(answers)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_a_problem_file_may_grow_but_not_change(tmp_path: Path) -> None:
    programs = [f"```python\ndef solution():\n    return {i} + 1\n```" for i in range(4)]
    rows = [{"question": f"What is {i} and 1?", "completion": p} for i, p in enumerate(programs)]
    recorded = tmp_path / "completions.jsonl"
    recorded.write_text("".join(json.dumps(row) + "\n" for row in rows))
    problems = problem_file(tmp_path / "p.jsonl", [1, 2])
    given = {
        **{"task": "jsonl", "teacher": "recorded", "completions": recorded},
        **{"problems": problems, "count": None, "samples": 1},
    }
    out = tmp_path / "out"
    synthesised(out, **{**GIVEN, **given})
    problem_file(problems, [1, 3, 3])
    with pytest.raises(ConfigError, match="problems"):
        grown(out, **given)
    problem_file(problems, [1, 2, 3])
    assert grown(out, **given).grown == ("problems",)
    assert len(asked(out)) == 1


def test_an_edited_task_file_is_noticed_and_can_be_judged_by(tmp_path: Path) -> None:
    own, out = tmp_path / "own.py", tmp_path / "out"
    own.write_text("from pad_ray.tasks import get_task\nTASK = get_task('arithmetic')\n")
    given = {**GIVEN, "task": f"{own}:TASK", "count": 2, "samples": 1, "out": out}
    synthesised(**given)
    settings = SynthesisSettings(**given)
    assert run._open(settings, run.get_task(settings.task), ()).complete is not None
    own.write_text(own.read_text() + "# with another rule\n")
    with pytest.raises(ConfigError, match=r"task/file \(.*pad-ray judge judges what is there"):
        synthesize(settings)


ROUNDS: dict[str, Any] = {
    "count": 8,
    "samples": 2,
    "faults": {"wrong_number": 0.4},
    "vary": 1.0,
    "want": 1,
    "max_samples": 3,
}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"max_samples": 2}, r"max_samples \(3 there, 2 now\)"),
        ({"want": 2, "samples": 3}, r"samples \(2 there, 3 now\); want \(1 there, 2 now\)"),
        ({"want": None, "max_samples": None}, r"max_samples \(3 there, None now\)"),
        ({"want": 2, "count": 9}, r"count \(8 there, 9 now\)"),
    ],
)
def test_of_rounds_only_more_of_them_may_be_wanted(
    tmp_path: Path, changes: dict[str, int | None], said: str
) -> None:
    out = tmp_path / "out"
    synthesised(out, **{**GIVEN, **ROUNDS})
    settings = SynthesisSettings(**{**GIVEN, **ROUNDS, "out": out, **changes})
    with pytest.raises(ConfigError, match=said):
        run._open(settings, run.get_task(settings.task), run._may_grow(settings))


@pytest.mark.parametrize(("samples", "most", "asked"), [(2, 7, [2, 4, 6, 7]), (3, 3, [3])])
def test_rounds_end_where_their_samples_do(samples: int, most: int, asked: list[int]) -> None:
    settings = SynthesisSettings(
        **{**GIVEN, **ROUNDS, "out": Path("out"), "samples": samples, "max_samples": most}
    )
    after, found = 0, []
    while indices := settings.samples_after(after):
        assert indices.start == after
        found.append(after := indices.stop)
    assert found == asked
    # What a lower limit cut short is the beginning of the round.
    assert settings.samples_after(1) == range(1, samples)


@pytest.mark.slow
def test_more_is_asked_only_of_problems_that_lack_programs(local_ray: None, tmp_path: Path) -> None:
    def made(**changes: Any) -> dict[str, Any]:
        settings = {**GIVEN, **ROUNDS, "out": tmp_path / "out", **changes}
        # So many that three samples leave problems without a program, whatever these problems are.
        settings["faults"] = {"wrong_number": 0.7}
        return synthesize(SynthesisSettings(**settings))

    def asked_of() -> dict[str, set[int]]:
        found: dict[str, set[int]] = {}
        for row in rows_without_timings(tmp_path / "out"):
            indices = found.setdefault(row["problem_id"], set())
            assert row["sample_index"] not in indices
            indices.add(row["sample_index"])
        return found

    def solved(want: int) -> set[str]:
        right = Counter(
            row["problem_id"]
            for row in rows_without_timings(tmp_path / "out")
            if row["reason"] is None
        )
        return {key for key, number in right.items() if number >= want}

    first = made()
    before, rows = asked_of(), rows_without_timings(tmp_path / "out")
    met = solved(1)
    assert 0 < len(met) < len(before) == 8
    assert {max(before[key]) for key in before.keys() - met} == {2}
    for changes, want in (({"max_samples": 8}, 1), ({"max_samples": 8, "want": 2}, 2)):
        met = solved(want)
        more = made(**changes)
        after = asked_of()
        assert {key for key in after if after[key] != before[key]} <= after.keys() - met
        kept = rows_without_timings(tmp_path / "out")
        ids = {row["row_id"] for row in kept}
        assert {row["row_id"] for row in rows} < ids
        assert all(after[key] == set(range(8)) for key in after.keys() - solved(want))
        assert sum(one["asked"] for one in more["counts"]["rounds"]) == len(ids)
        assert more["counts"]["rows"] == len(ids) and more["counts"]["not_asked"] == 0
        assert made(**changes) == more
        before, rows = after, kept
    assert more["attempts"] == 3 and first["counts"]["problems"] == more["counts"]["problems"]
    assert not (tmp_path / "out/work").exists()


@pytest.mark.slow
def test_a_grown_dataset_is_the_one_that_is_made_at_once(local_ray: None, tmp_path: Path) -> None:
    def made(name: str, **changes: Any) -> dict[str, Any]:
        return synthesize(SynthesisSettings(**{**GIVEN, "out": tmp_path / name, **changes}))

    small = made("grown")
    large = made("grown", samples=4, count=9)
    at_once = made("at_once", samples=4, count=9)
    assert small["counts"]["rows"] == 18 and large["counts"]["rows"] == 36
    assert rows_without_timings(tmp_path / "grown") == rows_without_timings(tmp_path / "at_once")
    for name in ("counts", "fingerprint", "rows_fingerprint", "tokens"):
        assert large[name] == at_once[name]
    assert large["attempts"] == 2 and large["wall_s"] > small["wall_s"]
    assert not (tmp_path / "grown/work").exists()
