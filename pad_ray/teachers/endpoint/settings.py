"""Settings of the endpoint teacher: where to ask, at what price and pace, and how to sample."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator

from pad_ray.base.fields import Runtime
from pad_ray.flow.ledger import Rates

__all__ = ["EndpointAddress", "EndpointSettings", "LengthField"]

LengthField = Literal["max_tokens", "max_completion_tokens"]


_OWN_FIELDS = frozenset(
    "model messages n seed stop stream temperature top_p max_tokens max_completion_tokens".split()
)


class EndpointAddress(BaseModel):
    """One place that answers: its model, key, prices and what the key allows."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", hide_input_in_errors=True, use_attribute_docstrings=True
    )

    base_url: Annotated[str, Runtime]
    """Address of the API up to and including its version, as in http://127.0.0.1:8000/v1."""

    model: str = Field(min_length=1)
    """Model name as the endpoint knows it."""

    api_key_env: Annotated[str, Runtime] = Field(default="OPENAI_API_KEY", min_length=1)
    """Environment variable that holds the key; on a loopback address it may be unset."""

    weight: float = Field(default=1.0, gt=0)
    """Share of the samples that this endpoint is asked for, against the others' weights."""

    requests_per_minute: Annotated[float | None, Runtime] = Field(default=None, gt=0)
    """What the key allows, over all actors."""

    tokens_per_minute: Annotated[float | None, Runtime] = Field(default=None, gt=0)
    """What the key allows, prompts and completions, over all actors."""

    usd_per_million_prompt_tokens: Annotated[float | None, Runtime] = Field(default=None, ge=0)
    """Price; without one there is no cost to report."""

    usd_per_million_completion_tokens: Annotated[float | None, Runtime] = Field(default=None, ge=0)
    """Price of what the model writes."""

    @field_validator("base_url")
    @classmethod
    def _plain_url(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("give an http:// or https:// address with a host")
        if parts.username or parts.password or parts.query:
            raise ValueError("keep credentials out of the address: set the key's variable")
        return value.rstrip("/")

    @property
    def door(self) -> str:
        """What a rate holds for: the key at its address."""
        return f"{self.base_url} {self.api_key_env}"

    @property
    def rates(self) -> Rates:
        return Rates(self.requests_per_minute, self.tokens_per_minute)

    def cost_usd(self, prompt_tokens: int, completion_tokens: int) -> float | None:
        """Return what so many tokens cost, or None without prices."""
        prices = (self.usd_per_million_prompt_tokens, self.usd_per_million_completion_tokens)
        if prices == (None, None):
            return None
        return ((prices[0] or 0) * prompt_tokens + (prices[1] or 0) * completion_tokens) / 1e6


class OtherEndpoint(EndpointAddress):
    """A further place that answers."""


class EndpointSettings(EndpointAddress):
    """Where the teacher is and how it samples."""

    # A class of its own, which nothing inherits from, and a list: of others than these the command
    # line's parser makes no plain values.
    others: list[OtherEndpoint] = Field(default_factory=list)
    """Further endpoints; which one a sample asks goes by weight and by the sample's own seed."""

    temperature: float | None = Field(default=0.7, ge=0)
    """Sampling temperature; null leaves it to the endpoint."""

    top_p: float | None = Field(default=1.0, gt=0, le=1)
    """Nucleus sampling mass; null leaves it to the endpoint, whose own default may be below 1."""

    max_tokens: int = Field(default=512, ge=1)
    """Longest completion, in tokens; one that is cut before its program is whole is rejected."""

    max_tokens_field: Annotated[LengthField, Runtime] = "max_tokens"
    """Name of the length limit in the request; OpenAI's reasoning models want the second."""

    send_seed: bool = True
    """Send a seed with each request; turn off for endpoints that refuse the field."""

    system_prompt: str | None = None
    """In place of the built-in rules, which say how a program is to be written."""

    stop: tuple[str, ...] = ()
    """Texts at which the completion ends."""

    extra_body: dict[str, Any] = Field(default_factory=dict)
    """Further fields of the request, as {"top_k": 20}."""

    headers: Annotated[dict[str, str], Runtime] = Field(default_factory=dict)
    """Further HTTP headers; they are written down with the settings, so no secrets."""

    timeout_s: Annotated[float, Runtime] = Field(default=60, gt=0)
    """Longest wait for one whole answer, in seconds."""

    max_retries: Annotated[int, Runtime] = Field(default=6, ge=0)
    """Further attempts after 408, 409, 429, 5xx, a timeout or a lost connection."""

    concurrency: Annotated[int, Runtime] = Field(default=8, ge=1)
    """Requests in flight at once, per actor."""

    shots: int = Field(default=4, ge=0)
    """Worked examples in the prompt."""

    n_per_request: int = Field(default=1, ge=1, le=128)
    """Samples asked for in one request.

    One gives every sample its own seed, so that resumed runs repeat, and true token counts on
    servers that count only the first choice. More saves prompt tokens where these are billed;
    endpoints that ignore or refuse it are then asked one by one.
    """

    @field_validator("headers")
    @classmethod
    def _no_credentials(cls, value: dict[str, str]) -> dict[str, str]:
        if {"authorization", "api-key", "x-api-key"} & {name.lower() for name in value}:
            raise ValueError("keep credentials out of the headers: set the key's variable")
        return value

    @field_validator("extra_body")
    @classmethod
    def _no_field_twice(cls, value: dict[str, Any]) -> dict[str, Any]:
        if own := sorted(_OWN_FIELDS & value.keys()):
            raise ValueError(f"{own[0]} has a setting of its own")
        return value

    @property
    def addresses(self) -> tuple[EndpointAddress, ...]:
        """This endpoint and the others."""
        return (self, *self.others)
