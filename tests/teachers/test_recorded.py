"""Replaying completions: the forms of file read, and what is said of a malformed one."""

from __future__ import annotations

import gzip
import json
import pickle
import tracemalloc
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pad_ray.base.errors import DataError
from pad_ray.base.records import Completion, Problem
from pad_ray.teachers.base import Request, Teacher
from pad_ray.teachers.recorded.engine import RecordedTeacher

PROBLEM = Problem.make("t", "How many apples?", "3")
OTHER = Problem.make("t", "How many pears?", "4")
PID = PROBLEM.problem_id


def lines(tmp_path: Path, *rows: object) -> Path:
    path = tmp_path / "recorded.jsonl"
    text = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    path.write_text("\n".join(text) + "\n", encoding="utf-8")
    return path


def replay(path: Path, samples: int = 1, problem: Problem = PROBLEM) -> list[Completion]:
    (row,) = RecordedTeacher(path).complete([Request(problem, tuple(range(samples)))])
    return row


def batch(custom_id: str, *texts: str, usage: tuple[int, int] = (10, 4)) -> dict[str, object]:
    choices = [{"index": i, "message": {"content": text}} for i, text in enumerate(texts)]
    counts = {"prompt_tokens": usage[0], "completion_tokens": usage[1]}
    body = {"choices": choices, "usage": counts}
    return {"custom_id": custom_id, "response": {"status_code": 200, "body": body}, "error": None}


def test_it_is_a_teacher(tmp_path: Path) -> None:
    as_protocol: Teacher = RecordedTeacher(tmp_path / "none.jsonl")
    assert as_protocol.name == "recorded"


def test_rows_are_matched_by_problem_id_and_by_question(tmp_path: Path) -> None:
    path = lines(
        tmp_path,
        {"problem_id": PID, "completion": "a"},
        {"question": f" {OTHER.question}\n", "completion": "b"},
    )
    requests = [Request(OTHER, (0,)), Request(PROBLEM, (0,))]
    assert RecordedTeacher(path).complete(requests) == [[Completion("b")], [Completion("a")]]


def test_indices_are_kept_and_rows_without_one_take_the_next(tmp_path: Path) -> None:
    path = lines(
        tmp_path,
        {"problem_id": PID, "completion": "two", "sample_index": 2},
        {"problem_id": PID, "completion": "three"},
        {"problem_id": PID, "completion": "zero", "sample_index": 0},
    )
    none = Completion("", error="no recorded completion of this sample")
    expected = [Completion("zero"), none, Completion("two"), Completion("three"), none]
    assert replay(path, 5) == expected


def test_a_problem_that_is_not_there_is_an_error_of_its_samples(tmp_path: Path) -> None:
    path = lines(tmp_path, {"problem_id": PID, "completion": "a"})
    said, again = (c.error for c in replay(path, 2, OTHER))
    # Both keys, so that one sees how they differ.
    assert (
        said
        == again
        == (
            f"no recorded completion: of 'How many pears?' no row has the problem_id "
            f"({OTHER.problem_id}) or the question; one that is there has '{PID}'"
        )
    )


def test_an_id_of_ones_own_leaves_the_question_to_find_the_row(tmp_path: Path) -> None:
    path = lines(
        tmp_path,
        {"problem_id": "train-0000", "question": PROBLEM.question, "completion": "a"},
        {"problem_id": OTHER.problem_id, "question": "Other words?", "completion": "b"},
    )
    assert replay(path) == [Completion("a", own_id="train-0000")]
    assert replay(path, problem=OTHER) == [Completion("b")]


def test_an_id_of_ones_own_finds_the_problem_that_has_it(tmp_path: Path) -> None:
    path = lines(tmp_path, {"problem_id": "train-0000", "completion": "a"})
    owned = replace(PROBLEM, own_id="train-0000")
    assert replay(path, problem=owned) == [Completion("a", own_id="train-0000")]
    (other,) = replay(path, problem=replace(OTHER, own_id="train-0001"))
    assert f"({OTHER.problem_id}, or your own 'train-0001') or the question" in (other.error or "")


@pytest.mark.parametrize("form", ["list.json", "lines.jsonl.gz", "rows.parquet", "misnamed.jsonl"])
def test_rows_are_replayed_from_every_form_of_file(tmp_path: Path, form: str) -> None:
    rows = [
        {"question": PROBLEM.question, "completion": "a", "finish_reason": None},
        {"question": OTHER.question, "completion": "b", "finish_reason": "stop"},
    ]
    path = tmp_path / form
    if form == "rows.parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    else:
        text = json.dumps(rows, indent=1)
        if form != "list.json":
            text = "".join(json.dumps(row) + "\n" for row in rows)
        path.write_bytes(text.encode() if form == "list.json" else gzip.compress(text.encode()))
    assert replay(path) == [Completion("a")]
    assert replay(path, problem=OTHER) == [Completion("b", finish_reason="stop")]


def test_parquet_rows_of_an_earlier_run_are_replayed(tmp_path: Path) -> None:
    columns = {
        "problem_id": [PID, PID],
        "question": [PROBLEM.question] * 2,
        "completion": ["a", None],
        "sample_index": pa.array([1, 0], pa.int32()),
        "prompt_tokens": pa.array([5, 6], pa.int32()),
        "completion_tokens": pa.array([7, None], pa.int32()),
        "chain_of_thought": ["so", None],
        "status": ["ok", "error"],
    }
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.table(columns), path)
    empty = Completion("", 6, error="the recorded completion is empty")
    assert replay(path, 2) == [empty, Completion("a", 5, 7, "so")]


def test_batch_output_gives_choices_and_token_totals(tmp_path: Path) -> None:
    path = lines(tmp_path, batch(PID, "a", "b", "c"), batch(f"{OTHER.problem_id}-000001", "d"))
    row = replay(path, 3)
    assert [c.text for c in row] == ["a", "b", "c"]
    assert [c.prompt_tokens for c in row] == [4, 3, 3]
    assert [c.completion_tokens for c in row] == [2, 1, 1]
    assert [c.text for c in replay(path, 2, OTHER)] == ["", "d"]


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (
            {"response": None, "error": {"code": "batch_expired", "message": "too\nlate"}},
            "the batch reports an error: too late",
        ),
        (
            {"response": {"status_code": 400, "body": {"error": {"message": "bad prompt"}}}},
            "the batch reports an error (HTTP 400): bad prompt",
        ),
        (
            {"response": {"status_code": 400, "body": None}, "error": "no\nroom"},
            "the batch reports an error (HTTP 400): no room",
        ),
        (
            {"response": {"status_code": 500, "body": "<html>"}},
            "the batch reports an error (HTTP 500): <html>",
        ),
        (
            {"response": {"body": {"error": {"message": "Provider died", "code": 502}}}},
            "the batch reports an error (HTTP 200): Provider died",
        ),
        (
            {"response": {"status_code": 200, "body": {"choices": []}}},
            "the recorded answer has no choice",
        ),
    ],
)
def test_a_failed_batch_entry_is_an_error_of_its_sample(
    tmp_path: Path, fault: dict[str, object], error: str
) -> None:
    path = lines(tmp_path, {"custom_id": f"{PID}-1"} | fault, batch(f"{PID}-0", "a"))
    assert replay(path, 2) == [Completion("a", 10, 4), Completion("", error=error)]


GOOD = {"problem_id": PID, "completion": "a"}


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ('{"problem_id": "x", ', "line 3: not a line of JSON"),
        ("[1]", "line 3: not a JSON object"),
        ({"problem_id": PID}, "line 3: field completion: Field required"),
        ({"problem_id": PID, "completion": 3}, "line 3: field completion: Input should be"),
        ({"completion": "a"}, "line 3: problem_id or question is needed"),
        (GOOD | {"sample_index": -1}, "line 3: field sample_index: "),
        (GOOD | {"sample_index": 2**70}, "line 3: field sample_index: "),
        (batch(f"{PID}-{10**20}", "a"), "line 3: field custom_id: must be a problem id"),
        (GOOD | {"sample_index": 0}, "line 3: sample 0 of this problem is there already"),
        (batch("my-id-7", "a"), "line 3: field custom_id: must be a problem id"),
        (
            {"custom_id": PID, "response": {"body": {"choices": [{"text": "a"}]}}},
            "line 3: field choices.0.message: Field required",
        ),
    ],
)
def test_a_malformed_line_is_named(tmp_path: Path, row: object, said: str) -> None:
    path = lines(tmp_path, GOOD, "", row)
    with pytest.raises(DataError) as raised:
        RecordedTeacher(path).check()
    text = str(raised.value)
    assert said in text and str(path) in text and "\n" not in text


def test_missing_and_empty_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        RecordedTeacher(tmp_path / "none.jsonl").check()
    with pytest.raises(DataError, match="no rows"):
        RecordedTeacher(lines(tmp_path, "")).check()


def test_a_parquet_file_that_is_none_or_lacks_the_column_is_named(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    path.write_text("no parquet")
    with pytest.raises(DataError, match="not a Parquet file"):
        RecordedTeacher(path).check()
    pq.write_table(pa.table({"question": ["q"], "program": ["p"]}), path)
    with pytest.raises(DataError, match="no column completion"):
        RecordedTeacher(path).check()


def failed(custom_id: str, message: str = "too late") -> dict[str, object]:
    return {"custom_id": custom_id, "response": None, "error": {"message": message}}


def test_a_folder_is_read_whole_but_for_the_requests_of_its_batch(tmp_path: Path) -> None:
    request = {"custom_id": f"{PID}-000000", "method": "POST", "url": "/v1/x", "body": {}}
    lines(tmp_path, request).rename(tmp_path / "requests-00000.jsonl")
    lines(tmp_path, batch(f"{PID}-000001", "b")).rename(tmp_path / "output.jsonl")
    lines(tmp_path, failed(f"{PID}-000000")).rename(tmp_path / "errors.jsonl")
    other = {"problem_id": [OTHER.problem_id], "completion": ["c"]}
    pq.write_table(pa.table(other), tmp_path / "rows.parquet")
    (tmp_path / "manifest.json").write_text("{}")
    error = Completion("", error="the batch reports an error: too late")
    assert replay(tmp_path, 2) == [error, Completion("b", 10, 4)]
    assert replay(tmp_path, 1, OTHER) == [Completion("c")]
    files = (tmp_path / "output.jsonl", tmp_path / "errors.jsonl")
    (row,) = RecordedTeacher(files).complete([Request(PROBLEM, (1, 0))])
    assert row == [Completion("b", 10, 4), error]
    with pytest.raises(DataError, match=r"requests-00000.jsonl: holds a batch's requests; give"):
        RecordedTeacher(tmp_path / "requests-00000.jsonl").check()


def test_a_folder_without_completions_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no \\*.jsonl or \\*.parquet file; put"):
        RecordedTeacher(tmp_path).check()
    lines(tmp_path, {"custom_id": "x", "method": "POST", "url": "/v1/x", "body": {}})
    with pytest.raises(DataError, match="only requests of a batch; put"):
        RecordedTeacher(tmp_path).check()


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_an_answer_stands_beside_an_error_of_the_same_sample(
    tmp_path: Path, order: tuple[int, int]
) -> None:
    rows = [failed(f"{PID}-0"), batch(f"{PID}-0", "a")]
    path = lines(tmp_path, *[rows[i] for i in order], failed(f"{PID}-1"), failed(f"{PID}-1", "no"))
    last = Completion("", error="the batch reports an error: no")
    assert replay(path, 2) == [Completion("a", 10, 4), last]


def test_the_same_answer_in_two_files_names_the_second(tmp_path: Path) -> None:
    first = lines(tmp_path, batch(f"{PID}-0", "a")).rename(tmp_path / "first.jsonl")
    second = lines(tmp_path, batch(f"{OTHER.problem_id}-0", "b"), batch(f"{PID}-0", "a"))
    with pytest.raises(DataError, match=r"recorded.jsonl, line 2: sample 0 .* there already"):
        RecordedTeacher((first, second)).check()


def test_texts_stay_in_the_file(tmp_path: Path) -> None:
    rows = [{"problem_id": PID, "completion": f"{i} " + "x" * 20_000} for i in range(2_000)]
    path = lines(tmp_path, *rows)
    asked = RecordedTeacher(path)
    tracemalloc.start()
    try:
        asked.check()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert path.stat().st_size > 40e6 and peak < 4e6
    (row,) = asked.complete([Request(PROBLEM, (1_999, 7))])
    assert [one.text.split()[0] for one in row] == ["1999", "7"]


def test_a_file_that_changes_under_the_replay_is_named(tmp_path: Path) -> None:
    path = lines(tmp_path, GOOD, GOOD)
    asked = RecordedTeacher(path)
    asked.check()
    path.write_text("x")
    with pytest.raises(DataError, match=r"recorded.jsonl: changed while it was replayed"):
        asked.complete([Request(PROBLEM, (1,))])


def test_half_a_surrogate_pair_is_a_key_like_any_other(tmp_path: Path) -> None:
    path = lines(tmp_path, {"question": "\ud800?", "completion": "a"})
    problem = Problem("0" * 16, "t", "\ud800?", "1")
    assert replay(path, 1, problem) == [Completion("a")]


def test_the_pickle_holds_the_path_and_not_the_rows(tmp_path: Path) -> None:
    path = lines(tmp_path, *[GOOD | {"completion": "x" * 1000}] * 50)
    used = RecordedTeacher(path)
    used.check()
    pickled = pickle.dumps(used)
    assert len(pickled) < 1000
    assert pickle.loads(pickled).complete([Request(PROBLEM, (49,))])[0][0].text == "x" * 1000


@settings(max_examples=50, deadline=None)
@given(texts=st.lists(st.text().filter(str.strip), min_size=1, max_size=5))
def test_any_text_is_replayed_as_it_was(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str]
) -> None:
    rows = [{"problem_id": PID, "completion": text} for text in texts]
    path = lines(tmp_path_factory.mktemp("any"), *rows)
    assert [c.text for c in replay(path, len(texts))] == texts


@settings(max_examples=100, deadline=None)
@given(content=st.binary(max_size=200))
def test_any_bytes_give_rows_or_a_data_error(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    path = tmp_path_factory.mktemp("bytes") / "recorded.jsonl"
    path.write_bytes(content)
    with pytest.raises(DataError):
        RecordedTeacher(path).check()
