"""Flows that a process does by itself, and how they and actors go on with each other's work."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from ray import cloudpickle

from pad_ray.flow.rows import CHECKPOINT, DONE, ActorStage, run_rows, write_requests

# Workers do not find test modules by name.
cloudpickle.register_pickle_by_value(sys.modules[__name__])

IDS = "abcdefghij"


class Doubling:
    """Doubles `n`; fails at the row `poison`, and notes what it was given and that it ended."""

    def __init__(self, notes: Path, poison: str = "") -> None:
        self._notes = notes
        self._poison = poison

    def __call__(self, batch: pa.Table) -> pa.Table:
        ids = batch["row_id"].to_pylist()
        if self._poison in ids:
            raise ValueError(self._poison)
        with self._notes.open("a") as notes:
            notes.write("".join(ids) + "\n")
        return batch.set_column(1, "n", pc.multiply(batch["n"], 2))

    def close(self) -> None:
        with self._notes.open("a") as notes:
            notes.write("closed\n")


def requested(work: Path) -> None:
    blocks = ("abcde", "fghij")
    write_requests(
        (pa.table({"row_id": list(ids), "n": [IDS.index(i) for i in ids]}) for ids in blocks), work
    )


def doubled(work: Path, here: bool, **arguments: Any) -> dict[str, int]:
    stage = ActorStage(Doubling, {"notes": work / "notes", **arguments}, 1, batch_size=2)
    rows = run_rows([stage], work, "rows", here=here).to_table()
    return dict(zip(rows["row_id"].to_pylist(), rows["n"].to_pylist(), strict=True))


def noted(work: Path) -> list[str]:
    return (work / "notes").read_text().split()


WHOLE = {key: 2 * index for index, key in enumerate(IDS)}


def test_a_flow_done_here_goes_batch_by_batch_and_closes_what_it_made(tmp_path: Path) -> None:
    requested(tmp_path)
    assert doubled(tmp_path, here=True) == WHOLE
    assert noted(tmp_path) == ["ab", "cd", "e", "fg", "hi", "j", "closed"]
    assert doubled(tmp_path, here=True) == WHOLE
    assert noted(tmp_path)[-1] == "closed" and len(noted(tmp_path)) == 7


def test_stages_done_here_follow_one_another(tmp_path: Path) -> None:
    requested(tmp_path)
    stages = [
        ActorStage(Doubling, {"notes": tmp_path / f"notes{size}"}, 1, size) for size in (4, 2)
    ]
    rows = run_rows(stages, tmp_path, "rows", here=True).to_table()
    assert sorted(rows["n"].to_pylist()) == [4 * n for n in range(10)]
    assert (tmp_path / "notes4").read_text().split() == ["abcd", "e", "fghi", "j", "closed"]
    assert (tmp_path / "notes2").read_text().split() == [*"ab cd e fg hi j closed".split()]


def test_what_an_error_left_is_not_done_again(tmp_path: Path) -> None:
    requested(tmp_path)
    with pytest.raises(ValueError, match="g"):
        doubled(tmp_path, here=True, poison="g")
    assert noted(tmp_path) == ["ab", "cd", "e", "closed"]
    assert doubled(tmp_path, here=True) == WHOLE
    assert noted(tmp_path)[4:] == ["fg", "hi", "j", "closed"]
    assert not list((tmp_path / DONE).glob(".*")) and not list((tmp_path / CHECKPOINT).glob(".*"))


@pytest.mark.usefixtures("local_ray")
@pytest.mark.parametrize("here", [True, False])
def test_either_way_goes_on_with_the_others_rows(tmp_path: Path, here: bool) -> None:
    requested(tmp_path)
    with pytest.raises(Exception, match="f"):
        doubled(tmp_path, here=here, poison="f")
    before = [ids for ids in noted(tmp_path) if ids != "closed"]
    assert doubled(tmp_path, here=not here) == WHOLE
    after = [ids for ids in noted(tmp_path)[len(before) :] if ids != "closed"]
    if here:  # actors may have had both blocks at work
        assert sorted("".join(before)) == list("abcde")
        assert sorted("".join(after)) == list("fghij")
