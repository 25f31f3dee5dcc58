"""What an ingress and the solver replicas say to each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pad_ray.decoding.hypothesis import Step
from pad_ray.decoding.search import Node
from pad_ray.decoding.settings import SearchSettings
from pad_ray.decoding.solution import Solution
from pad_ray.serving.errors import ApiError


@dataclass(frozen=True)
class Trace:
    """A request's trace as headers carry it, and when it was sent to a replica."""

    headers: dict[str, str]
    sent_ns: int


@dataclass(frozen=True)
class Ask:
    """A question for a student, with whole search settings."""

    request_id: str
    student: str
    question: str
    search: SearchSettings
    trace: Trace | None = None


@dataclass(frozen=True)
class Answered:
    """A solution, and the tokens of its prompt."""

    solution: Solution
    prompt_tokens: int


@dataclass(frozen=True)
class Event:
    """Something that happened in a search: proposals judged, steps settled, or its end."""

    kind: Literal["nodes", "settled", "end"]
    nodes: tuple[Node, ...] = ()
    steps: tuple[Step, ...] = ()
    end: Answered | ApiError | None = None
