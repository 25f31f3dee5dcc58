"""A chat endpoint in a process of its own that solves the questions of `small_students`.

Prints its address. Its answers depend on the question and the seed alone.
"""

from __future__ import annotations

import re
import time

from tests.teachers.openai_server import Call, Reply, chat, openai_server


def program_of(question: str, name: str = "total") -> str:
    """Return the program that solves a question."""
    written = " * ".join(re.findall(r"\d+", question)[1:])
    first = re.findall(r"\d+", question)[0]
    return f"```python\ndef solution():\n    {name} = {first} + {written}\n    return {name}\n```"


def answer(call: Call) -> Reply:
    question = call.body["messages"][-1]["content"]
    if len(re.findall(r"\d+", question)) < 2:
        return chat("ok")  # the check before a run
    # Several programs of a problem, as --want asks for.
    name = ("total", "result", "both")[call.body.get("seed", 0) % 3]
    return chat(*[program_of(question, name)] * call.body.get("n", 1))


if __name__ == "__main__":
    with openai_server(answer) as server:
        print(server.base_url, flush=True)
        while True:
            time.sleep(60)
