"""Training rows and batches: no problem on both sides, no row lost, little padding."""

from __future__ import annotations

import random
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import (
    BartConfig,
    BartForConditionalGeneration,
    GPT2Config,
    GPT2LMHeadModel,
    PreTrainedModel,
)

from pad_ray.base.errors import DataError
from pad_ray.base.records import TrainingRow
from pad_ray.students.card import StudentCard, TargetFormat
from pad_ray.students.models import Student, make_scratch_student
from pad_ray.training.data import (
    micro_batches_of,
    nested_subset,
    padding_share,
    plan_epoch,
    read_hierarchy_rows,
    read_training_rows,
    split_by_problem,
    tokenise_rows,
)
from pad_ray.training.objectives import collate
from pad_ray.training.settings import BatchSizes

PROBLEMS = st.lists(st.integers(0, 30), min_size=1, max_size=80)
SIZES = st.tuples(st.integers(1, 6), st.integers(1, 6)).map(lambda s: BatchSizes(s[0] * s[1], s[0]))
LENGTHS = st.lists(st.integers(1, 400), min_size=1, max_size=120)


def rows_of(problems: list[int]) -> list[TrainingRow]:
    return [
        TrainingRow(f"p{p}", f"question {p}", f"question {p}", f"program {i}")
        for i, p in enumerate(problems)
    ]


def write_verified(folder: Path, **columns: list[str | None]) -> Path:
    (folder / "verified").mkdir(parents=True)
    pq.write_table(pa.table(columns), folder / "verified" / "part-0.parquet")
    return folder


@given(PROBLEMS, st.floats(0, 0.99), st.integers())
def test_split_shares_no_problem_and_loses_no_row(
    problems: list[int], fraction: float, seed: int
) -> None:
    rows = rows_of(problems)
    train, validation = split_by_problem(rows, fraction, seed)
    assert not {r.problem_id for r in train} & {r.problem_id for r in validation}
    assert sorted(r.target for r in train + validation) == sorted(r.target for r in rows)
    assert train


@given(PROBLEMS.filter(lambda p: len(set(p)) > 1), st.floats(0.001, 0.99), st.integers())
def test_validation_is_never_empty_when_asked_for(
    problems: list[int], fraction: float, seed: int
) -> None:
    _, validation = split_by_problem(rows_of(problems), fraction, seed)
    assert validation


def test_split_counts_problems_not_rows() -> None:
    rows = rows_of([0] * 500 + list(range(1, 100)))
    _, validation = split_by_problem(rows, 0.1, 0)
    assert len({r.problem_id for r in validation}) == 10


@given(PROBLEMS, st.randoms())
def test_split_does_not_depend_on_the_order_of_rows(
    problems: list[int], chance: random.Random
) -> None:
    rows = rows_of(problems)
    mixed = rows.copy()
    chance.shuffle(mixed)
    held = [{r.problem_id for r in split_by_problem(part, 0.3, 5)[1]} for part in (rows, mixed)]
    assert held[0] == held[1]


def test_split_changes_with_the_seed() -> None:
    rows = rows_of(list(range(100)))
    assert split_by_problem(rows, 0.2, 0) == split_by_problem(rows, 0.2, 0)
    assert split_by_problem(rows, 0.2, 0) != split_by_problem(rows, 0.2, 1)


@given(LENGTHS, SIZES, st.integers(), st.integers(0, 5))
def test_an_epoch_holds_every_row_once(
    lengths: list[int], sizes: BatchSizes, seed: int, epoch: int
) -> None:
    plan = plan_epoch(lengths, sizes, seed, epoch)
    rows = [row for batch in plan for micro in batch for row in micro]
    assert sorted(rows) == list(range(len(lengths)))
    assert all(0 < len(micro) <= sizes.micro for batch in plan for micro in batch)
    assert all(0 < sum(map(len, batch)) <= sizes.batch for batch in plan)


@given(LENGTHS, SIZES, st.integers(), st.integers(0, 5))
def test_the_same_epoch_is_planned_the_same(
    lengths: list[int], sizes: BatchSizes, seed: int, epoch: int
) -> None:
    assert plan_epoch(lengths, sizes, seed, epoch) == plan_epoch(lengths, sizes, seed, epoch)


def test_epochs_and_seeds_differ() -> None:
    lengths = list(range(1, 101))
    plans = [
        plan_epoch(lengths, BatchSizes(8, 4), seed, epoch) for seed in (0, 1) for epoch in (0, 1)
    ]
    assert all(a != b for i, a in enumerate(plans) for b in plans[:i])


@given(
    st.lists(st.lists(st.integers(0, 9), min_size=1, max_size=3), min_size=1, max_size=12),
    st.integers(1, 9),
    st.lists(st.integers(1, 500), min_size=10, max_size=10),
)
def test_ranks_cover_a_batch_with_equal_counts(
    batch: list[list[int]], world: int, lengths: list[int]
) -> None:
    shares = [micro_batches_of(batch, lengths, rank, world) for rank in range(world)]
    assert len({len(share) for share in shares}) == 1
    given_out = [micro for share in shares for micro in share if micro]
    assert sorted(given_out) == sorted(batch)


def test_ranks_have_like_work() -> None:
    lengths = [100, 90, 60, 55, 50, 45, 20, 10]
    batch = [[row] for row in range(8)]
    shares = [micro_batches_of(batch, lengths, rank, 2) for rank in range(2)]
    work = [sum(lengths[row] for (row,) in share) for share in shares]
    assert abs(work[0] - work[1]) <= 10


@pytest.mark.parametrize("count", [300, 2000, 7000])
@pytest.mark.parametrize(("median", "spread"), [(180, 0.35), (90, 0.5), (250, 0.6)])
def test_padding_is_under_15_percent_for_realistic_lengths(
    count: int, median: float, spread: float
) -> None:
    chance = random.Random(count)
    lengths = [round(median * chance.lognormvariate(0, spread)) + 8 for _ in range(count)]
    plan = plan_epoch(lengths, BatchSizes(32, 8), 0, 0)
    assert 0 < padding_share(lengths, plan) < 0.15


def test_batches_mix_short_and_long_rows() -> None:
    lengths = list(range(1, 1601))
    plan = plan_epoch(lengths, BatchSizes(32, 8), 0, 0)
    means = [sum(lengths[r] for micro in batch for r in micro) / 32 for batch in plan]
    assert sum(300 < mean < 1300 for mean in means) > len(means) / 2


def test_padding_share_counts_tokens() -> None:
    assert padding_share([2, 4, 5], [[[0, 1], [2]]]) == pytest.approx(2 / 13)


def test_rows_are_read_in_order_and_equal_ones_once(tmp_path: Path) -> None:
    folder = write_verified(
        tmp_path / "a",
        row_id=["b-1", "a-0", "b-0"],
        problem_id=["b", "a", "b"],
        question=["Q b", "Q a", "Q b"],
        program=["same", "other", "same"],
    )
    rows = read_training_rows([folder, folder], "program")
    assert [(r.problem_id, r.target) for r in rows] == [("a", "other"), ("b", "same")]
    assert "Q a" in rows[0].source


def test_one_question_under_two_tasks_is_not_split(tmp_path: Path) -> None:
    for task in ("one", "two"):
        write_verified(
            tmp_path / task,
            row_id=[f"{task}{i}" for i in range(30)],
            problem_id=[f"{task}{i}" for i in range(30)],
            question=[f"What is {i} + 1?" for i in range(30)],
            program=[f"return {task} {i}" for i in range(30)],
        )
    rows = read_training_rows([tmp_path / "one", tmp_path / "two"], "program")
    train, validation = split_by_problem(rows, 0.3, 0)
    assert not {r.source for r in train} & {r.source for r in validation}


def test_format_without_its_column_filled_is_refused(tmp_path: Path) -> None:
    folder = write_verified(
        tmp_path / "a",
        row_id=["a-0"],
        problem_id=["a"],
        question=["Q"],
        program=["p"],
        chain_of_thought=pa.array([None], pa.string()),
    )
    with pytest.raises(DataError, match="no chain_of_thought; --format cot"):
        read_training_rows([folder], "cot")


def test_few_rows_without_their_column_are_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_verified(
        tmp_path / "a",
        row_id=["a-0", "b-0", "c-0"],
        problem_id=["a", "b", "c"],
        question=["Q", "R", "S"],
        program=["p", "q", "r"],
        chain_of_thought=pa.array(["It is 1.", None, "It is 3."], pa.string()),
    )
    assert [row.problem_id for row in read_training_rows([folder], "cot")] == ["a", "c"]
    assert "1 of 3 rows" in capsys.readouterr().out


def test_folder_that_is_no_synthesis_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no verified/\*\.parquet"):
        read_training_rows([tmp_path], "program")


def test_missing_column_is_named(tmp_path: Path) -> None:
    folder = write_verified(tmp_path / "a", row_id=["a"], problem_id=["a"], program=["p"])
    with pytest.raises(DataError, match="column 'question' is missing"):
        read_training_rows([folder], "program")


def test_dataset_without_rows_is_refused(tmp_path: Path) -> None:
    empty = pa.array([], pa.string())
    columns = dict.fromkeys(("row_id", "problem_id", "question", "program"), empty)
    folder = write_verified(tmp_path / "a", **columns)
    with pytest.raises(DataError, match="no verified rows"):
        read_training_rows([folder], "program")


def test_programs_are_read_as_plans_and_parts_of_their_questions_group(tmp_path: Path) -> None:
    program = (
        "def solution():\n    trays = 6\n    rolls = 4\n    baked = trays * rolls\n"
        "    left = baked - 1\n    return left"
    )
    folder = write_verified(
        tmp_path / "a",
        row_id=["a-0", "b-0"],
        problem_id=["a", "b"],
        question=["How many rolls?", "What is five?"],
        program=[program, "def solution():\n    return 5"],
    )
    first, second, plan = read_hierarchy_rows([folder])
    assert {row.group for row in (first, second, plan)} == {"Question: How many rolls?\nProgram:\n"}
    assert first.source == "Question: How many rolls?\nKnown: nothing\nFind: baked\nProgram:\n"
    assert second.source == "Question: How many rolls?\nKnown: baked\nFind: left\nProgram:\n"
    assert "left = find_baked() - 1" in second.target
    assert plan.source == "Question: How many rolls?\nPlan:\n"
    assert 'sub_questions = ["baked", "left"]' in plan.target


def test_data_without_anything_to_take_apart_is_refused(tmp_path: Path) -> None:
    columns: dict[str, list[str | None]] = {
        "row_id": ["a"], "problem_id": ["a"], "question": ["q"],
        "program": ["def solution():\n    return 5"],
    }  # fmt: skip
    with pytest.raises(DataError, match="no program can be taken apart"):
        read_hierarchy_rows([write_verified(tmp_path / "a", **columns)])


def test_long_rows_are_left_out_and_counted() -> None:
    rows = [TrainingRow(str(i), str(i), "source " * i, "target " * (10 - i)) for i in range(11)]
    texts = [row.source + row.target for row in rows]
    student = make_scratch_student(
        "scratch:tiny", texts, card=StudentCard("program", "test"), seed=0
    )
    examples, too_long = tokenise_rows(rows, student.tokenizer, student.model.config, 9, 9)
    assert len(examples) + too_long == len(rows)
    assert 0 < too_long < len(rows)
    assert all(len(e.source) <= 9 and len(e.target) <= 9 for e in examples)
    assert all(e.target[-1] == student.tokenizer.eos_token_id for e in examples)


def few_positions(vocabulary: int, positions: int, encodes: bool) -> PreTrainedModel:
    """Return an untrained model with learned positions, and few of them."""
    if not encodes:
        return GPT2LMHeadModel(
            GPT2Config(vocab_size=vocabulary, n_positions=positions, n_embd=16, n_layer=1, n_head=2)
        )
    config = BartConfig(
        vocab_size=vocabulary,
        max_position_embeddings=positions,
        encoder_layers=1,
        decoder_layers=1,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        d_model=16,
    )
    return BartForConditionalGeneration(config)


@pytest.mark.parametrize("encodes", [False, True])
def test_rows_longer_than_the_students_positions_are_left_out(encodes: bool) -> None:
    rows = [TrainingRow(str(i), str(i), "source " * i, "target " * (2 * i)) for i in range(1, 30)]
    card = StudentCard("program", "test")
    texts = [row.source + row.target for row in rows]
    tokenizer = make_scratch_student("scratch:tiny", texts, card=card, seed=0).tokenizer
    model = few_positions(len(tokenizer), 40, encodes)
    examples, left_out = tokenise_rows(rows, tokenizer, model.config, 1000, 1000)
    assert len(examples) + left_out == len(rows)
    assert examples and left_out
    longest = max(len(e.target) if encodes else e.length for e in examples)
    assert 40 - 6 <= longest <= 40
    # Each token that is left has a position.
    sides = {"source": [e.source for e in examples], "target": [e.target for e in examples]}
    inputs, labels = collate(sides, Student(model, tokenizer, card))
    assert torch.isfinite(model(**inputs, labels=labels).loss)


@given(PROBLEMS, st.integers(1, 90), st.integers(0, 30), st.integers(0, 5))
def test_smaller_subsets_are_inside_larger_ones(
    problems: list[int], small: int, more: int, seed: int
) -> None:
    rows = rows_of(problems)
    few, many = (nested_subset(rows, seed, None, size) for size in (small, small + more))
    assert set(few) <= set(many)
    assert len(few) == min(small, len(rows))
    few, many = (nested_subset(rows, seed, size, None) for size in (small, small + more))
    assert set(few) <= set(many)
    assert len({row.problem_id for row in few}) == min(small, len(set(problems)))
    assert [rows.index(row) for row in few] == sorted(rows.index(row) for row in few)


def test_formats_share_problems_splits_and_subsets(tmp_path: Path) -> None:
    keys = [f"p{i:02d}" for i in range(40)]
    folder = write_verified(
        tmp_path / "a",
        row_id=[f"{key}-0" for key in keys],
        problem_id=list(keys),
        question=[f"What is {key}?" for key in keys],
        program=[f"return {key}" for key in keys],
        chain_of_thought=[f"It is {key}.\nThe answer is {key}." for key in keys],
        answer=list(keys),
    )
    parts = {}
    formats: list[TargetFormat] = ["program", "cot", "answer"]
    for target_format in formats:
        rows = read_training_rows([folder], target_format)
        train, validation = split_by_problem(rows, 0.2, 3)
        subset = nested_subset(train, 3, None, 10)
        parts[target_format] = [{r.problem_id for r in part} for part in (validation, subset)]
        assert len({row.source for row in rows}) == 40
    assert parts["program"] == parts["cot"] == parts["answer"]
    assert read_training_rows([folder], "answer")[0].target == "The answer is p00."
