"""Rounds of refinement, run for real on a small scale: each learns from more, none is repeated."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from pad_ray.base.config import validate
from pad_ray.decoding.solver import Solver
from pad_ray.flow.stages import read_manifest
from pad_ray.pipeline.refinement.run import refine
from pad_ray.pipeline.refinement.settings import RefinementSettings
from pad_ray.synthesis.run import synthesize
from pad_ray.synthesis.settings import SynthesisSettings

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def data(local_ray: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("data") / "out"
    values = {"task": "coin_flip", "teacher": "scripted", "count": 60, "faults": {}, "vary": 0}
    synthesize(SynthesisSettings(**values, out=out))
    return out


def settings(data: Path, out: Path, **others: Any) -> RefinementSettings:
    training = {"student": "scratch:tiny", "format": "repair", "max_steps": 30, "batch_size": 8}
    training |= {"micro_batch_size": 4, "learning_rate": 4e-3, "repair_share": 0.4}
    training |= {"evaluate_every": 30, "validation_fraction": 0.05}
    values = {
        "data": data,
        "out": out,
        "injection": {"count": 2},
        "training": training,
        "sampling": [
            {"task": "coin_flip", "count": 12, "samples": 2, "sampling": {"max_new_tokens": 60}}
        ],
        "rounds": 1,
        "evaluation": [{"task": "coin_flip", "count": 6, "n": 2, "max_new_tokens": 60}],
    }
    return validate(RefinementSettings, {**values, **others})


@pytest.fixture(scope="module")
def refined(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("refined") / "out"
    refine(settings(data, out))
    return out


def only(out: Path, pattern: str) -> Path:
    (found,) = out.glob(pattern)
    return found


def test_each_round_has_a_student_and_its_figures(refined: Path) -> None:
    rows = json.loads((refined / "rounds.json").read_text())
    assert [row["round"] for row in rows] == [0, 1]
    assert rows[0]["gain"]["gain"] == 0
    for row in rows:
        assert row["problems"] == 6
        repair = row["repair"]
        assert repair["rounds"][-1]["accuracy"] == pytest.approx(row["accuracy"])
        assert repair["rounds"][-1]["executes"] == pytest.approx(row["executes"])
        with Solver.from_pretrained(row["student"]) as solver:
            assert solver.student.card.format == "program"
            assert solver.solve("A coin?", max_new_tokens=5).tokens <= 5


def test_round_one_learns_from_the_failures_of_round_zero(refined: Path) -> None:
    failures = only(refined, "failures-0-*")
    samples = read_manifest(only(refined, "samples-0-*"))
    kept = pq.read_table(failures / "verified").to_pylist()
    assert samples["config"]["student"]["path"] == str(only(refined, "student-0-*"))
    assert kept and {row["origin"] for row in kept} == {"failure"}
    counts = [read_manifest(only(refined, f"student-{i}-*"))["counts"]["train"] for i in (0, 1)]
    assert counts[0]["repairs"] == counts[1]["repairs"] > 0
    inputs = [read_manifest(only(refined, f"student-{i}-*"))["inputs"] for i in (0, 1)]
    assert len(inputs[1]) == len(inputs[0]) + 1
    share = counts[0]["repairs"] / counts[0]["rows"]
    assert share == pytest.approx(0.4, abs=0.02)


def test_the_same_command_again_does_nothing_twice(
    refined: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {path: path.stat().st_mtime_ns for path in refined.glob("*/manifest.json")}
    refine(settings(data, refined))
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert capsys.readouterr().out.count("nothing to do") == len(before) == 7


def test_another_start_is_another_student(refined: Path, data: Path) -> None:
    refine(settings(data, refined, start="previous"))
    first = only(refined, "student-0-*")
    students = [read_manifest(path)["config"]["student"] for path in refined.glob("student-1-*")]
    assert sorted(students) == sorted(["scratch:tiny", str(first)])
