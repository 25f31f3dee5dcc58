"""From a solution to what a client reads: our own shape, and OpenAI's."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from pydantic_core import to_json

from pad_ray.decoding.hypothesis import Step
from pad_ray.decoding.search import Node
from pad_ray.decoding.solution import Solution
from pad_ray.serving.messages import Answered, Ask
from pad_ray.serving.schemas import NodeModel, OutcomeModel, SolveResponse, StepModel, Usage

_FENCE = "```"


def solve_response(ask: Ask, answered: Answered, include_tree: bool) -> SolveResponse:
    """Return the answer in our own shape."""
    found = answered.solution
    outcome = found.outcome
    return SolveResponse(
        id=ask.request_id,
        student=ask.student,
        strategy=found.strategy,
        question=found.question,
        answer=_readable(found.answer),
        program=found.program,
        steps=[step_model(step) for step in found.steps],
        outcome=None
        if outcome is None
        else OutcomeModel(
            status=outcome.status,
            error_type=outcome.error_type,
            error_line=outcome.error_line,
            message=_readable(outcome.message),
            stdout=_readable(outcome.stdout),
        ),
        truncated=found.truncated,
        usage=usage_of(answered),
        tree=[node_model(node) for node in found.tree] if include_tree else None,
    )


def usage_of(answered: Answered) -> Usage:
    """Return the tokens read and written."""
    read, written = answered.prompt_tokens, answered.solution.tokens
    return Usage(prompt_tokens=read, completion_tokens=written, total_tokens=read + written)


def step_model(step: Step) -> StepModel:
    """Return a step as a client reads it."""
    return StepModel(code=step.code, logprob=step.logprob, scores=dict(step.scores))


def node_model(node: Node) -> NodeModel:
    """Return a proposal as a client reads it."""
    fields = {name: getattr(node, name) for name in NodeModel.model_fields}
    return NodeModel(**fields)


def json_text(data: Any) -> str:
    """Return JSON that every client reads: what is no number becomes null."""
    return to_json(data, inf_nan_mode="null").decode()


def server_sent(kind: str | None, data: Any) -> str:
    """Return one server-sent event with JSON data, or text as it is."""
    text = data if isinstance(data, str) else json_text(data)
    return f"event: {kind}\ndata: {text}\n\n" if kind else f"data: {text}\n\n"


def _readable(value: Any) -> Any:
    """Return a program's value without half surrogate pairs, which no JSON text can hold."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, list):
        return [_readable(item) for item in value]
    if isinstance(value, dict):
        return {_readable(key): _readable(item) for key, item in value.items()}
    return value


def chat_opening(is_program: bool) -> str:
    """Return what stands before the program in a chat's text."""
    return f"{_FENCE}python\n" if is_program else ""


def chat_closing(solution: Solution, is_program: bool) -> str:
    """Return what stands below the program in a chat's text: the answer, or why there is none."""
    if not is_program:
        return ""
    end = "" if solution.text.endswith("\n") else "\n"
    return f"{end}{_FENCE}\n\n{_verdict(solution)}"


def _verdict(solution: Solution) -> str:
    outcome = solution.outcome
    if outcome is not None and outcome.status == "ok":
        return f"Answer: {_readable(solution.answer)}"
    if not solution.finished:
        return "No answer: the program is not finished."
    if outcome is None:
        return "No answer: no program was found."
    reason = ": ".join(part for part in (outcome.error_type, outcome.message) if part)
    return f"No answer: {_readable(reason) or outcome.status}"


class Chat:
    """The OpenAI shape of one answer, whole or in chunks."""

    def __init__(self, ask: Ask, model: str) -> None:
        self._base = {"id": f"chatcmpl-{ask.request_id}", "model": model}
        self._created = int(time.time())
        self._sent = self._heard = ""

    def completion(self, answered: Answered) -> dict[str, Any]:
        """Return a whole completion; `pad_ray` holds answer and outcome beside the text."""
        message = {"role": "assistant", "content": _content(answered.solution), "refusal": None}
        choice = {
            "index": 0,
            "message": message,
            "logprobs": None,
            "finish_reason": _reason(answered.solution),
        }
        return {
            **self._base,
            "object": "chat.completion",
            "created": self._created,
            "choices": [choice],
            "usage": usage_of(answered).model_dump(),
            "pad_ray": _extra(answered.solution),
        }

    def first(self) -> dict[str, Any]:
        """Return the chunk that opens the message."""
        return self._chunk({"role": "assistant", "content": ""})

    def restart(self) -> None:
        """Hear all again from another replica, which settles the same steps."""
        self._heard = ""

    def settled(self, steps: Sequence[Step]) -> dict[str, Any] | None:
        """Return the chunk of steps that will stand, None where it was sent before."""
        self._heard = self._heard or chat_opening(True)
        self._heard += "".join(step.code for step in steps)
        fresh = self._heard.removeprefix(self._sent)
        if not self._heard.startswith(self._sent) or not fresh:
            return None
        self._sent = self._heard
        return self._chunk({"content": fresh})

    def last(self, answered: Answered) -> list[dict[str, Any]]:
        """Return the chunks of what was not sent yet, and of the end."""
        rest = _content(answered.solution).removeprefix(self._sent)
        end = self._chunk({}, _reason(answered.solution))
        return [self._chunk({"content": rest}), {**end, "pad_ray": _extra(answered.solution)}]

    def usage(self, answered: Answered) -> dict[str, Any]:
        """Return the chunk of token counts, which has no choice."""
        whole = self._chunk({})
        return {**whole, "choices": [], "usage": usage_of(answered).model_dump()}

    def _chunk(self, delta: dict[str, Any], reason: str | None = None) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}
        return {
            **self._base,
            "object": "chat.completion.chunk",
            "created": self._created,
            "choices": [choice],
        }


def _content(solution: Solution) -> str:
    is_program = solution.outcome is not None or solution.answer is None
    return chat_opening(is_program) + solution.text + chat_closing(solution, is_program)


def _reason(solution: Solution) -> str:
    return "length" if solution.truncated else "stop"


def _extra(solution: Solution) -> dict[str, Any]:
    status = None if solution.outcome is None else solution.outcome.status
    return {
        "answer": _readable(solution.answer),
        "outcome": status,
        "strategy": solution.strategy,
        "truncated": solution.truncated,
    }
