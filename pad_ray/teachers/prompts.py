"""The few-shot chat prompts that ask a language model for a program or a chain of thought."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, Literal, TypeAlias, TypedDict

from pad_ray.tasks.base import Exemplar

__all__ = [
    "PROMPTS",
    "RULES",
    "TEXT_RULES",
    "Format",
    "Message",
    "Prompt",
    "chain_messages",
    "chat_messages",
    "exemplars_of_round",
]

Format: TypeAlias = Literal["program", "cot"]

RULES = (
    "You solve word problems by writing Python. Answer with one code block and nothing else. "
    "The program defines solution() without arguments and reads no input. Write one step a line, "
    "give each quantity a snake_case name that says what it counts, compute the answer from those "
    "names, and end with `return result`."
)
TEXT_RULES = (
    "You solve word problems by reasoning step by step in plain sentences, without code and "
    "without formatting. Write one step a line, each with its calculation, as 6 * 24 = 144. The "
    "last line is `The answer is X.`, with the answer alone for X."
)


class Message(TypedDict):
    """One turn of a chat, as the OpenAI protocol writes it."""

    role: str
    content: str


Prompt: TypeAlias = Callable[[str, Sequence[Exemplar]], list[Message]]
"""(question, worked examples) -> the chat that puts the question."""


def chat_messages(question: str, exemplars: Sequence[Exemplar]) -> list[Message]:
    """Return the rules, one question/program exchange an exemplar, then the question."""
    messages = [Message(role="system", content=RULES)]
    for exemplar in exemplars:
        messages.append(Message(role="user", content=_turn(exemplar.question)))
        program = f"```python\n{exemplar.program.strip()}\n```"
        messages.append(Message(role="assistant", content=program))
    messages.append(Message(role="user", content=_turn(question)))
    return messages


def chain_messages(question: str, exemplars: Sequence[Exemplar]) -> list[Message]:
    """Return the same for chains of thought, with the exemplars that have one."""
    messages = [Message(role="system", content=TEXT_RULES)]
    for exemplar in exemplars:
        if exemplar.chain_of_thought:
            messages.append(Message(role="user", content=_turn(exemplar.question)))
            messages.append(Message(role="assistant", content=exemplar.chain_of_thought.strip()))
    messages.append(Message(role="user", content=_turn(question)))
    return messages


PROMPTS: Final[Mapping[Format, Prompt]] = {"program": chat_messages, "cot": chain_messages}


def exemplars_of_round(
    exemplars: Sequence[Exemplar], shots: int, round_number: int
) -> tuple[Exemplar, ...]:
    """Return the worked examples of a round: each round starts where the last one ended."""
    shots = min(shots, len(exemplars))
    start = round_number * max(1, shots) % max(1, len(exemplars))
    return tuple([*exemplars, *exemplars][start : start + shots])


def _turn(question: str) -> str:
    return f"Question: {question.strip()}"
