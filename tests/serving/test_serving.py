"""The endpoint as its users meet it: real Serve, real HTTP."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Iterator

import httpx2
import pytest
from endpoints import Endpoint
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from small_students import Example, example

from pad_ray.decoding.strategies import STRATEGIES


@pytest.fixture
def client(endpoint: Endpoint) -> Iterator[httpx2.Client]:
    with endpoint.client() as client:
        yield client


def events(response: httpx2.Response) -> list[tuple[str, object]]:
    found = []
    for block in response.text.strip().split("\n\n"):
        kind, data = block.split("\n")
        found.append((kind.removeprefix("event: "), json.loads(data.removeprefix("data: "))))
    return found


@pytest.mark.parametrize("strategy", [None, *STRATEGIES])
def test_answers(client: httpx2.Client, examples: list[Example], strategy: str | None) -> None:
    right = 0
    for one in examples[:4]:
        body = {"question": one.question} | ({"strategy": strategy, "n": 4} if strategy else {})
        response = client.post("/v1/solve", json=body)
        assert response.status_code == 200, response.text
        found = response.json()
        assert found["strategy"] == (strategy or "stepwise")
        assert found["student"] == "demo"
        assert "".join(step["code"] for step in found["steps"]).strip() == found["program"].strip()
        usage = found["usage"]
        assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
        right += found["answer"] == one.answer and found["outcome"]["status"] == "ok"
    assert right >= 3


def test_the_same_question_gets_the_same_answer(
    client: httpx2.Client, examples: list[Example]
) -> None:
    body = {"question": examples[0].question, "strategy": "vote", "n": 8, "seed": 5}
    first, second = (client.post("/v1/solve", json=body).json() for _ in range(2))
    assert first.pop("id") != second.pop("id")
    # What was guessed decides which tokens are read together, and so the last digits of floats.
    one, other = ([step.pop("logprob") for step in said["steps"]] for said in (first, second))
    assert one == pytest.approx(other, abs=1e-5)
    assert first == second


def test_the_tree_is_returned_where_it_is_asked_for(
    client: httpx2.Client, examples: list[Example]
) -> None:
    body = {"question": examples[0].question}
    assert client.post("/v1/solve", json=body).json()["tree"] is None
    tree = client.post("/v1/solve", json=body | {"include_tree": True}).json()["tree"]
    numbers = {node["number"] for node in tree}
    assert all(node["parent"] in numbers or node["parent"] is None for node in tree)
    assert all(node["kept"] or node["reason"] for node in tree)


def test_a_stream_tells_of_steps_before_the_solution(
    client: httpx2.Client, examples: list[Example]
) -> None:
    body = {"question": examples[0].question, "stream": True}
    response = client.post("/v1/solve", json=body)
    assert response.headers["content-type"].startswith("text/event-stream")
    found = events(response)
    kinds = [kind for kind, _ in found]
    assert kinds[-1] == "solution" and kinds.count("solution") == 1
    assert "nodes" in kinds[:-1] and "steps" in kinds[:-1]
    solution = found[-1][1]
    settled = "".join(step["code"] for kind, steps in found if kind == "steps" for step in steps)
    whole = "".join(step["code"] for step in solution["steps"])
    assert whole.startswith(settled) and settled


def test_a_batch_keeps_its_order_and_its_failures(
    client: httpx2.Client, examples: list[Example]
) -> None:
    questions = [examples[0].question, " ", examples[1].question]
    items = client.post("/v1/solve/batch", json={"questions": questions}).json()["items"]
    assert [item["solution"] is not None for item in items] == [True, False, True]
    assert items[1]["error"]["param"] == "question"
    assert items[0]["solution"]["question"] == questions[0]
    assert items[2]["solution"]["question"] == questions[2]


def test_a_batch_of_more_than_fits_at_once_waits_for_its_places(
    client: httpx2.Client, examples: list[Example]
) -> None:
    questions = [f"{number} {examples[0].question}" for number in range(40)]
    asked = {"questions": questions, "strategy": "vote", "n": 8, "max_new_tokens": 20}
    items = client.post("/v1/solve/batch", json=asked).json()["items"]
    codes = [item["error"] and item["error"]["code"] for item in items]
    assert "overloaded" not in codes


@pytest.mark.parametrize(
    ("body", "status", "param"),
    [
        ({}, 422, "question"),
        ({"question": 7}, 422, "question"),
        ({"question": "x", "strtegy": "vote"}, 422, "strtegy"),
        ({"question": "x", "strategy": "magic"}, 422, "strategy"),
        ({"question": "x", "n": 0}, 422, "n"),
        ({"question": "x", "n": 33}, 400, "n"),
        ({"question": "x", "max_new_tokens": 121}, 400, "max_new_tokens"),
        ({"question": "x", "budget_s": 31}, 400, "budget_s"),
        ({"question": "x", "student": "nobody"}, 400, "student"),
        ({"question": "  "}, 400, "question"),
        ({"question": "x" * 2001}, 400, "question"),
        ({"question": "a\ud800b"}, 422, "question"),
    ],
)
def test_a_bad_field_is_named(
    client: httpx2.Client, body: dict[str, object], status: int, param: str
) -> None:
    response = client.post(
        "/v1/solve", content=json.dumps(body), headers={"Content-Type": "application/json"}
    )
    assert response.status_code == status, response.text
    assert response.json()["error"]["param"] == param
    assert "Traceback" not in response.text


def test_what_is_no_json_is_refused(client: httpx2.Client) -> None:
    for content in (b"", b"{", b"\xff\xfe", b"[" * 20000):
        response = client.post(
            "/v1/solve", content=content, headers={"Content-Type": "application/json"}
        )
        assert response.status_code in (400, 422), response.text
        assert set(response.json()) == {"error"}


def test_a_large_body_is_refused_announced_or_not(client: httpx2.Client) -> None:
    large = json.dumps({"question": "x" * 70_000}).encode()

    def chunks() -> Iterator[bytes]:
        for start in range(0, len(large), 4096):
            yield large[start : start + 4096]

    for content in (large, chunks()):
        response = client.post(
            "/v1/solve", content=content, headers={"Content-Type": "application/json"}
        )
        assert response.status_code == 413, response.text
        assert response.json()["error"]["code"] == "request_too_large"


@pytest.mark.parametrize("key", [None, "wrong", "é", ""])
def test_without_the_key_nothing_is_answered(endpoint: Endpoint, key: str | None) -> None:
    value = [] if key is None else [(b"authorization", f"Bearer {key}".strip().encode())]
    with httpx2.Client(base_url=endpoint.url) as client:
        for method, path in (
            ("POST", "/v1/solve"),
            ("POST", "/v1/solve/batch"),
            ("POST", "/v1/chat/completions"),
            ("GET", "/v1/models"),
        ):
            body = {
                "question": "x",
                "questions": ["x"],
                "model": "demo",
                "messages": [{"role": "user", "content": "x"}],
            }
            fields = {"solve": ["question"], "batch": ["questions"]}.get(path.split("/")[-1])
            picked = {name: body[name] for name in fields or ["model", "messages"]}
            json_body = picked if method == "POST" else None
            response = client.request(method, path, headers=value, json=json_body)
            assert response.status_code == 401, response.text
            assert response.headers["www-authenticate"] == "Bearer"
        assert client.get("/healthz").status_code == 200


def test_a_budget_that_ends_too_soon_is_said(client: httpx2.Client) -> None:
    body = {"question": "How many?", "strategy": "greedy", "budget_s": 0.0001}
    response = client.post("/v1/solve", json=body)
    assert response.status_code == 504
    assert response.json()["error"]["code"] == "out_of_time"
    found = events(client.post("/v1/solve", json=body | {"stream": True}))
    assert [kind for kind, _ in found] == ["error"]


def test_many_at_once_are_answered_as_alone(endpoint: Endpoint, examples: list[Example]) -> None:
    with endpoint.client() as client:
        alone = [
            client.post("/v1/solve", json={"question": one.question}).json()["program"]
            for one in examples[:8]
        ]

    async def together() -> list[str]:
        async with httpx2.AsyncClient(
            base_url=endpoint.url, headers=dict(endpoint.client().headers), timeout=120
        ) as client:
            bodies = [{"question": one.question} for one in examples[:8]]
            found = await asyncio.gather(*(client.post("/v1/solve", json=b) for b in bodies))
            return [response.json()["program"] for response in found]

    assert asyncio.run(together()) == alone


def test_a_client_that_leaves_frees_its_place(endpoint: Endpoint, client: httpx2.Client) -> None:
    rng = random.Random(3)

    async def leave() -> None:
        async with httpx2.AsyncClient(
            base_url=endpoint.url, headers=dict(endpoint.client().headers)
        ) as leaving:
            bodies = [
                {"question": example(rng).question, "strategy": "vote", "n": 32} for _ in range(20)
            ]
            tasks = [asyncio.create_task(leaving.post("/v1/solve", json=b)) for b in bodies]
            await asyncio.sleep(0.3)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    started = time.monotonic()
    for one in range(2):
        client.post("/v1/solve", json={"question": example(rng).question, "strategy": "vote"})
        assert one < 2
    alone_s = time.monotonic() - started
    asyncio.run(leave())
    started = time.monotonic()
    response = client.post("/v1/solve", json={"question": "How many pens?", "strategy": "greedy"})
    assert response.status_code == 200
    # All twenty would take ten times as long as the two.
    assert time.monotonic() - started < max(5 * alone_s, 3)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    body=st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    ["question", "strategy", "n", "seed", "stream", "budget_s", "model"]
                )
                | st.text(max_size=8),
                inner,
                max_size=4,
            )
        ),
        max_leaves=12,
    ),
    path=st.sampled_from(["/v1/solve", "/v1/solve/batch", "/v1/chat/completions"]),
)
def test_whatever_comes_there_is_no_server_error(
    client: httpx2.Client, body: object, path: str
) -> None:
    response = client.post(
        path, content=json.dumps(body), headers={"Content-Type": "application/json"}
    )
    assert response.status_code < 500, response.text


def test_models_are_listed(client: httpx2.Client) -> None:
    names = [model["id"] for model in client.get("/v1/models").json()["data"]]
    assert {"demo", "quick", "demo:stepwise", "quick:vote"} <= set(names)


def test_the_other_student_is_served_too(client: httpx2.Client, examples: list[Example]) -> None:
    body = {"question": examples[0].question, "student": "quick"}
    found = client.post("/v1/solve", json=body).json()
    assert (found["student"], found["strategy"]) == ("quick", "greedy")


def test_openapi_has_examples(client: httpx2.Client) -> None:
    document = client.get("/openapi.json").json()
    assert document["components"]["schemas"]["SolveRequest"]["examples"]
    assert set(document["paths"]["/v1/solve"]["post"]["responses"]) >= {"200", "400", "504"}
