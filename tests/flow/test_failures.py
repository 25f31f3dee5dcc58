"""The one policy for bad rows: what ends a run, and how its failed rows are asked for again."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pad_ray.base.errors import FailuresError
from pad_ray.flow.failed_rows import failed_count, forget_failed, refuse_all_failed
from pad_ray.flow.failures import FailureLimit
from pad_ray.flow.ledger import Ledger, Rates, note_rows


def verdict(*rows: tuple[str, str | None], most: int | None = None) -> str | None:
    limit = FailureLimit(most)
    last = None
    for problem, fault in rows:
        last = limit.note(problem, fault)
    return last


def test_twenty_problems_in_a_row_end_a_run_with_the_commonest_message() -> None:
    rows = [(f"p{n}", "no credit" if n % 3 else "odd") for n in range(20)]
    assert verdict(*rows[:19]) is None
    said = verdict(*rows)
    assert said is not None
    assert "20 problems in a row failed, mostly: no credit;" in said
    assert "--retry_errors" in said and "--max_failures" in said


def test_only_what_a_job_has_is_advised() -> None:
    limit = FailureLimit(0, can_retry=False)
    said = str(limit.note("p", "no"))
    assert "--max_failures" in said and "--retry_errors" not in said


def test_half_of_the_last_rows_end_a_run() -> None:
    rows = [(f"p{n}", "no" if n % 2 else None) for n in range(200)]
    assert verdict(*rows[:-1]) is None
    assert "100 of the last 200 rows failed" in str(verdict(*rows))


def test_all_samples_of_one_problem_end_nothing() -> None:
    assert verdict(*[("p", "refused")] * 500) is None
    many = [(f"p{n // 64}", "refused" if n % 640 < 64 else None) for n in range(6400)]
    assert verdict(*many) is None


def test_a_number_of_failures_may_be_set() -> None:
    assert verdict(*[(f"p{n}", "no") for n in range(50)], most=50) is None
    assert "3 rows failed" in str(verdict(*[("p", "no")] * 3, most=2))
    assert verdict(("p", "no"), most=0) is not None


@given(st.lists(st.booleans(), max_size=300))
def test_few_failures_among_many_rows_end_nothing(failed: list[bool]) -> None:
    """Whatever their order, at most every third row."""
    rows = []
    for number, fails in enumerate(failed):
        rows += [(f"p{number}", "no" if fails else None), ("q", None), ("r", None)]
    assert verdict(*rows) is None


def test_an_ended_ledger_has_room_for_no_more_and_says_so_to_all() -> None:
    ledger = Ledger(max_failures=1)
    note_rows(ledger, "teacher", [("p", "no"), ("q", None)])
    note_rows(ledger, "judge", [("p", "no")])
    assert ledger.reserve("door", Rates(), 1) == 0
    with pytest.raises(FailuresError, match="2 rows failed, mostly: no;"):
        note_rows(ledger, "teacher", [("r", "no")])
    assert ledger.reserve("door", Rates(), 1) is None
    with pytest.raises(FailuresError):
        note_rows(ledger, "judge", ())


def write_done(work: Path, name: str, reasons: list[str | None], pending: bool = False) -> None:
    ids = [f"{name}-{n}" for n in range(len(reasons))]
    for folder in ("done", "checkpoint"):
        (work / folder).mkdir(parents=True, exist_ok=True)
    rows = pa.table(
        {
            "row_id": ids,
            "reason": pa.array(reasons, pa.string()),
            "message": [f"said of {reason}" for reason in reasons],
        }
    )
    pq.write_table(rows, work / "done" / f"{name}_000000-0.parquet")
    suffix = ".pending" if pending else ""
    pq.write_table(rows.select(["row_id"]), work / "checkpoint" / f"{name}{suffix}.parquet")


def ids_in(folder: Path) -> list[str]:
    files = sorted(folder.glob("*.parquet"))
    return sorted(id for file in files for id in pq.read_table(file)["row_id"].to_pylist())


def test_failed_rows_are_forgotten_and_no_others(tmp_path: Path) -> None:
    write_done(tmp_path, "a", [None, "teacher_error", "wrong_answer", "teacher_error"])
    write_done(tmp_path, "b", ["judge_error"])
    write_done(tmp_path, "c", [None, "truncated"])
    assert failed_count([tmp_path / "done"]) == (3, 7, "said of teacher_error")
    assert forget_failed(tmp_path) == 3
    assert ids_in(tmp_path / "done") == ["a-0", "a-2", "c-0", "c-1"]
    assert ids_in(tmp_path / "checkpoint") == ids_in(tmp_path / "done")
    assert forget_failed(tmp_path) == 0
    assert forget_failed(tmp_path, {"truncated"}) == 1
    assert ids_in(tmp_path / "done") == ids_in(tmp_path / "checkpoint") == ["a-0", "a-2", "c-0"]


def test_rows_that_are_not_committed_are_left_to_ray(tmp_path: Path) -> None:
    write_done(tmp_path, "a", ["teacher_error"], pending=True)
    assert forget_failed(tmp_path) == 0
    assert ids_in(tmp_path / "done") == ["a-0"]


def test_a_flow_in_which_every_row_failed_is_not_complete(tmp_path: Path) -> None:
    done = [tmp_path / "done"]
    assert refuse_all_failed(done, None) == 0
    write_done(tmp_path, "a", ["teacher_error"] * 3)
    with pytest.raises(FailuresError, match="all 3 rows failed, mostly: said of teacher_error"):
        refuse_all_failed(done, None)
    assert refuse_all_failed(done, 3) == 3
    write_done(tmp_path, "b", ["wrong_answer"])
    assert refuse_all_failed(done, None) == 3
