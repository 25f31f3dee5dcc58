"""Clients that people have: openai (sync, async, streaming), LangChain and curl."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess

import openai
import pytest
from endpoints import KEY, Endpoint
from langchain_openai import ChatOpenAI
from pydantic import SecretStr
from small_students import Example


@pytest.fixture
def client(endpoint: Endpoint) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{endpoint.url}/v1", api_key=KEY, max_retries=0)


def asked(one: Example, **more: object) -> dict[str, object]:
    return {"messages": [{"role": "user", "content": one.question}], **more}


@pytest.mark.parametrize("model", ["demo", "demo:greedy", "quick:vote"])
def test_openai_answers(client: openai.OpenAI, examples: list[Example], model: str) -> None:
    one = examples[0]
    found = client.chat.completions.create(model=model, **asked(one))
    text = found.choices[0].message.content
    assert text is not None and text.startswith("```python\ndef solution")
    assert text.endswith(f"Answer: {one.answer}")
    assert found.choices[0].finish_reason == "stop"
    assert found.usage is not None
    assert found.usage.total_tokens == found.usage.prompt_tokens + found.usage.completion_tokens
    assert found.model_extra is not None
    assert found.model_extra["pad_ray"]["answer"] == one.answer


def test_openai_streams_what_it_answers(client: openai.OpenAI, examples: list[Example]) -> None:
    whole = client.chat.completions.create(model="demo", **asked(examples[1]))
    chunks = list(
        client.chat.completions.create(
            model="demo",
            stream=True,
            stream_options={"include_usage": True},
            **asked(examples[1]),
        )
    )
    parts = [c.choices[0].delta.content or "" for c in chunks if c.choices]
    assert "".join(parts) == whole.choices[0].message.content
    assert len([part for part in parts if part]) >= 2
    assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == "stop"
    assert chunks[-1].usage == whole.usage


def test_openai_async(endpoint: Endpoint, examples: list[Example]) -> None:
    async def ask() -> list[str | None]:
        async with openai.AsyncOpenAI(base_url=f"{endpoint.url}/v1", api_key=KEY) as client:
            found = await asyncio.gather(
                *(
                    client.chat.completions.create(model="demo:greedy", **asked(one))
                    for one in examples[:3]
                )
            )
            return [one.choices[0].message.content for one in found]

    texts = asyncio.run(ask())
    assert all(text is not None and "Answer: " in text for text in texts)


def test_extra_fields_carry_budget_and_seed(client: openai.OpenAI, examples: list[Example]) -> None:
    body = asked(examples[0], n=4, seed=3, temperature=0.9)
    extra = {"budget_tokens": 400, "budget_s": 20}
    found = client.chat.completions.create(model="demo:vote", extra_body=extra, **body)
    assert found.usage is not None
    assert len(found.choices) == 1


def test_openai_lists_models(client: openai.OpenAI) -> None:
    assert "demo:stepwise" in {model.id for model in client.models.list()}


def test_openai_errors_are_its_own(endpoint: Endpoint, client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="unknown student") as caught:
        client.chat.completions.create(model="nobody", messages=[{"role": "user", "content": "x"}])
    assert caught.value.param == "model"
    stranger = openai.OpenAI(base_url=f"{endpoint.url}/v1", api_key="wrong", max_retries=0)
    with pytest.raises(openai.AuthenticationError, match="not known"):
        stranger.models.list()
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(
            model="demo", messages=[{"role": "assistant", "content": "x"}]
        )
    assert caught.value.param == "messages"


def test_langchain_answers_and_streams(endpoint: Endpoint, examples: list[Example]) -> None:
    chat = ChatOpenAI(model="demo", base_url=f"{endpoint.url}/v1", api_key=SecretStr(KEY))
    one = examples[0]
    found = chat.invoke(one.question)
    assert str(found.content).endswith(f"Answer: {one.answer}")
    assert found.usage_metadata is not None
    streamed = "".join(str(part.content) for part in chat.stream(one.question))
    assert streamed == found.content


def test_curl_answers(endpoint: Endpoint, examples: list[Example]) -> None:
    curl = shutil.which("curl")
    if curl is None:
        pytest.skip("no curl on PATH")
    one = examples[0]
    done = subprocess.run(
        [
            *(curl, "-sS", f"{endpoint.url}/v1/solve"),
            *("-H", f"Authorization: Bearer {KEY}", "-H", "Content-Type: application/json"),
            *("-d", json.dumps({"question": one.question})),
        ],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert json.loads(done.stdout)["answer"] == one.answer
