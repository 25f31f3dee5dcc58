"""Batch files: what is in them, their limits, and the way round through a batch service."""

from __future__ import annotations

import json
import shlex
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pad_ray.base.config import parse_settings
from pad_ray.base.errors import ConfigError, DataError
from pad_ray.base.records import Problem
from pad_ray.flow.stages import read_manifest
from pad_ray.synthesis.run import synthesize
from pad_ray.synthesis.settings import SynthesisSettings
from pad_ray.tasks import Exemplar
from pad_ray.teachers.base import Request
from pad_ray.teachers.endpoint.batch import batch_requests, write_batch, write_files
from pad_ray.teachers.endpoint.batch_settings import BatchSettings
from pad_ray.teachers.endpoint.engine import EndpointTeacher
from pad_ray.teachers.prompts import TEXT_RULES
from pad_ray.teachers.recorded.engine import RecordedTeacher
from tests.teachers.openai_server import Call, OpenAIServer, Reply, Script, chat, failure
from tests.teachers.openai_server import openai_server as serving

PROBLEMS, SAMPLES = 9, 3
TASK = {"task": "arithmetic", "count": PROBLEMS, "samples": SAMPLES}


def batch_settings(out: Path, endpoint: dict[str, Any] | None = None, **others: Any) -> Any:
    values = {**TASK, "endpoint": {"model": "m", **(endpoint or {})}, "out": out, **others}
    return BatchSettings.model_validate(values)


def lines_in(folder: Path) -> list[dict[str, Any]]:
    files = sorted(folder.glob("requests-*.jsonl"))
    return [json.loads(line) for path in files for line in path.read_bytes().splitlines()]


@pytest.fixture
def server() -> Iterator[OpenAIServer]:
    with serving(solver()) as running:
        yield running


def solver() -> Script:
    """Answer with the gold program; by the seed, one sample in four is wrong or refused."""
    _, problems, _ = batch_settings(Path("unused")).load()
    programs = {f"Question: {p.question.strip()}": p.program or "" for p in problems}

    def script(call: Call) -> Reply:
        if call.body["messages"][-1]["content"] not in programs:
            return chat("ok")
        kind = call.body["seed"] % 8
        if kind == 0:
            return failure(400, "the filter refuses this")
        program = programs[call.body["messages"][-1]["content"]]
        return chat("def solution():\n    return -1" if kind == 1 else program, usage=(90, 30))

    return script


def play_batch_service(server: OpenAIServer, folder: Path) -> tuple[Path, Path]:
    """Answer every request of a folder's input files as OpenAI's service does.

    Returns the folder's output and error file: requests with a status other than 200 go into the
    latter.
    """
    output, errors = folder / "batch_1_output.jsonl", folder / "batch_1_error.jsonl"
    requests = lines_in(folder)
    with output.open("w") as good, errors.open("w") as bad:
        # The service answers in any order.
        for request in reversed(requests):
            assert request["method"] == "POST"
            status, body = post(server.base_url.removesuffix("/v1") + request["url"], request)
            response = {"status_code": status, "request_id": "r", "body": body}
            row = {"id": "b", "custom_id": request["custom_id"], "response": response}
            (good if status == 200 else bad).write(json.dumps({**row, "error": None}) + "\n")
    return output, errors


def post(url: str, request: dict[str, Any]) -> tuple[int, Any]:
    asked = urllib.request.Request(url, json.dumps(request["body"]).encode())
    asked.add_header("Content-Type", "application/json")
    try:
        with urllib.request.urlopen(asked, timeout=10) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def test_a_body_is_what_the_endpoint_teacher_sends(server: OpenAIServer, tmp_path: Path) -> None:
    sampling = {"temperature": 0.3, "top_p": 0.9, "max_tokens": 77, "shots": 2}
    asked = batch_settings(tmp_path / "out", {"base_url": server.base_url, **sampling}, seed=5)
    write_batch(asked)
    task, problems, _ = asked.load()
    teacher = EndpointTeacher(asked.endpoint, task.exemplars, asked.seed)
    teacher.complete([Request(problem, tuple(range(SAMPLES))) for problem in problems])

    def text(body: object) -> str:
        return json.dumps(body, sort_keys=True)

    sent = sorted(text(call.body) for call in server.calls)
    assert sorted(text(line["body"]) for line in lines_in(asked.out)) == sent
    assert len(set(sent)) == PROBLEMS * SAMPLES


def test_chains_of_thought_are_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_batch(batch_settings(tmp_path / "out", format="cot"))
    messages = lines_in(tmp_path / "out")[0]["body"]["messages"]
    assert messages[0]["content"] == TEXT_RULES
    shown = [one["content"] for one in messages if one["role"] == "assistant"]
    assert shown and all("The answer is " in text and "def " not in text for text in shown)
    assert "--format cot" in capsys.readouterr().out


def test_fields_that_some_models_refuse_can_be_left_out(tmp_path: Path) -> None:
    left_out = {"send_seed": False, "temperature": None, "top_p": None}
    named = {"max_tokens_field": "max_completion_tokens"}
    write_batch(batch_settings(tmp_path / "out", left_out | named))
    (first, *_) = lines_in(tmp_path / "out")
    assert set(first["body"]) == {"model", "messages", "max_completion_tokens"}


def test_more_samples_and_problems_are_further_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, more = tmp_path / "out", {"samples": SAMPLES + 2, "count": PROBLEMS + 2}
    first = write_batch(batch_settings(out, requests_per_file=10))
    before = {path.name: path.read_bytes() for path in out.glob("requests-*.jsonl")}
    # Of an addition that was killed while it wrote.
    (out / "requests-00003.jsonl").write_text('{"custom')
    grown = write_batch(batch_settings(out, requests_per_file=10, **more))
    assert "batch: new are requests-00003.jsonl, requests-00004.jsonl" in capsys.readouterr().out
    assert {name: (out / name).read_bytes() for name in before} == before
    assert grown["files"][:3] == first["files"] and len(grown["files"]) == 6
    at_once = write_batch(batch_settings(tmp_path / "at_once", requests_per_file=10, **more))
    for name in ("counts", "tokens", "fingerprint"):
        assert grown[name] == at_once[name]

    def requests(folder: Path) -> list[str]:
        return sorted(json.dumps(line) for line in lines_in(folder))

    assert requests(out) == requests(tmp_path / "at_once")
    assert len(set(requests(out))) == (SAMPLES + 2) * (PROBLEMS + 2)
    assert write_batch(batch_settings(out, requests_per_file=10, **more)) == grown
    with pytest.raises(ConfigError, match=rf"samples \({SAMPLES + 2} there, {SAMPLES} now\)"):
        write_batch(batch_settings(out, requests_per_file=10))


def test_the_manifest_counts_what_was_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    manifest = write_batch(batch_settings(out, requests_per_file=10))
    printed = capsys.readouterr().out
    assert manifest == read_manifest(out)
    assert manifest["counts"]["requests"] == len(lines_in(out)) == PROBLEMS * SAMPLES
    assert [file["requests"] for file in manifest["files"]] == [10, 10, 7]
    for file in manifest["files"]:
        assert (out / file["name"]).stat().st_size == file["bytes"]
    assert 100 < manifest["tokens"]["prompt_estimate"] / (PROBLEMS * SAMPLES) < 2000
    assert "27 requests in 3 file(s)" in printed and "purpose=batch" in printed
    assert f"--task arithmetic --count {PROBLEMS} --samples {SAMPLES}" in printed
    before = {path: path.stat().st_mtime_ns for path in out.iterdir()}
    assert write_batch(batch_settings(out, requests_per_file=10)) == manifest
    assert {path: path.stat().st_mtime_ns for path in out.iterdir()} == before


def replay_settings(line: str) -> SynthesisSettings:
    words = shlex.split(line)
    return parse_settings(SynthesisSettings, words[words.index("synthesize") + 1 :], "synthesize")


def test_the_printed_flags_are_settings_of_synthesis(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_batch(batch_settings(tmp_path / "out", seed=3, split="test"))
    (line,) = [line for line in capsys.readouterr().out.splitlines() if " synthesize --" in line]
    parsed = replay_settings(line)
    assert (parsed.task, parsed.count, parsed.samples) == ("arithmetic", PROBLEMS, SAMPLES)
    assert (parsed.seed, parsed.split, parsed.teacher) == (3, "test", "recorded")


def test_the_printed_flags_name_columns_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    problems = tmp_path / "my problems.jsonl"
    problems.write_text('{"q": "How many?", "answer": 7}\n')
    file = {"task": "jsonl", "problems": problems, "fields": {"question": "q"}, "count": None}
    write_batch(batch_settings(tmp_path / "out", **file))
    (line,) = [line for line in capsys.readouterr().out.splitlines() if " synthesize --" in line]
    parsed = replay_settings(line)
    assert (parsed.problems, parsed.fields) == (problems, {"question": "q"})


def test_an_interrupted_batch_is_written_again_whole(tmp_path: Path) -> None:
    out = tmp_path / "out"
    write_batch(batch_settings(out, requests_per_file=5))
    whole = {path.name: path.read_bytes() for path in out.glob("requests-*")}
    (out / "manifest.json").unlink()
    (out / "requests-00002.jsonl").write_text("half a li")
    (out / "requests-00099.jsonl").write_text("stale\n")
    write_batch(batch_settings(out, requests_per_file=5))
    assert {path.name: path.read_bytes() for path in out.glob("requests-*")} == whole


def test_other_settings_and_a_request_too_large_are_refused(tmp_path: Path) -> None:
    write_batch(batch_settings(tmp_path / "out"))
    with pytest.raises(ConfigError, match="other settings: samples"):
        write_batch(batch_settings(tmp_path / "out", samples=2))
    with pytest.raises(DataError, match=r"request [0-9a-f]{16}-000000 takes \d+ bytes.*raise meg"):
        write_batch(batch_settings(tmp_path / "small", megabytes_per_file=0.0005))
    write_batch(batch_settings(tmp_path / "small", megabytes_per_file=1))
    with pytest.raises(ValueError, match="one sample a request"):
        batch_settings(tmp_path / "n", {"n_per_request": 2})


QUESTIONS = st.lists(st.text(min_size=1, max_size=80), min_size=1, max_size=8, unique=True)


@settings(max_examples=60, deadline=None)
@given(
    questions=QUESTIONS,
    samples=st.integers(1, 5),
    most_requests=st.integers(1, 9),
    most_bytes=st.integers(700, 6000),
)
def test_ids_are_unique_and_files_keep_to_the_limits(
    tmp_path_factory: pytest.TempPathFactory,
    questions: list[str],
    samples: int,
    most_requests: int,
    most_bytes: int,
) -> None:
    folder = tmp_path_factory.mktemp("batch")
    problems = [Problem.make("t", question, "1") for question in questions]
    asked = batch_settings(folder, {"shots": 1}, samples=samples)
    exemplars = [Exemplar("How many?", "def solution():\n    return 1")]
    requests = list(batch_requests(asked, problems, exemplars))
    if max(len(request.line) for request in requests) > most_bytes:
        with pytest.raises(DataError):
            write_files(requests, folder, most_requests, most_bytes)
        return
    files = write_files(requests, folder, most_requests, most_bytes)
    assert [file.name for file in files] == [f"requests-{i:05d}.jsonl" for i in range(len(files))]
    for file in files:
        content = (folder / file.name).read_bytes()
        assert len(content) == file.bytes <= most_bytes
        assert content.count(b"\n") == file.requests <= most_requests
    lines = lines_in(folder)
    assert len({line["custom_id"] for line in lines}) == len(lines) == len(problems) * samples
    asked_for = [line["body"]["messages"][-1]["content"] for line in lines]
    wanted = [f"Question: {question.strip()}" for question in questions]
    assert asked_for == [text for text in wanted for _ in range(samples)]


def test_output_and_errors_give_what_the_live_endpoint_gives(
    server: OpenAIServer, tmp_path: Path
) -> None:
    asked = batch_settings(tmp_path, {"base_url": server.base_url}, requests_per_file=10)
    write_batch(asked)
    play_batch_service(server, tmp_path)
    task, problems, _ = asked.load()
    requests = [Request(problem, tuple(range(SAMPLES))) for problem in problems]
    live = EndpointTeacher(asked.endpoint, task.exemplars, asked.seed).complete(requests)
    replayed = RecordedTeacher(tmp_path).complete(requests)

    def plain(rows: list[list[Any]]) -> list[Any]:
        # What only a live answer has (its cost, the model's name) is left out.
        return [(one.text, one.prompt_tokens, one.completion_tokens) for row in rows for one in row]

    assert plain(replayed) == plain(live)
    errors = [one.error for row in replayed for one in row if one.error]
    assert set(errors) == {"the batch reports an error (HTTP 400): the filter refuses this"}
    assert len(errors) == sum(one.error is not None for row in live for one in row)


@pytest.mark.slow
def test_a_batch_makes_the_verified_rows_of_the_live_endpoint(
    local_ray: None, server: OpenAIServer, tmp_path: Path
) -> None:
    folder = tmp_path / "batch"
    write_batch(batch_settings(folder))
    whole = tmp_path / "answers.jsonl"
    output, errors = play_batch_service(server, folder)
    whole.write_bytes(output.read_bytes() + errors.read_bytes())
    endpoint = {"base_url": server.base_url, "model": "m"}
    synthesize(
        SynthesisSettings.model_validate(
            {**TASK, "teacher": "endpoint", "endpoint": endpoint, "out": tmp_path / "live"}
        )
    )
    synthesize(
        SynthesisSettings.model_validate(
            {**TASK, "teacher": "recorded", "completions": whole, "out": tmp_path / "replayed"}
        )
    )

    def rows(part: str) -> list[dict[str, Any]]:
        columns = ["row_id", "program", "value", "reason", "prompt_tokens", "completion_tokens"]
        return list(pq.read_table(tmp_path / part, columns=columns).to_pylist())

    assert rows("replayed/verified") == rows("live/verified") != []
    reasons = [row["reason"] for row in rows("live/rejected")]
    assert {"teacher_error", "wrong_answer"} <= set(reasons)
    assert sorted(row["row_id"] for row in rows("replayed/rejected")) == sorted(
        row["row_id"] for row in rows("live/rejected")
    )
