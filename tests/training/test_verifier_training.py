"""From a student's own samples to a verifier, weights and a comparison: the jobs, end to end."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml
from small_students import example, misreading

from pad_ray.base.config import validate
from pad_ray.base.errors import ConfigError, DataError
from pad_ray.decoding.settings import Calibration, Weights
from pad_ray.decoding.solver import Solver
from pad_ray.evaluation.comparison import compare
from pad_ray.evaluation.comparison_settings import ComparisonSettings
from pad_ray.evaluation.tuning import Sample, fit, picked, tune, voted
from pad_ray.evaluation.tuning_settings import TuningSettings
from pad_ray.flow.stages import read_manifest
from pad_ray.students.card import StudentCard
from pad_ray.students.models import Student, save_student
from pad_ray.synthesis.run import synthesize
from pad_ray.synthesis.settings import SynthesisSettings
from pad_ray.training.verifier import train_verifier
from pad_ray.training.verifier_data import read_judged_programs
from pad_ray.training.verifier_settings import VerifierSettings
from pad_ray.verifiers.settings import ScorerSettings


def questions(count: int, seed: int) -> list[dict[str, Any]]:
    rng = random.Random(seed)
    made = {one.question: one.answer for one in (example(rng) for _ in range(3 * count))}
    rows = [{"question": question, "answer": answer} for question, answer in made.items()]
    return rows[:count]


@pytest.fixture(scope="module")
def problems(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("problems") / "problems.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in questions(400, 1)))
    return file


@pytest.fixture(scope="module")
def student(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("student") / "weak"
    # Who is careful and who is not decides nearly alone: that can be learned from few programs.
    weak = misreading(share=0.95)
    save_student(Student(weak.model, weak.tokenizer, StudentCard("program", "test")), folder)
    return folder


def sampling(student: Path, problems: Path, out: Path, **more: Any) -> SynthesisSettings:
    values: dict[str, Any] = {
        "task": "jsonl",
        "problems": problems,
        "samples": 4,
        "teacher": "student",
        "student": {"path": str(student), "temperature": 1.0, "max_new_tokens": 80},
        "sandbox": {"cpu_s": 0.5},
        "rows_per_block": 200,
        "out": out,
    }
    return validate(SynthesisSettings, values | more)


@pytest.fixture(scope="module")
def data(
    local_ray: None, student: Path, problems: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    out = tmp_path_factory.mktemp("samples") / "data"
    synthesize(sampling(student, problems, out))
    return out


@pytest.fixture(scope="module")
def verifier(
    local_ray: None, student: Path, data: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    out = tmp_path_factory.mktemp("verifier") / "out"
    train_verifier(
        validate(
            VerifierSettings,
            {
                "student": str(student),
                "data": data,
                "out": out,
                "max_steps": 300,
                "batch_size": 16,
                "learning_rate": 2e-3,
                "validation_fraction": 0.25,
                "evaluate_every": 100,
                "workers": 2,
            },
        )
    )
    return out


@pytest.mark.slow
def test_a_student_is_a_teacher_whose_samples_do_not_depend_on_the_blocks(
    data: Path, student: Path, problems: Path, tmp_path: Path
) -> None:
    counts = read_manifest(data)["counts"]
    assert counts["rows"] == 1600 == counts["verified"] + counts["rejected"]
    assert counts["verified"] > 20
    assert counts["rejected"] > 20
    synthesize(sampling(student, problems, tmp_path / "out", rows_per_block=90))

    def rows(folder: Path) -> list[Any]:
        tables = [pq.read_table(folder / part) for part in ("verified", "rejected")]
        found = [row for table in tables for row in table.to_pylist()]
        return sorted((r["row_id"], r["completion"], r["reason"]) for r in found)

    assert rows(tmp_path / "out") == rows(data)


@pytest.mark.slow
def test_a_verifier_tells_right_from_wrong_and_is_calibrated(verifier: Path, data: Path) -> None:
    manifest = read_manifest(verifier)
    # Of some 200 programs, on problems that it has not seen: about 0.04 is chance.
    assert manifest["auc"] > 0.6
    assert manifest["ece"] < 0.2
    assert manifest["by_step"][-1]["auc"] is None or manifest["by_step"][-1]["auc"] > 0.5
    counts = manifest["counts"]
    assert counts["train"]["rows"] > counts["validation"]["rows"] > 0
    assert 0 < counts["train"]["right"] < counts["train"]["rows"]
    # It is measured on programs that had no part in it.
    assert manifest["programs"] == counts["test"]["rows"] > 0
    assert len(read_judged_programs([data])) == sum(
        counts[part]["rows"] for part in ("train", "validation", "test")
    )


@pytest.mark.slow
def test_a_finished_verifier_is_not_trained_again(
    verifier: Path, data: Path, student: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = read_manifest(verifier)["config"]
    again = validate(VerifierSettings, config | {"data": data, "out": verifier})
    assert train_verifier(again) == read_manifest(verifier)
    assert "nothing to do" in capsys.readouterr().out


@pytest.mark.slow
def test_a_trained_verifier_judges_in_a_solver(verifier: Path, student: Path) -> None:
    scorers = ScorerSettings(value=verifier)
    with Solver.from_pretrained(student, scorers=scorers) as solver:
        solution = solver.solve(
            questions(1, 9)[0]["question"],
            strategy="stepwise",
            weights=Weights(value=1),
        )
    assert all(0 < node.scores["value"] < 1 for node in solution.tree)
    assert all("value" in step.scores for step in solution.steps)


@pytest.fixture(scope="module")
def head(
    local_ray: None, student: Path, data: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    out = tmp_path_factory.mktemp("head") / "out"
    values = {"student": str(student), "data": data, "out": out, "states": True}
    train_verifier(validate(VerifierSettings, values | {"validation_fraction": 0.25}))
    return out


@pytest.mark.slow
def test_a_head_on_the_students_states_is_calibrated(
    head: Path, student: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest = read_manifest(head)
    # So small a student hardly knows its mistakes; what a head can find test_states.py asks.
    assert 0 < manifest["auc"] < 1
    assert manifest["ece"] < 0.2
    assert manifest["counts"]["train"]["rows"] > manifest["counts"]["validation"]["rows"] > 0
    again = validate(VerifierSettings, manifest["config"] | {"data": data, "out": head})
    assert train_verifier(again) == manifest
    assert "nothing to do" in capsys.readouterr().out


@pytest.mark.slow
def test_a_head_on_the_students_states_judges_in_a_solver(head: Path, student: Path) -> None:
    scorers = ScorerSettings(value=head)
    asked = [row["question"] for row in questions(6, 9)]
    with Solver.from_pretrained(student, scorers=scorers) as solver:
        for strategy in ("stepwise", "vote"):
            settings = {"strategy": strategy, "n": 4, "weights": Weights(value=1)}
            together = solver.solve_batch(asked, **settings)
            alone = [solver.solve(question, **settings) for question in asked]
            assert [s.text for s in together] == [s.text for s in alone]
        assert all(0 < node.scores["value"] < 1 for node in together[0].tree)
        assert all("value" in step.scores for s in together for step in s.steps)


@pytest.mark.slow
def test_examples_for_a_head_need_a_task(head: Path, student: Path, data: Path) -> None:
    values = {"student": str(student), "data": data, "out": head.parent / "other", "few_shot": 2}
    with pytest.raises(ConfigError, match="few_shot: .*--states true"):
        train_verifier(validate(VerifierSettings, values))
    with pytest.raises(ConfigError, match="few_shot: needs task"):
        train_verifier(validate(VerifierSettings, values | {"states": True}))


@pytest.mark.slow
def test_tuning_and_comparison(
    verifier: Path,
    student: Path,
    problems: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    common: dict[str, Any] = {
        "task": "jsonl",
        "problems": problems,
        "student": str(student),
        "scorers": {"value": str(verifier)},
        "max_new_tokens": 80,
        "temperature": 1.0,
        "sandbox": {"cpu_s": 0.5},
    }
    weights = tune(
        validate(
            TuningSettings,
            common | {"count": 60, "n": 8, "seed": 5, "out": tmp_path / "tuned"},
        )
    )
    written = yaml.safe_load((tmp_path / "tuned" / "decoding.yaml").read_text())
    assert written["weights"] == weights.model_dump()
    fitted = Calibration(**written["calibration"])
    assert fitted == Calibration() or fitted.agreed.scale > 0
    figures = json.loads((tmp_path / "tuned" / "tuning.json").read_text())
    assert figures["problems"] == 60
    assert 1 <= figures["auto"]["programs"] <= figures["auto"]["vote_programs"] == 8
    assert 0 < figures["auto"]["vote_right"] < 1
    assert written["scorers"] == {"value": str(verifier)}
    rows = compare(
        validate(
            ComparisonSettings,
            common
            | {
                "count": 20,
                "seeds": [0, 1],
                "weights": weights.model_dump(),
                "strategies": {
                    "greedy": {"strategy": "greedy"},
                    "vote": {"strategy": "vote", "n": 4},
                    "plain": {"strategy": "stepwise", "weights": {"value": 0}},
                },
                "out": tmp_path / "compared",
            },
        )
    )
    by_name = {row["name"]: row for row in rows}
    # Two seeds ask the same problems again.
    assert by_name["greedy"]["problems"] == 20
    assert by_name["vote"]["tokens"] > by_name["greedy"]["tokens"]
    assert by_name["vote: weighted of 4"]["accuracy"] == by_name["vote"]["accuracy"]
    assert by_name["vote: weighted of 4"]["tokens"] == by_name["vote"]["tokens"]
    oracle = by_name["vote: oracle pass@4"]["accuracy"]
    assert oracle >= max(row["accuracy"] for row in rows if row["name"].startswith("vote"))
    assert json.loads((tmp_path / "compared" / "comparison.json").read_text()) == rows
    assert "<svg" in (tmp_path / "compared" / "curves.svg").read_text()
    assert "pass@4" in capsys.readouterr().out


def test_fitting_finds_the_source_that_knows() -> None:
    rng = random.Random(0)
    problems = []
    for _ in range(60):
        samples = []
        for right in (True, False, False):
            value = -0.1 - 0.3 * (not right) - rng.random() * 0.4
            sources = {"logprob": -rng.random(), "value": value}
            samples.append(Sample(sources, str(rng.random()), right))
        problems.append(samples)
    weights = fit(problems, ["logprob", "value"])
    assert weights["value"] > 0
    assert picked(problems, weights) >= picked(problems, {"value": 1.0})
    assert picked(problems, {"value": 1.0}) > picked(problems, {"logprob": 1.0})


def test_weights_that_pick_alike_are_those_that_vote_best() -> None:
    clean, faulty = {"logprob": 0.0, "grounding": 0.0}, {"logprob": -1.0, "grounding": -0.7}
    problem = [Sample(clean, "4", True), *(Sample(faulty, "5", False) for _ in range(3))]
    assert picked([problem], {"grounding": 0.3}) == 1.0
    assert voted([problem], {}) == voted([problem], {"grounding": 0.3}) == 0.0
    weights = fit([problem], ["logprob", "grounding"])
    assert weights["grounding"] == 3.0 and voted([problem], weights) == 1.0


def write_samples(folder: Path, reasons: Sequence[str | None]) -> Path:
    import pyarrow as pa

    for part, wanted in (("verified", True), ("rejected", False)):
        rows = [
            {
                "row_id": f"p{i}-0",
                "problem_id": f"p{i}",
                "question": f"q{i}",
                "program": f"x = {i}",
                "reason": reason,
            }
            for i, reason in enumerate(reasons)
            if (reason is None) == wanted
        ]
        schema = pa.schema(
            [(n, pa.string()) for n in ("row_id", "problem_id", "question", "program", "reason")]
        )
        (folder / part).mkdir(parents=True)
        pq.write_table(pa.Table.from_pylist(rows, schema=schema), folder / part / "0.parquet")
    return folder


def test_labels_come_from_execution(tmp_path: Path) -> None:
    folder = write_samples(tmp_path, [None, "duplicate", "wrong_answer", "error", "timeout"])
    programs = read_judged_programs([folder])
    assert [program.right for program in programs] == [True, True, False, False, False]


def test_data_that_teaches_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="all programs are right"):
        read_judged_programs([write_samples(tmp_path / "a", [None, None])])
    with pytest.raises(DataError, match="all programs are wrong"):
        read_judged_programs([write_samples(tmp_path / "b", ["error"])])
    with pytest.raises(DataError, match="not a synthesis directory"):
        read_judged_programs([tmp_path])
    with pytest.raises(ConfigError, match="starts from a trained model"):
        train_verifier(VerifierSettings(student="scratch:tiny", data=tmp_path, out=tmp_path / "o"))
