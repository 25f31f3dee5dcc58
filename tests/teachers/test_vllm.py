"""The vLLM teacher: its rows through Ray's own stages, with a stand-in for the engine itself."""

from __future__ import annotations

import json
import pickle
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import ray
from pydantic import ValidationError
from ray.data import DataContext, Dataset, SaveMode
from ray.data.checkpoint import CheckpointConfig
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from pad_ray.base.config import parse_settings, root_cause
from pad_ray.base.errors import ConfigError, TeacherError
from pad_ray.base.records import Problem
from pad_ray.base.schemas import COMPLETED_SCHEMA
from pad_ray.synthesis.requests import request_tables
from pad_ray.tasks import get_task
from pad_ray.tasks.settings import ProblemSettings
from pad_ray.teachers.endpoint.requests import request_seed
from pad_ray.teachers.prompts import chat_messages
from pad_ray.teachers.vllm import VLLMTeacher, apply_vllm, check_vllm
from pad_ray.teachers.vllm_settings import VLLMSettings
from tests.teachers.http_rows import over_http
from tests.teachers.openai_server import PROGRAM, Call, Reply, chat, failure, openai_server

TASK = get_task("arithmetic")
STAND_IN = Path(__file__).parent / "stand_in"
SEED, SAMPLES = 7, 2
TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}<|{{ m.role }}|> {{ m.content }} {% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{{ mood or '' }}{% endif %}"
)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tokenizer that begins a text with <s>, as its chat template does too."""
    words = {"<s>": 0, "<unk>": 1, "How": 2, "many": 3}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing("<s> $A", special_tokens=[("<s>", 0)])
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>", unk_token="<unk>", chat_template=TEMPLATE
    )
    folder = tmp_path_factory.mktemp("model")
    fast.save_pretrained(folder)
    return folder


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The stand-in for vLLM, in this process; settings() names it to Ray's workers."""
    monkeypatch.syspath_prepend(STAND_IN)
    yield
    for name in [name for name in sys.modules if name.partition(".")[0] == "vllm"]:
        del sys.modules[name]


def settings(model: Path | str = "some/model", **changes: Any) -> VLLMSettings:
    on_workers = {"env_vars": {"PYTHONPATH": str(STAND_IN)}}
    values = {
        "model": str(model),
        "runtime_env": on_workers,
        "placement_group_config": {"bundles": [{"CPU": 1}]},
        "batch_size": 4,
    }
    return VLLMSettings.model_validate({**values, **changes})


def problems(count: int = 5) -> list[Problem]:
    return ProblemSettings(task="arithmetic", count=count).load()[1]


def request_rows(folder: Path, asked: list[Problem]) -> Dataset:
    folder.mkdir()
    for index, table in enumerate(request_tables(asked, SAMPLES, 4)):
        pq.write_table(table, folder / f"part-{index}.parquet")
    return ray.data.read_parquet(sorted(map(str, folder.iterdir())))


def completed(rows: Dataset) -> list[dict[str, Any]]:
    found = list(rows.take_all())
    assert rows.schema().names == COMPLETED_SCHEMA.names
    return sorted(found, key=lambda row: row["row_id"])


@contextmanager
def checkpointed(folder: Path) -> Iterator[None]:
    """Checkpoint rows by their ids, as `pad_ray.flow.rows` does."""
    context = DataContext.get_current()
    config = CheckpointConfig(
        id_column="row_id", checkpoint_path=str(folder), delete_checkpoint_on_success=False
    )
    before = context.checkpoint_config, context.use_datasource_v2
    context.checkpoint_config, context.use_datasource_v2 = config, False
    try:
        yield
    finally:
        context.checkpoint_config, context.use_datasource_v2 = before


def prompt_tokens(model: Path, problem: Problem, shots: int = 4, **variables: str) -> int:
    tokenizer = PreTrainedTokenizerFast.from_pretrained(model)
    messages = chat_messages(problem.question, TASK.exemplars[:shots])
    text = tokenizer.apply_chat_template(
        messages, tokenize=False, add_generation_prompt=True, **variables
    )
    return len(tokenizer(text, add_special_tokens=False)["input_ids"])


@pytest.mark.slow
def test_rows_pass_rays_engine_stage(
    local_ray: None, engine: None, model: Path, tmp_path: Path
) -> None:
    asked = problems()
    rows = request_rows(tmp_path / "requests", asked)
    stage = (
        pickle.loads(pickle.dumps(VLLMTeacher(settings(model, shots=2), TASK, SEED))).stage().apply
    )
    found = completed(stage(rows))
    by_id = {problem.problem_id: problem for problem in asked}
    assert len({row["row_id"] for row in found}) == len(found) == len(asked) * SAMPLES
    for row in found:
        problem = by_id[row["problem_id"]]
        length = prompt_tokens(model, problem, shots=2)
        assert (row["question"], row["answer"]) == (problem.question, problem.answer)
        assert row["completion"].endswith(f"return {length}")
        assert (row["prompt_tokens"], row["completion_tokens"]) == (length, 17)
        assert row["teacher"] == f"vllm:{model.name}" and row["error"] is None
        params = json.loads(row["completion"].splitlines()[0].removeprefix("# "))
        seed = request_seed(SEED, problem.problem_id, row["sample_index"])
        assert (params["seed"], params["max_tokens"], params["temperature"]) == (seed, 512, 0.7)
        # One token begins the text, not two.
        assert "# begins [0, 1, " in row["completion"]


@pytest.mark.slow
def test_a_prompt_too_long_costs_its_own_rows(
    local_ray: None, engine: None, model: Path, tmp_path: Path
) -> None:
    long = Problem.make("arithmetic", "How many? " * 400, "1")
    asked = [*problems(3), long]
    rows = request_rows(tmp_path / "requests", asked)
    limit = {"engine_kwargs": {"max_model_len": 800}, "shots": 0, "temperature": None}
    found = completed(apply_vllm(rows, settings(model, **limit), TASK, SEED))
    failed = [row for row in found if row["error"]]
    assert [row["problem_id"] for row in failed] == [long.problem_id] * SAMPLES
    for row in failed:
        assert "is longer than the maximum model length of 800" in row["error"]
        assert (row["completion"], row["prompt_tokens"], row["completion_tokens"]) == ("",) + (
            None,
        ) * 2
        assert row["answer"] == "1" and row["teacher"] == f"vllm:{model.name}"
    assert len(found) - len(failed) == 3 * SAMPLES
    assert all('"temperature": 1.0' in row["completion"] for row in found if not row["error"])


@pytest.mark.slow
def test_an_engine_that_does_not_start_is_one_line(
    local_ray: None, engine: None, model: Path, tmp_path: Path
) -> None:
    rows = request_rows(tmp_path / "requests", problems(1))
    misspelt = settings(model, engine_kwargs={"max_modle_len": 800})
    with pytest.raises(Exception) as raised:  # noqa: PT011
        apply_vllm(rows, misspelt, TASK, SEED).take_all()
    mistake = root_cause(raised.value)
    assert isinstance(mistake, TeacherError)
    assert "an engine did not start (TypeError: " in str(mistake)
    assert "max_modle_len" in str(mistake) and "\n" not in str(mistake)


@pytest.mark.slow
def test_rows_and_checkpoints_hold_over_http(local_ray: None, tmp_path: Path) -> None:
    asked = problems(6)
    silent, bad = asked[1].question, asked[2].question

    def script(call: Call) -> Reply:
        said = call.body["messages"][-1]["content"]
        if said.endswith(bad):
            return failure(400, "the prompt\nis too long")
        return chat("  " if said.endswith(silent) else PROGRAM, usage=(50, 9))

    rows = request_rows(tmp_path / "requests", asked)
    done = tmp_path / "done"
    with openai_server(script) as server:
        for _ in range(2):
            with checkpointed(tmp_path / "checkpoint"):
                again = ray.data.read_parquet(str(tmp_path / "requests"))
                asked_rows = over_http(again, server.base_url, settings(shots=1), TASK, SEED)
                asked_rows.write_parquet(str(done), mode=SaveMode.APPEND)
    table = pq.read_table(done)
    # The second run found every row written.
    assert len(server.calls) == table.num_rows == len(asked) * SAMPLES == rows.count()
    assert table.schema.equals(COMPLETED_SCHEMA)
    found = table.to_pylist()
    refused = [row["row_id"] for row in found if row["error"] == "the prompt is too long"]
    assert len(refused) == SAMPLES and all(r.startswith(asked[2].problem_id) for r in refused)
    empty = [row for row in found if row["error"] == "the completion is empty"]
    assert [(row["completion"], row["prompt_tokens"]) for row in empty] == [("", 50)] * SAMPLES
    right = [row for row in found if not row["error"]]
    assert {(r["completion"], r["completion_tokens"]) for r in right} == {(PROGRAM, 9)}
    assert len({call.body["seed"] for call in server.calls}) == len(found)


def test_without_vllm_one_line_says_what_to_install(local_ray: None, tmp_path: Path) -> None:
    rows = request_rows(tmp_path / "requests", problems(1))
    for call in (
        partial(check_vllm, settings(), TASK),
        partial(apply_vllm, rows, settings(), TASK, SEED),
    ):
        with pytest.raises(TeacherError, match=r"pip install .*vllm.*ray\[llm\]") as raised:
            call()
        assert "\n" not in str(raised.value)


def test_check_accepts_a_chat_model_and_names_what_is_wrong(
    engine: None, model: Path, tmp_path: Path
) -> None:
    check_vllm(settings(model), TASK)
    with pytest.raises(TeacherError, match=r"no tokenizer at .*; name a model of the hub"):
        check_vllm(settings(tmp_path), TASK)
    plain = PreTrainedTokenizerFast.from_pretrained(model)
    for template in (None, "{{ raise_exception('System role\nnot supported') }}"):
        plain.chat_template = template
        folder = tmp_path / str(template)[:4]
        plain.save_pretrained(folder)
        with pytest.raises(TeacherError, match="takes no chat prompt") as raised:
            check_vllm(settings(folder), TASK)
        assert "\n" not in str(raised.value)
    with pytest.raises(ConfigError, match=r"vllm\.placement_group_config: "):
        check_vllm(settings(model, placement_group_config={"strategy": "PACK"}), TASK)


def test_template_variables_reach_the_prompt(engine: None, model: Path) -> None:
    from pad_ray.teachers.vllm import ChatTokeniser

    (problem,) = problems(1)
    lengths = []
    for variables in ({}, {"mood": " How many"}):
        asked = settings(model, chat_template_kwargs=variables)
        stage = ChatTokeniser(str(model), asked, TASK.exemplars)
        table = stage(pa.table({"question": [problem.question], "round": [0]}))
        lengths.append(len(table["tokenized_prompt"][0].as_py()))
        assert lengths[-1] == prompt_tokens(model, problem, **variables)
    assert lengths[1] == lengths[0] + 2


def test_what_engines_take_of_the_cluster(engine: None) -> None:
    whole = settings(concurrency=(2, 4), tensor_parallel_size=4, placement_group_config=None)
    assert whole.needs() == {"CPU": 8.75, "GPU": 8}
    own = settings(
        tensor_parallel_size=2,
        placement_group_config={"bundle_per_worker": {"CPU": 0.5, "GPU": 0.25}},
    )
    assert own.needs() == {"CPU": 1.75, "GPU": 0.5}


def test_settings_parse_and_are_refused_by_name() -> None:
    flags = ["--model", "m", "--concurrency", "[1, 3]", "--engine_kwargs", '{"dtype": "half"}']
    parsed = parse_settings(VLLMSettings, flags, "vllm")
    assert (parsed.engines, parsed.engine_kwargs) == ((1, 3), {"dtype": "half"})
    with pytest.raises(ValidationError, match="model is a setting of its own"):
        settings(engine_kwargs={"model": "m"})
    for concurrency in (0, (3, 1)):
        with pytest.raises(ValidationError, match="at least 1"):
            settings(concurrency=concurrency)
