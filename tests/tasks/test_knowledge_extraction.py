"""When extracted records are right, and that the text holds what the gold records say."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pad_ray.decoding.strategies.vote import is_gold
from pad_ray.tasks.answers import answer_key
from pad_ray.tasks.base import Split
from pad_ray.tasks.extraction import EXTRACTION, records_equal

GOLD = [{"name": "Ada", "age": 36}, {"name": "Bo", "age": 7}]
FIELDS = st.dictionaries(
    st.sampled_from(["name", "age", "city"]), st.integers() | st.text("abc ", min_size=1)
)


@pytest.mark.parametrize(
    ("value", "equal"),
    [
        (GOLD, True),
        (GOLD[::-1], True),
        ([{"age": "36", "name": " ada "}, {"name": "BO", "age": 7.0}], True),
        ([{"Name": "Ada", "AGE": 36}, {"name": "Bo", "age": 7}], True),
        ([{**GOLD[0], "city": None}, GOLD[1]], True),
        (GOLD[:1], False),
        ([*GOLD, GOLD[0]], False),
        ([GOLD[0], GOLD[0]], False),
        ([{**GOLD[0], "city": "Oslo"}, GOLD[1]], False),
        ([{"name": "Ada"}, GOLD[1]], False),
        ([{"name": "Ada", "age": 37}, GOLD[1]], False),
        ([{"name": "Ada", "age": [36]}, GOLD[1]], False),
        (["Ada", "Bo"], False),
        ("Ada", False),
        (None, False),
        (36, False),
    ],
)
def test_records_are_compared_as_sets_of_fields(value: object, equal: bool) -> None:
    assert records_equal(value, json.dumps(GOLD)) == equal


def test_a_single_record_needs_no_list_and_true_is_not_one() -> None:
    assert records_equal({"name": "Ada", "age": 36}, json.dumps(GOLD[:1]))
    assert not records_equal([{"name": "Ada", "age": True}], '[{"name": "Ada", "age": 1}]')
    assert not records_equal(GOLD, "Ada")


@given(st.lists(FIELDS, max_size=4), st.integers(0, 9))
def test_any_order_of_records_and_fields_is_equal(rows: list[dict[str, Any]], seed: int) -> None:
    rng = random.Random(seed)
    mixed = [dict(rng.sample(list(row.items()), len(row))) for row in rows]
    rng.shuffle(mixed)
    assert records_equal(mixed, json.dumps(rows))


@pytest.mark.parametrize("split", ["train", "held_out"])
def test_what_is_not_reckoned_stands_in_the_text(split: Split) -> None:
    assert EXTRACTION.generate is not None
    for problem in EXTRACTION.generate(200, split, 3, None):
        for record in json.loads(problem.answer):
            kept = {k: v for k, v in record.items() if k not in ("date", "quantity")}
            assert all(str(value) in problem.question for value in kept.values()), problem


@pytest.mark.parametrize("size", [1, 3, 6])
def test_size_is_the_number_of_records(size: int) -> None:
    assert EXTRACTION.generate is not None
    for problem in EXTRACTION.generate(30, "train", 2, size):
        assert len(json.loads(problem.answer)) == size


def test_a_vote_for_records_is_known_for_the_gold_one() -> None:
    assert is_gold(EXTRACTION, answer_key(GOLD[::-1]), json.dumps(GOLD))
    assert not is_gold(EXTRACTION, answer_key(GOLD[:1]), json.dumps(GOLD))
    assert not is_gold(EXTRACTION, answer_key("Ada"), json.dumps(GOLD))
