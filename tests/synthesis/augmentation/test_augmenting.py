"""The job: rows add up, answers are the programs' own, nothing is asked or done twice."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from written import program

from pad_ray.base.config import root_cause
from pad_ray.base.errors import ConfigError, TeacherError
from pad_ray.base.records import problem_id, row_id
from pad_ray.base.schemas import AUGMENTED_SCHEMA, JUDGED_SCHEMA
from pad_ray.flow.stages import MANIFEST, read_manifest
from pad_ray.sandbox import Limits, Sandbox
from pad_ray.synthesis.augmentation.run import augment
from pad_ray.synthesis.augmentation.settings import AugmentationRun, AugmentationSettings
from pad_ray.synthesis.augmentation.stage import ORIGIN_COLUMNS, AugmentationStage
from pad_ray.tasks import get_task, numbers_equal
from pad_ray.tasks.generation import split_of
from pad_ray.training.data import read_training_rows
from tests.teachers.openai_server import Call, OpenAIServer, Reply, chat, failure, openai_server

COUNT, COPIES = 40, 3
TIMES = {"cpu_s", "wall_s"}


def rows_in(out: Path) -> list[dict[str, Any]]:
    """Return kept and rejected rows, but for how long they ran."""
    rows = [
        row for part in ("verified", "rejected") for row in pq.read_table(out / part).to_pylist()
    ]
    return [{k: v for k, v in row.items() if k not in TIMES} for row in rows]


@pytest.fixture(scope="module")
def verified(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A synthesis directory of gold programs."""
    out = tmp_path_factory.mktemp("verified")
    make = get_task("arithmetic").generate
    assert make is not None
    rows = [
        {**vars(problem), "row_id": row_id(problem.problem_id, 0), "teacher": "gold"}
        for problem in make(COUNT, "train", 0, None)
    ]
    (out / "verified").mkdir()
    table = pa.Table.from_pylist(rows, schema=JUDGED_SCHEMA)
    pq.write_table(table, out / "verified" / "part-0.parquet")
    manifest = {"job": "synthesize", "fingerprint": "00aa", "config": {"task": "arithmetic"}}
    (out / MANIFEST).write_text(json.dumps(manifest))
    return out


def in_other_words(call: Call) -> Reply:
    """Answer rightly, or for some questions with a number more."""
    question = call.body["messages"][-1]["content"].removeprefix("Problem: ")
    return chat(f"{question} Think of {'3 ways' if len(question) % 3 == 0 else 'it'}.")


def made_of(verified: Path, server: OpenAIServer, out: Path) -> AugmentationSettings:
    teacher = {"base_url": server.base_url, "model": "m", "max_retries": 0, "concurrency": 1}
    teacher |= {"usd_per_million_prompt_tokens": 10.0}
    values: dict[str, Any] = {"paraphrase_teacher": teacher, "copies": COPIES, "rows_per_block": 30}
    return AugmentationSettings(data=verified, **values, out=out)


@pytest.fixture(scope="module")
def made(
    local_ray: None, verified: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Path, OpenAIServer]]:
    """A directory with all kinds, and the server that was asked for paraphrases."""
    out = tmp_path_factory.mktemp("augmented") / "out"
    with pytest.MonkeyPatch.context() as patch, openai_server(in_other_words) as server:
        patch.delenv("OPENAI_API_KEY", raising=False)
        augment(made_of(verified, server, out))
        yield out, server


@pytest.fixture(scope="module")
def augmented(made: tuple[Path, OpenAIServer]) -> Path:
    return made[0]


@pytest.mark.slow
def test_counts_add_up_and_rows_say_where_they_come_from(verified: Path, augmented: Path) -> None:
    manifest = read_manifest(augmented)
    counts, rows = manifest["counts"], rows_in(augmented)
    kept = [row for row in rows if row["reason"] is None]
    assert (manifest["job"], manifest["tasks"]) == ("augment", ["arithmetic"])
    assert counts["origins"] == COUNT and counts["rows"] == COUNT * COPIES == len(rows)
    assert counts["verified"] == len(kept) > COUNT
    assert counts["rejected"] == len(rows) - len(kept) == sum(counts["by_reason"].values())
    assert counts["by_reason"] == Counter(row["reason"] for row in rows if row["reason"])
    assert sum(kind["kept"] for kind in counts["by_kind"].values()) == len(kept)
    assert {k: n["made"] for k, n in counts["by_kind"].items()} == Counter(
        row["kind"] for row in rows if row["kind"]
    )
    assert len({row["row_id"] for row in rows}) == len(rows)
    assert pq.read_schema(next((augmented / "verified").iterdir())) == AUGMENTED_SCHEMA
    origins = {row["row_id"]: row for row in pq.read_table(verified / "verified").to_pylist()}
    for row in rows:
        origin = origins[row["origin_row"]]
        assert row["origin_problem"] == origin["problem_id"]
        assert row["origin_question"] == origin["question"]
        if row["kind"]:
            assert row["problem_id"] == problem_id("arithmetic", row["question"])
            assert row["question"] != origin["question"]
    assert not {row["problem_id"] for row in kept} & {o["problem_id"] for o in origins.values()}


@pytest.mark.slow
def test_a_kept_row_is_answered_by_its_program(verified: Path, augmented: Path) -> None:
    kept = [row for row in rows_in(augmented) if row["reason"] is None]
    answers = {
        row["row_id"]: row["answer"] for row in pq.read_table(verified / "verified").to_pylist()
    }
    with Sandbox(Limits()) as sandbox:
        outcomes = sandbox.run([row["program"] for row in kept])
    for row, outcome in zip(kept, outcomes, strict=True):
        assert outcome.status == row["status"] == "ok"
        assert numbers_equal(outcome.value, row["answer"])
        assert json.loads(row["value"]) == outcome.value and float(row["answer"]) > 0
        assert (row["answer"] != answers[row["origin_row"]]) == (row["kind"] == "numbers")
        assert row["chain_of_thought"] is None
        assert split_of(row["question"]) == split_of(row["origin_question"])


@pytest.mark.slow
def test_a_finished_directory_is_left_as_it_is(
    verified: Path, made: tuple[Path, OpenAIServer], capsys: pytest.CaptureFixture[str]
) -> None:
    augmented = made[0]
    before, calls = read_manifest(augmented), len(made[1].calls)
    again = made_of(verified, made[1], augmented)
    assert augment(again.model_copy(update={"rows_per_block": 9})) == before
    assert "complete; nothing to do" in capsys.readouterr().out
    with pytest.raises(ConfigError, match=r"copies \(3 there, 4 now\)"):
        augment(again.model_copy(update={"copies": 4}))
    assert len(made[1].calls) == calls


@pytest.mark.slow
def test_more_copies_are_those_that_were_there_and_more(
    local_ray: None, verified: Path, tmp_path: Path
) -> None:
    def made(name: str, copies: int) -> dict[str, dict[str, Any]]:
        out = tmp_path / name
        augment(AugmentationSettings(data=verified, copies=copies, out=out))
        return {row["row_id"]: row for row in rows_in(out)}

    few = made("out", 1)
    more = made("out", 3)
    # Which of equal ones is left out as a repeat depends on the others.
    assert len(few) == COUNT and len(more) == COUNT * 3
    assert all(more[key]["question"] == row["question"] for key, row in few.items())
    assert more == made("at_once", 3)


@pytest.mark.slow
def test_training_reads_it_beside_its_origin(verified: Path, augmented: Path) -> None:
    kept = [row for row in rows_in(augmented) if row["reason"] is None]
    plain = read_training_rows([verified], "program")
    rows = read_training_rows([verified, augmented], "program")
    assert rows[: len(plain)] == plain and len(rows) == len(plain) + len(kept)
    assert {row.problem_id for row in rows} == {row.problem_id for row in plain}
    assert {row.group for row in rows} == {row.group for row in plain}
    assert {row.own_group for row in rows[len(plain) :]} == {
        row.source for row in rows[len(plain) :]
    }
    answers = read_training_rows([augmented], "answer")
    assert {row.target for row in answers} == {f"The answer is {row['answer']}." for row in kept}


@pytest.mark.slow
def test_paraphrases_keep_the_program(made: tuple[Path, OpenAIServer]) -> None:
    out, server = made
    manifest, rows = read_manifest(out), rows_in(out)
    told = [row for row in rows if row["kind"] == "paraphrase"]
    # The first call is the check of the endpoint.
    assert len(told) == len(server.calls) - 1 > 20
    assert {row["reason"] for row in told} >= {None, "other_numbers"}
    for row in told:
        if row["reason"] is None:
            assert row["question"] == f"{row['origin_question']} Think of it."
            assert row["program"] and row["status"] == "ok"
    assert manifest["tokens"]["prompt_tokens"] == 100 * len(told)
    assert manifest["cost_usd"] == pytest.approx(len(told) * 0.001)


@pytest.mark.slow
def test_an_interrupted_run_goes_on_and_pays_nothing_twice(
    verified: Path, made: tuple[Path, OpenAIServer], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    with (
        openai_server(lambda c: in_other_words(c) if c.number < 16 else failure(401)) as broken,
        pytest.raises(Exception) as stopped,  # noqa: PT011
    ):
        augment(made_of(verified, broken, out))
    assert isinstance(root_cause(stopped.value), TeacherError)
    assert not (out / MANIFEST).exists()
    with openai_server(in_other_words) as server:
        augment(made_of(verified, server, out))
    asked, again = (
        Counter(json.dumps(call.body) for call in calls)
        for calls in (made[1].calls[1:], [*broken.calls[1:16], *server.calls[1:]])
    )
    assert again == asked
    assert rows_in(out) == rows_in(made[0])


def staged(tmp_path: Path, task: str, *rows: dict[str, Any], **run: Any) -> list[dict[str, Any]]:
    blank = dict.fromkeys(ORIGIN_COLUMNS) | {"task": task, "answer": "9", "problem_id": "p"}
    made = [
        {**blank, **row, "origin_row": row.get("row_id", f"o{i}"), "sample_index": 0}
        for i, row in enumerate(rows)
    ]
    stage = AugmentationStage(AugmentationRun(**run), {task: get_task(task)}, tmp_path)
    batch = pa.Table.from_pylist(made, schema=pa.schema([*JUDGED_SCHEMA, ("origin_row", "string")]))
    return stage(batch).to_pylist()


@pytest.mark.parametrize(
    ("lines", "reasons"),
    [
        (["pens = 9", "return pens * 0"], {"same_answer"}),
        (["pens = 9", "return 1000 - pens * 100"], {"not_positive", None}),
        (["pens = 9", "return (pens + 1) / 2"], {"other_kind", None}),
        (["pens = 9", "half = (pens + 1) / 2", "return half * 2"], {"odd_step", None}),
        (["pens = 9", "cups = 8 + 1", "return pens"], {"no_place"}),
        (["pens = 9", "cups = (2 + 1) ** 2", "return pens"], {"ambiguous"}),
        (
            ["pens = 9", "return 100 / (1000 - 100 * pens)"],
            {"error", "other_kind", "not_positive"},
        ),
        (["pens = 9", "if pens > 8:", "    return pens", "return [0][2]"], {"no_place"}),
        (["return 1000"], {"no_place"}),
    ],
)
def test_reasons_are_named(tmp_path: Path, lines: list[str], reasons: set[str | None]) -> None:
    row = {"question": "It has 9 pens.", "program": program(*lines)}
    rows = staged(tmp_path, "gsm8k", *[row] * 40)
    assert {row["reason"] for row in rows} == reasons
    for made in rows:
        assert (made["program"] is None) == (made["reason"] == "no_place")


@pytest.mark.slow
def test_rows_depend_on_nothing_but_the_seed(verified: Path, tmp_path: Path) -> None:
    rows = pq.read_table(verified / "verified").to_pylist()
    found = [
        [row["question"] for part in parts for row in staged(tmp_path, "arithmetic", *part, **run)]
        for parts, run in (
            ([rows], {}),
            ([rows[:7], rows[7:]], {}),
            ([rows], {"seed": 1}),
            ([rows], {"weights": {"names": 0.0}}),
        )
    ]
    assert found[0] == found[1] != found[2] and found[0] != found[3]


def test_a_generated_question_stays_on_its_side_of_the_split(tmp_path: Path) -> None:
    def sides(question: str) -> list[str]:
        return [split_of(question.replace("2", number)) for number in "234"]

    words = ("x" * length for length in count(1))
    question = next(q for w in words if sides(q := f"It has 2 {w}.") == ["train", "test", "test"])
    row = {"question": question, "program": program("pens = 2", "return pens")}
    assert staged(tmp_path, "arithmetic", row)[0]["reason"] == "other_split"
    assert staged(tmp_path, "gsm8k", row)[0]["reason"] is None


def test_a_name_that_matters_is_not_changed(tmp_path: Path) -> None:
    row = {"question": "Take the last letter of Tom."}
    row["program"] = program("return 9 if 'Tom'[-1] == 'm' else 7")
    rows = staged(tmp_path, "gsm8k", *[row] * 150)
    assert {made["reason"] for made in rows} == {"wrong_answer", None}
    for made in rows:
        assert (made["reason"] is None) == made["question"].endswith("m.")
