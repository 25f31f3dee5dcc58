"""An experiment's grid: shared stages, cells that are done once, and figures that add up."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest

from pad_ray.base.config import validate
from pad_ray.base.errors import ConfigError, PadError
from pad_ray.decoding.settings import check_text_search
from pad_ray.evaluation.settings import EvaluationRun
from pad_ray.flow.stages import MANIFEST
from pad_ray.pipeline.experiment.report import reached, told
from pad_ray.pipeline.experiment.results import Group, Outcome, pairs
from pad_ray.pipeline.experiment.run import run_experiment
from pad_ray.pipeline.experiment.settings import ExperimentSettings, Format, suited, suits

TINY: dict[str, Any] = {
    "synthesis": [
        {"task": "coin_flip", "count": 60, "teacher": "scripted", "sandbox": {"cpu_s": 0.5}}
    ],
    "formats": ["program", "cot"],
    "students": ["scratch:tiny"],
    "problems": [20, None],
    "strategies": {"greedy": {}, "stepwise": {"strategy": "stepwise"}},
    "training": {
        "max_steps": 4,
        "batch_size": 8,
        "micro_batch_size": 4,
        "validation_fraction": 0.1,
        "evaluate_every": 4,
    },
    "evaluation": [{"task": "coin_flip", "count": 6, "max_new_tokens": 12}],
}


def settings(out: Path, **more: Any) -> ExperimentSettings:
    return validate(ExperimentSettings, TINY | {"out": out} | more)


@pytest.mark.slow
def test_a_grid_is_run_once_and_grows(local_ray: None, tmp_path: Path) -> None:
    results = run_experiment(settings(tmp_path))
    # Two formats and two sizes by greedy decoding, programs by steps too.
    assert len(results["cells"]) == 6
    assert {row["learned_from"] for row in results["cells"]} >= {20}
    assert all(row["asked"] == 6 for row in results["cells"])
    axes = [pair["axis"] for pair in results["pairs"]]
    assert (axes.count("format"), axes.count("problems"), axes.count("strategy")) == (2, 3, 2)
    text = (tmp_path / "RESULTS.md").read_text()
    assert "![Accuracy on coin_flip" in text and "| program | plain | greedy | 20 |" in text
    assert "<svg" in (tmp_path / "accuracy-0.svg").read_text()
    made = {path: path.stat().st_mtime_ns for path in tmp_path.glob(f"*/{MANIFEST}")}
    assert len(made) == 2 + 4 + 6
    variants = {"plain": {}, "taught": {"teacher": "plain"}}
    grown = settings(
        tmp_path,
        problems=[None],
        variants=variants,
        strategies={"greedy": {}},
        ensembles={"together": ["plain", "taught"]},
        weighing={"task": "coin_flip", "split": "train", "count": 4, "max_new_tokens": 12},
    )
    again = run_experiment(grown)
    assert {path: path.stat().st_mtime_ns for path in made} == made
    assert [(row["format"], row["variant"]) for row in again["cells"]] == [
        *(("program", "plain"), ("program", "taught"), ("cot", "plain"), ("cot", "taught")),
        *(("program", "together"), ("cot", "together")),
    ]
    (voted,) = [
        json.loads(file.read_text())
        for file in tmp_path.glob(f"ensemble-*/{MANIFEST}")
        if json.loads(file.read_text())["members"][0].split("/")[-1].startswith("student-program")
    ]
    assert len(voted["members"]) == len(voted["weights"]) == 2
    assert json.loads((tmp_path / "experiment.json").read_text()) == again


@pytest.mark.slow
def test_a_cell_that_fails_does_not_stop_the_others(local_ray: None, tmp_path: Path) -> None:
    grid = settings(
        tmp_path,
        formats=["program"],
        problems=[None],
        strategies={"greedy": {}},
        variants={
            "plain": {"augment": {"copies": 1}},
            "long": {"training": {"max_target_tokens": 8}},
        },
    )
    with pytest.raises(PadError, match=r"1 of 2 cells failed; program all .* long seed 0: data: "):
        run_experiment(grid)
    (trained,) = [json.loads(f.read_text()) for f in tmp_path.glob(f"student-*/{MANIFEST}")]
    (made,) = [json.loads(f.read_text()) for f in tmp_path.glob(f"augmented-*/{MANIFEST}")]
    assert made["counts"]["verified"] and made["rows_fingerprint"] in trained["inputs"].values()


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"formats": []}, "formats"),
        ({"seeds": [1, 1]}, "seeds: names one twice"),
        ({"variants": {"wide": {"training": {"width": 3}}}}, "variants.wide: width"),
        ({"variants": {"one": {"tasks": ["dates"]}}}, "variants.one.tasks: no synthesis of task"),
        ({"variants": {"a": {"teacher": "b"}}}, "variants.a.teacher: 'b' is not a variant"),
        ({"variants": {"a": {"augment": {"copies": 1}}}}, "variants.a.augment: new problems have"),
        ({"ensembles": {"all": ["plan"]}}, "ensembles.all: no variant 'plan'"),
        ({"ensembles": {"plain": ["plain"]}}, "ensembles.plain: is a variant's name"),
        ({"ensembles": {"all": ["plain"]}}, "ensembles.all: one student alone"),
        ({"strategies": {"magic": {"strategy": "magic"}}}, "strategies.magic: strategy"),
        ({"strategies": {"x": {"n": 0}}}, "strategies.x: n"),
        (
            {"formats": ["cot"]},
            r"strategies.stepwise: cannot work on any of the formats \(cot\)",
        ),
        (
            {"formats": ["program", "cot"], "strategies": {"x": {"strategy": "stepwise"}}},
            r"formats: none of the strategies \(x\) can work on 'cot'",
        ),
    ],
)
def test_a_grid_at_odds_is_refused(tmp_path: Path, more: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        settings(tmp_path, **more)


def outcome(right: list[list[int]], **axes: Any) -> Outcome:
    values = {
        "student": "s",
        "format": "program",
        "problems": 10,
        "variant": "plain",
        "strategy": "greedy",
        "evaluation": 0,
    }
    array = np.array(right, dtype=float)
    ids = tuple(map(str, range(array.shape[1])))
    seeds = tuple(range(len(right)))
    return Outcome(Group(**(values | axes)), "t", seeds, ids, array, (), ())


def test_strategies_are_asked_of_students_that_can_follow_them() -> None:
    run = validate(EvaluationRun, TINY["evaluation"][0])
    able = {
        strategy: [
            format for format in get_args(Format) if suits(format, {"strategy": strategy}, run)
        ]
        for strategy in ("vote", "stepwise", "hierarchical")
    }
    assert able == {
        "vote": ["program", "cot", "answer", "repair", "hierarchical"],
        "stepwise": ["program", "repair", "hierarchical"],
        "hierarchical": ["hierarchical"],
    }


@pytest.mark.parametrize("format", get_args(Format))
def test_what_judges_programs_weighs_no_text(format: Format) -> None:
    given = TINY["evaluation"][0] | {"strategy": "vote", "weights": {"grounding": 1, "logprob": 2}}
    run = suited(format, validate(EvaluationRun, given))
    is_text = format in ("cot", "answer")
    assert run.weights.grounding == (0 if is_text else 1) and run.weights.logprob == 2
    if is_text:
        check_text_search(run)


def test_pairs_differ_in_one_thing_on_the_same_problems() -> None:
    first = outcome([[1, 0, 0, 1], [1, 0, 0, 0]])
    second = outcome([[1, 1, 0, 0], [1, 1, 0, 0]], format="cot")
    other = outcome([[1, 1, 1, 1], [1, 1, 1, 1]], format="cot", problems=20)
    fewer = outcome([[1, 0]], problems=20)
    found = pairs([first, second, other, fewer])
    assert [(p["axis"], p["first"], p["second"]) for p in found] == [
        ("format", "program", "cot"),
        ("problems", 10, 20),
    ]
    assert found[0]["gain"] == pytest.approx(1 / 8)
    assert (found[0]["won"], found[0]["lost"]) == (2, 1)
    low, high = found[0]["gain_95"]
    assert low <= found[0]["gain"] <= high


def cell(format: str, learned_from: int, accuracy: float) -> dict[str, Any]:
    plain = {"student": "s", "variant": "plain", "strategy": "greedy", "evaluation": 0}
    return plain | {"format": format, "learned_from": learned_from, "accuracy": accuracy}


def test_the_fewest_problems_that_do_as_well() -> None:
    rows = [
        cell("program", 10, 0.2),
        cell("program", 100, 0.6),
        cell("program", 1000, 0.9),
        cell("cot", 100, 0.3),
        cell("cot", 1000, 0.5),
        cell("answer", 1000, 0.95),
    ]
    cot, answer = reached(rows)
    assert (cot["of"], cot["program"]) == (rows[4], rows[1])
    assert (answer["of"], answer["program"]) == (rows[5], None)
    assert told(rows[0], rows) == "program"
