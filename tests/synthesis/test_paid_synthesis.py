"""Synthesis with answers that cost money: each is asked for once, whatever ends the run."""

from __future__ import annotations

import json
import re
import signal
import subprocess
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any
from zlib import crc32

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from kills import ROOT, job_command, run_job, wait_until

from pad_ray.base.config import root_cause
from pad_ray.base.errors import ConfigError, FailuresError, TeacherError
from pad_ray.flow.holding import let_go_of_all
from pad_ray.flow.ledger import Ledger
from pad_ray.synthesis.generation import TeacherStage
from pad_ray.synthesis.requests import request_tables
from pad_ray.synthesis.run import _may_grow, _open, synthesize
from pad_ray.synthesis.settings import SynthesisSettings
from pad_ray.synthesis.teacher import make_teacher
from pad_ray.tasks import get_task
from pad_ray.teachers.prompts import TEXT_RULES
from pad_ray.teachers.vllm import VLLMTeacher
from tests.teachers.openai_server import (
    Call,
    OpenAIServer,
    Reply,
    Script,
    chat,
    failure,
    openai_server,
)

PROBLEMS, SAMPLES = 40, 2


def answer(call: Call) -> Reply:
    """Write a program that depends on the sample alone, right or wrong."""
    return chat(f"def solution():\n    return {call.body['seed'] % 7}", usage=(100, 20))


def settings(server: OpenAIServer, out: Path, **others: Any) -> SynthesisSettings:
    endpoint = {
        "base_url": server.base_url,
        "model": "m",
        "max_retries": 0,
        "usd_per_million_prompt_tokens": 1000.0,
        "usd_per_million_completion_tokens": 5000.0,
    }
    values = {
        "task": "arithmetic",
        "count": PROBLEMS,
        "size": 1,
        "samples": SAMPLES,
        "teacher": "endpoint",
        "endpoint": endpoint,
        "out": out,
        "rows_per_block": 16,
        **others,
    }
    return SynthesisSettings.model_validate(values)


def rows_in(out: Path) -> list[dict[str, Any]]:
    """Return all rows, without what is measured and where the server was."""
    rows = [
        row for part in ("verified", "rejected") for row in pq.read_table(out / part).to_pylist()
    ]
    for row in rows:
        row["cpu_s"] = row["wall_s"] = row["solve_s"] = None
    return sorted(rows, key=lambda row: str(row["row_id"]))


def asked_twice(server: OpenAIServer) -> list[str]:
    bodies = [call.body for call in server.calls if len(call.body["messages"]) > 1]
    asked = Counter(f"{body['messages'][-1]['content']} {body['seed']}" for body in bodies)
    return [sample for sample, times in asked.items() if times > 1]


def test_a_stage_asks_no_sample_again_that_another_was_answered(tmp_path: Path) -> None:
    """As an actor that died and its successor, on one block."""

    def fails_at_last(call: Call) -> Reply:
        return answer(call) if call.number < 50 else failure(401)

    with openai_server(fails_at_last) as server:
        with pytest.raises(TeacherError, match="the key is refused"):
            ask_in_stage(settings(server, tmp_path / "out"), tmp_path)
        first = server.calls[:50]
    with openai_server(answer) as server:
        table = ask_in_stage(settings(server, tmp_path / "out"), tmp_path)
        second = server.calls
    sample = [(call.body["messages"][-1]["content"], call.body["seed"]) for call in first]
    again = [(call.body["messages"][-1]["content"], call.body["seed"]) for call in second]
    assert not set(sample) & set(again)
    assert len(sample) + len(again) == PROBLEMS * SAMPLES == table.num_rows
    assert set(table["completion"].to_pylist()) == {
        f"def solution():\n    return {n}" for n in range(7)
    }


def ask_in_stage(run: SynthesisSettings, folder: Path, retry_errors: bool = False) -> pa.Table:
    """Ask for all samples as one actor does, with a ledger of its own."""
    task, problems, _ = run.load()
    (block,) = request_tables(problems, SAMPLES, 10**6)
    teacher = make_teacher(run, task)
    assert not isinstance(teacher, VLLMTeacher)
    return TeacherStage(teacher, run.schedule, folder, Ledger(), retry_errors)(block)


def test_what_every_request_is_refused_for_ends_the_run_and_nothing_is_paid_twice(
    tmp_path: Path,
) -> None:
    def refuses_at_last(call: Call) -> Reply:
        return answer(call) if call.number < 10 else failure(400, "no credit")

    with openai_server(refuses_at_last) as server:
        with pytest.raises(FailuresError, match=r"20 problems in a row failed, mostly: HTTP 400"):
            ask_in_stage(settings(server, tmp_path / "out"), tmp_path)
        # Two samples a problem; what is in flight may come before the last answers, and after the
        # last failure.
        assert len(server.calls) <= 10 + 2 * 20 + 2 * 8
        answered = {call.body["seed"] for call in server.calls[:10]}
    with openai_server(answer) as server:
        table = ask_in_stage(settings(server, tmp_path / "out"), tmp_path)
    assert not answered & {call.body["seed"] for call in server.calls}
    assert len(server.calls) == PROBLEMS * SAMPLES - 10
    assert table["error"].null_count == table.num_rows == PROBLEMS * SAMPLES


def test_errors_that_were_paid_for_are_asked_again_if_that_is_wanted(tmp_path: Path) -> None:
    def empty_at_first(call: Call) -> Reply:
        return chat("", usage=(100, 20)) if call.number < 4 else answer(call)

    def faults(server: OpenAIServer, retry_errors: bool = False) -> int:
        table = ask_in_stage(settings(server, tmp_path / "out"), tmp_path, retry_errors)
        assert table.num_rows == PROBLEMS * SAMPLES
        return table.num_rows - table["error"].null_count

    with openai_server(empty_at_first) as server:
        assert faults(server) == 4
    with openai_server(answer) as server:
        assert faults(server) == 4
        assert not server.calls
        assert faults(server, retry_errors=True) == 0
        assert len(server.calls) == 4
        assert faults(server) == 0
        assert len(server.calls) == 4


def cut_below(limit: int, share: int) -> Script:
    """Answer so many eighths of the problems in part, if fewer tokens than that are asked for."""

    def script(call: Call) -> Reply:
        if call.body["max_tokens"] >= limit or not refused(call, share):
            return answer(call)
        return chat("def solution():\n    a =", usage=(100, 20), finish_reason="length")

    return script


def limited(server: OpenAIServer, out: Path, tokens: int, **others: Any) -> SynthesisSettings:
    run = settings(server, out, **others)
    assert run.endpoint is not None
    return run.model_copy(
        update={"endpoint": run.endpoint.model_copy(update={"max_tokens": tokens})}
    )


def test_what_was_cut_short_is_asked_again_with_a_higher_limit_and_nothing_else(
    tmp_path: Path,
) -> None:
    def ask(server: OpenAIServer, tokens: int) -> tuple[int, int]:
        """Return how many texts were cut, and how many samples were asked for."""
        before = len(server.calls)
        table = ask_in_stage(limited(server, tmp_path / "out", tokens), tmp_path)
        return table["finish_reason"].to_pylist().count("length"), len(server.calls) - before

    def cuts(call: Call) -> Reply:
        limit = call.body["max_tokens"]
        return cut_below(1000, {64: 4, 256: 2}.get(limit, 0))(call)

    with openai_server(cuts) as server:
        first, asked = ask(server, 64)
        assert 0 < first < asked == PROBLEMS * SAMPLES
        assert ask(server, 64) == (first, 0)
        second, asked = ask(server, 256)
        assert 0 < second < first == asked
        # What is still cut was paid for at this limit.
        assert ask(server, 256) == (second, 0)
        assert ask(server, 2000) == (0, second)


def test_a_limit_may_be_raised_for_what_was_cut_short_and_not_lowered(tmp_path: Path) -> None:
    with openai_server(answer) as server:
        run = limited(server, tmp_path, 64)
        stage = _open(run, get_task(run.task), _may_grow(run))
        stage.begin()
        let_go_of_all()
        for tokens, others, said in (
            (128, {}, r"endpoint\.max_tokens \(64 there, 128 now\); .*; with --retry_errors true"),
            (32, {"retry_errors": True}, r"endpoint\.max_tokens \(64 there, 32 now\)"),
            (128, {"retry_errors": True, "seed": 1}, r"max_tokens .*; seed \(0 there, 1 now\)"),
        ):
            other = limited(server, tmp_path, tokens, **others)
            with pytest.raises(ConfigError, match=said):
                _open(other, get_task(other.task), _may_grow(other))
        for others in ({}, {"want": 2, "max_samples": 4}):
            run = limited(server, tmp_path / str(len(others)), 64, **others)
            _open(run, get_task(run.task), _may_grow(run)).begin()
            higher = limited(server, run.out, 128, retry_errors=True, **others)
            opened = _open(higher, get_task(higher.task), _may_grow(higher))
            assert opened.grown == ("endpoint.max_tokens",)
            let_go_of_all()


@pytest.mark.slow
def test_a_dataset_whose_texts_were_cut_short_becomes_the_one_of_the_higher_limit(
    undisturbed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    with openai_server(cut_below(1000, 3)) as server:
        first = synthesize(limited(server, out, 64))
        cut = first["counts"]["by_reason"]["truncated"]
        assert f"{cut} texts were cut short and not judged" in capsys.readouterr().out
        before = len(server.calls)
        assert synthesize(limited(server, out, 64, retry_errors=True)) == first
        assert len(server.calls) == before
        whole = synthesize(limited(server, out, 2000, retry_errors=True))
        # The check before a run is a request of its own.
        assert 0 < cut == len(server.calls) - before - 1 < PROBLEMS * SAMPLES
        assert "truncated" not in whole["counts"]["by_reason"]
        assert synthesize(limited(server, out, 2000)) == whole
    assert rows_in(out) == rows_in(undisturbed)
    assert not (out / "work").exists()


def refused(call: Call, share: int) -> bool:
    """Tell whether a request is for one of so many eighths of the problems."""
    question = call.body["messages"][-1]["content"]
    return len(call.body["messages"]) > 1 and crc32(question.encode()) % 8 < share


def refusing(share: int, said: str) -> Script:
    return lambda call: failure(400, said) if refused(call, share) else answer(call)


@pytest.mark.slow
def test_refused_rows_are_asked_again_and_no_others(
    undisturbed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    with openai_server(refusing(2, "flagged")) as server:
        first = synthesize(settings(server, out))
        asked = sum(refused(call, 2) for call in server.calls)
    assert 0 < asked == first["counts"]["by_reason"]["teacher_error"] < PROBLEMS * SAMPLES
    assert f"{asked} rows failed; the same command with --retry_errors" in capsys.readouterr().out
    with openai_server(refusing(1, "flagged")) as server:
        assert synthesize(settings(server, out)) == first
        assert not server.calls
        second = synthesize(settings(server, out, retry_errors=True))
        assert sum(len(call.body["messages"]) > 1 for call in server.calls) == asked
    assert 0 < second["counts"]["by_reason"]["teacher_error"] < asked
    with openai_server(answer) as server:
        whole = synthesize(settings(server, out, retry_errors=True))
    assert "teacher_error" not in whole["counts"]["by_reason"]
    assert rows_in(out) == rows_in(undisturbed)
    assert not (out / "work").exists()


@pytest.mark.slow
def test_a_run_in_which_all_is_refused_is_never_complete(undisturbed: Path, tmp_path: Path) -> None:
    out, few = tmp_path / "out", tmp_path / "few"
    with openai_server(refusing(8, "no credit")) as server:
        for run in (settings(server, out), settings(server, few, count=6)):
            for _ in range(2):
                with pytest.raises(Exception, match="failed, mostly: HTTP 400: no credit") as ended:
                    synthesize(run)
                assert isinstance(root_cause(ended.value), FailuresError)
            assert not (run.out / "manifest.json").exists()
        manifest = synthesize(settings(server, few, count=6, max_failures=99))
    assert manifest["counts"]["by_reason"] == {"teacher_error": 12}
    with openai_server(answer) as server:
        synthesize(settings(server, out, retry_errors=True))
    assert rows_in(out) == rows_in(undisturbed)


def ended_by(how: signal.Signals, command: list[str], server: OpenAIServer, answers: int) -> str:
    """Run a job, end it after so many requests, and return what it says."""
    driver = subprocess.Popen(
        command,
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # A shell has interrupts ignored in what it starts in the background.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    wait_until(lambda: driver.poll() is not None or len(server.calls) >= answers, seconds=400)
    assert driver.poll() is None, "it ended by itself"
    driver.send_signal(how)
    return driver.communicate(timeout=100)[1]


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_no_more_than_what_is_in_flight_is_lost_with_the_driver(
    undisturbed: Path, tmp_path: Path, how: signal.Signals
) -> None:
    """In the midst of the first block: what is not done is in the journal."""
    out, concurrency = tmp_path / "out", 4

    def slow(call: Call) -> Reply:
        return replace(answer(call), delay_s=0.1)

    with openai_server(slow) as server:
        flags = (
            f"--task arithmetic --count {PROBLEMS} --size 1 --samples {SAMPLES} --teacher endpoint "
            f"--endpoint.base_url {server.base_url} --endpoint.model m --endpoint.max_retries 0 "
            f"--endpoint.concurrency {concurrency} --rows_per_block 80 --out {out} "
            "--endpoint.usd_per_million_prompt_tokens 1000 "
            "--endpoint.usd_per_million_completion_tokens 5000"
        )
        said = ended_by(how, job_command("synthesize", flags), server, 30)
        if how == signal.SIGINT:
            assert "interrupted; the same command goes on from here" in said
            assert "Traceback" not in said
        before = len(server.calls)
        assert before < PROBLEMS * SAMPLES
        run_job([*job_command("synthesize", flags), "--endpoint.concurrency", "2"])
        assert len(asked_twice(server)) <= concurrency
        assert len(server.calls) - before <= PROBLEMS * SAMPLES - before + 2 + concurrency
    assert rows_in(out) == rows_in(undisturbed)


@pytest.fixture(scope="module")
def undisturbed(local_ray: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("undisturbed") / "out"
    with openai_server(answer) as server:
        manifest = synthesize(settings(server, out))
    assert manifest["cost_usd"] == pytest.approx(PROBLEMS * SAMPLES * (0.1 + 0.1))
    assert manifest["tokens"] == {"prompt_tokens": 8000, "completion_tokens": 1600}
    assert not (out / "work").exists()
    return out


@pytest.mark.parametrize(
    "key", ["max_tokens", pytest.param("max_cost_usd", marks=pytest.mark.slow)]
)
@pytest.mark.slow
def test_a_budget_stops_the_run_and_a_higher_one_goes_on(
    undisturbed: Path, tmp_path: Path, key: str, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    first, second = {"max_tokens": (3600, 99_999), "max_cost_usd": (6.0, 99.0)}[key]
    with openai_server(answer) as server:
        cut = synthesize(settings(server, out, budget={key: first}))
        assert "the budget is spent" in capsys.readouterr().out
        counts = cut["counts"]
        # Only what was in flight when it was spent goes beyond it.
        assert 30 <= counts["rows"] <= 30 + 8
        assert counts["rows"] == counts["verified"] + counts["rejected"] == len(rows_in(out))
        assert counts["not_asked"] == PROBLEMS * SAMPLES - counts["rows"]
        assert synthesize(settings(server, out, budget={key: first})) == cut
        assert "nothing to do" in capsys.readouterr().out
        whole = synthesize(settings(server, out, budget={key: second}))
        assert asked_twice(server) == []
    assert whole["counts"]["not_asked"] == 0
    assert rows_in(out) == rows_in(undisturbed)


@pytest.mark.slow
def test_chains_of_thought_of_an_endpoint(local_ray: None, tmp_path: Path) -> None:
    problems = tmp_path / "problems.jsonl"
    rows = [{"question": f"What is {n} plus {n}?", "answer": str(2 * n)} for n in range(PROBLEMS)]
    problems.write_text("".join(json.dumps(row) + "\n" for row in rows))

    def tells(call: Call) -> Reply:
        messages = call.body["messages"]
        if not (number := re.search(r"What is (\d+)", messages[-1]["content"])):
            return chat("ok")
        assert messages[0]["content"] == TEXT_RULES
        n, slip = int(number[1]), call.body["seed"] % 2
        return chat(f"Together that is {n} + {n} = {2 * n}.\n\n**The answer is {2 * n + slip}.**")

    mine = {"task": "jsonl", "problems": problems, "size": None, "format": "cot"}
    with openai_server(tells) as server:
        manifest = synthesize(settings(server, tmp_path / "out", **mine))
    assert 0 < manifest["counts"]["verified"] < PROBLEMS * SAMPLES
    kept = pq.read_table(tmp_path / "out" / "verified").to_pylist()
    assert {(row["steps_checked"], row["steps_wrong"]) for row in kept} == {(1, 0)}
    assert all(row["chain_of_thought"].startswith("Together that is") for row in kept)
    assert all(f"answer is {row['answer']}." in row["chain_of_thought"] for row in kept)


@pytest.mark.slow
def test_a_budget_ends_rounds_too(undisturbed: Path, tmp_path: Path) -> None:
    run = {"want": 9, "max_samples": 8, "budget": {"max_tokens": PROBLEMS * SAMPLES * 120}}
    with openai_server(answer) as server:
        counts = synthesize(settings(server, tmp_path / "out", **run))["counts"]
    first, second = counts["rounds"]
    assert first["asked"] == first["answered"] == PROBLEMS * SAMPLES
    assert second["asked"] == PROBLEMS * SAMPLES
    assert second["answered"] == second["right"] == 0
    assert counts["not_asked"] == PROBLEMS * SAMPLES


@pytest.mark.slow
def test_further_rounds_ask_nothing_twice(undisturbed: Path, tmp_path: Path) -> None:
    """Of a finished dataset, and of one that is interrupted on the way."""
    out = tmp_path / "out"

    def fails_at_last(call: Call) -> Reply:
        return answer(call) if call.number < 50 else failure(401)

    first, more = {"want": 9, "max_samples": SAMPLES}, {"want": 9, "max_samples": 2 * SAMPLES}
    with openai_server(answer) as server:
        synthesize(settings(server, out, **first))
        asked = server.calls
    with openai_server(fails_at_last) as server:
        with pytest.raises(Exception, match="the key is refused"):
            synthesize(settings(server, out, **more))
        asked = asked + [call for call in server.calls if call.number < 50]
    with openai_server(answer) as server:
        manifest = synthesize(settings(server, out, **more))
        server.calls[:0] = asked
        # The check before each run is no sample's.
        assert asked_twice(server) == []
        samples = [call for call in server.calls if len(call.body["messages"]) > 1]
    assert len(samples) == 2 * PROBLEMS * SAMPLES == manifest["counts"]["rows"]
    assert [one["asked"] for one in manifest["counts"]["rounds"]] == [PROBLEMS * SAMPLES] * 2
    assert manifest["tokens"]["completion_tokens"] == 20 * len(samples)


@pytest.mark.slow
def test_what_was_answered_before_the_endpoint_failed_is_not_asked_again(
    undisturbed: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"

    def fails_at_last(call: Call) -> Reply:
        return answer(call) if call.number < 50 else failure(401)

    with openai_server(fails_at_last) as server:
        with pytest.raises(Exception, match="the key is refused") as failed:
            synthesize(settings(server, out))
        assert isinstance(root_cause(failed.value), TeacherError)
        answered = server.calls[:50]
    with openai_server(answer) as server:
        synthesize(settings(server, out))
        again = server.calls
    seen = {(c.body["messages"][-1]["content"], c.body["seed"]) for c in answered}
    repeated = [c for c in again if (c.body["messages"][-1]["content"], c.body["seed"]) in seen]
    # The check before each run is a request of its own.
    assert len(repeated) <= 1
    assert rows_in(out) == rows_in(undisturbed)
