"""Requests and responses of the endpoint."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from pad_ray.decoding.settings import StrategyName

JsonValue = Any


class Strict(BaseModel):
    """Unknown fields are refused, so that a misspelt one is not ignored."""

    model_config = ConfigDict(extra="forbid")


class SearchRequest(Strict):
    """How to search; each field left out is the student's own setting."""

    student: str | None = Field(None, description="Name of a served student.")
    strategy: StrategyName | None = Field(None, description="Decoding strategy.")
    n: int | None = Field(None, ge=1, description="Programs sampled (vote, auto).")
    width: int | None = Field(None, ge=1, le=16, description="Hypotheses kept (stepwise, beam).")
    proposals: int | None = Field(None, ge=1, le=16, description="Steps proposed for each.")
    temperature: float | None = Field(None, gt=0, le=5, description="Of sampling.")
    max_new_tokens: int | None = Field(None, ge=1, description="Longest program, in tokens.")
    budget_tokens: int | None = Field(None, ge=1, description="Most tokens that it may cost.")
    budget_s: float | None = Field(None, gt=0, description="Most seconds that it may take.")
    seed: int | None = Field(None, ge=-(2**63), lt=2**63, description="Of all sampling.")
    include_tree: bool = Field(False, description="Return every step that was proposed.")


class SolveRequest(SearchRequest):
    """One question."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "question": "Tom has 3 boxes with 12 pens in each. How many pens has he?",
                    "strategy": "stepwise",
                    "budget_s": 10,
                }
            ]
        },
    )

    question: str = Field(min_length=1, description="The question.")
    stream: bool = Field(False, description="Answer with server-sent events, a step at a time.")


class BatchRequest(SearchRequest):
    """Several questions, searched alike."""

    questions: list[str] = Field(min_length=1, description="The questions.")


class StepModel(BaseModel):
    """A statement of the program, its log-probability (nats) and its scores in [0, 1]."""

    code: str
    logprob: float
    scores: dict[str, float]


class OutcomeModel(BaseModel):
    """What running the program gave."""

    status: str
    error_type: str | None = None
    error_line: int | None = None
    message: str | None = None
    stdout: str = ""


class NodeModel(BaseModel):
    """A proposal: below which other, and why it was not kept."""

    number: int
    parent: int | None
    code: str
    logprob: float
    scores: dict[str, float]
    rank: float
    kept: bool
    reason: str


class Usage(BaseModel):
    """Tokens read and written; the written ones of dropped hypotheses count too."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class SolveResponse(BaseModel):
    """An answered question. `answer` is null where the program failed; `outcome` says how."""

    id: str
    student: str
    strategy: str
    question: str
    answer: JsonValue
    program: str | None
    steps: list[StepModel]
    outcome: OutcomeModel | None
    truncated: bool
    usage: Usage
    tree: list[NodeModel] | None = None


class ErrorBody(BaseModel):
    """What went wrong; `param` names the field at fault."""

    message: str
    type: str
    param: str | None = None
    code: str | None = None


class ErrorResponse(BaseModel):
    """Every error has this shape."""

    error: ErrorBody


class BatchItem(BaseModel):
    """One question's solution, or why there is none."""

    solution: SolveResponse | None = None
    error: ErrorBody | None = None


class BatchResponse(BaseModel):
    """Items in the order of the questions."""

    items: list[BatchItem]


class ModelModel(BaseModel):
    """A student, alone or with a strategy."""

    id: str
    object: Literal["model"] = "model"
    created: int = 0
    owned_by: str = "pad-ray"


class ModelList(BaseModel):
    """What can be asked."""

    object: Literal["list"] = "list"
    data: list[ModelModel]


class ContentPart(BaseModel):
    """A part of a message; only text is read."""

    type: str
    text: str = ""


class ChatMessage(BaseModel):
    """One message; the last one of the user holds the question."""

    model_config = ConfigDict(extra="ignore")

    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: str | list[ContentPart] | None = None

    @property
    def text(self) -> str:
        """The message's text."""
        if isinstance(self.content, list):
            return "\n".join(part.text for part in self.content if part.type == "text")
        return self.content or ""


class StreamOptions(BaseModel):
    """`include_usage` adds a last chunk with the token counts."""

    model_config = ConfigDict(extra="ignore")

    include_usage: bool = False


class ChatRequest(BaseModel):
    """A chat completion as OpenAI's clients ask for it.

    `model` is a student's name, or student:strategy. `n` is how many programs are sampled; one
    choice is returned. Fields of OpenAI's that mean nothing here are ignored.
    """

    model_config = ConfigDict(
        extra="ignore",
        json_schema_extra={
            "examples": [
                {
                    "model": "demo:stepwise",
                    "messages": [{"role": "user", "content": "What is 3 times 12?"}],
                }
            ]
        },
    )

    model: str = Field(max_length=200)
    messages: list[ChatMessage] = Field(min_length=1)
    stream: bool | None = False
    stream_options: StreamOptions | None = None
    n: int | None = Field(None, ge=1)
    temperature: float | None = Field(None, ge=0, le=5)
    max_tokens: int | None = Field(None, ge=1)
    max_completion_tokens: int | None = Field(None, ge=1)
    seed: int | None = Field(None, ge=-(2**63), lt=2**63)
    budget_tokens: int | None = Field(None, ge=1)
    budget_s: float | None = Field(None, gt=0)
