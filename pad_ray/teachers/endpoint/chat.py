"""What a chat completion answer holds, read alike from a live endpoint and from a batch file.

Servers and gateways differ in what they put where; what can be read is, and what cannot costs its
own sample.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict

from pad_ray.base.records import Completion

__all__ = ["ChatAnswer", "completions", "error_in", "one_line"]

_MOST_TOKENS = 2**31 - 1


class _Lenient(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


def _text_of(content: object) -> str | None:
    """Return a text, or the texts of a list of content parts; None for anything else."""
    if isinstance(content, str):
        # JSON can write half of a surrogate pair, which no file holds.
        return content.encode("utf-8", "replace").decode()
    if isinstance(content, list):
        parts = [part.get("text") if isinstance(part, dict) else part for part in content]
        return "".join(filter(None, map(_text_of, parts)))
    return None


def _count_of(tokens: object) -> int | None:
    """Return a count of tokens; None where a server writes what is none."""
    if isinstance(tokens, bool) or not isinstance(tokens, int | float):
        return None
    return round(tokens) if math.isfinite(tokens) and 0 <= tokens <= _MOST_TOKENS else None


_Text = Annotated[str | None, BeforeValidator(_text_of)]
_Count = Annotated[int | None, BeforeValidator(_count_of)]


class _Message(_Lenient):
    content: _Text = None
    refusal: _Text = None
    reasoning: _Text = None
    reasoning_content: _Text = None
    tool_calls: Annotated[bool, BeforeValidator(bool)] = False


class _Choice(_Lenient):
    message: Annotated[_Message, BeforeValidator(lambda message: message or {})]
    finish_reason: _Text = None


class _Usage(_Lenient):
    prompt_tokens: _Count = None
    completion_tokens: _Count = None


class ChatAnswer(_Lenient):
    """The part of a chat completion object that is used here; other fields are ignored."""

    model: _Text = None
    choices: Annotated[list[_Choice], BeforeValidator(lambda choices: choices or [])]
    usage: Annotated[
        _Usage, BeforeValidator(lambda usage: usage if isinstance(usage, Mapping) else {})
    ] = _Usage()


def error_in(body: object) -> tuple[str, int | None] | None:
    """Return what an answer says in place of choices, and its code; None where it has choices.

    Gateways put the error of what is behind them into a body of status 200.
    """
    if not isinstance(body, dict) or body.get("choices"):
        return None
    error = body.get("error")
    if not error:
        return None
    fields: dict[str, Any] = error if isinstance(error, dict) else {"message": error}
    code = str(fields.get("code") or fields.get("status") or "")
    return str(fields.get("message") or error), int(code) if code.isdecimal() else None


def completions(answer: ChatAnswer, wanted: int) -> list[Completion]:
    """Return at most `wanted` completions, in the order of the choices.

    The protocol counts tokens for the answer as a whole. Each count is split evenly, the
    remainder going to the first samples, so that sums over samples are the engine's own totals.
    """
    kept = answer.choices[:wanted]
    prompt = _split(answer.usage.prompt_tokens, len(kept))
    completion = _split(answer.usage.completion_tokens, len(kept))
    return [
        replace(
            _completion(choice, asked, written),
            finish_reason=choice.finish_reason,
            served_model=answer.model,
        )
        for choice, asked, written in zip(kept, prompt, completion, strict=True)
    ]


def one_line(text: str, limit: int = 200) -> str:
    """Return the text on one line that any file can hold, cut to `limit` characters."""
    line = " ".join(text.encode("utf-8", "replace").decode().split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def _completion(choice: _Choice, prompt: int | None, completion: int | None) -> Completion:
    text = choice.message.content or ""
    if choice.finish_reason == "error":
        return Completion("", prompt, completion, error="the provider broke the answer off")
    # A model that reasons may use its tokens up before it answers; that is `truncated`.
    if text.strip() or choice.finish_reason == "length":
        return Completion(text, prompt, completion)
    return Completion("", prompt, completion, error=_why_empty(choice))


def _why_empty(choice: _Choice) -> str:
    message = choice.message
    if message.refusal:
        return f"the model refused: {one_line(message.refusal)}"
    if choice.finish_reason == "content_filter":
        return "the content filter withheld the completion"
    finish = f"finish_reason {choice.finish_reason or 'not given'}"
    if message.tool_calls:
        return f"the model called a tool in place of an answer ({finish})"
    if message.reasoning or message.reasoning_content:
        return f"the model reasoned and gave no answer ({finish})"
    return f"the completion is empty ({finish})"


def _split(total: int | None, parts: int) -> Sequence[int | None]:
    if total is None or parts == 0:
        return [None] * parts
    share, remainder = divmod(total, parts)
    return [share + (part < remainder) for part in range(parts)]
