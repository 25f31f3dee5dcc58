"""Output-space analysis of real small students, of several formats side by side."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_students import loss_of

from pad_ray.base.records import Problem
from pad_ray.evaluation.analysis.report import planes
from pad_ray.evaluation.analysis.run import analyze
from pad_ray.evaluation.analysis.settings import AnalysisSettings
from pad_ray.evaluation.analysis.student import measure_student, reference_of
from pad_ray.evaluation.analysis.tokens import force, token_classes
from pad_ray.students.card import StudentCard, TargetFormat, format_source
from pad_ray.students.models import (
    Student,
    make_scratch_student,
    save_student,
    tokenise_source,
    tokenise_target,
)
from pad_ray.tasks import get_task
from pad_ray.teachers.student_settings import StudentTeacherSettings

FORMATS: list[TargetFormat] = ["program", "cot", "answer"]


def problems(count: int) -> list[Problem]:
    generate = get_task("arithmetic").generate
    assert generate is not None
    return list(generate(count, "test", 0, 2))


def untrained(target_format: TargetFormat, size: str = "tiny") -> Student:
    texts = [f"{p.question}\n{reference_of(p, target_format)}" for p in problems(20)]
    card = StudentCard(target_format, "test")
    return make_scratch_student(f"scratch:{size}", texts, card=card, seed=0)


@pytest.mark.parametrize("size", ["tiny", "t5-tiny"])
def test_a_forced_text_has_the_models_own_loss(size: str) -> None:
    student = untrained("program", size)
    student.model.eval()
    problem = problems(1)[0]
    target = tokenise_target(student.tokenizer, str(problem.program))
    source = format_source(problem.question, "program")
    (alone,) = force(student, [(source, target)])
    # A second, longer row pads the first, which changes nothing.
    together = next(force(student, [(source, target), (source, [*target, *target])]))
    assert len(alone.surprise) == len(alone.classes) == len(target)
    assert np.allclose(alone.surprise, together.surprise, atol=1e-3)
    read = tokenise_source(student.tokenizer, source, student.is_encoder_decoder)
    loss = loss_of(student, [read], [target]).item()
    assert np.mean(alone.surprise) == pytest.approx(loss, rel=1e-4)
    assert all(0 < e <= math.log(len(student.tokenizer)) + 1e-4 for e in alone.entropy)
    assert all(1 <= s <= len(student.tokenizer) for s in alone.support)


def test_tokens_are_classed_by_what_they_write() -> None:
    student = untrained("program")
    text = "def solution():\n    pens = 12 + 3\n    return pens"
    ids = tokenise_target(student.tokenizer, text)
    classes = token_classes(student.tokenizer, ids, True)
    pieces = [student.tokenizer.decode([i]) for i in ids]
    by_piece = dict(zip(pieces, classes, strict=True))
    assert by_piece["1"] == by_piece["2"] == by_piece["3"] == "digits"
    assert classes[0] == "keywords"
    assert classes[-1] == "other"
    assert any(kind == "operators" for piece, kind in by_piece.items() if "+" in piece)
    words = token_classes(student.tokenizer, tokenise_target(student.tokenizer, "if so"), False)
    assert set(words) == {"names", "other"}


@pytest.mark.parametrize("target_format", FORMATS)
def test_every_format_has_references_and_all_measures(target_format: TargetFormat) -> None:
    student, asked = untrained(target_format), problems(3)
    student.model.eval()
    sampling = StudentTeacherSettings(path="x", max_new_tokens=6)
    found = measure_student(student, asked, 3, sampling, 0)
    again = measure_student(student, asked, 3, sampling, 0)
    assert [one.texts for one in found] == [one.texts for one in again]
    for one in found:
        assert one.vectors.shape[0] == len(one.texts) == 3
        for measure in ("reference_entropy", "sampled_support", "dispersion", "self_bleu"):
            assert one.values[measure] is not None


def test_points_in_the_plane() -> None:
    cloud = np.random.default_rng(0).normal(size=(40, 5))
    assert {name: points.shape for name, points in planes(cloud).items()} == {
        "PCA": (40, 2),
        "t-SNE": (40, 2),
    }
    assert set(planes(cloud[:5])) == {"PCA"}
    assert planes(cloud[:1]) == {}


@pytest.mark.slow
def test_students_side_by_side(local_ray: None, tmp_path: Path) -> None:
    folders = [tmp_path / "programs", tmp_path / "thoughts"]
    for folder, target_format in zip(folders, FORMATS, strict=False):
        save_student(untrained(target_format), folder)
    run: dict[str, Any] = {"task": "arithmetic", "count": 4, "samples": 2, "max_new_tokens": 5}
    settings = AnalysisSettings(**run, student=list(map(str, folders)), out=tmp_path / "out")
    manifest = analyze(settings)
    result = json.loads((tmp_path / "out" / "analysis.json").read_text())
    assert manifest["analysis"] == result
    assert [s["format"] for s in result["students"]] == ["program", "cot"]
    assert result["embedding"].startswith("the student's own")
    for student in result["students"]:
        entropy = student["measures"]["reference_entropy"]
        assert entropy["interval_95"][0] <= entropy["mean"] <= entropy["interval_95"][1]
        perplexity = student["measures"]["reference_perplexity"]["mean"]
        assert perplexity == pytest.approx(
            math.exp(student["measures"]["reference_surprise"]["mean"])
        )
    assert result["gains"][0]["over"] == "programs"
    page = (tmp_path / "out" / "report.html").read_text()
    assert page.count("<svg") >= 5 and "<script" not in page
    assert analyze(settings) == manifest
