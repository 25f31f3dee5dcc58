"""Repair data: from verified programs and from a student's failures, to training rows."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pad_ray.base.errors import ConfigError, DataError
from pad_ray.base.schemas import JUDGED_SCHEMA, REPAIR_SCHEMA
from pad_ray.flow.stages import read_manifest
from pad_ray.sandbox import Limits, Sandbox
from pad_ray.students.card import describe_error, format_repair
from pad_ray.synthesis.repairs.failures import closest, collect_failures, judge_failures
from pad_ray.synthesis.repairs.injections.run import inject_errors
from pad_ray.synthesis.repairs.settings import (
    FailureRun,
    FailureSettings,
    InjectionRun,
    InjectionSettings,
)
from pad_ray.synthesis.run import synthesize
from pad_ray.synthesis.settings import SynthesisSettings
from pad_ray.training.data import mix_repairs, read_repair_rows, read_training_rows

PROGRAM = "def solution():\n    a = 3\n    b = a + 4\n    return b"


def rows_in(folder: Path) -> list[dict[str, Any]]:
    return list(pq.read_table(folder).to_pylist())


@pytest.fixture(scope="module")
def verified(local_ray: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("verified") / "out"
    values = {"task": "arithmetic", "teacher": "scripted", "count": 30, "faults": {}, "out": out}
    synthesize(SynthesisSettings(**values))
    return out


@pytest.fixture(scope="module")
def injected(verified: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("injected") / "out"
    inject_errors(InjectionSettings(data=verified, count=6, rows_per_block=60, out=out))
    return out


@pytest.mark.slow
def test_counts_of_injections_add_up(injected: Path) -> None:
    counts = read_manifest(injected)["counts"]
    kept, rejected = rows_in(injected / "verified"), rows_in(injected / "rejected")
    assert counts["rows"] == 30 * 6 == len(kept) + len(rejected)
    assert (counts["verified"], counts["rejected"]) == (len(kept), len(rejected))
    assert counts["by_reason"] == Counter(row["reason"] for row in rejected)
    assert len({row["row_id"] for row in kept + rejected}) == 30 * 6
    assert sum(kind["kept"] for kind in counts["by_kind"].values()) == len(kept)
    assert len(kept) > 0.6 * 180
    assert set(counts["by_reason"]) <= {"still_right", "no_place", "duplicate"}


@pytest.mark.slow
def test_messages_are_the_interpreters_own(injected: Path) -> None:
    kept = rows_in(injected / "verified")
    with Sandbox(Limits()) as sandbox:
        again = sandbox.run([row["broken"] for row in kept])
        right = sandbox.run([row["program"] for row in kept])
    for row, broken, program in zip(kept, again, right, strict=True):
        assert (row["status"], row["error_type"]) == (broken.status, broken.error_type)
        assert (row["message"], row["error_line"]) == (broken.message, broken.error_line)
        assert program.status == "ok" and program.value == pytest.approx(float(row["answer"]))
        assert broken.status != "ok" or json.loads(row["value"]) == broken.value
        assert broken.status != "ok" or broken.value != program.value


@pytest.mark.slow
def test_edits_that_leave_the_answer_right_are_thrown_away(injected: Path) -> None:
    for row in rows_in(injected / "rejected"):
        if row["reason"] == "still_right":
            assert json.loads(row["value"]) == pytest.approx(float(row["answer"]))
    kept = rows_in(injected / "verified")
    assert len({(row["problem_id"], row["broken"]) for row in kept}) == len(kept)


@pytest.mark.slow
def test_injection_depends_on_nothing_but_its_seed(
    verified: Path, injected: Path, tmp_path: Path
) -> None:
    def texts(folder: Path) -> set[tuple[str, str | None]]:
        parts = ("verified", "rejected")
        return {(r["row_id"], r["broken"]) for part in parts for r in rows_in(folder / part)}

    same = InjectionSettings(data=verified, count=6, rows_per_block=17, out=tmp_path / "same")
    inject_errors(same)
    assert texts(tmp_path / "same") == texts(injected)
    other = InjectionSettings(data=verified, count=6, seed=1, out=tmp_path / "other")
    inject_errors(other)
    assert texts(tmp_path / "other") != texts(injected)


@pytest.mark.slow
def test_weights_choose_the_kinds(verified: Path, tmp_path: Path) -> None:
    from pad_ray.synthesis.repairs.injections.kinds import INJECTIONS

    only = dict.fromkeys(INJECTIONS, 0.0) | {"rename_use": 1.0}
    out = tmp_path / "out"
    inject_errors(InjectionSettings(data=verified, count=1, weights=only, combine=0, out=out))
    assert set(read_manifest(out)["counts"]["by_kind"]) == {"rename_use"}
    assert {row["error_type"] for row in rows_in(out / "verified")} == {"NameError"}
    with pytest.raises(ValueError, match="unknown injection 'typo'"):
        InjectionRun(weights={"typo": 1.0})


@pytest.mark.slow
def test_a_finished_injection_is_not_done_again(
    verified: Path, injected: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    inject_errors(InjectionSettings(data=verified, count=6, rows_per_block=60, out=injected))
    assert "nothing to do" in capsys.readouterr().out
    with pytest.raises(ConfigError, match=r"count \(6 there, 5 now\)"):
        inject_errors(InjectionSettings(data=verified, count=5, out=injected))


@pytest.mark.slow
def test_more_injections_are_those_that_were_there_and_more(
    verified: Path, injected: Path, tmp_path: Path
) -> None:
    def texts(folder: Path) -> dict[str, str | None]:
        parts = ("verified", "rejected")
        return {r["row_id"]: r["broken"] for part in parts for r in rows_in(folder / part)}

    out = tmp_path / "out"
    inject_errors(InjectionSettings(data=verified, count=2, out=out))
    few = texts(out)
    inject_errors(InjectionSettings(data=verified, count=6, out=out))
    assert len(few) == 30 * 2
    assert few.items() < texts(out).items()
    assert texts(out) == texts(injected)
    assert read_manifest(out)["fingerprint"] == read_manifest(injected)["fingerprint"]


def judged(program: str | None, reason: str | None, **fields: Any) -> dict[str, Any]:
    status = {None: "ok", "wrong_answer": "ok", "no_program": None}.get(reason, "error")
    row = {"row_id": "p-000000", "problem_id": "p", "task": "arithmetic", "question": "Q?"}
    row |= {"answer": "7", "program": program, "status": status, "reason": reason}
    row |= {"value": "8" if status == "ok" else None, "error_type": None, "error_line": 3}
    return row | {"message": "name 'x' is not defined"} | fields


def reasons(*rows: dict[str, Any], **run: Any) -> list[str | None]:
    return [r["reason"] for r in judge_failures(rows, {"Q?": [PROGRAM]}, FailureRun(**run))]


def test_failures_are_kept_once_and_not_too_many_of_a_problem() -> None:
    raised = [judged(f"{PROGRAM} + x{i}", "error") for i in range(4)]
    assert reasons(*raised, per_problem=2) == [None, None, "surplus", "surplus"]
    twice = [judged(f"{PROGRAM} + x", "error") for _ in range(2)]
    assert reasons(*twice) == [None, "duplicate"]


def test_failures_that_cannot_be_learned_from_say_why() -> None:
    other = judged(PROGRAM, "error", question="Another?")
    found = reasons(judged(None, "no_program"), judged("x", "wrong_answer"), other)
    assert found == ["no_program", "wrong_answer", "unsolved"]
    assert reasons(judged("x", "wrong_answer"), wrong_answers=True) == [None]


def test_the_closest_right_program_is_the_target() -> None:
    far = "def solution():\n    total = sum(range(9))\n    return total"
    assert closest(PROGRAM.replace("+ 4", "+ c"), [far, PROGRAM]) == PROGRAM
    assert closest(far + " + x", [far, PROGRAM]) == far


def write_samples(folder: Path, rows: list[dict[str, Any]]) -> Path:
    for part, is_kept in (("verified", True), ("rejected", False)):
        (folder / part).mkdir(parents=True)
        mine = [row for row in rows if (row["reason"] is None) == is_kept]
        table = pa.Table.from_pylist(mine, schema=JUDGED_SCHEMA)
        pq.write_table(table, folder / part / "part-00000.parquet")
    manifest = {"job": "synthesize", "fingerprint": folder.name, "config": {"task": "arithmetic"}}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


def test_failures_of_a_directory_become_training_rows(tmp_path: Path) -> None:
    broken = PROGRAM.replace("a + 4", "x + 4")
    rows = [judged(PROGRAM, None), judged(broken, "error", error_type="NameError", row_id="p-1")]
    samples = write_samples(tmp_path / "samples", rows)
    collect_failures(FailureSettings(samples=samples, out=tmp_path / "out"))
    assert pq.read_table(tmp_path / "out" / "verified").schema.equals(REPAIR_SCHEMA)
    (row,) = read_repair_rows(tmp_path / "out")
    error = "NameError: name 'x' is not defined (line 3)"
    assert row.source == format_repair("Q?", broken, error)
    assert row.target == PROGRAM
    assert row.group == read_training_rows([samples], "program")[0].group


def test_no_failures_is_the_users_mistake(tmp_path: Path) -> None:
    samples = write_samples(tmp_path / "samples", [judged(PROGRAM, None)])
    with pytest.raises(DataError, match="no failed programs"):
        collect_failures(FailureSettings(samples=samples, out=tmp_path / "out"))
    with pytest.raises(DataError, match=r"no manifest\.json"):
        collect_failures(FailureSettings(samples=tmp_path / "none", out=tmp_path / "out"))


def test_a_wrong_value_is_told_as_one() -> None:
    assert describe_error("ok", None, None, None, "42") == "WrongAnswer: returned 42"
    assert len(describe_error("ok", None, None, None, "9" * 500)) < 100
    assert describe_error("timeout", "CPUTime", None, "limit of 2 s", "null") == (
        "CPUTime: limit of 2 s"
    )


@pytest.mark.parametrize(("share", "repairs"), [(0.5, 20), (0.2, 5), (0.75, 60), (0.9, 80)])
@pytest.mark.slow
def test_repairs_are_mixed_at_their_share(injected: Path, share: float, repairs: int) -> None:
    rows = read_repair_rows(injected)
    plain, one, two = rows[:20], rows[20:90], rows[90:100]
    mixed = mix_repairs(plain, [one, two], share)
    assert mixed[:20] == plain
    assert len(mixed) == 20 + repairs
    # Half of each source while it lasts.
    assert sum(row in two for row in mixed[20:]) == min(10, repairs // 2)
