"""Synthesis: counts add up, kept programs are right, and the same rows whatever the layout."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pad_ray.errors import ConfigError, DataError, PadError, ResourceError, TeacherError
from pad_ray.records import JUDGED_SCHEMA
from pad_ray.stages import read_manifest
from pad_ray.synthesis import SynthesisSettings, mark_duplicates, synthesize

PROBLEMS, SAMPLES = 20, 2
FAULTS = {"wrong_number": 0.15, "undefined_name": 0.1, "syntax_error": 0.1, "no_code": 0.1}


def settings(out: Path, **others: Any) -> SynthesisSettings:
    values: dict[str, Any] = {
        "task": "arithmetic",
        "teacher": "scripted",
        "count": PROBLEMS,
        "samples": SAMPLES,
        "faults": FAULTS,
        "out": out,
    }
    return SynthesisSettings(**{**values, **others})


def rows_in(folder: Path) -> list[dict[str, Any]]:
    return list(pq.read_table(folder).to_pylist())


@pytest.fixture(scope="module")
def made(local_ray: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("synthesis") / "out"
    synthesize(settings(out))
    return out


def test_counts_add_up(made: Path) -> None:
    counts = read_manifest(made)["counts"]
    verified, rejected = rows_in(made / "verified"), rows_in(made / "rejected")
    assert counts["rows"] == PROBLEMS * SAMPLES == counts["verified"] + counts["rejected"]
    assert (counts["verified"], counts["rejected"]) == (len(verified), len(rejected))
    assert counts["by_reason"] == Counter(row["reason"] for row in rejected)
    assert counts["solved_problems"] == len({row["problem_id"] for row in verified})
    assert {row["reason"] for row in verified} == {None}
    assert len({row["row_id"] for row in verified + rejected}) == PROBLEMS * SAMPLES


def test_faults_show_as_their_reasons(made: Path) -> None:
    reasons = read_manifest(made)["counts"]["by_reason"]
    assert {"wrong_answer", "no_program", "error", "duplicate"} <= set(reasons)


def test_kept_programs_print_the_gold_answer_in_plain_python(made: Path) -> None:
    for row in rows_in(made / "verified"):
        code = f"{row['program']}\nprint(solution())"
        shown = subprocess.run(
            [sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True
        )
        assert float(shown.stdout) == pytest.approx(float(row["answer"]), rel=1e-6)
        assert json.loads(row["value"]) == pytest.approx(float(row["answer"]), rel=1e-6)


def test_a_problem_keeps_a_program_once(made: Path) -> None:
    kept = [(row["problem_id"], row["program_key"]) for row in rows_in(made / "verified")]
    assert len(set(kept)) == len(kept)
    repeats = [row for row in rows_in(made / "rejected") if row["reason"] == "duplicate"]
    assert all((row["problem_id"], row["program_key"]) in kept for row in repeats)


def test_rows_that_failed_say_why(made: Path) -> None:
    for row in rows_in(made / "rejected"):
        if row["reason"] == "error":
            assert row["error_type"] in ("NameError", "UnboundLocalError", "SyntaxError")
            assert row["error_line"] >= 1
        if row["reason"] == "wrong_answer":
            assert row["value"] is not None


def test_both_parts_load_with_datasets(made: Path, tmp_path: Path) -> None:
    for part in ("verified", "rejected"):
        files = [str(path) for path in sorted((made / part).glob("*.parquet"))]
        loaded = datasets.load_dataset(
            "parquet", data_files=files, split="train", cache_dir=str(tmp_path)
        )
        assert loaded.num_rows == read_manifest(made)["counts"][part]
        assert loaded.column_names == JUDGED_SCHEMA.names


def test_the_same_command_again_does_no_work(
    made: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {path: path.stat().st_mtime_ns for path in made.rglob("*")}
    manifest = synthesize(settings(made, rows_per_block=7, sandbox_actors=2))
    assert manifest == read_manifest(made)
    assert "nothing to do" in capsys.readouterr().out
    assert {path: path.stat().st_mtime_ns for path in made.rglob("*")} == before


@pytest.mark.parametrize(
    ("field", "value"), [("samples", 3), ("seed", 1), ("vary", 0.9), ("count", 21)]
)
def test_other_settings_are_refused_by_name(made: Path, field: str, value: float) -> None:
    with pytest.raises(ConfigError, match=rf"other settings: {field} \("):
        synthesize(settings(made, **{field: value}))


def test_rows_do_not_depend_on_blocks_or_actors(made: Path, tmp_path: Path) -> None:
    synthesize(settings(tmp_path / "out", rows_per_block=5, teacher_actors=2))
    measured = ["cpu_s", "wall_s"]
    for part in ("verified", "rejected"):
        first, second = (
            pq.read_table(out / part).drop_columns(measured) for out in (made, tmp_path / "out")
        )
        assert first.equals(second), part


def own_file(path: Path, count: int) -> Path:
    rows = [{"question": f"What is {i} and 1?", "answer": i + 1} for i in range(count)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def completions_file(path: Path, programs: dict[str, str]) -> Path:
    rows = [{"question": q, "completion": program} for q, program in programs.items()]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.mark.parametrize(("value", "kept"), [("{i} + 1", 3), ("-1", 0)])
def test_all_kept_and_none_kept_both_end_well(
    local_ray: None, tmp_path: Path, value: str, kept: int
) -> None:
    problems = own_file(tmp_path / "own.jsonl", 3)
    programs = {
        f"What is {i} and 1?": f"def solution():\n    return {value.format(i=i)}\n"
        for i in range(3)
    }
    manifest = synthesize(
        SynthesisSettings(
            task="jsonl",
            problems=problems,
            teacher="recorded",
            completions=completions_file(tmp_path / "recorded.jsonl", programs),
            out=tmp_path / "out",
        )
    )
    assert (manifest["counts"]["verified"], manifest["counts"]["rejected"]) == (kept, 3 - kept)
    assert len(rows_in(tmp_path / "out" / "verified")) == kept
    assert len(rows_in(tmp_path / "out" / "rejected")) == 3 - kept


def test_users_own_task_is_found_by_the_workers(
    local_ray: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "capitals.py").write_text(
        "from pad_ray.records import Problem\n"
        "from pad_ray.tasks import Task, texts_equal\n"
        "def generate(count, split, seed, size):\n"
        "    return [Problem.make('letters', f'Say {c}.', c, program="
        "f'def solution():\\n    letter = {c!r}\\n    return letter\\n') for c in 'abc']\n"
        "TASK = Task('letters', texts_equal, generate=generate)\n"
    )
    monkeypatch.chdir(tmp_path)
    manifest = synthesize(
        settings(tmp_path / "out", task="capitals.py:TASK", faults={}, samples=1, count=3)
    )
    assert manifest["counts"]["verified"] == 3


def test_more_actors_than_the_cluster_has_is_one_line_with_the_remedy(
    local_ray: None, tmp_path: Path
) -> None:
    with pytest.raises(ResourceError, match=r"need 6\d.* CPU.*lower the number of actors"):
        synthesize(settings(tmp_path / "out", sandbox_actors=64))


def test_teacher_that_cannot_serve_the_task_is_refused_before_any_work(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(TeacherError, match="rationale"):
        synthesize(settings(out, teacher="rationale", samples=1))
    problems = own_file(tmp_path / "own.jsonl", 2)
    with pytest.raises(PadError, match="scripted"):
        synthesize(settings(out, task="jsonl", problems=problems, count=None))
    assert not out.exists()


def test_missing_problem_file_leaves_no_directory(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"gone\.jsonl"):
        synthesize(settings(tmp_path / "out", task="jsonl", problems=tmp_path / "gone.jsonl"))
    assert not (tmp_path / "out").exists()


def judged(*rows: tuple[str, str, str | None]) -> pa.Table:
    names = ("problem_id", "program_key", "reason")
    return pa.Table.from_pylist([dict(zip(names, row, strict=True)) for row in rows])


def test_only_later_equal_right_programs_of_one_problem_are_duplicates() -> None:
    table = judged(
        ("a", "k", "wrong_answer"),
        ("a", "k", None),
        ("a", "k", None),
        ("a", "l", None),
        ("b", "k", None),
        ("a", "k", None),
    )
    reasons = mark_duplicates(table)["reason"].to_pylist()
    assert reasons == ["wrong_answer", None, "duplicate", None, None, "duplicate"]
