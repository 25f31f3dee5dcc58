"""The chat request of one sample: the same wherever it is sent, live or in a batch file."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from pad_ray.base.records import Problem
from pad_ray.tasks.base import Exemplar
from pad_ray.teachers.prompts import Message, Prompt, chat_messages, exemplars_of_round

__all__ = [
    "CHARS_A_TOKEN",
    "SEED_MASK",
    "ChatSampling",
    "chat_body",
    "prompt_chars",
    "request_seed",
    "sample_body",
]

SEED_MASK = 2**31 - 1
# A rough rule for English and code, where no tokenizer is at hand.
CHARS_A_TOKEN = 4


class ChatSampling(Protocol):
    """The settings that a chat request is made of; None leaves a parameter to the server."""

    @property
    def model(self) -> str: ...
    @property
    def temperature(self) -> float | None: ...
    @property
    def top_p(self) -> float | None: ...
    @property
    def max_tokens(self) -> int: ...
    @property
    def max_tokens_field(self) -> str: ...
    @property
    def send_seed(self) -> bool: ...
    @property
    def shots(self) -> int: ...
    @property
    def system_prompt(self) -> str | None: ...
    @property
    def stop(self) -> tuple[str, ...]: ...
    @property
    def extra_body(self) -> dict[str, Any]: ...


def chat_body(
    sampling: ChatSampling, messages: Sequence[Message], seed: int, n: int = 1
) -> dict[str, Any]:
    """Return the JSON body of a `/v1/chat/completions` request for `n` choices."""
    body: dict[str, Any] = {
        "model": sampling.model,
        "messages": list(messages),
        sampling.max_tokens_field: sampling.max_tokens,
    }
    if sampling.temperature is not None:
        body["temperature"] = sampling.temperature
    if sampling.top_p is not None:
        body["top_p"] = sampling.top_p
    if sampling.send_seed:
        body["seed"] = seed
    if sampling.stop:
        body["stop"] = list(sampling.stop)
    if n > 1:
        body["n"] = n
    return body | sampling.extra_body


def sample_body(
    sampling: ChatSampling,
    exemplars: Sequence[Exemplar],
    seed: int,
    problem: Problem,
    sample_index: int,
    *,
    n: int = 1,
    round_number: int = 0,
    prompt: Prompt = chat_messages,
) -> dict[str, Any]:
    """Return the body that asks for `n` samples of one problem; `seed` is the run's seed."""
    shown = exemplars_of_round(exemplars, sampling.shots, round_number)
    messages = prompt(problem.question, shown)
    if sampling.system_prompt is not None:
        rules = Message(role="system", content=sampling.system_prompt)
        messages = [rules, *(one for one in messages if one["role"] != "system")]
    return chat_body(sampling, messages, request_seed(seed, problem.problem_id, sample_index), n)


def prompt_chars(body: Mapping[str, Any]) -> int:
    """Return how many characters a body's messages have."""
    return sum(len(message["content"]) for message in body["messages"])


def request_seed(seed: int, problem_id: str, sample_index: int) -> int:
    """Return a seed of 31 bits: some servers read the field as a signed 32-bit integer."""
    digest = hashlib.sha256(f"{seed}\0{problem_id}\0{sample_index}".encode()).digest()
    return int.from_bytes(digest[:4], "big") & SEED_MASK
