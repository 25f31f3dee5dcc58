"""The export job: which rows are taken, how they are laid out, and who can read the files."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import datasets
import huggingface_hub.constants as hub_constants
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from finished_stages import synthesised
from hub_server import WRITE_TOKEN, Hub, serve_hub
from huggingface_hub import DatasetCard

from pad_ray.base.config import validate
from pad_ray.base.errors import ConfigError, DataError
from pad_ray.programs.extraction import extract_program
from pad_ray.synthesis.export.rows import in_validation
from pad_ray.synthesis.export.run import export_dataset
from pad_ray.synthesis.export.settings import ExportSettings

Rows = list[dict[str, Any]]
# Of "0 + 0?" to "29 + 29?", by the first 64 bits of their SHA-256.
HELD = ["11 + 11?", "26 + 26?", "29 + 29?"]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A synthesis directory whose rows have pass rates, in more than one file."""
    folder = tmp_path_factory.mktemp("data") / "arithmetic"
    synthesised(folder, count=60, samples=4, faults={"wrong_number": 0.3}, vary=0.9)
    with_pass_rates(folder)
    return folder


def with_pass_rates(folder: Path) -> None:
    parts = {part: pq.read_table(folder / part) for part in ("verified", "rejected")}
    right: Counter[str] = Counter()
    for table in parts.values():
        rows = zip(table["problem_id"].to_pylist(), table["reason"].to_pylist(), strict=True)
        right.update(problem for problem, reason in rows if reason in (None, "duplicate"))
    table = parts["verified"]
    rates = pa.array([right[problem] / 4 for problem in table["problem_id"].to_pylist()])
    table = table.set_column(table.schema.get_field_index("pass_rate"), "pass_rate", rates)
    (folder / "verified" / "part-00000.parquet").unlink()
    for index, start in enumerate(range(0, table.num_rows, 50)):
        pq.write_table(table.slice(start, 50), folder / f"verified/part-{index:05d}.parquet")


def verified(folder: Path) -> Rows:
    return list(pq.read_table(folder / "verified").sort_by("row_id").to_pylist())


def exported(data: Path | list[Path], out: Path, **changes: Any) -> dict[str, Any]:
    return export_dataset(validate(ExportSettings, {"data": data, "out": out, **changes}))


def read(out: Path, split: str = "train", file_type: str = "parquet") -> Rows:
    path = out / f"{split}.{file_type}"
    if file_type == "parquet":
        return list(pq.read_table(path).to_pylist())
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_messages_hold_question_and_program_in_order(data: Path, tmp_path: Path) -> None:
    manifest = exported(data, tmp_path / "out", system="You write Python.")
    rows, source = read(tmp_path / "out"), verified(data)
    assert len(rows) == len(source) == manifest["counts"]["train"]["rows"]
    for row, origin in zip(rows, source, strict=True):
        system, user, assistant = row["messages"]
        assert system == {"role": "system", "content": "You write Python."}
        assert user["role"] == "user" and user["content"].endswith(origin["question"])
        assert user["content"].startswith("Write a Python function solution()")
        assert assistant["role"] == "assistant"
        assert assistant["content"] == f"```python\n{origin['program'].strip()}\n```"
        assert extract_program(assistant["content"]) == origin["program"].strip()
        assert row["problem_id"] == origin["problem_id"]


def test_bare_program_and_bare_question(data: Path, tmp_path: Path) -> None:
    exported(data, tmp_path / "out", fenced=False, instruction="")
    row, origin = read(tmp_path / "out")[0], verified(data)[0]
    assert [m["content"] for m in row["messages"]] == [origin["question"], origin["program"]]


def test_prompt_and_completion_are_the_messages_in_two_columns(data: Path, tmp_path: Path) -> None:
    exported(data, tmp_path / "a", system="S")
    exported(data, tmp_path / "b", system="S", format="prompt_completion")
    together = [row["messages"] for row in read(tmp_path / "a")]
    assert [row["prompt"] + row["completion"] for row in read(tmp_path / "b")] == together
    assert all(len(row["completion"]) == 1 for row in read(tmp_path / "b"))
    assert not (tmp_path / "b" / "dataset_info.json").exists()


@pytest.mark.parametrize("instruction", ["Solve it.", ""])
def test_alpaca_columns(data: Path, tmp_path: Path, instruction: str) -> None:
    exported(data, tmp_path / "out", format="alpaca", instruction=instruction, fenced=False)
    row, origin = read(tmp_path / "out")[0], verified(data)[0]
    wanted = ["Solve it.", origin["question"]] if instruction else [origin["question"], ""]
    assert [row["instruction"], row["input"]] == wanted
    assert row["output"] == origin["program"] and "system" not in row


@pytest.mark.parametrize("layout", ["messages", "prompt_completion", "alpaca"])
def test_parquet_and_jsonl_hold_the_same(data: Path, tmp_path: Path, layout: str) -> None:
    for file_type in ("parquet", "jsonl"):
        exported(
            data,
            tmp_path / file_type,
            format=layout,
            file_type=file_type,
            system="é",
            split_fraction=0.3,
        )
    for split in ("train", "validation"):
        rows = read(tmp_path / "jsonl", split, "jsonl")
        assert rows and rows == read(tmp_path / "parquet", split)


@pytest.mark.parametrize("file_type", ["parquet", "jsonl"])
@pytest.mark.parametrize("layout", ["messages", "prompt_completion", "alpaca"])
def test_datasets_loads_the_directory(
    data: Path, tmp_path: Path, file_type: str, layout: str
) -> None:
    manifest = exported(
        data, tmp_path / "out", format=layout, file_type=file_type, split_fraction=0.3
    )
    loaded = datasets.load_dataset(str(tmp_path / "out"), cache_dir=str(tmp_path / "cache"))
    for split in ("train", "validation"):
        assert loaded[split].num_rows == manifest["counts"][split]["rows"] > 0
    assert loaded["train"].to_list() == read(tmp_path / "out", "train", file_type)


def test_llama_factory_finds_files_and_columns(data: Path, tmp_path: Path) -> None:
    exported(data, tmp_path / "chat", file_type="jsonl", split_fraction=0.3)
    info = json.loads((tmp_path / "chat" / "dataset_info.json").read_text())
    assert set(info) == {"pad_ray_train", "pad_ray_validation"}
    entry = info["pad_ray_train"]
    assert entry["formatting"] == "sharegpt"
    (first, *_) = read(tmp_path / "chat", "train", "jsonl")
    assert (tmp_path / "chat" / entry["file_name"]).is_file()
    tags = entry["tags"]
    roles = [message[tags["role_tag"]] for message in first[entry["columns"]["messages"]]]
    assert roles == [tags["user_tag"], tags["assistant_tag"]]
    exported(data, tmp_path / "alpaca", format="alpaca", system="S")
    entry = json.loads((tmp_path / "alpaca" / "dataset_info.json").read_text())["pad_ray_train"]
    assert entry["columns"]["system"] == "system"
    assert set(entry["columns"].values()) < set(read(tmp_path / "alpaca")[0])


def test_most_programs_of_a_problem(data: Path, tmp_path: Path) -> None:
    counts = exported(data, tmp_path / "out", per_problem=2)["counts"]
    taken = Counter(row["problem_id"] for row in read(tmp_path / "out"))
    there = Counter(row["problem_id"] for row in verified(data))
    assert taken == {problem: min(2, number) for problem, number in there.items()}
    assert counts["left_out"]["per_problem"] == sum(max(0, n - 2) for n in there.values()) > 0
    first = {row["problem_id"]: row["program"] for row in reversed(verified(data))}
    seen = {row["problem_id"]: row for row in reversed(read(tmp_path / "out"))}
    assert all(first[p].strip() in r["messages"][1]["content"] for p, r in seen.items())


def test_pass_rate_bounds_are_included(data: Path, tmp_path: Path) -> None:
    counts = exported(data, tmp_path / "out", pass_rate_min=0.5, pass_rate_max=0.75)["counts"]
    rates = Counter(row["pass_rate"] for row in verified(data))
    assert rates[0.5] and rates[0.75] and rates[0.25] and rates[1.0]
    assert counts["train"]["rows"] == rates[0.5] + rates[0.75]
    assert counts["left_out"]["pass_rate"] == rates[0.25] + rates[1.0]


def test_split_is_by_question_and_always_the_same(data: Path, tmp_path: Path) -> None:
    exported(data, tmp_path / "a", split_fraction=0.3)
    exported(data, tmp_path / "b", split_fraction=0.3, per_problem=1, file_type="jsonl")
    sides = {
        split: {row["problem_id"] for row in read(tmp_path / "a", split)}
        for split in ("train", "validation")
    }
    assert not sides["train"] & sides["validation"]
    assert {r["problem_id"] for r in read(tmp_path / "b", "validation", "jsonl")} == sides[
        "validation"
    ]
    rows = {row["problem_id"]: row["question"] for row in verified(data)}
    assert sides["validation"] == {
        p for p, question in rows.items() if in_validation(question, 0.3)
    }


def test_split_of_a_question_never_changes() -> None:
    held = [f"{n} + {n}?" for n in range(30) if in_validation(f" {n} + {n}?\n", 0.2)]
    assert held == HELD


def test_share_of_questions_held_out_is_the_fraction() -> None:
    questions = [hashlib.md5(str(i).encode()).hexdigest() for i in range(20_000)]
    assert abs(sum(in_validation(q, 0.1) for q in questions) / 20_000 - 0.1) < 0.01
    assert not any(in_validation(q, 0.0) for q in questions)
    held = {q for q in questions if in_validation(q, 0.1)}
    assert held < {q for q in questions if in_validation(q, 0.2)}


def test_directories_are_merged_by_problem_without_repeats(data: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    synthesised(other, count=60, samples=4, faults={}, vary=0.0, seed=0)
    counts = exported([data, other], tmp_path / "out")["counts"]
    keys = {(r["problem_id"], r["program_key"]) for r in [*verified(data), *verified(other)]}
    rows = read(tmp_path / "out")
    assert len(rows) == len(keys) == counts["train"]["rows"]
    assert counts["read"] == len(verified(data)) + len(verified(other))
    assert counts["left_out"]["repeated"] == counts["read"] - len(rows) > 0
    assert [row["problem_id"] for row in rows] == sorted(row["problem_id"] for row in rows)


def test_card_says_counts_teacher_and_settings(data: Path, tmp_path: Path) -> None:
    exported(data, tmp_path / "out", split_fraction=0.3, system="Use ````fences````")
    card = DatasetCard.load(tmp_path / "out" / "README.md")
    assert card.data.license == "apache-2.0"
    assert "scripted (simulated)" in card.text and "no language model" in card.text
    assert f"| train | {len(read(tmp_path / 'out'))} |" in card.text
    assert "`````yaml\nformat: messages\n" in card.text


def test_finished_directory_is_left_alone_and_others_refused(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = exported(data, tmp_path / "out")
    before = (tmp_path / "out" / "train.parquet").stat().st_mtime_ns
    assert exported(data, tmp_path / "out") == made
    assert "is complete; nothing to do" in capsys.readouterr().out
    assert (tmp_path / "out" / "train.parquet").stat().st_mtime_ns == before
    with pytest.raises(ConfigError, match=r"fenced \(True there, False now\)"):
        exported(data, tmp_path / "out", fenced=False)


def test_interrupted_export_is_written_anew(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    exported(data, out, split_fraction=0.3)
    whole = (out / "train.parquet").read_bytes()
    (out / "manifest.json").unlink()
    (out / "train.parquet").rename(out / ".train.parquet.partial")
    exported(data, out, split_fraction=0.3)
    assert (out / "train.parquet").read_bytes() == whole
    assert not list(out.glob(".*partial"))


def test_validation_that_got_no_problem_is_not_offered(data: Path, tmp_path: Path) -> None:
    manifest = exported(data, tmp_path / "out", split_fraction=1e-9)
    assert manifest["counts"]["validation"] == {"rows": 0, "problems": 0}
    assert not (tmp_path / "out" / "validation.parquet").exists()
    assert list(datasets.load_dataset(str(tmp_path / "out"), cache_dir=str(tmp_path / "c"))) == [
        "train"
    ]


def copy_with(data: Path, out: Path, change: Any) -> Path:
    (out / "verified").mkdir(parents=True)
    (out / "manifest.json").write_bytes((data / "manifest.json").read_bytes())
    table = change(pq.read_table(data / "verified").sort_by("row_id"))
    pq.write_table(table, out / "verified" / "part-00000.parquet")
    return out


def without_rates(table: pa.Table) -> pa.Table:
    index = table.schema.get_field_index("pass_rate")
    return table.set_column(index, "pass_rate", pa.nulls(table.num_rows, pa.float64()))


@pytest.mark.parametrize(
    ("change", "settings", "said"),
    [
        (without_rates, {"pass_rate_min": 0.5}, "has no pass_rate; make the dataset again"),
        (lambda t: t.drop_columns("program_key"), {}, "column 'program_key' is missing"),
        (lambda t: t.sort_by([("row_id", "descending")]), {}, "is out of order"),
        (lambda t: t.slice(0, 0), {}, "no verified rows to export"),
        (
            lambda t: t.filter(pc.field("pass_rate") < 1),
            {"pass_rate_min": 1.0},
            "widen pass_rate_min and pass_rate_max",
        ),
    ],
    ids=["no_rate", "no_column", "unsorted", "empty", "filtered"],
)
def test_rows_that_cannot_be_taken_are_one_line(
    data: Path, tmp_path: Path, change: Any, settings: dict[str, Any], said: str
) -> None:
    copy = copy_with(data, tmp_path / "copy", change)
    with pytest.raises(DataError, match=said) as error:
        exported(copy, tmp_path / "out", **settings)
    assert "\n" not in str(error.value)


def test_broken_file_is_one_line(data: Path, tmp_path: Path) -> None:
    copy = copy_with(data, tmp_path / "copy", lambda table: table)
    (copy / "verified" / "part-00000.parquet").write_bytes(b"PAR1")
    with pytest.raises(DataError, match=r"part-00000\.parquet: cannot be read: .+"):
        exported(copy, tmp_path / "out")


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with serve_hub() as hub:
        monkeypatch.setattr(hub_constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(hub_constants, "ENDPOINT", hub.url)
        monkeypatch.setenv("HF_TOKEN", WRITE_TOKEN)
        yield hub


def test_push_uploads_the_dataset_and_nothing_else(
    data: Path, tmp_path: Path, hub: Hub, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    exported(data, out, split_fraction=0.3, push_to_hub="team/programs")
    assert hub.created == [
        {"name": "programs", "organization": "team", "visibility": "private", "type": "dataset"}
    ]
    names = ["README.md", "dataset_info.json", "train.parquet", "validation.parquet"]
    assert sorted(hub.files) == names
    assert all(hub.files[name] == (out / name).read_bytes() for name in names)
    assert "export: uploaded to http://127.0.0.1" in capsys.readouterr().out


def test_finished_directory_can_be_pushed_later(data: Path, tmp_path: Path, hub: Hub) -> None:
    exported(data, tmp_path / "out")
    exported(data, tmp_path / "out", push_to_hub="programs", private=False)
    assert hub.created[0]["visibility"] == "public"
    assert "train.parquet" in hub.files


def test_refused_token_is_one_line_and_nothing_is_written(
    data: Path, tmp_path: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    with pytest.raises(ConfigError, match=r"refuses the token in HF_TOKEN .*\(401\)") as error:
        exported(data, tmp_path / "out", push_to_hub="team/programs")
    assert "hf_wrong" not in str(error.value)
    assert not (tmp_path / "out").exists()


def test_refused_upload_is_one_line_and_the_dataset_stays(
    data: Path, tmp_path: Path, hub: Hub
) -> None:
    hub.refuse_commits = True
    with pytest.raises(ConfigError, match=r"\(413\): .*quota is used up.*; the dataset"):
        exported(data, tmp_path / "out", push_to_hub="team/programs")
    hub.refuse_commits = False
    exported(data, tmp_path / "out", push_to_hub="team/programs")
    assert "train.parquet" in hub.files


def test_hub_that_cannot_be_reached_is_one_line(
    data: Path, tmp_path: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub_constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(ConfigError, match=r"the Hub cannot be reached \(.+\)"):
        exported(data, tmp_path / "out", push_to_hub="team/programs")


def test_offline_is_one_line(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub_constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setenv("HF_TOKEN", WRITE_TOKEN)
    with pytest.raises(ConfigError, match="HF_HUB_OFFLINE is set"):
        exported(data, tmp_path / "out", push_to_hub="team/programs")


@pytest.mark.parametrize("repo_id", ["a/b/c", "-x/y", "team/pro grams"])
def test_malformed_repository_is_one_line(
    data: Path, tmp_path: Path, hub: Hub, repo_id: str
) -> None:
    with pytest.raises(ConfigError, match=f"'{repo_id}' is no owner/name") as error:
        exported(data, tmp_path / "out", push_to_hub=repo_id)
    assert "\n" not in str(error.value)
