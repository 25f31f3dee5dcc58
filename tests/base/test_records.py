"""Rows and their keys: who is whom depends on task, question and sample index alone."""

from __future__ import annotations

import re
from dataclasses import fields

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pad_ray.base.records import Problem, gold_answers, problem_id, row_id
from pad_ray.base.schemas import COMPLETED_SCHEMA, JUDGED_SCHEMA, PROBLEM_SCHEMA, REQUEST_SCHEMA
from pad_ray.synthesis.requests import request_tables

QUESTIONS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1)


def numbered(count: int) -> list[Problem]:
    return [Problem.make("sums", f"What is {i} + 1?", str(i + 1)) for i in range(count)]


@given(QUESTIONS, QUESTIONS)
def test_problem_id_is_16_hex_digits_of_task_and_question(task: str, question: str) -> None:
    key = problem_id(task, question)
    assert re.fullmatch(r"[0-9a-f]{16}", key)
    assert key != problem_id(task + "x", question)
    assert key != problem_id(task, question + "x")


def test_problem_id_is_the_same_on_every_machine_and_day() -> None:
    assert problem_id("gsm8k", "How many?") == "137b335694fb932a"


def test_problem_keeps_its_key_whatever_its_answer() -> None:
    one = Problem.make("t", "q", "1", rationale="r", program="p", template="x")
    other = Problem.make("t", "q", "2")
    assert one.problem_id == other.problem_id == problem_id("t", "q")
    assert (one.rationale, one.program, one.template) == ("r", "p", "x")


@given(st.lists(st.integers(0, 999_999), unique=True))
def test_row_ids_sort_by_sample_index(indices: list[int]) -> None:
    ids = [row_id("0123456789abcdef", i) for i in indices]
    assert sorted(ids) == [row_id("0123456789abcdef", i) for i in sorted(indices)]
    assert len(set(ids)) == len(indices)


def test_schema_names_every_field_of_a_problem() -> None:
    assert PROBLEM_SCHEMA.names == [field.name for field in fields(Problem)]


@pytest.mark.parametrize("column", ["row_id", "problem_id", "question", "answer", "sample_index"])
def test_key_columns_survive_every_stage(column: str) -> None:
    for schema in (REQUEST_SCHEMA, COMPLETED_SCHEMA, JUDGED_SCHEMA):
        assert schema.field(column).type in (pa.string(), pa.int32())


def test_verified_rows_hold_what_the_contract_promises() -> None:
    promised = {"problem_id", "task", "question", "answer", "sample_index", "program", "value"}
    assert promised | {"teacher"} <= set(JUDGED_SCHEMA.names)


@given(st.integers(1, 40), st.integers(1, 7), st.integers(1, 30))
def test_requests_hold_each_sample_once_with_a_problem_in_one_block(
    count: int, samples: int, rows_per_block: int
) -> None:
    problems = numbered(count)
    blocks = [t.to_pylist() for t in request_tables(problems, samples, rows_per_block)]
    rows = [row for block in blocks for row in block]
    wanted = [row_id(p.problem_id, i) for p in problems for i in range(samples)]
    assert [row["row_id"] for row in rows] == wanted
    homes = {(row["problem_id"], n) for n, block in enumerate(blocks) for row in block}
    assert len(homes) == count
    assert all(len(block) <= max(rows_per_block, samples) for block in blocks)


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), min_size=1))
def test_acceptable_answers_are_read_as_they_were_given(answers: list[str]) -> None:
    gold = Problem.make("t", "q", answers).answer
    assert gold_answers(gold) == tuple(dict.fromkeys(answers))


@pytest.mark.parametrize("text", ["5", "[1, 2]", '{"any_of": []}', '{"any_of": [1]}', '{"any_of"'])
def test_other_gold_texts_are_one_answer(text: str) -> None:
    assert gold_answers(text) == (text,)
    assert Problem.make("t", "q", text).answer == text


def test_a_problem_without_an_answer_is_refused() -> None:
    with pytest.raises(ValueError, match="needs an answer"):
        Problem.make("t", "q", [])
