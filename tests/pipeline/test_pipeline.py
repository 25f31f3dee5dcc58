"""The pipeline really run: every stage once, and a second run that does nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from pad_ray.base.config import validate
from pad_ray.base.errors import ConfigError, PadError
from pad_ray.flow.stages import read_manifest
from pad_ray.pipeline.report import StageResult
from pad_ray.pipeline.run import _folders, _synthesis_runs, run_pipeline
from pad_ray.pipeline.settings import PipelineSettings
from pad_ray.students.models import load_student

SETTINGS: dict[str, Any] = {
    "title": "A small one",
    "synthesis": [{"task": "coin_flip", "count": 20, "teacher": "scripted"}],
    "training": {
        "student": "scratch:tiny",
        "max_steps": 3,
        "batch_size": 4,
        "micro_batch_size": 4,
        "validation_fraction": 0.1,
        "log_every": 1,
    },
    "evaluation": [{"task": "coin_flip", "count": 4, "max_new_tokens": 4}],
    "ask": "Is it heads?",
    "takes": "two minutes",
}


COMPARED: dict[str, Any] = {
    **SETTINGS,
    "synthesis": [{"task": "arithmetic", "size": "1-2", "count": 30, "teacher": "scripted"}],
    "evaluation": [
        {"task": "arithmetic", "size": 1, "count": 4, "max_new_tokens": 4},
        {"task": "arithmetic", "split": "held_out", "size": 1, "count": 4, "max_new_tokens": 4,
         "strategy": "vote", "n": 2, "weights": {"grounding": 1}},
        {"task": "arithmetic", "split": "held_out", "size": 1, "count": 4, "max_new_tokens": 4,
         "strategy": "stepwise"},
    ],
    "compared": "cot",
    "parallel": 2,
}  # fmt: skip


def files_of(out: Path) -> dict[str, int]:
    """Return when each file of the stages was written."""
    return {
        str(path.relative_to(out)): path.stat().st_mtime_ns
        for stage in out.iterdir()
        if stage.is_dir() and not stage.is_symlink()
        for path in stage.rglob("*")
        if path.is_file()
    }


# A training and an evaluation start half a dozen processes, each with seconds of imports.
@pytest.mark.timeout(400)
def test_a_pipeline_runs_every_stage_and_a_second_time_none(
    local_ray: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    settings = validate(PipelineSettings, {**SETTINGS, "out": out})
    metrics = run_pipeline(settings)
    assert "nothing to do" not in capsys.readouterr().out
    (synthesis,) = metrics["synthesis"]
    assert synthesis["problems"] == 20 == synthesis["verified"] + synthesis["rejected"]
    assert metrics["training"]["steps"] == 3
    (evaluation,) = metrics["evaluation"]
    assert (evaluation["problem_set"], evaluation["problems"]) == ("coin_flip", 4)
    assert json.loads((out / "metrics.json").read_text()) == metrics

    # What each stage was made from is the one before it.
    stages = {path.name.rpartition("-")[0]: path for path in out.iterdir() if path.is_dir()}
    folders = [stages[name] for name in ("synthesis-coin_flip", "evaluation-coin_flip-test")]
    student = (out / "student").resolve()
    assert pq.read_table(folders[0] / "verified").num_rows == synthesis["verified"]
    assert pq.read_table(folders[1] / "predictions.parquet").num_rows == 4
    mark = read_manifest(folders[0])["rows_fingerprint"]
    assert read_manifest(student)["inputs"]["data_0"] == mark
    assert load_student(student).model.num_parameters() == metrics["training"]["parameters"]
    assert read_manifest(folders[1])["student"] == str(student)
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "A small one" in page and "coin_flip" in page

    before = files_of(out)
    assert run_pipeline(settings) == metrics
    shown = capsys.readouterr().out
    done = {"synthesize": folders[0], "train": student, "evaluate": folders[1]}
    for job, folder in done.items():
        assert f"{job}: {folder} is complete; nothing to do" in shown
    assert files_of(out) == before
    assert f"solve --student {out / 'student'} 'Is it heads?'" in shown
    serving = "serve the student: serve run cluster/serve.yaml"
    assert f"{serving}, once its path there is {out / 'student'}" in shown
    assert "; this takes two minutes" in shown


@pytest.mark.parametrize(
    ("training", "said"),
    [
        ({"student": "scratch:tiny"}, "trained from scratch:tiny, whose weights were drawn"),
        ({"student": "/gone/student"}, "baseline: /gone/student: no such file or folder"),
    ],
)
def test_a_baseline_that_is_none_is_refused_before_anything_is_made(
    tmp_path: Path, training: dict[str, str], said: str
) -> None:
    given = {**SETTINGS, "out": tmp_path / "out", "baseline": True, "training": training}
    with pytest.raises(PadError, match=said):
        run_pipeline(validate(PipelineSettings, given))
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_student_before_training_is_asked_too(
    local_ray: None, taught_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    training = {**SETTINGS["training"], "student": str(taught_folder)}
    given = {**SETTINGS, "out": out, "training": training}
    metrics = run_pipeline(validate(PipelineSettings, given))
    assert "baseline" not in metrics
    capsys.readouterr()
    compared = run_pipeline(validate(PipelineSettings, {**given, "baseline": True}))
    (before,) = compared.pop("baseline")
    assert compared == metrics
    assert (before["problem_set"], before["problems"]) == ("coin_flip", 4)
    (folder,) = out.glob("baseline-coin_flip-test-*")
    assert read_manifest(folder)["student"] == str(taught_folder)
    shown = capsys.readouterr().out
    assert shown.count("is complete; nothing to do") == 3
    assert f"against {taught_folder}, coin_flip" in " ".join(shown.split())
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "coin_flip, before training" in page and "What training gained" in page
    assert run_pipeline(validate(PipelineSettings, {**given, "baseline": True}))["baseline"]


def test_two_students_learn_from_data_of_their_own_kind(tmp_path: Path) -> None:
    settings = validate(PipelineSettings, {**COMPARED, "out": tmp_path})
    runs = _synthesis_runs(settings)
    assert [run.format for run in runs] == ["program", "cot"]
    assert {run.task for run in runs} == {"arithmetic"} and {run.size for run in runs} == {"1-2"}
    made = [
        StageResult(tmp_path / run.format, {"config": run.model_dump(mode="json")}) for run in runs
    ]
    programs, texts = tmp_path / "program", tmp_path / "cot"
    assert _folders(made, "program") == ([programs], [texts])
    assert _folders(made, "cot") == ([texts], [programs])
    alone = validate(PipelineSettings, {**SETTINGS, "out": tmp_path})
    assert _synthesis_runs(alone) == alone.synthesis


def test_a_student_of_texts_has_nothing_to_be_compared_with(tmp_path: Path) -> None:
    training = {**COMPARED["training"], "format": "cot"}
    with pytest.raises(ConfigError, match="compared: the first student writes programs, but"):
        validate(PipelineSettings, {**COMPARED, "training": training, "out": tmp_path})


@pytest.mark.slow
def test_a_second_student_is_compared_on_the_same_problems(
    local_ray: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = validate(PipelineSettings, {**COMPARED, "out": tmp_path / "out"})
    metrics = run_pipeline(settings)
    shown = capsys.readouterr().out
    assert "2 syntheses, 2 students, 3 problem sets" in shown
    assert metrics["training"]["steps"] == metrics["compared"]["steps"] == 3
    # Steps cannot be verified in a text, so that one student answers one set less.
    asked = [(one["strategy"], "cot" in one["student"]) for one in metrics["evaluation"]]
    assert asked == [
        ("greedy", False), ("vote", False), ("stepwise", False), ("greedy", True), ("vote", True)
    ]  # fmt: skip
    students = {one["student"] for one in metrics["evaluation"]}
    rows = [read_manifest(tmp_path / "out" / name)["counts"]["train"] for name in students]
    assert rows[0]["problems"] == rows[1]["problems"]
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "answered in words" in page and "held-out templates), strategy stepwise" in page
    before = files_of(tmp_path / "out")
    assert run_pipeline(settings) == metrics
    assert files_of(tmp_path / "out") == before
