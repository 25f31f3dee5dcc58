"""Ray's HTTP processor around the vLLM teacher's row functions; Ray's workers import it."""

from __future__ import annotations

from functools import partial
from typing import Any

from ray.data import Dataset
from ray.data.llm import HttpRequestProcessorConfig, build_processor

from pad_ray.base.schemas import REQUEST_SCHEMA
from pad_ray.tasks import Task
from pad_ray.teachers.prompts import chat_messages
from pad_ray.teachers.vllm import complete_rows, engine_answer, sampling_params
from pad_ray.teachers.vllm_settings import VLLMSettings


def http_request(row: dict[str, Any], asked: VLLMSettings, task: Task, seed: int) -> dict[str, Any]:
    params = sampling_params(row, asked, seed)["sampling_params"]
    messages = chat_messages(row["question"], task.exemplars[: asked.shots])
    return {"payload": {"model": asked.model, "messages": messages, **params}}


def http_answer(row: dict[str, Any]) -> dict[str, Any]:
    """Hand a server's answer on as Ray's engine stage does, a refused row with its message."""
    answer = row["http_response"]
    if answer.get("error"):
        kept = {name: row[name] for name in REQUEST_SCHEMA.names}
        return {**kept, "__inference_error__": answer["error"]["message"]}
    made = {
        "generated_text": answer["choices"][0]["message"]["content"],
        "num_input_tokens": answer["usage"]["prompt_tokens"],
        "num_generated_tokens": answer["usage"]["completion_tokens"],
    }
    return {**engine_answer({**row, **made}, 512), "__inference_error__": ""}


def over_http(rows: Dataset, url: str, asked: VLLMSettings, task: Task, seed: int) -> Dataset:
    """Apply the vLLM teacher's row functions with a chat server in the engine's place."""
    processor = build_processor(
        HttpRequestProcessorConfig(url=f"{url}/chat/completions", batch_size=4),
        preprocess=partial(http_request, asked=asked, task=task, seed=seed),
        postprocess=http_answer,
    )
    return complete_rows(processor(rows), "vllm:m")
