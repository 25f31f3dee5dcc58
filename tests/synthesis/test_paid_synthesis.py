"""Synthesis with answers that cost money: each is asked for once, whatever ends the run."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pad_ray.base.config import root_cause
from pad_ray.base.errors import TeacherError
from pad_ray.flow.ledger import Ledger
from pad_ray.synthesis.generation import TeacherStage
from pad_ray.synthesis.requests import request_tables
from pad_ray.synthesis.run import synthesize
from pad_ray.synthesis.settings import SynthesisSettings
from pad_ray.synthesis.teacher import make_teacher
from pad_ray.teachers.prompts import TEXT_RULES
from pad_ray.teachers.vllm import VLLMTeacher
from tests.teachers.openai_server import Call, OpenAIServer, Reply, chat, failure, openai_server

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
        row["cpu_s"] = row["wall_s"] = None
    return sorted(rows, key=lambda row: str(row["row_id"]))


def asked_twice(server: OpenAIServer) -> list[str]:
    bodies = [call.body for call in server.calls if len(call.body["messages"]) > 1]
    asked = Counter(f"{body['messages'][-1]['content']} {body['seed']}" for body in bodies)
    return [sample for sample, times in asked.items() if times > 1]


def test_a_stage_asks_no_sample_again_that_another_was_answered(tmp_path: Path) -> None:
    """As an actor that died and its successor, on one block."""

    def ask(server: OpenAIServer) -> pa.Table:
        run = settings(server, tmp_path / "out")
        task, problems, _ = run.load()
        (block,) = request_tables(problems, SAMPLES, 10**6)
        teacher = make_teacher(run, task)
        assert not isinstance(teacher, VLLMTeacher)
        return TeacherStage(teacher, run.schedule, tmp_path, Ledger())(block)

    def fails_at_last(call: Call) -> Reply:
        return answer(call) if call.number < 50 else failure(403)

    with openai_server(fails_at_last) as server:
        with pytest.raises(TeacherError, match="the key is refused"):
            ask(server)
        first = server.calls[:50]
    with openai_server(answer) as server:
        table = ask(server)
        second = server.calls
    sample = [(call.body["messages"][-1]["content"], call.body["seed"]) for call in first]
    again = [(call.body["messages"][-1]["content"], call.body["seed"]) for call in second]
    assert not set(sample) & set(again)
    assert len(sample) + len(again) == PROBLEMS * SAMPLES == table.num_rows
    assert set(table["completion"].to_pylist()) == {
        f"def solution():\n    return {n}" for n in range(7)
    }


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
def test_what_was_answered_before_the_endpoint_failed_is_not_asked_again(
    undisturbed: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"

    def fails_at_last(call: Call) -> Reply:
        return answer(call) if call.number < 50 else failure(403)

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
