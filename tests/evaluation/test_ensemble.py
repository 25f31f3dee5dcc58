"""Students that vote."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pad_ray.base.errors import ConfigError, DataError
from pad_ray.base.schemas import JUDGED_SCHEMA
from pad_ray.evaluation.ensemble import elect, vote_together
from pad_ray.evaluation.settings import EnsembleSettings
from pad_ray.flow.stages import read_manifest, write_json

GOLD = "7"


def row(value: object, number: int = 0, tokens: int = 10) -> dict[str, Any]:
    text = None if value is None else json.dumps(value)
    reason = None if value == 7 else "wrong_answer" if text else "error"
    return {
        "problem_id": f"p{number}",
        "answer": GOLD,
        "value": text,
        "status": "ok" if text else "error",
        "reason": reason,
        "completion_tokens": tokens,
        "solve_s": None,
    }


def evaluated(folder: Path, values: list[object]) -> Path:
    folder.mkdir()
    rows = [row(value, number) for number, value in enumerate(values)]
    pq.write_table(pa.Table.from_pylist(rows, schema=JUDGED_SCHEMA), folder / "predictions.parquet")
    right = sum(value == 7 for value in values)
    write_json(
        folder / "manifest.json",
        {
            "fingerprint": f"{folder.name}{values}",
            "student": folder.name,
            "config": {"task": "arithmetic", "split": "held_out"},
            "metrics": {"accuracy": right / len(values), "problems": len(values)},
        },
    )
    return folder


def test_two_that_agree_outvote_the_better_third() -> None:
    assert elect([row(3), row(7), row(7.0)], [0.6, 0.4, 0.4])["value"] == "7"
    assert elect([row(3), row(7), row(7)], [0.9, 0.4, 0.4])["value"] == "3"


def test_on_a_tie_the_strongest_supporter_wins() -> None:
    assert elect([row(1), row(2), row(7), row(1)], [0.25, 0.25, 0.75, 0.5])["value"] == "7"
    assert elect([row(1), row(7)], [0.5, 0.5])["value"] == "1"


def test_those_without_a_value_have_no_vote() -> None:
    assert elect([row(None), row(None), row(7)], [0.9, 0.9, 0.1])["reason"] is None
    assert elect([row(None), row(None)], [0.1, 0.2])["reason"] == "error"


values = st.lists(
    st.tuples(st.sampled_from([None, 1, 7, 7.5]), st.floats(0.01, 1)), min_size=1, max_size=6
)


@given(values)
def test_the_elected_answer_has_the_most_votes(given_: list[tuple[object, float]]) -> None:
    rows = [row(value, tokens=3) for value, _ in given_]
    won = elect(rows, [weight for _, weight in given_])
    votes: dict[object, float] = {}
    for value, weight in given_:
        if value is not None:
            votes[value] = votes.get(value, 0) + weight
    if votes:
        assert votes[json.loads(won["value"])] == pytest.approx(max(votes.values()))
    assert won["completion_tokens"] == 3 * len(rows)
    assert won["value"] in [row["value"] for row in rows]


def test_votes_are_counted_written_and_not_counted_twice(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    members = [
        evaluated(tmp_path / "a", [7, 1, 2]),
        evaluated(tmp_path / "b", [1, 7, 2]),
        evaluated(tmp_path / "c", [7, 7, None]),
    ]
    validation = [
        evaluated(tmp_path / "va", [7, 7]),
        evaluated(tmp_path / "vb", [1, 1]),
        evaluated(tmp_path / "vc", [7, 1]),
    ]
    run = EnsembleSettings(predictions=members, validation=validation, out=tmp_path / "out")
    manifest = vote_together(run)
    assert manifest["weights"] == [0.75, 0.25, 0.5]
    # On the second problem one stands against two of the same weight, and is the strongest.
    assert manifest["metrics"]["accuracy"] == pytest.approx(1 / 3)
    assert manifest["metrics"]["tokens"] == 30
    assert manifest["members"] == ["a", "b", "c"]
    assert "arithmetic (held-out templates)" in capsys.readouterr().out
    alike = vote_together(run.model_copy(update={"validation": [], "out": tmp_path / "alike"}))
    assert alike["metrics"]["accuracy"] == pytest.approx(2 / 3)
    assert vote_together(run) == read_manifest(tmp_path / "out")
    assert "nothing to do" in capsys.readouterr().out


def test_what_cannot_vote_is_refused(tmp_path: Path) -> None:
    one, two = evaluated(tmp_path / "a", [7, 1]), evaluated(tmp_path / "b", [7])
    out = tmp_path / "out"
    with pytest.raises(DataError, match="b and .*a have other problems"):
        vote_together(EnsembleSettings(predictions=[one, two], out=out))
    with pytest.raises(ConfigError, match="validation: 1 directories for 2"):
        vote_together(EnsembleSettings(predictions=[one, two], validation=[one], out=out))
    with pytest.raises(ValueError, match="predictions"):
        EnsembleSettings(predictions=[one], out=out)
    (one / "predictions.parquet").unlink()
    with pytest.raises(DataError, match=r"no predictions\.parquet"):
        vote_together(EnsembleSettings(predictions=[one, two], out=out))
    assert not out.exists()
