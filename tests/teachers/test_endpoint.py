"""The endpoint teacher against a real HTTP server, its failures included."""

from __future__ import annotations

import json
import pickle
import socket
import time
from dataclasses import replace

import pytest
from pydantic import ValidationError

from pad_ray.base.errors import TeacherError
from pad_ray.base.records import Completion, Problem
from pad_ray.flow.ledger import Budget, Ledger
from pad_ray.tasks.base import Exemplar
from pad_ray.teachers.base import Request, Teacher
from pad_ray.teachers.endpoint.engine import EndpointTeacher
from pad_ray.teachers.endpoint.settings import EndpointSettings
from tests.teachers.openai_server import (
    PROGRAM,
    Call,
    OpenAIServer,
    Reply,
    Script,
    as_asked,
    chat,
    failure,
    first_then,
    openai_server,
)

KEY = "sk-very-secret-0123456789"
EXEMPLARS = tuple(Exemplar(f"How many {n}?", f"def solution():\n    return {n}") for n in range(6))


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)


def teacher(server: OpenAIServer | str, **changes: object) -> EndpointTeacher:
    base_url = server if isinstance(server, str) else server.base_url
    values = {"base_url": base_url, "model": "m", "max_retries": 1, "timeout_s": 5} | changes
    return EndpointTeacher(EndpointSettings.model_validate(values), EXEMPLARS, seed=7)


def request(question: str = "How many apples?", samples: int = 1, first: int = 0) -> Request:
    problem = Problem.make("t", question, "12")
    return Request(problem, tuple(range(first, first + samples)))


def told(completion: Completion) -> Completion:
    """Return a completion without what says how the request went."""
    return replace(completion, finish_reason=None, latency_s=None, retries=None)


def ask(script: Script, samples: int = 1, **changes: object) -> list[Completion]:
    with openai_server(script) as server:
        (row,) = teacher(server, **changes).complete([request(samples=samples)])
    return row


def test_it_is_a_teacher() -> None:
    as_protocol: Teacher = teacher("http://127.0.0.1:1/v1")
    assert as_protocol.name == "endpoint"


def test_the_request_holds_key_prompt_and_parameters() -> None:
    with openai_server() as server:
        teacher(server, shots=2, temperature=0.5, top_p=0.9, max_tokens=33).complete([request()])
    (call,) = server.calls
    messages = call.body.pop("messages")
    assert call.path == "/v1/chat/completions"
    assert call.headers["authorization"] == f"Bearer {KEY}"
    assert [m["role"] for m in messages] == ["system", *["user", "assistant"] * 2, "user"]
    assert "How many apples?" in messages[-1]["content"]
    assert messages[2]["content"] == f"```python\n{EXEMPLARS[0].program}\n```"
    assert 0 <= call.body.pop("seed") < 2**31
    assert call.body == {"model": "m", "temperature": 0.5, "top_p": 0.9, "max_tokens": 33}


def test_fields_that_some_models_refuse_can_be_left_out() -> None:
    changes = {"send_seed": False, "temperature": None, "top_p": None}
    with openai_server() as server:
        teacher(server, max_tokens_field="max_completion_tokens", **changes).complete([request()])
    assert set(server.calls[0].body) == {"model", "messages", "max_completion_tokens"}


def test_samples_come_in_order_with_the_engines_token_totals() -> None:
    with openai_server(lambda call: chat("a", "b", "c", usage=(100, 20))) as server:
        rows = teacher(server, n_per_request=3).complete([request(samples=3), request("b", 3)])
    assert [[c.text for c in row] for row in rows] == [["a", "b", "c"]] * 2
    for row in rows:
        assert sum(c.prompt_tokens or 0 for c in row) == 100
        assert sum(c.completion_tokens or 0 for c in row) == 20
    assert len(server.calls) == 2


def test_an_engine_that_counts_no_tokens_gives_none() -> None:
    (completion,) = ask(lambda call: chat(PROGRAM, usage=None))
    assert told(completion) == Completion(PROGRAM, by="endpoint:m")


def test_seeds_depend_on_run_problem_and_sample_alone() -> None:
    def seeds(samples: int, first: int = 0, seed: int = 7, question: str = "q") -> set[int]:
        with openai_server() as server:
            asked = replace(teacher(server), seed=seed)
            asked.complete([request(question, samples, first)])
        return {call.body["seed"] for call in server.calls}

    whole = seeds(4)
    assert len(whole) == 4
    assert seeds(2, first=2) < whole
    assert not seeds(4, seed=8) & whole
    assert not seeds(4, question="other") & whole


def test_retry_after_is_waited_for_on_429() -> None:
    start = time.monotonic()
    row = ask(first_then(1, failure(429, retry_after="1.5")))
    assert row[0].text == PROGRAM
    assert time.monotonic() - start >= 1.5


@pytest.mark.parametrize("fault", [failure(500), failure(503), Reply(502, "<html>bad gateway")])
def test_a_passing_server_fault_is_retried(fault: Reply) -> None:
    assert ask(first_then(1, fault))[0].text == PROGRAM


def test_a_body_that_drips_is_no_answer_in_time() -> None:
    dripping = replace(chat(PROGRAM), drip_s=0.1)
    started = time.monotonic()
    (completion,) = ask(lambda _: dripping, timeout_s=0.5, max_retries=0)
    assert "no answer within 0.5 s" in str(completion.error)
    assert time.monotonic() - started < len(json.dumps(dripping.body)) * 0.1 / 2
    assert ask(first_then(1, dripping), timeout_s=0.5)[0].text == PROGRAM


def test_an_answer_tells_how_the_request_went() -> None:
    body = chat(PROGRAM, finish_reason="length").body
    assert isinstance(body, dict)
    served = Reply(body=body | {"model": "m-2026"}, delay_s=0.2)
    (completion,) = ask(first_then(1, failure(503, retry_after="0.1"), lambda _: served))
    assert (completion.finish_reason, completion.served_model) == ("length", "m-2026")
    assert completion.retries == 1 and completion.latency_s is not None
    assert completion.latency_s > 0.3


def test_requests_may_be_added_to() -> None:
    changes = {
        "system_prompt": "Be brief.",
        "stop": ["###"],
        "extra_body": {"top_k": 20, "chat_template_kwargs": {"enable_thinking": False}},
        "headers": {"X-Title": "pad"},
    }
    with openai_server() as server:
        teacher(server, **changes).complete([request()])
    (call,) = server.calls
    assert call.headers["x-title"] == "pad"
    systems = [m["content"] for m in call.body["messages"] if m["role"] == "system"]
    assert systems == ["Be brief."] and call.body["messages"][0]["role"] == "system"
    assert (call.body["stop"], call.body["top_k"]) == (["###"], 20)
    assert call.body["chat_template_kwargs"] == {"enable_thinking": False}


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("extra_body", {"temperature": 1}, "temperature has a setting of its own"),
        ("headers", {"Authorization": f"Bearer {KEY}"}, "keep credentials out"),
    ],
)
def test_a_field_that_has_its_setting_is_refused(field: str, value: object, said: str) -> None:
    with pytest.raises(ValidationError, match=said) as raised:
        EndpointSettings.model_validate({"base_url": "http://h/v1", "model": "m", field: value})
    assert KEY not in str(raised.value)


def test_a_key_is_taken_from_the_ledger_where_the_process_lacks_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ledger = Ledger()
    with openai_server() as server:
        ledger.entrust(teacher(server).keys())
        monkeypatch.delenv("OPENAI_API_KEY")
        assert teacher(server).keys() == {}
        teacher(server).with_ledger(ledger).complete([request()])
    assert server.calls[0].headers["authorization"] == f"Bearer {KEY}"


def test_a_key_of_what_is_asked_changes_with_it() -> None:
    url, one = "http://127.0.0.1:1/v1", request()
    asked = teacher(url)
    others = [
        replace(asked, exemplars=EXEMPLARS[1:]),
        replace(asked, seed=8),
        teacher(url, model="other"),
        teacher(url, extra_body={"top_k": 2}),
    ]
    keys = {one.asks(request(), 0) for one in others}
    keys |= {asked.asks(one, 1), asked.asks(replace(one, round=1), 0)}
    keys |= {asked.asks(replace(one, temperature=0.1), 0), asked.asks(request("b"), 0)}
    assert len(keys) == len(others) + 4
    assert asked.asks(one, 0) not in keys
    # What is cut at a lower limit of tokens is asked again, what is whole stays.
    for same in (teacher("http://elsewhere/v1", concurrency=99), teacher(url, max_tokens=9)):
        assert same.asks(one, 0) == asked.asks(one, 0)


def test_a_passing_timeout_is_retried() -> None:
    slow = Reply(body={}, delay_s=1.0)
    assert ask(first_then(1, slow), timeout_s=0.3)[0].text == PROGRAM


@pytest.mark.parametrize(
    ("fault", "said", "remedy"),
    [
        (failure(429, "quota is spent"), "HTTP 429: quota is spent", "quota"),
        (failure(404, "no model m"), "HTTP 404: no model m", "serves the model 'm'"),
        (failure(401, f"bad key {KEY}"), "key is refused (HTTP 401)", "OPENAI_API_KEY"),
    ],
)
@pytest.mark.parametrize("call", ["check", "complete"])
def test_what_would_fail_every_request_is_one_clear_line(
    fault: Reply, said: str, remedy: str, call: str
) -> None:
    with openai_server(lambda _: fault) as server:
        asked = teacher(server, max_retries=0)
        with pytest.raises(TeacherError) as raised:
            asked.check() if call == "check" else asked.complete([request(samples=2)])
    text = str(raised.value)
    assert said in text and remedy in text and server.base_url in text
    assert "\n" not in text and KEY not in text


@pytest.mark.parametrize(
    ("fault", "said", "remedy"),
    [
        (failure(500, "engine died"), "HTTP 500: engine died", "run the same command again"),
        (Reply(body="<!doctype html><p>Welcome"), "no chat completion", "/v1"),
        (Reply(body={"answer": 12}), "no chat completion", "/v1"),
        (Reply(body=[1, 2]), "no chat completion", "/v1"),
        (Reply(body={"choices": "none"}), "no chat completion", "/v1"),
        (Reply(body={"choices": [3]}), "no chat completion", "/v1"),
        (Reply(body="[" * 10**5), "no chat completion", "/v1"),
        (Reply(body={"error": {"message": "Provider died", "code": 502}}), "502: Provider", "log"),
        (Reply(body={"error": "no \ud800 luck"}), "an error: no ? luck", "log"),
        (Reply(body={}, delay_s=0.6), "no answer within 0.3 s", "timeout_s"),
    ],
)
def test_what_one_request_may_be_to_blame_for_costs_its_samples(
    fault: Reply, said: str, remedy: str
) -> None:
    def script(call: Call) -> Reply:
        return fault if "odd" in call.body["messages"][-1]["content"] else as_asked(call)

    with openai_server(script) as server:
        asked = teacher(server, timeout_s=0.3, max_retries=0)
        odd, good = asked.complete([request("odd", 2), request("good", 2)])
    assert [one.text for one in good] == [PROGRAM] * 2
    for one in odd:
        assert one.text == "" and one.error is not None and "\n" not in one.error
        assert said in one.error and remedy in one.error
    with (
        openai_server(lambda _: fault) as server,
        pytest.raises(TeacherError, match=server.base_url),
    ):
        teacher(server, timeout_s=0.3, max_retries=0).check()


def test_a_refused_key_is_told_from_a_moderated_prompt() -> None:
    (completion,) = ask(lambda _: failure(403, "flagged by moderation"))
    assert completion.error == "HTTP 403: flagged by moderation"
    (completion,) = ask(lambda _: Reply(body={"error": {"message": "flagged", "code": 403}}))
    assert completion.error == "HTTP 403: flagged"
    with (
        openai_server(lambda _: failure(403, f"bad key {KEY}")) as server,
        pytest.raises(TeacherError, match=r"key is refused \(HTTP 403\).*OPENAI_API_KEY") as raised,
    ):
        teacher(server).check()
    assert KEY not in str(raised.value)


def answer(**changes: object) -> Reply:
    body = chat(PROGRAM).body
    assert isinstance(body, dict)
    return Reply(body=body | changes)


@pytest.mark.parametrize(
    ("usage", "counts"),
    [
        ([], (None, None)),
        ("many", (None, None)),
        ({"prompt_tokens": 10.4, "completion_tokens": 3.0}, (10, 3)),
        ({"prompt_tokens": -1, "completion_tokens": 10**30}, (None, None)),
        ({"prompt_tokens": "7", "completion_tokens": True}, (None, None)),
    ],
)
def test_odd_counts_of_tokens_cost_no_answer(
    usage: object, counts: tuple[int | None, int | None]
) -> None:
    (completion,) = ask(lambda _: answer(usage=usage))
    assert completion.text == PROGRAM and completion.error is None
    assert (completion.prompt_tokens, completion.completion_tokens) == counts


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ([{"type": "text", "text": "a"}, {"type": "image"}, "b", None], "ab"),
        ("half \ud800", "half ?"),
    ],
)
def test_odd_contents_are_read(content: object, text: str) -> None:
    assert ask(lambda _: chat("", message={"content": content}))[0].text == text


@pytest.mark.parametrize(
    ("message", "finish", "said"),
    [
        ({"tool_calls": [{"id": "1"}]}, "tool_calls", "called a tool"),
        ({"reasoning_content": "hm"}, "stop", "reasoned and gave no answer (finish_reason stop)"),
        ({"content": "def solution"}, "error", "the provider broke the answer off"),
        (None, "stop", "the completion is empty"),
    ],
)
def test_an_answer_without_a_text_says_why(message: object, finish: str, said: str) -> None:
    (completion,) = ask(lambda _: chat("", message=message, finish_reason=finish))
    assert said in str(completion.error) and completion.completion_tokens == 20


def test_a_key_quoted_in_any_fault_is_blotted_out() -> None:
    (completion,) = ask(lambda _: failure(500, f"sent {KEY}\nhere"), max_retries=0)
    assert "sent [key] here" in str(completion.error)
    with openai_server(lambda _: failure(400, f"sent {KEY}")) as server:
        ((completion,),) = teacher(server).complete([request()])
    assert completion.error == "HTTP 400: sent [key]"


def test_nobody_listening_is_a_teacher_error() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        asked = teacher(f"http://127.0.0.1:{unused.getsockname()[1]}/v1", max_retries=0)
        with pytest.raises(TeacherError, match=r"cannot be reached .*start the server"):
            asked.check()


def test_check_is_one_request_and_accepts_a_working_endpoint() -> None:
    with openai_server() as server:
        teacher(server).check()
    assert len(server.calls) == 1


def test_check_reports_a_parameter_that_the_model_refuses() -> None:
    refusal = failure(400, "Unsupported parameter: 'max_tokens'")
    with (
        openai_server(lambda _: refusal) as server,
        pytest.raises(TeacherError, match=r"refuses the request.*'max_tokens'"),
    ):
        teacher(server).check()


def test_the_key_is_needed_but_on_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")
    with openai_server() as server:
        teacher(server).check()
    assert server.calls[0].headers["authorization"] == "Bearer none"
    with pytest.raises(TeacherError, match="no key; put it in the environment variable MY_KEY"):
        teacher("http://teacher.invalid/v1", api_key_env="MY_KEY").check()


def test_a_key_that_no_header_can_hold_is_not_quoted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", f"{KEY}\nfoo")
    with pytest.raises(TeacherError, match="spaces or non-ASCII") as raised:
        teacher("http://127.0.0.1:1/v1").check()
    assert KEY not in str(raised.value)


def test_a_server_that_ignores_n_is_asked_one_by_one() -> None:
    with openai_server(lambda call: chat(f"text {call.number}")) as server:
        asked = teacher(server, n_per_request=4, concurrency=1)
        first, second = (asked.complete([request(samples=4)])[0] for _ in range(2))
    assert [c.text for c in first] == [f"text {n}" for n in range(4)]
    assert [c.text for c in second] == [f"text {n}" for n in range(4, 8)]
    assert [call.body.get("n") for call in server.calls] == [4, *[None] * 7]
    assert len({call.body["seed"] for call in server.calls[:4]}) == 4


def test_a_server_that_refuses_n_is_asked_one_by_one() -> None:
    def script(call: Call) -> Reply:
        return failure(400, "n must be 1") if call.body.get("n", 1) > 1 else as_asked(call)

    with openai_server(script) as server:
        asked = teacher(server, n_per_request=3)
        rows = [asked.complete([request(samples=3)])[0] for _ in range(2)]
    assert [[c.text for c in row] for row in rows] == [[PROGRAM] * 3] * 2
    assert [call.body.get("n") for call in server.calls] == [3, *[None] * 6]


def test_more_choices_than_asked_for_are_left_out() -> None:
    assert [c.text for c in ask(lambda call: chat("a", "b", "c"))] == ["a"]


def test_no_choices_at_all_cost_only_the_sample() -> None:
    (completion,) = ask(lambda call: chat())
    assert completion.error == "the endpoint returned no choice"


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (chat(None), "the completion is empty (finish_reason stop)"),
        (chat("  \n"), "the completion is empty (finish_reason stop)"),
        (chat("", finish_reason="content_filter"), "the content filter withheld the completion"),
        (
            chat("", message={"content": None, "refusal": "I will\nnot."}),
            "the model refused: I will not.",
        ),
    ],
)
def test_an_empty_choice_is_an_error_with_its_tokens(reply: Reply, error: str) -> None:
    (completion,) = ask(lambda _: reply)
    assert told(completion) == Completion("", 100, 20, error=error, by="endpoint:m")


def test_a_completion_cut_at_max_tokens_is_kept_and_says_so() -> None:
    (completion,) = ask(lambda _: chat("def solution():\n    a =", finish_reason="length"))
    assert completion.text == "def solution():\n    a =" and completion.error is None
    assert completion.finish_reason == "length"


def test_a_refused_problem_costs_no_other() -> None:
    def script(call: Call) -> Reply:
        refused = "forbidden" in call.body["messages"][-1]["content"]
        return failure(400, "content policy") if refused else as_asked(call)

    with openai_server(script) as server:
        asked = teacher(server, n_per_request=2)
        rows = asked.complete([request("a", 2), request("forbidden", 2), request("b", 2)])
    assert [c.text for c in rows[0] + rows[2]] == [PROGRAM] * 4
    assert [c.error for c in rows[1]] == ["HTTP 400: content policy"] * 2


@pytest.mark.parametrize("concurrency", [1, 3])
def test_requests_in_flight_are_bounded_and_the_bound_is_used(concurrency: int) -> None:
    with openai_server(lambda _: Reply(body=chat(PROGRAM).body, delay_s=0.05)) as server:
        requests = [request(f"q{n}", 2) for n in range(6)]
        rows = teacher(server, concurrency=concurrency).complete(requests)
    assert server.most_in_flight == concurrency
    assert [len(row) for row in rows] == [2] * 6


def test_rows_keep_their_order_when_answers_come_out_of_order() -> None:
    def script(call: Call) -> Reply:
        question = call.body["messages"][-1]["content"]
        return Reply(body=chat(question).body, delay_s=0.2 if "q0" in question else 0)

    with openai_server(script) as server:
        rows = teacher(server).complete([request(f"q{n}") for n in range(4)])
    assert [row[0].text for row in rows] == [f"Question: q{n}" for n in range(4)]


def test_a_fatal_answer_stops_the_rest_of_the_batch() -> None:
    with (
        openai_server(lambda _: Reply(401, {}, delay_s=0.02)) as server,
        pytest.raises(TeacherError),
    ):
        teacher(server, concurrency=2).complete([request(f"q{n}") for n in range(200)])
    assert len(server.calls) < 50


def test_it_can_be_pickled_after_use_and_never_carries_the_key() -> None:
    with openai_server() as server:
        asked = teacher(server)
        asked.check()
        pickled = pickle.dumps(asked)
        again = pickle.loads(pickled)
        assert again == asked
        assert again.complete([request()])[0][0].text == PROGRAM
    assert KEY.encode() not in pickled
    assert KEY not in repr(asked) and KEY not in asked.settings.model_dump_json()


@pytest.mark.parametrize(
    "base_url",
    ["ftp://host/v1", "host:8000/v1", "http://me:hunter2@host/v1", "http://h/v1?key=hunter2"],
)
def test_a_bad_address_is_refused_without_quoting_it(base_url: str) -> None:
    with pytest.raises(ValidationError) as raised:
        EndpointSettings(base_url=base_url, model="m")
    assert "base_url" in str(raised.value) and "hunter2" not in str(raised.value)


def test_every_setting_is_described() -> None:
    properties = EndpointSettings.model_json_schema()["properties"]
    assert all(entry.get("description") for entry in properties.values())


def address(server: OpenAIServer, **changes: object) -> dict[str, object]:
    return {"base_url": server.base_url, "model": "other", **changes}


def test_samples_are_shared_out_by_weight_and_always_alike() -> None:
    with openai_server() as one, openai_server() as two:
        asked = teacher(one, others=[address(two, weight=3)])
        requests = [request(f"How many {n} apples?") for n in range(200)]
        rows = asked.complete(requests)
        assert len(one.calls) + len(two.calls) == 200
        assert 30 <= len(one.calls) <= 70
        by = [row[0].by for row in rows]
        assert by.count("endpoint:m") == len(one.calls)
        assert by.count("endpoint:other") == len(two.calls)
        assert {call.body["model"] for call in two.calls} == {"other"}
        assert [row[0].by for row in asked.complete(requests)] == by


def test_another_endpoint_stands_in_for_one_that_is_down() -> None:
    with openai_server(lambda _: failure(500)) as down, openai_server() as up:
        asked = teacher(down, others=[address(up)], max_retries=0)
        rows = asked.complete([request(f"How many {n} apples?") for n in range(20)])
    assert [row[0].text for row in rows] == [PROGRAM] * 20
    assert {row[0].by for row in rows} == {"endpoint:other"}


def test_cost_is_tokens_by_price() -> None:
    prices = {"usd_per_million_prompt_tokens": 2, "usd_per_million_completion_tokens": 10}
    rows = ask(lambda call: chat(*[PROGRAM] * 2), samples=2, n_per_request=2, **prices)
    assert sum(one.cost_usd or 0 for one in rows) == pytest.approx((100 * 2 + 20 * 10) / 1e6)


def test_a_spent_budget_stops_asking_and_keeps_what_came() -> None:
    ledger = Ledger(Budget(max_tokens=360))
    with openai_server() as server:
        asked = teacher(server, concurrency=1).with_ledger(ledger)
        requests = [request(f"How many {n} apples?") for n in range(9)]
        answers = list(asked.complete_each(requests))
    # 120 tokens an answer: the third one spends the budget.
    assert len(answers) == len(server.calls) == 3
    assert ledger.totals().tokens == 360
    rows = asked.complete(requests)
    assert {row[0].error for row in rows} == {"not asked: the budget is spent"}


def test_a_rate_is_kept() -> None:
    with openai_server() as server:
        started = time.monotonic()
        asked = teacher(server, requests_per_minute=300)
        asked.complete([request(f"How many {n} apples?") for n in range(12)])
    # A second's worth may come at once, the others 0.2 s apart.
    assert time.monotonic() - started > 1.0


def test_answers_in_flight_are_kept_when_the_endpoint_fails() -> None:
    def script(call: Call) -> Reply:
        is_last = "7 apples" in call.body["messages"][-1]["content"]
        return failure(401) if is_last else replace(chat(PROGRAM), delay_s=0.3)

    answers = []

    def collect(asked: EndpointTeacher) -> None:
        for answer in asked.complete_each([request(f"How many {n} apples?") for n in range(8)]):
            answers.append(answer)

    with openai_server(script) as server, pytest.raises(TeacherError, match="key is refused"):
        collect(teacher(server, concurrency=8))
    assert len(answers) == 7


def test_what_several_samples_cost_is_kept_when_the_last_one_fails() -> None:
    """A server that ignores n is asked one by one, and may refuse the key in the midst of that."""

    def script(call: Call) -> Reply:
        return failure(401) if call.number == 3 else chat(f"text {call.number}")

    answers = []

    def collect(asked: EndpointTeacher) -> None:
        for answer in asked.complete_each([request(samples=4)]):
            answers.append(answer)

    with openai_server(script) as server, pytest.raises(TeacherError, match="key is refused"):
        collect(teacher(server, n_per_request=4))
    ((_, indices, completions),) = answers
    assert indices == (0, 1, 2)
    assert [one.text for one in completions] == ["text 0", "text 1", "text 2"]


def test_a_body_that_breaks_off_is_asked_for_again() -> None:
    whole = json.dumps(chat(PROGRAM).body)
    torn = Reply(200, whole[: len(whole) // 2])
    (completion,) = ask(first_then(1, torn))
    assert completion.text == PROGRAM


def test_rounds_show_other_exemplars_at_other_temperatures() -> None:
    with openai_server() as server:
        asked = teacher(server, shots=2, temperature=0.2)
        for number, temperature in ((0, None), (1, 0.9)):
            asked.complete([replace(request(), round=number, temperature=temperature)])
    first, second = (call.body for call in server.calls)
    assert (first["temperature"], second["temperature"]) == (0.2, 0.9)
    shown = [[m["content"] for m in body["messages"][1:-1]] for body in (first, second)]
    assert not set(shown[0]) & set(shown[1])
