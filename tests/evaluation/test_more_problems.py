"""A set of problems grows: a student is asked only the new ones."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from finished_stages import judge_of, teacher_stage

from pad_ray.base.errors import ConfigError
from pad_ray.evaluation import run
from pad_ray.evaluation.requests import MAY_GROW, begin_flows
from pad_ray.evaluation.settings import EvaluationSettings
from pad_ray.flow.holding import let_go_of_all
from pad_ray.flow.stages import Stage, open_stage
from pad_ray.synthesis.requests import request_tables
from pad_ray.tasks import get_task
from pad_ray.teachers.scripted.engine import ScriptedTeacher


@pytest.fixture(autouse=True)
def _nothing_stays_held() -> Iterator[None]:
    yield
    let_go_of_all()


def settings(out: Path, count: int) -> EvaluationSettings:
    return EvaluationSettings(task="arithmetic", student="scratch:tiny", count=count, out=out)


def opened(out: Path, count: int) -> Stage:
    return open_stage(out, "evaluate", settings(out, count), None, MAY_GROW)


def flows(out: Path, count: int) -> list[Path]:
    asked = settings(out, count)
    return begin_flows(
        opened(out, count),
        asked.load()[1],
        8,
        lambda: open_stage(out, "evaluate", asked),
    )


def finished(out: Path, count: int) -> Path:
    stage = opened(out, count)
    stage.begin()
    (block,) = request_tables(settings(out, count).load()[1], 1, 1000)
    judged = judge_of("arithmetic")(teacher_stage(ScriptedTeacher(1, {}), out)(block))
    run._finish(stage, judged.sort_by("row_id"), "student", get_task("arithmetic"))
    return out


def row_ids(flow: Path, part: str = "requests") -> list[str]:
    files = sorted((flow / part).glob("*.parquet"))
    return [row for file in files for row in pq.read_table(file)["row_id"].to_pylist()]


@pytest.mark.parametrize("is_finished", [True, False])
def test_only_new_problems_are_asked(tmp_path: Path, is_finished: bool) -> None:
    out = tmp_path / "out"
    if is_finished:
        finished(out, 6)
    else:
        flows(out, 6)
    (whole,) = request_tables(settings(out, 12).load()[1], 1, 1000)
    found = flows(out, 9)
    assert len(found) == 2
    first, more = (row_ids(flow) for flow in found)
    assert (len(first), len(more)) == (6, 3)
    if is_finished:
        assert row_ids(found[0], "done") == first
    let_go_of_all()
    # Once more before it is finished; then the same again.
    for _ in range(2):
        asked = [row for flow in flows(out, 12) for row in row_ids(flow)]
        assert sorted(asked) == sorted(whole["row_id"].to_pylist())
        assert opened(out, 12).complete is None


def test_fewer_problems_are_refused(tmp_path: Path) -> None:
    out = finished(tmp_path / "out", 6)
    with pytest.raises(ConfigError, match=r"count \(6 there, 5 now\)"):
        flows(out, 5)
    assert not (out / "work").exists()
    assert opened(out, 6).complete is not None
