"""The report: real stage directories in, one harmless self-contained page out."""

from __future__ import annotations

import json
import math
import re
import subprocess
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from browsers import CHROMIUM, in_a_browser
from finished_stages import judge_of, opened, synthesised, teacher_stage
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from matplotlib.image import imread
from report_pages import ATTACK, Page

from pad_ray.base.errors import DataError
from pad_ray.base.pages import clip, duration, million
from pad_ray.base.plots import Bar, LossPoint, accuracy_figure, loss_figure
from pad_ray.base.records import Problem
from pad_ray.base.schemas import COMPLETED_SCHEMA
from pad_ray.evaluation import run as evaluation
from pad_ray.evaluation.settings import EvaluationSettings
from pad_ray.pipeline.report import StageResult, write_report
from pad_ray.synthesis.judges import TextJudge
from pad_ray.synthesis.requests import request_tables
from pad_ray.tasks import get_task, short_name
from pad_ray.teachers.scripted.engine import ScriptedTeacher
from pad_ray.training.settings import TrainingSettings


def trained(out: Path, losses: Sequence[dict[str, float]], **changes: Any) -> StageResult:
    """Write what training leaves: metrics.jsonl, and the manifest of `training.student`."""
    settings = TrainingSettings(data=[], out=out)
    stage = opened(out, "train", settings, {"data_0": "2b50149e6d5599bb"})
    (out / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in losses))
    result = {
        "counts": {
            "train": {"rows": 4321, "too_long": 7, "problems": 1234, "batches": 136},
            "validation": {"rows": 211, "too_long": 0, "problems": 65},
        },
        "parameters": 2_718_281,
        "padding_share": 0.0423,
        "steps": 600,
        "worker_groups": [
            {"from_step": 0, "workers": 2, "device": "cpu"},
            {"from_step": 200, "workers": 1, "device": "cpu"},
        ],
        "best_step": 400,
        "best_validation_loss": 0.0312,
    }
    return StageResult(out, stage.finish(result | changes))


def evaluated(
    out: Path, faults: dict[str, float], problems: Sequence[Problem] | None = None, **changes: Any
) -> StageResult:
    """Judge what a stand-in for a student writes for a task's test problems."""
    settings = EvaluationSettings(
        **{"task": "arithmetic", "count": 20, "student": "student", "out": out} | changes
    )
    stage = opened(out, "evaluate", settings, {})
    write = teacher_stage(ScriptedTeacher(1, faults), out)
    (block,) = request_tables(problems or settings.load()[1], 1, 1000)
    judged = judge_of(settings.task)(write(block))
    return StageResult(
        out, evaluation._finish(stage, judged.sort_by("row_id"), "student", get_task("arithmetic"))
    )


FAULTS = {"wrong_number": 0.3, "undefined_name": 0.15, "no_code": 0.1, "syntax_error": 0.1}


def loss_lines(steps: int = 600) -> list[dict[str, float]]:
    """Return log lines as `training.loop` writes them, of a loss that falls from 7 to 0.03."""
    lines: list[dict[str, float]] = []
    for step in range(20, steps + 1, 20):
        loss = 7.0 * math.exp(-step / 80) + 0.03 + 0.01 * math.sin(step)
        lines.append(
            {"step": step, "epoch": step // 136, "loss": loss, "learning_rate": 5e-4}
            | {"gradient_norm": 0.5, "tokens_per_s": 5210.0 + step}
        )
        if step % 200 == 0:
            lines.append({"step": step, "epoch": step // 136, "validation_loss": loss * 1.1})
    return lines


Stages = tuple[list[StageResult], StageResult, list[StageResult]]


@pytest.fixture(scope="module")
def stages(tmp_path_factory: pytest.TempPathFactory) -> Stages:
    root = tmp_path_factory.mktemp("stages")
    return (
        [synthesised(root / "s0"), synthesised(root / "s1", task="coin_flip", samples=2)],
        trained(root / "student", loss_lines()),
        [
            evaluated(root / "e0", FAULTS),
            evaluated(root / "e1", {"wrong_number": 0.2}, split="held_out"),
            evaluated(root / "e2", {}, task="coin_flip"),
        ],
    )


@pytest.fixture(scope="module")
def page(stages: Stages, tmp_path_factory: pytest.TempPathFactory) -> str:
    return written(tmp_path_factory.mktemp("page"), stages)


def written(folder: Path, stages: Stages, title: str = "Report") -> str:
    path = folder / "report.html"
    write_report(path, title, *stages)
    return path.read_text()


def test_page_is_well_formed_with_unique_ids(page: str) -> None:
    parsed = Page(page)
    ids = parsed.values("id")
    assert parsed.broken == []
    assert parsed.open == []
    assert len(ids) == len(set(ids))
    targets = {t.removeprefix("#") for n in ("href", "xlink:href") for t in parsed.values(n)}
    assert targets <= set(ids)
    assert set(re.findall(r"url\(#([^)]*)\)", page)) <= set(ids)


def test_page_loads_nothing_and_runs_nothing(page: str) -> None:
    parsed = Page(page)
    assert not {tag for tag, _ in parsed.tags} & {"script", "link", "img", "iframe", "object"}
    assert not parsed.values("src")
    assert "://" not in page
    assert "@import" not in page


def test_page_is_small_and_the_same_each_time(page: str, stages: Stages, tmp_path: Path) -> None:
    assert len(page.encode()) < 200_000
    assert written(tmp_path, stages) == page


def test_accuracy_interval_and_failures_of_every_set_appear(page: str, stages: Stages) -> None:
    text = Page(page).text
    for result in stages[2]:
        metrics = result.manifest["metrics"]
        low, high = metrics["accuracy_95"]
        for shown in (metrics["accuracy"], metrics["accuracy_rounded"], metrics["executes"]):
            assert f"{shown:.1%}" in text
        assert f"{low:.1%} to {high:.1%}" in text
        for name in metrics["failures"]:
            assert name in text
    assert "arithmetic (held-out templates)" in text


def test_funnel_counts_add_up_to_the_verified_rows(page: str, stages: Stages) -> None:
    for result in stages[0]:
        counts = result.manifest["counts"]
        assert counts["by_reason"]
        last = f"{counts['verified']:,} ({counts['verified'] / counts['rows']:.1%})"
        assert last in page
        for reason, number in counts["by_reason"].items():
            row = rf"<code>{reason}</code>.*?<td class=\"number\">{number}</td>"
            assert re.search(row, page, re.DOTALL)
        for name, number in counts["errors_by_type"].items():
            assert f"<code>{name}</code> {number}" in page


def test_what_training_gained_is_shown_beside_the_student_before_it(
    stages: Stages, page: str, tmp_path: Path
) -> None:
    """The same problems; before training every program fails that has an undefined name."""
    before = [
        evaluated(tmp_path / "b0", {"undefined_name": 1.0}),
        evaluated(tmp_path / "b1", {"wrong_number": 0.2}, split="held_out"),
        evaluated(tmp_path / "b2", {}, task="coin_flip"),
    ]
    write_report(tmp_path / "report.html", "Report", *stages, before)
    text = Page((tmp_path / "report.html").read_text()).text
    gained = text[text.index("What training gained over") :]
    for name, first, then in zip(
        ("arithmetic", "arithmetic (held-out templates)", "coin_flip"),
        before,
        stages[2],
        strict=True,
    ):
        reached = [one.manifest["metrics"]["accuracy"] for one in (first, then)]
        assert f"{name}, before training {reached[0]:.1%}" in text
        assert re.search(rf"{re.escape(name)} \{reached[1] - reached[0]:+.1%} ", gained)
        assert f"Evaluation: {name}, before training" in text
    assert reached[1] == reached[0]
    assert "before training" not in Page(page).text
    assert "What training gained" not in page


def test_scripted_teacher_is_called_simulated(page: str) -> None:
    text = Page(page).text
    assert "arithmetic, teacher scripted (simulated)" in text
    assert "It asks no language model" in text


def test_training_facts_and_both_curves_appear(page: str, stages: Stages) -> None:
    text = Page(page).text
    for fact in ("2,718,281", "2.72 million", "4,321", "1,234", "7 longer", "4.2%", "0.0312"):
        assert fact in text
    assert "best: step 400" in text
    assert "training" in text
    assert "validation" in text
    assert f"{duration(stages[1].manifest['wall_s'])}" in text


def test_configs_versions_and_finishing_time_appear(page: str, stages: Stages) -> None:
    text = Page(page).text
    everything = [*stages[0], stages[1], *stages[2]]
    for result in everything:
        assert f"Fingerprint {result.manifest['fingerprint']}" in text
        for package, version in result.manifest["versions"].items():
            assert package in text
            assert version in text
    assert "warmup_ratio: 0.05" in text
    assert max(result.manifest["finished_at"] for result in everything) in text


def test_ten_examples_of_all_sets_mix_right_and_every_failure_class(
    page: str, stages: Stages
) -> None:
    cards = page[page.index('<div class="examples">') :]
    assert cards.count("✓ right") == 5
    assert cards.count("✗ ") == 5
    for result in stages[2]:
        assert f"<h3>{evaluation.problem_set_name(result.manifest['config'])}</h3>" in cards
    assert "✗ NameError" in cards
    assert "✗ no_program" in cards
    assert "is not defined" in cards


def test_every_example_is_shown_as_its_row_says(page: str, stages: Stages) -> None:
    rows = [
        r for e in stages[2] for r in pq.read_table(e.folder / "predictions.parquet").to_pylist()
    ]
    cards = page[page.index('<div class="examples">') :].split('<article class="card">')[1:]
    by_question = {" ".join(row["question"].split()): row for row in rows}
    assert len(cards) == 10
    for card in cards:
        shown = Page(card).text
        (row,) = [row for question, row in by_question.items() if question in shown]
        assert f"Gold answer {row['answer']}" in shown
        assert ("✓ right" in shown) == (row["reason"] is None)
        assert " ".join((row["program"] or row["completion"]).split()) in shown


def test_without_failures_all_examples_are_right(stages: Stages, tmp_path: Path) -> None:
    page = written(tmp_path, (stages[0][:1], stages[1], stages[2][2:]))
    assert "No failures: every problem was answered right" in page
    assert page.count("✓ right") == 10
    # All right is no certainty.
    low, high = stages[2][2].manifest["metrics"]["accuracy_95"]
    assert 0.7 < low < high == 1.0 and f"{low:.1%} to 100.0%" in page


def test_without_right_answers_all_examples_are_failures(stages: Stages, tmp_path: Path) -> None:
    hopeless = evaluated(tmp_path / "e", {"no_code": 1.0})
    page = written(tmp_path, (stages[0], stages[1], [hopeless]))
    assert page.count("✗ no_program") == 10
    assert "✓ right" not in page


def test_fewer_problems_than_examples_are_all_shown_once(stages: Stages, tmp_path: Path) -> None:
    few = evaluated(tmp_path / "e", FAULTS, count=3)
    page = written(tmp_path, (stages[0], stages[1], [few]))
    examples = page[page.index('<div class="examples">') :]
    assert examples.count('<span class="outcome') == 3


@pytest.mark.parametrize("best", [None, 0.5])
def test_validation_loss_that_is_not_a_number_is_left_out(
    stages: Stages, tmp_path: Path, best: float | None
) -> None:
    lines = [line | {"validation_loss": math.nan} for line in loss_lines()]
    training = trained(tmp_path / "t", lines, best_validation_loss=best)
    page = written(tmp_path, (stages[0], training, stages[2]))
    assert ("not measured" in page) == (best is None)
    assert not re.search(r"\bnan\b", Page(page).text, re.IGNORECASE)


def test_workers_that_trained_are_told_in_order(page: str) -> None:
    assert "tokens a second, 2 workers, then 1 worker from step 200" in Page(page).text


def test_empty_metrics_file_says_so(stages: Stages, tmp_path: Path) -> None:
    page = written(tmp_path, (stages[0], trained(tmp_path / "t", []), stages[2]))
    assert "No loss was logged" in page
    assert "2,718,281" in page


def test_malformed_metrics_line_is_named(stages: Stages, tmp_path: Path) -> None:
    training = trained(tmp_path / "t", loss_lines())
    with (training.folder / "metrics.jsonl").open("a") as file:
        file.write('{"step": 6')
    with pytest.raises(DataError, match=r"metrics\.jsonl, line 34: malformed JSON"):
        written(tmp_path, (stages[0], training, stages[2]))


@pytest.mark.parametrize("name", ["metrics.jsonl", "predictions.parquet"])
def test_missing_file_of_a_stage_is_named(stages: Stages, tmp_path: Path, name: str) -> None:
    training = trained(tmp_path / "t", loss_lines())
    result = evaluated(tmp_path / "e", {}, count=2)
    for folder in (training.folder, result.folder):
        (folder / name).unlink(missing_ok=True)
    with pytest.raises(DataError, match=f"{name}: cannot be read"):
        written(tmp_path, (stages[0], training, [result]))


def hostile_stages(stages: Stages, out: Path) -> Stages:
    """Put markup wherever data can: problem, program, message, names and configs."""
    row = {
        "row_id": "0-000000",
        "problem_id": "0",
        "task": "arithmetic",
        "question": ATTACK,
        "answer": ATTACK,
        "sample_index": 0,
        "teacher": "student",
        "completion": f"```python\ndef solution():\n    return {ATTACK!r}\n```",
    }
    judged = judge_of("arithmetic")(pa.Table.from_pylist([row], schema=COMPLETED_SCHEMA))
    judged = judged.set_column(
        judged.schema.get_field_index("message"), "message", pa.array([ATTACK])
    )
    settings = EvaluationSettings(task="arithmetic", student=ATTACK, out=out)
    stage = opened(out, "evaluate", settings, {})
    manifest = evaluation._finish(stage, judged, ATTACK, get_task("arithmetic"))
    manifest["config"]["task"] = ATTACK
    manifest["metrics"]["failures"] = {ATTACK: 1}
    teacher = StageResult(stages[0][0].folder, {**stages[0][0].manifest, "teacher": ATTACK})
    return [teacher], stages[1], [StageResult(out, manifest)]


def test_markup_in_data_is_harmless(stages: Stages, tmp_path: Path) -> None:
    page = written(tmp_path, hostile_stages(stages, tmp_path / "e"), title=ATTACK)
    parsed = Page(page)
    assert "<script" not in page
    assert parsed.broken == []
    assert parsed.open == []
    assert parsed.text.count("<script>alert('x')</script>") >= 8


def test_search_tree_is_drawn_with_what_lost_and_why(stages: Stages, tmp_path: Path) -> None:
    steps = [
        (1, None, "def solution():\n    pens = 3", True, ""),
        (2, None, f"    {ATTACK}", False, "ranked lower"),
        (3, 1, "    return pens", True, ""),
        (4, 1, "    return boxes", False, "cannot run"),
    ]
    shape = {"logprob": -0.25, "tokens": 4, "scores": {"value": 0.75}, "rank": -0.125}
    names = ("number", "parent", "code", "kept", "reason")
    tree = [dict(zip(names, step, strict=True)) | shape for step in steps]
    last = stages[2][2]
    table = pq.read_table(last.folder / "predictions.parquet")
    notes = pa.array([json.dumps({"tree": tree})] * table.num_rows, pa.string())
    column = table.schema.get_field_index("teacher_notes")
    out = tmp_path / "e"
    out.mkdir()
    table = table.set_column(column, table.schema.field(column), notes)
    pq.write_table(table, out / "predictions.parquet")
    page = written(tmp_path, (stages[0], stages[1], [StageResult(out, last.manifest)]))
    parsed = Page(page)
    assert parsed.broken == []
    assert "<script" not in page
    assert page.count('class="lost"') == page.count('class="kept"') == 2 * table_examples(page)
    assert "cannot run: log p -0.25, value 0.75, rank -0.125" in parsed.text
    nested = page.index("return pens", page.index("pens = 3"))
    assert page.index("<ul>", page.index("pens = 3")) < nested


def test_of_rows_that_are_not_shown_no_tree_is_read(stages: Stages, tmp_path: Path) -> None:
    """They are as long as the searches were, and ten of them are drawn."""
    (one,) = [stages[2][0]]
    before = written(tmp_path, (stages[0], stages[1], [one]))
    table = pq.read_table(one.folder / "predictions.parquet")
    asked = (" ".join(question.split()) for question in table["question"].to_pylist())
    notes = [None if question in Page(before).text else "no JSON" for question in asked]
    assert len(notes) - notes.count(None) == 10
    out = tmp_path / "e"
    out.mkdir()
    column = table.schema.get_field_index("teacher_notes")
    broken = pa.array(notes, pa.string())
    table = table.set_column(column, table.schema.field(column), broken)
    pq.write_table(table, out / "predictions.parquet")
    assert written(tmp_path, (stages[0], stages[1], [StageResult(out, one.manifest)])) == before


def table_examples(page: str) -> int:
    return page.count('<details class="tree">')


def test_sets_of_one_name_are_told_apart_by_what_differs(stages: Stages, tmp_path: Path) -> None:
    pair = [evaluated(tmp_path / f"e{n}", {}, task="coin_flip", size=n, count=3) for n in (4, 8)]
    page = written(tmp_path, (stages[0], stages[1], pair))
    assert "coin_flip, size 4" in page
    assert "coin_flip, size 8" in page


def test_versions_that_differ_between_stages_are_all_named(stages: Stages, tmp_path: Path) -> None:
    older = {**stages[1].manifest["versions"], "torch": "2.6.0"}
    training = StageResult(stages[1].folder, {**stages[1].manifest, "versions": older})
    page = written(tmp_path, (stages[0], training, stages[2]))
    assert re.search(r"<td>2\.\S+, 2\.6\.0</td>", page)


def test_chain_of_thought_student_shows_its_texts(stages: Stages, tmp_path: Path) -> None:
    manifest = stages[1].manifest
    config = {**manifest["config"], "format": "cot"}
    training = StageResult(stages[1].folder, {**manifest, "config": config})
    settings = EvaluationSettings(task="arithmetic", student="student", out=tmp_path / "e", count=2)
    (block,) = request_tables(settings.load()[1], 1, 10)
    texts = ["Four and 3 make 7. The answer is 7.", "I cannot say."]
    rows = [row | {"completion": text} for row, text in zip(block.to_pylist(), texts, strict=True)]
    judged = TextJudge(get_task("arithmetic"))(pa.Table.from_pylist(rows, schema=COMPLETED_SCHEMA))
    stage = opened(settings.out, "evaluate", settings, {})
    result = StageResult(
        settings.out, evaluation._finish(stage, judged, "student", get_task("arithmetic"))
    )
    page = written(tmp_path, (stages[0], training, [result]))
    shown = Page(page).text
    assert "trained to write chain-of-thought text" in shown
    assert '<td class="number">no program</td>' in page
    assert "Student 7 The student's text: Four and 3 make 7. The answer is 7." in shown
    assert "✗ no_answer" in shown


def test_the_first_screen_reads_out_a_problem_of_the_commonest_failures(
    page: str, stages: Stages, tmp_path: Path
) -> None:
    first = page[page.index('id="failures"') : page.index('<section aria-labelledby="accuracy">')]
    shown = re.findall(r'<h3>(.*?)</h3>\s*<span class="outcome wrong">(.*?)</span>', first)
    kinds = {
        evaluation.problem_set_name(r.manifest["config"]): r.manifest["metrics"]["failures"]
        for r in stages[2]
    }
    assert len(shown) == 3
    for name, failure in shown:
        times, kind = failure.split(" of 20: ")
        assert kinds[name][kind] == int(times)
    for name in ("arithmetic", "arithmetic (held-out templates)"):
        commonest = max(kinds[name].values())
        assert any(s == name and f.startswith(f"{commonest} of 20: ") for s, f in shown)
    assert first.count("Gold answer") == 3
    right = written(tmp_path, (stages[0], stages[1], stages[2][2:]))
    assert 'id="failures"' not in right


def test_what_a_teacher_cost_is_said(stages: Stages, tmp_path: Path) -> None:
    spent = {
        **stages[0][0].manifest,
        "tokens": {"prompt_tokens": 1200, "completion_tokens": 3400},
        "cost_usd": 1.255,
    }
    paid = [StageResult(stages[0][0].folder, spent), stages[0][1]]
    text = Page(written(tmp_path, (paid, *stages[1:]))).text
    assert "; the teacher read 1,200 tokens and wrote 3,400, for $1.25" in text


def test_long_texts_are_cut_and_say_so() -> None:
    assert clip("a" * 12, 10) == "a" * 10 + " … (2 more characters)"
    assert clip("a" * 10, 10) == "a" * 10


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0.04, "0.0 s"),
        (9.97, "10 s"),
        (59.6, "1 min 0 s"),
        (88.3, "1 min 28 s"),
        (7499, "2 h 4 min"),
    ],
)
def test_durations_read_as_people_write_them(seconds: float, shown: str) -> None:
    assert duration(seconds) == shown


def test_parameters_read_as_people_write_them() -> None:
    assert [million(n) for n in (910_000, 134_515_008, 1_543_714_304)] == [
        "910,000",
        "135 million",
        "1.54 billion",
    ]


drawn = hypothesis_settings(max_examples=40, deadline=None)


@drawn
@given(
    st.lists(st.floats(1e-9, 1e6), max_size=30),
    st.lists(st.floats(1e-9, 1e6), min_size=1, max_size=5),
    st.integers(1, 10**6),
)
def test_any_finite_losses_can_be_drawn(
    train: list[float], validation: list[float], best: int
) -> None:
    svg = loss_figure(
        "loss",
        "Losses",
        [LossPoint(step, loss) for step, loss in enumerate(train, 1)],
        [LossPoint(10 * step, loss) for step, loss in enumerate(validation, 1)],
        best,
    )
    assert Page(svg).broken == []
    assert "#0a0b0" not in svg


@drawn
@given(st.text(max_size=80), st.floats(0, 1))
def test_any_label_and_share_can_be_drawn(label: str, share: float) -> None:
    svg = accuracy_figure("a", label, [Bar(label, share, "x", interval=(share / 2, 1.0))])
    parsed = Page(svg)
    assert parsed.broken == []
    assert {tag for tag, _ in parsed.tags} <= {"svg", "title", "defs", "clippath", "rect"} | {
        *("g", "path", "text", "use", "tspan")
    }


def test_label_is_shown_as_it_is_or_by_its_end() -> None:
    maths = "cost $x^2$ & <b>"
    path = "some/long/path/to/a/users/own/task_file.py:TASK"
    bars = [Bar(maths, 0.5, "x"), Bar(path, 0.5, "x")]
    shown = Page(accuracy_figure("a", "Accuracy", bars)).text
    assert maths in shown
    assert "a/users/own/task_file.py:TASK" in shown
    assert path not in shown


def test_loss_that_is_not_a_number_leaves_no_gap_or_mark(stages: Stages, tmp_path: Path) -> None:
    finite = loss_lines()
    broken = [{"step": 5, "epoch": 0, "loss": math.inf}, {"step": 9, "epoch": 0, "loss": math.nan}]
    pages = []
    for name, lines in (("finite", finite), ("broken", broken + finite)):
        training = trained(tmp_path / name, lines)
        page = written(tmp_path, (stages[0], training, stages[2]))
        pages.append(page[page.index('<section aria-labelledby="training">') :].split("</svg>")[0])
    assert pages[0] == pages[1]


def test_short_run_has_each_step_once_and_all_its_points_inside() -> None:
    """Ten steps logged once: no axis of equal marks, no line of one point, no dot cut in half."""
    svg = loss_figure("loss", "Losses", [LossPoint(10, 2.0)], [LossPoint(10, 2.5)], 10)
    labels = Counter(re.findall(r"<text[^>]*>(\d+)</text>", svg))
    assert max(labels.values()) <= 2  # once an axis
    assert not re.search(r"<g clip-path[^>]*>\s*<use ", svg)
    without = loss_figure("loss", "Losses", [], [LossPoint(10, 2.5)], 10)
    assert svg.count("<use ") > without.count("<use ")


def test_names_in_tables_are_no_markup(stages: Stages, capsys: pytest.CaptureFixture[str]) -> None:
    evaluation.print_table(
        [
            {**stages[2][0].manifest, "student": f"runs/{name}"}
            for name in ("exp[lr=3]", "exp[bold]")
        ]
    )
    shown = capsys.readouterr().out
    assert "exp[lr=3]" in shown and "exp[bold]" in shown


def test_own_task_is_named_without_its_path() -> None:
    assert short_name("arithmetic") == "arithmetic"
    assert short_name("some/where/shop.py:TASK") == "shop"
    assert short_name("my.tasks.shop:TASK") == "shop"
    assert short_name("shop.py:OTHER") == "shop:OTHER"
    config = {"task": "some/where/shop.py:TASK", "split": "held_out"}
    assert evaluation.problem_set_name(config) == "shop (held-out templates)"


def test_long_training_curve_stays_small() -> None:
    points = [LossPoint(step, 2 + math.sin(step)) for step in range(50_000)]
    svg = loss_figure("loss", "Losses", points, [], 10)
    assert len(svg) < 40_000
    assert "means of 125 logged steps" in svg


FRAME = """<!DOCTYPE html><body style="margin:0">
<iframe src="report.html" style="border:0;width:{width}px;height:4000px"></iframe>
<script>onload = () => {{
  const page = document.querySelector("iframe").contentDocument.documentElement;
  document.title = page.scrollWidth + " of " + page.clientWidth;
}};</script>"""


def browse(folder: Path, width: int, dark: bool, *flags: str) -> str:
    """Open `folder`/report.html in Chromium and return what it prints.

    The page sits in a frame because headless Chromium has no window narrower than 500 pixels.
    """
    (folder / "frame.html").write_text(FRAME.format(width=width))
    done = subprocess.run(
        [
            *(str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run"),
            *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
            *("--allow-file-access-from-files", "--hide-scrollbars", "--window-size=1280,4000"),
            f"--blink-settings=preferredColorScheme={0 if dark else 1}",
            f"--user-data-dir={tempfile.mkdtemp(dir=folder)}",
            *flags,
            (folder / "frame.html").as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return done.stdout


@pytest.mark.slow
@in_a_browser
@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [1280, 390])
def test_page_is_drawn_in_the_readers_colours(
    stages: Stages, tmp_path: Path, width: int, dark: bool
) -> None:
    write_report(tmp_path / "report.html", "Program-aided Distillation", *stages)
    browse(tmp_path, width, dark, f"--screenshot={tmp_path / 'page.png'}")
    pixels = imread(tmp_path / "page.png")[:, :width, :3].mean(axis=2)
    background = float(np.median(pixels))
    assert background < 0.2 if dark else background > 0.9
    assert 0.02 < float((abs(pixels - background) > 0.3).mean()) < 0.5


@pytest.mark.slow
@in_a_browser
@pytest.mark.parametrize("width", [1280, 768, 390, 320])
def test_page_never_scrolls_sideways(stages: Stages, tmp_path: Path, width: int) -> None:
    hostile = hostile_stages(stages, tmp_path / "e")
    write_report(tmp_path / "report.html", "Title" * 40, hostile[0], *stages[1:])
    shown = browse(tmp_path, width, False, "--dump-dom")
    assert f"<title>{width} of {width}</title>" in shown
