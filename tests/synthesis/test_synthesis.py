"""Synthesis: counts add up, kept programs are right, and the same rows whatever the layout."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import datasets
import hypothesis
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from pad_ray.base.errors import ConfigError, DataError, PadError, ResourceError, TeacherError
from pad_ray.base.schemas import JUDGED_SCHEMA
from pad_ray.flow.stages import read_manifest
from pad_ray.synthesis.dataset import files as dataset_files
from pad_ray.synthesis.dataset.files import JudgedRows
from pad_ray.synthesis.rejudgement import judge_again
from pad_ray.synthesis.run import synthesize
from pad_ray.synthesis.settings import JudgeSettings, SynthesisSettings

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
    ("field", "value"), [("samples", 1), ("seed", 1), ("vary", 0.9), ("count", 19)]
)
def test_other_settings_are_refused_by_name(made: Path, field: str, value: float) -> None:
    with pytest.raises(ConfigError, match=rf"other settings: {field} \("):
        synthesize(settings(made, **{field: value}))


@pytest.mark.slow
def test_rows_do_not_depend_on_blocks_or_actors(made: Path, tmp_path: Path) -> None:
    synthesize(settings(tmp_path / "out", rows_per_block=5, teacher_actors=2))
    measured = ["cpu_s", "wall_s", "solve_s"]
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


@pytest.mark.parametrize(
    ("value", "kept"), [pytest.param("{i} + 1", 3, marks=pytest.mark.slow), ("-1", 0)]
)
@pytest.mark.slow
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


@pytest.mark.slow
def test_users_own_task_is_found_by_the_workers(
    local_ray: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "capitals.py").write_text(
        "from pad_ray.base.records import Problem\n"
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
    with pytest.raises(ResourceError, match=r"needs 6\d.* CPU.*lower the number of actors"):
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
    gone = {"task": "gsm8k", "problems": tmp_path / "gone.jsonl", "teacher": "rationale"}
    with pytest.raises(DataError, match=r"gone\.jsonl"):
        synthesize(settings(tmp_path / "out", samples=1, **gone))
    assert not (tmp_path / "out").exists()


def sorted_rows(folder: Path, drop_near: bool, *rows: tuple[str, str, str, str | None]) -> Any:
    """Sort judged rows (problem, program key, near key, reason); return (reason, pass rate)s."""
    names = ("problem_id", "program_key", "near_key", "reason")
    table = pa.Table.from_pylist(
        [
            {**dict(zip(names, row, strict=True)), "row_id": f"{i:03d}", "sample_index": i}
            for i, row in enumerate(rows)
        ],
        schema=JUDGED_SCHEMA,
    )
    (folder / "done").mkdir()
    # Two files, as of two blocks.
    pq.write_table(table.slice(0, 3), folder / "done" / "0.parquet")
    pq.write_table(table.slice(3), folder / "done" / "1.parquet")
    with JudgedRows([folder / "done"], folder / "spill") as judged:
        judged.write(folder, drop_near)
    found = {row["row_id"]: row for part in PARTS for row in rows_in(folder / part)}
    return [(row["reason"], row["pass_rate"]) for _, row in sorted(found.items())]


PARTS = ("verified", "rejected")


def test_only_later_equal_right_programs_of_one_problem_are_duplicates(tmp_path: Path) -> None:
    found = sorted_rows(
        tmp_path,
        False,
        ("a", "k", "n", "wrong_answer"),
        ("a", "k", "n", None),
        ("a", "k", "n", None),
        ("a", "l", "n", None),
        ("b", "k", "n", None),
        ("a", "k", "n", None),
    )
    reasons = [reason for reason, _ in found]
    assert reasons == ["wrong_answer", None, "duplicate", None, None, "duplicate"]
    assert [rate for _, rate in found] == [0.8, 0.8, 0.8, 0.8, 1.0, 0.8]


def test_near_duplicates_go_if_they_are_to(tmp_path: Path) -> None:
    found = sorted_rows(
        tmp_path,
        True,
        ("a", "k", "n", None),
        ("a", "k", "n", None),
        ("a", "l", "n", None),
        ("a", "m", "o", None),
        ("b", "l", "n", None),
    )
    assert [reason for reason, _ in found] == [None, "duplicate", "near_duplicate", None, None]


@given(
    st.lists(
        st.tuples(
            st.integers(0, 2**64 - 1).map("{:016x}".format),
            st.sampled_from("kl"),
            st.sampled_from("mn"),
            st.sampled_from([None, None, "error", "wrong_answer"]),
        ),
        min_size=1,
        max_size=40,
    ),
    st.booleans(),
    st.integers(1, 9),
)
@hypothesis.settings(max_examples=15)
@pytest.mark.slow
def test_a_dataset_is_the_same_sorted_at_once_or_in_parts(
    rows: list[tuple[str, str, str, str | None]], drop_near: bool, several: int
) -> None:
    # Several samples a problem, with unlike reasons.
    rows = [(rows[i % several % len(rows)][0], *row[1:]) for i, row in enumerate(rows)]
    found = []
    for size in (dataset_files._ROWS_PER_PART, 3):
        with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
            patch.setattr(dataset_files, "_ROWS_PER_PART", size)
            found.append(sorted_rows(Path(folder), drop_near, *rows))
    assert found[0] == found[1]


@pytest.mark.slow
def test_a_program_of_each_problem_is_asked_for_until_it_is_found(
    local_ray: None, tmp_path: Path
) -> None:
    run = {"faults": {"wrong_number": 0.4}, "vary": 1.0, "samples": 2}
    manifest = synthesize(settings(tmp_path / "out", want=2, max_samples=5, **run))
    verified = rows_in(tmp_path / "out/verified")
    rows = verified + rows_in(tmp_path / "out/rejected")
    asked = Counter(row["problem_id"] for row in rows)
    found = Counter(row["problem_id"] for row in verified)
    assert len(asked) == PROBLEMS
    rounds = manifest["counts"]["rounds"]
    assert 1 < len(rounds) <= 3
    assert sum(one["asked"] for one in rounds) == len(rows) == manifest["counts"]["rows"]
    for problem, samples in asked.items():
        assert samples in (2, 4, 5)
        # Asked on only while it lacked programs.
        earlier = [
            row
            for row in verified
            if row["problem_id"] == problem and row["sample_index"] < samples - 2 + samples % 2
        ]
        assert len(earlier) < 2
        assert found[problem] >= 2 or samples == 5


@pytest.mark.slow
def test_rounds_make_the_same_rows_in_any_layout(local_ray: None, tmp_path: Path) -> None:
    run = {"faults": {"wrong_number": 0.4}, "vary": 1.0, "want": 2, "max_samples": 4}
    one = synthesize(settings(tmp_path / "one", **run))
    two = synthesize(settings(tmp_path / "two", rows_per_block=3, teacher_actors=[1, 2], **run))
    assert one["counts"] == two["counts"]


@pytest.mark.slow
def test_problems_of_an_evaluation_file_are_left_out(local_ray: None, tmp_path: Path) -> None:
    problems = own_file(tmp_path / "own.jsonl", 5)
    evaluation = tmp_path / "test.jsonl"
    evaluation.write_text(
        '{"question": "what is 1, and 1?", "answer": 2}\n'
        '{"question": "So then: what is 3 and 1? Tell me.", "answer": 4}\n'
    )
    completions = completions_file(
        tmp_path / "c.jsonl", {f"What is {i} and 1?": "def solution(): return 0" for i in range(5)}
    )
    manifest = synthesize(
        settings(
            tmp_path / "out",
            task="jsonl",
            problems=problems,
            count=None,
            teacher="recorded",
            completions=completions,
            samples=1,
            decontaminate=[str(evaluation)],
            decontamination_ngram=5,
        )
    )
    assert manifest["counts"]["contaminated_by"] == {"exact": 1, "ngram": 1}
    asked = {row["question"] for row in rows_in(tmp_path / "out/rejected")}
    assert asked == {f"What is {i} and 1?" for i in (0, 2, 4)}


def test_an_evaluation_file_of_a_generated_task_needs_its_task(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="decontaminate: test.jsonl: task 'arithmetic' reads no"):
        synthesize(settings(tmp_path / "out", decontaminate=["test.jsonl"]))


@pytest.mark.parametrize(
    "given", [{"want": 2}, {"max_samples": 2}, {"teacher_actors": [3, 1]}, {"sandbox_actors": 0}]
)
def test_settings_at_odds_are_refused(tmp_path: Path, given: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        settings(tmp_path / "out", **given)


@pytest.mark.slow
def test_rounding_is_the_papers_rule(local_ray: None, tmp_path: Path) -> None:
    problems = own_file(tmp_path / "own.jsonl", 3)
    programs = {
        f"What is {i} and 1?": f"def solution():\n    return {i} + 1 + {i} * 0.3" for i in range(3)
    }
    run = {
        "task": "jsonl",
        "problems": problems,
        "count": None,
        "teacher": "recorded",
        "completions": completions_file(tmp_path / "c.jsonl", programs),
        "samples": 1,
    }
    exact = synthesize(settings(tmp_path / "exact", **run))
    rounded = synthesize(settings(tmp_path / "rounded", accept="rounded", **run))
    assert (exact["counts"]["verified"], rounded["counts"]["verified"]) == (1, 2)


@pytest.mark.slow
def test_a_dataset_is_judged_again_under_another_rule(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "never.py").write_text(
        "from pad_ray.tasks import Task\n"
        "TASK = Task('arithmetic', lambda value, answer: False, generate=lambda *_: [])\n"
    )
    run = {"data": made, "near_duplicates": "drop"}
    same = judge_again(JudgeSettings(out=tmp_path / "same", **run))
    task = f"{tmp_path / 'never.py'}:TASK"
    none = judge_again(JudgeSettings(out=tmp_path / "none", task=task, **run))
    before = read_manifest(made)["counts"]
    assert same["counts"]["rows"] == before["rows"] == none["counts"]["rows"]
    kept = ("verified", "near_duplicate")
    counts = same["counts"]
    assert counts["verified"] + counts["by_reason"].get("near_duplicate", 0) == before["verified"]
    assert none["counts"]["verified"] == 0, kept
    first = {row["row_id"]: row for part in PARTS for row in rows_in(made / part)}
    for part in PARTS:
        for row in rows_in(tmp_path / "same" / part):
            old = first[row["row_id"]]
            for name in ("completion", "program", "value", "status", "teacher"):
                assert row[name] == old[name]
    capsys.readouterr()
    judge_again(JudgeSettings(out=tmp_path / "same", **run))
    assert "nothing to do" in capsys.readouterr().out
    # An edited rule is another one, under the same name too.
    text = (tmp_path / "never.py").read_text()
    (tmp_path / "never.py").write_text(text.replace("False", "value is not None"))
    with pytest.raises(ConfigError, match=r"task/file \('\w+' there"):
        judge_again(JudgeSettings(out=tmp_path / "none", task=task, **run))
    edited = judge_again(JudgeSettings(out=tmp_path / "edited", task=task, **run))
    assert edited["counts"]["verified"] > before["verified"]
