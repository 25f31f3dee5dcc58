"""Paraphrases: asked for by a request of their own, and kept with the same numbers and names."""

from __future__ import annotations

import pickle

import pytest

from pad_ray.base.records import Problem
from pad_ray.synthesis.augmentation.paraphrase import RULES, fault_of, paraphraser, read_paraphrase
from pad_ray.teachers.base import Request
from pad_ray.teachers.endpoint.settings import EndpointSettings
from tests.teachers.openai_server import chat, openai_server

QUESTION = "Tom has 12 pens and buys twenty more for $1,250.50. How many pens has Tom?"


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("Tom buys 20 pens for 1250.50 dollars and has twelve already. How many in all?", None),
        ("Tom has 12 pens and buys twenty more. How many pens?", "other_numbers"),
        (f"{QUESTION} The answer is 32.", "other_numbers"),
        (f"{QUESTION} He had 12.", "other_numbers"),
        (QUESTION.replace("Tom", "Ben"), "other_names"),
        (QUESTION.replace("has Tom", "has Tom or Ann"), "other_names"),
        (QUESTION.upper().replace("TOM", "Tom").replace(" ", "\n"), "same_text"),
        ("", "other_numbers"),
    ],
)
def test_a_paraphrase_keeps_numbers_and_people(text: str, fault: str | None) -> None:
    assert fault_of(QUESTION, text) == fault


def test_the_request_asks_for_other_words() -> None:
    with openai_server(lambda call: chat("Problem: Other words.\n")) as server:
        settings = EndpointSettings(base_url=server.base_url, model="m")
        teacher = pickle.loads(pickle.dumps(paraphraser(settings, 7)))
        ((completion,),) = teacher.complete([Request(Problem.make("t", QUESTION, "32"), (0,))])
    (call,) = server.calls
    assert call.body["messages"] == [
        {"role": "system", "content": RULES},
        {"role": "user", "content": f"Problem: {QUESTION}"},
    ]
    assert read_paraphrase(completion.text) == "Other words."
