"""Completions in the style of chats, each with the value that a person reads its program to have.

`chat_completions.txt` holds them one below another, each under a line `######## NAME | VALUE`.
"""

from __future__ import annotations

import ast
import contextlib
import io
import re
from pathlib import Path

import pytest

from pad_ray.programs.extraction import extract_program
from pad_ray.tasks import equal


def completions() -> dict[str, tuple[str, object]]:
    text = Path(__file__).with_name("chat_completions.txt").read_text(encoding="utf-8")
    found: dict[str, tuple[str, object]] = {}
    for part in re.split(r"^#{8} ", text, flags=re.MULTILINE)[1:]:
        heading, _, completion = part.partition("\n")
        name, _, right = heading.rpartition(" | ")
        assert name not in found, f"two completions are called {name}"
        found[name] = completion.rstrip("\n"), ast.literal_eval(right)
    return found


COMPLETIONS = completions()


@pytest.mark.parametrize("name", COMPLETIONS)
@pytest.mark.parametrize("newline", ["\n", "\r\n"], ids=["", "CRLF"])
def test_a_completion_is_read_as_a_person_reads_it(name: str, newline: str) -> None:
    completion, right = COMPLETIONS[name]
    program = extract_program(completion.replace("\n", newline))
    if right is None:
        assert program is None
        return
    assert program is not None
    scope: dict[str, object] = {"__name__": "program"}
    exec(compile(program, "program", "exec", dont_inherit=True), scope)
    solution = scope["solution"]
    assert callable(solution)
    with contextlib.redirect_stdout(io.StringIO()):
        assert equal(solution(), right)
