"""What repair did: counted problem by problem against the gold answers."""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pad_ray.base.intervals import paired_gain, share_interval
from pad_ray.base.schemas import JUDGED_SCHEMA
from pad_ray.evaluation.repair_accounting import print_repairs, repair_metrics
from pad_ray.tasks import get_task

TASK = get_task("arithmetic")
RIGHT, WRONG = ("ok", None, 7), ("ok", None, 8)
NAME, SYNTAX = ("error", "NameError", None), ("invalid", "SyntaxError", None)
ATTEMPTS = st.sampled_from([RIGHT, WRONG, NAME, SYNTAX])


def judged(*histories: list[Any]) -> pa.Table:
    rows = [
        {
            "answer": "7",
            "teacher_notes": json.dumps(
                {
                    "attempts": [
                        {"status": s, "error_type": e, "value": v, "program": "", "tokens": 1}
                        for s, e, v in history
                    ]
                }
            ),
        }
        for history in histories
    ]
    return pa.Table.from_pylist(rows, schema=JUDGED_SCHEMA)


def test_each_kind_of_history_is_counted() -> None:
    table = judged(
        [RIGHT],
        [WRONG],
        [NAME, RIGHT],
        [NAME, SYNTAX, WRONG],
        [SYNTAX, SYNTAX],
        [NAME, NAME, RIGHT],
    )
    found = repair_metrics(table, TASK)
    assert (found["failed"], found["repaired_rightly"]) == (4, 2)
    assert (found["repaired_to_wrong"], found["still_failing"]) == (1, 1)
    assert found["broken_by_repair"] == 0
    assert found["ceiling"] == pytest.approx(5 / 6)
    assert [row["accuracy"] for row in found["rounds"]] == pytest.approx([1 / 6, 2 / 6, 3 / 6])
    assert [row["executes"] for row in found["rounds"]] == pytest.approx([2 / 6, 3 / 6, 5 / 6])
    assert found["rounds"][0]["failures"] == {"NameError": 3, "wrong_answer": 1, "SyntaxError": 1}
    assert found["rounds"][2]["failures"] == {"wrong_answer": 2, "SyntaxError": 1}


def test_what_was_right_and_is_no_more_is_told() -> None:
    assert repair_metrics(judged([RIGHT, WRONG]), TASK)["broken_by_repair"] == 1


def test_a_row_without_attempts_counts_as_no_program() -> None:
    table = pa.Table.from_pylist([{"answer": "7"}], schema=JUDGED_SCHEMA)
    found = repair_metrics(table, TASK)
    assert found["rounds"][0]["failures"] == {"no_program": 1}
    assert found["still_failing"] == found["failed"] == 1


@given(st.lists(st.lists(ATTEMPTS, min_size=1, max_size=4), min_size=1, max_size=30))
def test_sums_agree(histories: list[list[Any]]) -> None:
    found = repair_metrics(judged(*histories), TASK)
    parts = ("repaired_rightly", "repaired_to_wrong", "still_failing")
    assert sum(found[part] for part in parts) == found["failed"]
    for row in found["rounds"]:
        assert row["accuracy"] <= row["executes"] <= 1
        right = round(row["accuracy"] * len(histories))
        assert right + sum(row["failures"].values()) == len(histories)
    assert found["rounds"][0]["accuracy"] <= found["ceiling"]


@given(st.lists(st.booleans(), min_size=1, max_size=60))
def test_no_change_is_no_gain(right: list[bool]) -> None:
    assert paired_gain(right, right) == {"gain": 0.0, "gain_95": [0.0, 0.0]}


def test_pairs_narrow_the_interval() -> None:
    before = [i % 2 == 0 for i in range(200)]
    after = [right or i % 20 == 1 for i, right in enumerate(before)]
    found = paired_gain(before, after)
    low, high = found["gain_95"]
    assert found["gain"] == pytest.approx(0.05)
    assert 0 < low < 0.05 < high < share_interval(after)[1] - sum(before) / 200


def test_a_line_a_round_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    print_repairs("s", repair_metrics(judged([NAME, RIGHT], [WRONG]), TASK))
    text = capsys.readouterr().out
    assert "0.0%" in text and "50.0%" in text and "NameError 1" in text
    assert "1 repaired rightly" in " ".join(text.split())
