"""Rows are read from files as people have them, whatever form they are in and are called."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import math
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pad_ray.base.errors import ConfigError, DataError
from pad_ray.base.records import gold_answers
from pad_ray.tasks import get_task, iter_problems, read_rows

ROWS: list[dict[str, Any]] = [
    {"question": "Three boxes hold 5 pens each. How many pens?", "answer": 15},
    {"question": "Zwölf Brötchen für 4 €?", "answer": 12},
]
PACKED: dict[str, Callable[[bytes], bytes]] = {
    "plain": bytes,
    "gzip": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "zstd": lambda data: pa.compress(data, codec="zstd", asbytes=True),
}


def lines(rows: list[Any]) -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


FORMS: dict[str, Callable[[list[Any]], bytes]] = {
    "lines": lines,
    "lines with a BOM": lambda rows: b"\xef\xbb\xbf" + lines(rows).replace(b"\n", b"\r\n\r\n"),
    "list": lambda rows: json.dumps(rows).encode(),
    "list over lines": lambda rows: b"\n " + json.dumps(rows, indent=2).encode(),
    "in an object": lambda rows: json.dumps({"name": "n", "data": rows}).encode(),
    "in an object over lines": lambda rows: json.dumps({"train": rows}, indent=1).encode(),
}


def values(path: Path) -> list[dict[str, Any]]:
    return [dict(row.values) for row in read_rows(path)]


@pytest.mark.parametrize("packed", PACKED)
@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_told_by_what_is_in_it(tmp_path: Path, form: str, packed: str) -> None:
    path = tmp_path / "problems.jsonl"
    path.write_bytes(PACKED[packed](FORMS[form](ROWS)))
    assert values(path) == ROWS
    assert [p.answer for p in iter_problems(get_task("jsonl"), path, count=None)] == ["15", "12"]


def test_parquet_is_read_by_row(tmp_path: Path) -> None:
    path = tmp_path / "problems"
    pq.write_table(pa.Table.from_pylist([*ROWS, {"question": "Q?"}]), path)
    assert values(path)[:2] == ROWS
    with pytest.raises(DataError, match="problems, row 3: field 'answer' is missing"):
        list(iter_problems(get_task("jsonl"), path, count=None))


@given(
    st.lists(
        st.dictionaries(st.text(max_size=5), st.text() | st.integers() | st.none(), max_size=3)
    )
)
def test_a_list_and_lines_hold_the_same_rows(rows: list[dict[str, Any]]) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "rows"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        found = values(path)
        path.write_text(json.dumps(rows))
        assert values(path) == found == rows


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b'{"question": "a"}\n{"question": \n', "rows, line 2: malformed JSON"),
        (b'{"question": "a",\n "answer": }', "rows, line 1: malformed JSON"),
        (b"question,answer\na,1\n", "rows, line 1: malformed JSON"),
        (b'[{"question": "a"}, 3]', "rows, row 2: expected a JSON object, found 3"),
        (b'[{"question": "a"}', "rows: malformed JSON"),
        (b'{"question": "a"}\n[1]\n', "rows, line 2: expected a JSON object, found [1]"),
        (gzip.compress(lines(ROWS * 99))[:-20], "rows: cannot be read"),
        (b"\xfd7zXZ\x00no such thing", "rows: cannot be read"),
        (b"PAR1 and nothing more", "rows: not a Parquet file"),
        (b'{"question": "\xff"}', "rows: is not UTF-8 text"),
    ],
)
def test_what_cannot_be_read_is_one_line(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "rows"
    path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        list(read_rows(path))
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "row",
    [
        {"problem": "How many?", "solution": "It is 7.", "answer": "7"},
        {"prompt": "How many?", "target": 7},
        {"instruction": "How many?", "input": None, "output": "7", "id": "mine"},
    ],
)
def test_columns_are_found_by_the_names_that_data_sets_have(
    tmp_path: Path, row: dict[str, Any]
) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(lines([row]))
    (problem,) = iter_problems(get_task("jsonl"), path, count=None)
    assert (problem.question, problem.answer) == ("How many?", "7")


def test_columns_are_named_by_fields(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(lines([{"question": "no", "q": "How many?", "worked": "5 and 2\n#### 7"}]))
    fields = {"question": "q", "answer": "worked"}
    (problem,) = iter_problems(get_task("gsm8k"), path, count=None, fields=fields)
    assert (problem.question, problem.answer) == ("How many?", "7")
    for task, named, said in (
        ("gsm8k", {"question": "asked", "answer": "worked"}, "line 1: field 'asked' is missing"),
        ("gsm8k", {"query": "q"}, "fields: no field 'query' here, but question, answer, id"),
        ("coin_flip", {"question": "q"}, "fields: task 'coin_flip' has no columns"),
    ):
        file = None if task == "coin_flip" else path
        with pytest.raises((ConfigError, DataError), match=said):
            list(iter_problems(get_task(task), file, count=None, fields=named))


def carried(path: Path, task: str = "jsonl", **fields: str) -> list[tuple[str | None, object]]:
    found = iter_problems(get_task(task), path, count=None, fields=fields)
    return [(p.own_id, None if p.extra is None else json.loads(p.extra)) for p in found]


@pytest.mark.parametrize(
    ("row", "own_id", "extra"),
    [
        ({}, None, None),
        ({"id": 7, "level": "hard", "tags": ["a", {"b": None}]}, "7", {"level": "hard"}),
        ({"ID": "x-1", "idx": 3}, "x-1", {"idx": 3}),
        ({"uid": None, "question_id": 4.0, "level": None}, "4", None),
        ({"id": {"year": 1999}, "source": "exam"}, None, {"id": {"year": 1999}, "source": "exam"}),
        ({"id": " ", "worked": "3 times 5"}, None, {"id": " ", "worked": "3 times 5"}),
        ({"id": "\ud800", "note": "\ud800"}, None, {"id": "\ud800", "note": "\ud800"}),
    ],
)
def test_own_ids_and_further_columns_go_along(
    tmp_path: Path, row: dict[str, Any], own_id: str | None, extra: dict[str, Any] | None
) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps({**ROWS[0], **row}))
    if "tags" in row and extra is not None:
        extra = extra | {"tags": ["a", {}]}
    assert carried(path) == [(own_id, extra)]


def test_what_json_cannot_say_is_told_or_left_out(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    row = {**ROWS[0], "day": date(2024, 3, 11), "image": b"\xff", "score": math.nan}
    row |= {"price": Decimal("1.50"), "parts": [{"data": b"\0", "n": math.inf}]}
    pq.write_table(pa.Table.from_pylist([row]), path)
    told = {"day": "2024-03-11", "price": "1.50", "parts": [{}]}
    assert carried(path) == [(None, told)]


def test_the_column_of_the_own_id_is_named_by_fields(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(lines([{"input": "Q?", "target": 7, "id": 1, "key": "a"}]))
    assert carried(path, "svamp", id="key") == [("a", {"id": 1})]
    with pytest.raises(DataError, match="line 1: field 'kee' is missing"):
        carried(path, "svamp", id="kee")


def test_rows_nested_too_deep_to_be_carried_are_one_line(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    deep = "[" * 900 + "]" * 900
    path.write_text(f'{{"question": "Q?", "answer": 7, "deep": {deep}}}')
    with pytest.raises(DataError, match="line 1: (its columns are nested too deep|malformed JSON)"):
        carried(path)


@pytest.mark.parametrize(
    ("row", "fields", "answers"),
    [
        ({"answers": ["Paris", "City of Light"]}, {}, ["Paris", "City of Light"]),
        ({"answers": "Paris"}, {}, ["Paris"]),
        ({"answer": ["$1,000", 1000, "1 kilo"]}, {"answers": "answer"}, ["1000", "1 kilo"]),
        ({"answer": [18]}, {}, ["18"]),
        # Choices, of which one is right.
        ({"answer": "B", "answers": ["A", "B"]}, {}, ["B"]),
        ({"gold": "B", "answers": ["A", "B"]}, {"answer": "gold"}, ["B"]),
    ],
)
def test_several_answers_are_acceptable_where_it_is_said(
    tmp_path: Path, row: dict[str, Any], fields: dict[str, str], answers: list[str]
) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(lines([{"question": "Q?", **row}]))
    task = get_task("jsonl")
    (problem,) = iter_problems(task, path, count=None, fields=fields)
    assert gold_answers(problem.answer) == tuple(answers)
    assert all(task.is_right(answer, problem.answer) for answer in answers)
    assert not task.is_right("London", problem.answer)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ([1, 2], "line 1: the answer is a list of 2; if any of them is right, say so"),
        ([], "line 1: field 'answer' is empty"),
        ([1, {}], "line 1: field 'answer' must be text, a number, or a list"),
    ],
)
def test_a_list_that_may_mean_anything_is_refused(
    tmp_path: Path, answer: list[object], said: str
) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(lines([{"question": "Q?", "answer": answer}]))
    with pytest.raises(DataError, match=said):
        list(iter_problems(get_task("jsonl"), path, count=None))
