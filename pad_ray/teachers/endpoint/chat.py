"""What a chat completion answer holds, read alike from a live endpoint and from a batch file."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict

from pad_ray.base.records import Completion

__all__ = ["ChatAnswer", "completions", "one_line"]


class _Lenient(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class _Message(_Lenient):
    content: str | None = None
    refusal: str | None = None


class _Choice(_Lenient):
    message: _Message
    finish_reason: str | None = None


class _Usage(_Lenient):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


class ChatAnswer(_Lenient):
    """The part of a chat completion object that is used here; other fields are ignored."""

    choices: list[_Choice]
    usage: _Usage | None = None


def completions(answer: ChatAnswer, wanted: int) -> list[Completion]:
    """Return at most `wanted` completions, in the order of the choices.

    The protocol counts tokens for the answer as a whole. Each count is split evenly, the
    remainder going to the first samples, so that sums over samples are the engine's own totals.
    """
    kept = answer.choices[:wanted]
    usage = answer.usage or _Usage()
    prompt = _split(usage.prompt_tokens, len(kept))
    completion = _split(usage.completion_tokens, len(kept))
    return [
        _completion(choice, asked, written)
        for choice, asked, written in zip(kept, prompt, completion, strict=True)
    ]


def one_line(text: str, limit: int = 200) -> str:
    """Return the text on one line, cut to `limit` characters."""
    line = " ".join(text.split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def _completion(choice: _Choice, prompt: int | None, completion: int | None) -> Completion:
    text = choice.message.content or ""
    if text.strip():
        return Completion(text, prompt, completion)
    if choice.message.refusal:
        error = f"the model refused: {one_line(choice.message.refusal)}"
    elif choice.finish_reason == "content_filter":
        error = "the content filter withheld the completion"
    else:
        error = f"the completion is empty (finish_reason {choice.finish_reason or 'not given'})"
    return Completion("", prompt, completion, error=error)


def _split(total: int | None, parts: int) -> Sequence[int | None]:
    if total is None or parts == 0:
        return [None] * parts
    share, remainder = divmod(total, parts)
    return [share + (part < remainder) for part in range(parts)]
