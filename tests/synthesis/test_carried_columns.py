"""A problem's own id and further columns stand in every row that is made of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from finished_stages import synthesised

from pad_ray.base.schemas import JUDGED_SCHEMA
from pad_ray.evaluation.requests import begin_flows
from pad_ray.evaluation.settings import EvaluationSettings
from pad_ray.flow.rows import DONE
from pad_ray.flow.stages import open_stage
from pad_ray.synthesis.dataset.files import JudgedRows
from pad_ray.synthesis.growth import keep_earlier_rows
from pad_ray.synthesis.rejudgement import _completions

CARRIED = {"0": ("own-0", {"level": "easy"}), "1": ("own-1", None), "2": ("from-row", {"id": {}})}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("carried")
    rows: list[dict[str, Any]] = [
        {"question": "What is 0 and 1?", "answer": 1, "id": "own-0", "level": "easy"},
        {"question": "What is 1 and 1?", "answer": 3, "id": "own-1"},
        {"question": "What is 2 and 1?", "answer": 3, "id": {}},
    ]
    lines = [json.dumps(row) for row in rows]
    (folder / "problems.jsonl").write_text("\n".join(lines))
    programs = [f"```python\ndef solution():\n    return {i} + 1\n```" for i in range(3)]
    completions: list[dict[str, Any]] = [
        {"problem_id": "own-0", "completion": programs[0]},
        {"question": "What is 1 and 1?", "completion": programs[1]},
        {"problem_id": "from-row", "question": "What is 2 and 1?", "completion": programs[2]},
    ]
    (folder / "completions.jsonl").write_text("\n".join(map(json.dumps, completions)))
    synthesised(
        folder / "out",
        task="jsonl",
        problems=folder / "problems.jsonl",
        count=None,
        samples=1,
        teacher="recorded",
        completions=folder / "completions.jsonl",
    )
    return folder


def carried(*tables: pa.Table) -> dict[str, tuple[str | None, Any]]:
    rows = [row for table in tables for row in table.to_pylist()]
    return {
        row["question"].split()[2]: (row["own_id"], row["extra"] and json.loads(row["extra"]))
        for row in rows
    }


def test_verified_and_rejected_rows_have_them(made: Path) -> None:
    parts = [pq.read_table(made / "out" / part) for part in ("verified", "rejected")]
    assert [part.num_rows for part in parts] == [2, 1]
    assert carried(*parts) == CARRIED


def test_they_stay_when_rows_are_judged_again_or_a_dataset_grows(
    made: Path, tmp_path: Path
) -> None:
    assert carried(*_completions(made / "out", 10)) == CARRIED
    keep_earlier_rows([made / "out/verified", made / "out/rejected"], tmp_path)
    assert carried(pq.read_table(tmp_path / DONE)) == CARRIED


def test_an_evaluation_asks_with_them(made: Path, tmp_path: Path) -> None:
    settings = EvaluationSettings(
        task="jsonl", problems=made / "problems.jsonl", student="scratch:tiny", out=tmp_path / "out"
    )
    stage = open_stage(settings.out, "evaluate", settings)
    (flow,) = begin_flows(stage, settings.load()[1], 8, lambda: None)
    asked = pq.read_table(flow / "requests")
    assert carried(asked) == CARRIED | {"2": (None, {"id": {}})}


@pytest.mark.parametrize("new", [0, 1, 2])
def test_rows_of_an_earlier_version_have_none(made: Path, tmp_path: Path, new: int) -> None:
    rows = pq.read_table(made / "out/verified")
    done = tmp_path / "done"
    done.mkdir()
    for place in range(2):
        row = rows.slice(place, 1)
        row = row if place < new else row.drop_columns(["own_id", "extra"])
        pq.write_table(row, done / f"{new - place:02d}.parquet")
    with JudgedRows([done], tmp_path / "spill") as judged:
        judged.write(tmp_path, False)
    kept = pq.read_table(tmp_path / "verified")
    assert kept.schema.equals(JUDGED_SCHEMA)
    found = kept.sort_by("row_id")["own_id"].to_pylist()
    wanted = rows.sort_by("row_id")["own_id"].to_pylist()
    assert found == [*wanted[:new], None, None][:2]
