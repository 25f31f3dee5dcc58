"""Augmented problems in training: never validated on beside what they were made from."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import given
from hypothesis import strategies as st

from pad_ray.base.records import TrainingRow
from pad_ray.base.schemas import AUGMENTED_SCHEMA, JUDGED_SCHEMA
from pad_ray.training.data import held_questions, nested_subset, split_by_problem
from pad_ray.training.settings import TrainingSettings
from pad_ray.training.student import kinds_of, read_rows

# Whether a row is augmented, from which problem it is, and which problem it is itself.
ROWS = st.lists(st.tuples(st.booleans(), st.integers(0, 30), st.integers(0, 60)), min_size=1)


def rows_of(drawn: list[tuple[bool, int, int]]) -> list[TrainingRow]:
    return [
        TrainingRow(f"p{origin}", f"q{origin}", f"q{own}", f"t{i}", f"q{own}")
        if augmented
        else TrainingRow(f"p{origin}", f"q{origin}", f"q{origin}", f"t{i}")
        for i, (augmented, origin, own) in enumerate(drawn)
    ]


@given(ROWS, st.floats(0, 0.9), st.integers(0, 9))
def test_no_question_and_no_origin_is_on_both_sides(
    drawn: list[tuple[bool, int, int]], fraction: float, seed: int
) -> None:
    rows = rows_of(drawn)
    held = held_questions(rows, fraction, seed)
    train = [row for row in rows if row.group not in held]
    validation = [row for row in rows if row.group in held]
    sides = [{q for row in side for q in row.questions} for side in (train, validation)]
    assert not sides[0] & sides[1]
    assert held >= {row.group for row in split_by_problem(rows, fraction, seed)[1]}
    plain = [row for row in rows if row.own_group is None]
    if plain == rows:
        assert held == {row.group for row in split_by_problem(rows, fraction, seed)[1]}


@given(ROWS, st.integers(1, 40), st.integers(0, 9))
def test_a_problem_comes_with_what_was_made_from_it(
    drawn: list[tuple[bool, int, int]], most: int, seed: int
) -> None:
    rows = rows_of(drawn)
    chosen = nested_subset(rows, seed, most, None)
    origins = {row.problem_id for row in chosen}
    assert len(origins) == min(most, len({row.problem_id for row in rows}))
    assert chosen == [row for row in rows if row.problem_id in origins]


def write(folder: Path, job: str, schema: pa.Schema, rows: list[dict[str, str]]) -> Path:
    (folder / "verified").mkdir(parents=True)
    table = pa.Table.from_pylist(rows, schema=schema)
    pq.write_table(table, folder / "verified" / "part-0.parquet")
    (folder / "manifest.json").write_text(json.dumps({"job": job, "fingerprint": job}))
    return folder


def test_training_splits_and_counts_by_origin(tmp_path: Path) -> None:
    plain = [
        {"row_id": f"p{i:02d}-0", "problem_id": f"p{i:02d}", "question": f"Q{i}?"}
        | {"program": f"def solution():\n    return {i}"}
        for i in range(40)
    ]
    made = [
        {"row_id": f"{row['row_id']}-{n}", "problem_id": f"a{i}-{n}", "program": row["program"]}
        # The second one is the next problem's own question: the two have to stay together.
        | {"question": f"Q{i + 1}?" if n and i == 7 else f"A{i}-{n}?"}
        | {"origin_problem": row["problem_id"], "origin_question": row["question"]}
        for i, row in enumerate(plain)
        for n in range(2)
    ]
    folders = [
        write(tmp_path / "plain", "synthesize", JUDGED_SCHEMA, plain),
        write(tmp_path / "made", "augment", AUGMENTED_SCHEMA, made),
    ]
    for seed in range(12):
        settings = TrainingSettings(
            data=folders, out=tmp_path / "out", validation_fraction=0.2, seed=seed, max_problems=9
        )
        train, validation = read_rows(settings, kinds_of(settings))
        sides = [{q for row in side for q in row.questions} for side in (train, validation)]
        assert not sides[0] & sides[1]
        assert len({row.problem_id for row in train}) == 9 and len(train) == 27
        assert len(validation) in (24, 27)
        assert ("p07" in {r.problem_id for r in validation}) == (
            "p08" in {r.problem_id for r in validation}
        )
