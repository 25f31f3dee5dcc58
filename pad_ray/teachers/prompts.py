"""The few-shot chat prompt that asks a language model for a program."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypedDict

from pad_ray.tasks.base import Exemplar

__all__ = ["RULES", "Message", "chat_messages"]

RULES = (
    "You solve word problems by writing Python. Answer with one code block and nothing else. "
    "The program defines solution() without arguments and reads no input. Write one step a line, "
    "give each quantity a snake_case name that says what it counts, compute the answer from those "
    "names, and end with `return result`."
)


class Message(TypedDict):
    """One turn of a chat, as the OpenAI protocol writes it."""

    role: str
    content: str


def chat_messages(question: str, exemplars: Sequence[Exemplar]) -> list[Message]:
    """Return the rules, one question/program exchange an exemplar, then the question."""
    messages = [Message(role="system", content=RULES)]
    for exemplar in exemplars:
        messages.append(Message(role="user", content=_turn(exemplar.question)))
        program = f"```python\n{exemplar.program.strip()}\n```"
        messages.append(Message(role="assistant", content=program))
    messages.append(Message(role="user", content=_turn(question)))
    return messages


def _turn(question: str) -> str:
    return f"Question: {question.strip()}"
