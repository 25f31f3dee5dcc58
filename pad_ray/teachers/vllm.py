"""A teacher on the cluster's own GPUs: vLLM engines in Ray actors, by `ray.data.llm`.

Unlike the other teachers it is a part of the data flow, not a callable inside one: Ray Data
tokenises, batches and schedules, and keeps each engine's queue full. A request that the engine
refuses, for a prompt too long, costs its own row.

Each sample has the seed that the endpoint teacher would give it. Engines compute in batches, whose
rounding depends on what else is in them, so equal seeds give mostly, not always, equal texts.
"""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import pyarrow as pa
from pydantic import ValidationError
from ray.data import ActorPoolStrategy, Dataset

from pad_ray.base.errors import ConfigError, TeacherError
from pad_ray.base.schemas import COMPLETED_SCHEMA, REQUEST_SCHEMA
from pad_ray.flow.rows import DatasetStage
from pad_ray.flow.runtime import connect
from pad_ray.tasks.base import Exemplar, Task
from pad_ray.teachers.base import NO_SCHEDULE, Schedule
from pad_ray.teachers.endpoint.chat import one_line
from pad_ray.teachers.endpoint.requests import request_seed
from pad_ray.teachers.prompts import Prompt, chat_messages, exemplars_of_round
from pad_ray.teachers.vllm_settings import _LIGHT_CPUS, VLLMSettings

__all__ = ["VLLMTeacher", "apply_vllm", "check_vllm"]

# The name that `should_continue_on_error` gives to a failed row's message.
_ERROR = "__inference_error__"
_INSTALL = "pip install 'pad-ray[vllm]' (or 'ray[llm]') on every node"
_ENGINE = "vLLMEngineStage"


def check_vllm(settings: VLLMSettings, task: Task, prompt: Prompt = chat_messages) -> None:
    """Fail now for what would fail every row: no vLLM, no model, no chat template.

    Raises `TeacherError`, or `ConfigError` for a setting that `ray.data.llm` refuses.
    """
    if importlib.util.find_spec("vllm") is None:
        raise TeacherError(f"teacher vllm: vLLM is not installed; {_INSTALL}")
    _processor_config(settings)
    question = "How many are two and two?"
    tokenise = ChatTokeniser(settings.source(), settings, task.exemplars, prompt)
    tokenise(pa.table({"question": [question], "round": [0]}))


@dataclass(frozen=True)
class VLLMTeacher:
    """`apply_vllm` with everything but the rows; not a `Teacher`: it maps whole datasets."""

    settings: VLLMSettings
    task: Task
    seed: int
    schedule: Schedule = NO_SCHEDULE
    prompt: Prompt = chat_messages

    @property
    def name(self) -> str:
        return self.settings.teacher

    def check(self) -> None:
        """See `check_vllm`."""
        check_vllm(self.settings, self.task, self.prompt)

    def stage(self) -> DatasetStage:
        """Return the stage of a flow that asks it."""
        needs = self.settings.needs()
        ask = partial(
            apply_vllm,
            settings=self.settings,
            task=self.task,
            seed=self.seed,
            schedule=self.schedule,
            prompt=self.prompt,
        )
        return DatasetStage(ask, needs["CPU"], needs["GPU"])


def apply_vllm(
    rows: Dataset,
    settings: VLLMSettings,
    task: Task,
    seed: int,
    schedule: Schedule = NO_SCHEDULE,
    prompt: Prompt = chat_messages,
) -> Dataset:
    """Map request rows (`REQUEST_SCHEMA`) to completed rows (`COMPLETED_SCHEMA`), lazily.

    Every row comes out once, with its `row_id`; one that the engine refuses carries `error`.
    Raises `TeacherError` without vLLM and `ConfigError` for a setting that `ray.data.llm` refuses.
    What `check_vllm` finds wrong with a model ends the run when the first row comes.
    """
    from ray.data.llm import build_processor

    if importlib.util.find_spec("vllm") is None:
        raise TeacherError(f"teacher vllm: vLLM is not installed; {_INSTALL}")
    connect()
    with _quiet():
        processor = build_processor(
            _processor_config(settings),
            preprocess=partial(sampling_params, settings=settings, seed=seed, schedule=schedule),
            postprocess=partial(engine_answer, max_tokens=settings.max_tokens),
            preprocess_map_kwargs={"num_cpus": _LIGHT_CPUS},
            postprocess_map_kwargs={"num_cpus": _LIGHT_CPUS},
        )
    engine = processor.get_stage_by_name(_ENGINE)
    # A copy: setting the field would have Ray work out the engine's resources again, from less.
    processor.stages[_ENGINE] = engine.model_copy(update={"fn": _with_one_line(engine.fn)})
    tokenised = rows.map_batches(
        ChatTokeniser,
        fn_constructor_args=(settings.source(), settings, task.exemplars, prompt),
        batch_size=settings.batch_size,
        batch_format="pyarrow",
        zero_copy_batch=True,
        compute=ActorPoolStrategy(size=1),
        num_cpus=_LIGHT_CPUS,
    )
    return complete_rows(processor(tokenised), settings.teacher)


class ChatTokeniser:
    """Ray Data stage: adds `tokenized_prompt`, the chat prompt of each row's question.

    Ray's own stages write the prompt as text and tokenise that, which puts the token that begins
    a text twice before the prompts of models whose template writes it, as Llama's and Gemma's do.
    """

    def __init__(
        self,
        source: str,
        settings: VLLMSettings,
        exemplars: tuple[Exemplar, ...],
        prompt: Prompt = chat_messages,
    ) -> None:
        self._source = source
        self._settings = settings
        self._exemplars = exemplars
        self._prompt = prompt
        self._tokenizer: Any = None

    def __call__(self, batch: pa.Table) -> pa.Table:
        # Loaded with the first batch: an error in an actor's constructor reaches nobody.
        if self._tokenizer is None:
            self._tokenizer = self._load()
        rows = batch.select(["question", "round"]).to_pylist()
        prompts = [self._tokens(row["question"], row["round"]) for row in rows]
        return batch.append_column("tokenized_prompt", pa.array(prompts, pa.list_(pa.int64())))

    def _load(self) -> Any:
        from transformers import AutoTokenizer

        trusted = bool(self._settings.engine_kwargs.get("trust_remote_code", False))
        try:
            return AutoTokenizer.from_pretrained(self._source, trust_remote_code=trusted)
        except (OSError, ValueError) as error:
            raise TeacherError(
                f"vllm.model: no tokenizer at {self._source} ({one_line(str(error), 120)}); "
                "name a model of the hub, or a folder that all nodes see"
            ) from None

    def _tokens(self, question: str, round_number: int) -> list[int]:
        from jinja2 import TemplateError

        shown = exemplars_of_round(self._exemplars, self._settings.shots, round_number)
        try:
            tokens = self._tokenizer.apply_chat_template(
                self._prompt(question, shown),
                add_generation_prompt=True,
                tokenize=True,
                return_dict=False,
                **self._settings.chat_template_kwargs,
            )
        except (TemplateError, ValueError) as error:
            raise TeacherError(
                f"vllm.model: {self._source} takes no chat prompt ({one_line(str(error), 120)}); "
                "name a model that was tuned for chat and takes a system message"
            ) from None
        return list(tokens)


def sampling_params(
    row: dict[str, Any], settings: VLLMSettings, seed: int, schedule: Schedule = NO_SCHEDULE
) -> dict[str, Any]:
    """Return what a request row adds for the engine: vLLM's SamplingParams, by name."""
    of_round = schedule.of(row["round"])
    temperature = settings.temperature if of_round is None else of_round
    chosen = {"temperature": temperature, "top_p": settings.top_p}
    params: dict[str, Any] = {name: value for name, value in chosen.items() if value is not None}
    params["max_tokens"] = settings.max_tokens
    params["seed"] = request_seed(seed, row["problem_id"], row["sample_index"])
    return {"sampling_params": params}


def engine_answer(row: dict[str, Any], max_tokens: int) -> dict[str, Any]:
    """Return the request row with what the engine wrote; rows that failed do not come here.

    `ray.data.llm` passes no finish reason on: a text of `max_tokens` counts as one that was cut.
    """
    text = row["generated_text"]
    cut = row["num_generated_tokens"] >= max_tokens
    return {
        **{name: row[name] for name in REQUEST_SCHEMA.names},
        "completion": text if text.strip() else "",
        "prompt_tokens": row["num_input_tokens"],
        "completion_tokens": row["num_generated_tokens"],
        "finish_reason": "length" if cut else "stop",
        "error": None if text.strip() or cut else "the completion is empty",
    }


def complete_rows(rows: Dataset, teacher: str) -> Dataset:
    """Give answered and failed rows of a processor one schema (`COMPLETED_SCHEMA`)."""
    return rows.map_batches(
        partial(_completed, teacher=teacher),
        batch_format="pyarrow",
        zero_copy_batch=True,
        num_cpus=_LIGHT_CPUS,
    )


def _completed(batch: pa.Table, teacher: str) -> pa.Table:
    names = [
        name for name in batch.column_names if name in COMPLETED_SCHEMA.names or name == _ERROR
    ]
    rows = batch.select(names).to_pylist()
    for row in rows:
        row["teacher"] = teacher
        if row.get(_ERROR):
            row.update(completion="", prompt_tokens=None, completion_tokens=None)
            row["error"] = one_line(row[_ERROR])
    return pa.Table.from_pylist(rows, schema=COMPLETED_SCHEMA)


def _with_one_line(engine: type) -> type:
    """Return the engine's class with one line said of what keeps it from starting."""

    class Engine(engine):  # type: ignore[misc]
        def __init__(self, *arguments: Any, **named: Any) -> None:
            try:
                super().__init__(*arguments, **named)
            except Exception as error:
                said = f"{type(error).__name__}: {one_line(str(error))}"
                raise TeacherError(
                    f"teacher vllm: an engine did not start ({said}); see the worker's log; vLLM "
                    "must be on every node, vllm.engine_kwargs its own, the model fit the GPUs"
                ) from error

    return Engine


@contextmanager
def _quiet() -> Iterator[None]:
    """Hide Ray's notes on joining once more and on its telemetry; failures still raise."""
    ray_logger = logging.getLogger("ray")
    level = ray_logger.level
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)
        ray_logger.setLevel(level)


def _processor_config(settings: VLLMSettings) -> Any:
    from ray.data.llm import vLLMEngineProcessorConfig

    try:
        return vLLMEngineProcessorConfig(
            model_source=settings.source(),
            # Ray writes into the dictionaries that it is given.
            engine_kwargs={
                **settings.engine_kwargs,
                "tensor_parallel_size": settings.tensor_parallel_size,
                "pipeline_parallel_size": settings.pipeline_parallel_size,
            },
            concurrency=settings.engines,
            batch_size=settings.batch_size,
            accelerator_type=settings.accelerator_type,
            placement_group_config=settings.placement_group_config,
            runtime_env=settings.runtime_env,
            should_continue_on_error=True,
            chat_template_stage=False,
            tokenize_stage=False,
            detokenize_stage=False,
        )
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        field = ".".join(map(str, fault["loc"]))
        raise ConfigError(f"vllm.{field}: {fault['msg']}") from None
