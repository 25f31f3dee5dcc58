"""From a client's request to whole search settings, within what the server allows."""

from __future__ import annotations

from typing import Any

from pad_ray.base.config import validate
from pad_ray.base.errors import ConfigError
from pad_ray.decoding.settings import SearchSettings
from pad_ray.decoding.strategies import STRATEGIES
from pad_ray.serving.errors import ApiError, bad_field
from pad_ray.serving.messages import Ask
from pad_ray.serving.schemas import ChatRequest, SearchRequest
from pad_ray.serving.settings import ServingSettings

_SEARCH_FIELDS = (
    "strategy",
    "n",
    "width",
    "proposals",
    "temperature",
    "max_new_tokens",
    "budget_tokens",
    "budget_s",
)


def ask_of(
    settings: ServingSettings, request_id: str, question: str, request: SearchRequest
) -> Ask:
    """Return what a replica is asked; `ApiError` 400 names a field that cannot be served."""
    name = request.student or settings.default_student
    changes = {field: getattr(request, field) for field in _SEARCH_FIELDS}
    changes["search_seed"] = request.seed
    return _ask(settings, request_id, name, question, changes, "student")


def chat_ask(settings: ServingSettings, request_id: str, request: ChatRequest) -> Ask:
    """Return what a replica is asked for a chat: the user's last message is the question.

    Temperature 0 asks for the likeliest program where the model's name holds no strategy.
    """
    name, _, strategy = request.model.partition(":")
    if strategy and strategy not in STRATEGIES:
        raise bad_field("model", f"unknown strategy '{strategy}'; known: {', '.join(STRATEGIES)}")
    users = [message.text for message in request.messages if message.role == "user"]
    if not users:
        raise bad_field("messages", "holds no message of the user")
    certain = request.temperature == 0
    most = [request.max_tokens, request.max_completion_tokens]
    changes = {
        "strategy": strategy or ("greedy" if certain else None),
        "n": request.n,
        "temperature": None if certain else request.temperature,
        "max_new_tokens": min((m for m in most if m is not None), default=None),
        "budget_tokens": request.budget_tokens,
        "budget_s": request.budget_s,
        "search_seed": request.seed,
    }
    known = settings.students.get(name)
    if known is not None and changes["max_new_tokens"] is not None:
        # Clients send round numbers, meaning no limit.
        changes["max_new_tokens"] = min(changes["max_new_tokens"], known.search.max_new_tokens)
    return _ask(settings, request_id, name, users[-1], changes, "model")


def _ask(
    settings: ServingSettings,
    request_id: str,
    name: str,
    question: str,
    changes: dict[str, Any],
    name_field: str,
) -> Ask:
    if name not in settings.students:
        known = ", ".join(settings.students)
        raise bad_field(name_field, f"unknown student '{name[:100]}'; served: {known}")
    _check_question(settings, question)
    search = _search(settings, name, changes)
    return Ask(request_id, name, question, search)


def _check_question(settings: ServingSettings, question: str) -> None:
    most = settings.doors.max_question_chars
    if len(question) > most:
        raise bad_field("question", f"has {len(question)} characters, and {most} is the limit")
    if not question.strip():
        raise bad_field("question", "is empty")
    try:
        question.encode()
    except UnicodeEncodeError:
        raise bad_field("question", "holds half of a surrogate pair") from None


def _search(settings: ServingSettings, name: str, changes: dict[str, Any]) -> SearchSettings:
    own = settings.students[name].search
    given = {field: value for field, value in changes.items() if value is not None}
    limits = {
        "n": settings.doors.max_n,
        "max_new_tokens": own.max_new_tokens,
        "budget_s": min(settings.deadline_s, own.budget_s or settings.deadline_s),
        "budget_tokens": own.budget_tokens,
    }
    for field, most in limits.items():
        if most is not None and given.get(field, 0) > most:
            raise bad_field(field, f"is {given[field]}, and {most:g} is the limit")
    given.setdefault("budget_s", limits["budget_s"])
    try:
        return validate(SearchSettings, {**own.model_dump(), **given})
    except ConfigError as error:
        raise _field_at_fault(error) from None


def _field_at_fault(error: ConfigError) -> ApiError:
    field, _, reason = str(error).partition(": ")
    return bad_field("seed" if field == "search_seed" else field, reason or str(error))
