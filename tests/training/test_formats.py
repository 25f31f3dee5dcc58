"""Chains of thought and answers alone go the way of programs, from synthesis to evaluation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from pad_ray.evaluation.run import evaluate_student
from pad_ray.evaluation.settings import EvaluationSettings
from pad_ray.flow.stages import read_manifest
from pad_ray.students.card import read_card
from pad_ray.synthesis.export.run import export_dataset
from pad_ray.synthesis.export.settings import ExportSettings
from pad_ray.synthesis.rejudgement import judge_again
from pad_ray.synthesis.run import synthesize
from pad_ray.synthesis.settings import JudgeSettings, SynthesisSettings
from pad_ray.training.settings import TrainingSettings
from pad_ray.training.student import train


def synthesised(out: Path, **changes: Any) -> dict[str, Any]:
    run = {"task": "coin_flip", "count": 80, "teacher": "scripted", "out": out, **changes}
    return synthesize(SynthesisSettings(**run))


@pytest.mark.slow
def test_thoughts_are_filtered_by_their_answers_and_judged_again(
    local_ray: None, tmp_path: Path
) -> None:
    counts = synthesised(tmp_path / "texts", format="cot", samples=2)["counts"]
    assert counts["verified"] + counts["rejected"] == counts["rows"] == 160
    assert set(counts["by_reason"]) <= {"wrong_answer", "no_answer", "duplicate"}
    assert {"wrong_answer", "no_answer"} <= set(counts["by_reason"])
    rows = pq.read_table(tmp_path / "texts" / "verified").to_pylist()
    assert all(row["program"] is None and row["chain_of_thought"] for row in rows)
    assert "verified chains of thought" in (tmp_path / "texts" / "report.html").read_text()
    again = judge_again(JudgeSettings(data=tmp_path / "texts", out=tmp_path / "again"))
    assert again["counts"]["verified"] == counts["verified"]
    assert "verified chains of thought" in (tmp_path / "again" / "report.html").read_text()
    twice = judge_again(JudgeSettings(data=tmp_path / "again", out=tmp_path / "twice"))
    assert twice["counts"]["verified"] == counts["verified"]
    for data in (tmp_path / "texts", tmp_path / "twice"):
        out = tmp_path / f"export-{data.name}"
        export_dataset(ExportSettings(data=data, out=out))
        examples = pq.read_table(out / "train.parquet").to_pylist()
        assert len(examples) == counts["verified"]
        for row, example in zip(rows, examples, strict=True):
            asked, told = (message["content"] for message in example["messages"])
            assert asked.startswith("Reason step by step") and asked.endswith(row["question"])
            assert told == row["chain_of_thought"].strip()
        card = (out / "README.md").read_text()
        assert "chains of thought for fine-tuning" in card and "sandbox" not in card


@pytest.mark.slow
@pytest.mark.parametrize("target_format", ["cot", "answer"])
def test_text_students_are_trained_and_evaluated(
    local_ray: None, tmp_path: Path, target_format: str
) -> None:
    data, other, student = (tmp_path / name for name in ("data", "programs", "student"))
    synthesised(data, format="cot", faults={})
    synthesised(other, count=60, faults={})
    run: dict[str, Any] = {"student": "scratch:tiny", "max_steps": 4, "evaluate_every": 4}
    run |= {"max_rows": 30, "format": target_format}
    counts = train(TrainingSettings(data=data, same_problems=other, out=student, **run))["counts"]
    assert counts["train"]["rows"] == 30
    assert counts["validation"]["rows"] == 3
    assert read_card(student, "x").format == target_format
    out = tmp_path / "evaluation"
    search: dict[str, Any] = {"strategy": "vote", "n": 3, "max_new_tokens": 20}
    settings = EvaluationSettings(
        task="coin_flip", count=6, student=str(student), out=out, **search
    )
    metrics = evaluate_student(str(student), settings, out)["metrics"]
    assert metrics["problems"] == 6
    assert metrics["executes"] is None
    assert set(metrics["failures"]) <= {"no_answer", "wrong_answer"}
    assert read_manifest(out)["config"]["strategy"] == "vote"
