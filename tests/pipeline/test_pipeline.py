"""The pipeline really run: every stage once, and a second run that does nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from pad_ray.base.config import validate
from pad_ray.flow.stages import read_manifest
from pad_ray.pipeline.run import run_pipeline
from pad_ray.pipeline.settings import PipelineSettings
from pad_ray.students.models import load_student

SETTINGS = {
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
}


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
