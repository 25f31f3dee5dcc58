"""A stand-in for vLLM, which needs a GPU: the names that Ray's engine stage calls, and no model.

Its engine answers a program that returns the number of prompt tokens, with the sampling
parameters in comments, and refuses prompts longer than `max_model_len` as vLLM does.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass, field
from types import SimpleNamespace
from typing import Any

from vllm import outputs

__version__ = "0.29.0"


@dataclass
class SamplingParams:
    """Unknown parameters are a TypeError, as in vLLM."""

    temperature: float = 1.0
    top_p: float = 1.0
    max_tokens: int = 16
    seed: int | None = None
    structured_outputs: Any = None


@dataclass
class AsyncEngineArgs:
    model: str
    runner: str
    tensor_parallel_size: int
    pipeline_parallel_size: int
    distributed_executor_backend: str
    max_model_len: int = 10_000
    enable_log_requests: bool = False
    extra: dict[str, Any] = field(default_factory=dict)

    def create_engine_config(self) -> SimpleNamespace:
        return SimpleNamespace(
            scheduler_config=SimpleNamespace(max_num_seqs=8),
            parallel_config=SimpleNamespace(pipeline_parallel_size=self.pipeline_parallel_size),
        )


class AsyncLLMEngine:
    def __init__(self, arguments: AsyncEngineArgs) -> None:
        self._arguments = arguments

    @classmethod
    def from_engine_args(cls, arguments: AsyncEngineArgs, stat_loggers: object) -> AsyncLLMEngine:
        return cls(arguments)

    async def generate(
        self, request_id: str, prompt: dict[str, Any], sampling_params: SamplingParams, **_: object
    ) -> AsyncIterator[outputs.RequestOutput]:
        tokens = prompt["prompt_token_ids"]
        if len(tokens) > self._arguments.max_model_len:
            raise ValueError(
                f"The decoder prompt (length {len(tokens)}) is longer than the maximum\n"
                f"model length of {self._arguments.max_model_len}."
            )
        chosen = json.dumps(asdict(sampling_params))
        text = f"# {chosen}\n# begins {tokens[:3]}\ndef solution():\n    return {len(tokens)}"
        yield outputs.RequestOutput(tokens, [outputs.CompletionOutput(text, list(range(17)))])

    async def do_log_stats(self) -> None:
        pass

    def shutdown(self) -> None:
        pass
