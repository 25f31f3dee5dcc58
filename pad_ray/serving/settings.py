"""What the endpoint serves, to whom, and how much of it: the `args` of the Serve application."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from pad_ray.base.config import Settings
from pad_ray.base.sandbox_settings import SandboxSettings
from pad_ray.decoding.settings import SearchSettings
from pad_ray.verifiers.settings import ScorerSettings


class StudentSettings(Settings):
    """A student that is served."""

    path: str
    """Student folder (on storage that all nodes share), hub id or .gguf file."""
    search: SearchSettings = SearchSettings(strategy="auto")
    """Strategy and sizes where a request names none; its budgets are the most a request may ask."""
    scorers: ScorerSettings = ScorerSettings()
    """Where the judges of steps come from."""
    precision: Literal["fp32", "bf16"] = "fp32"
    """Number format of the weights."""


class DoorSettings(Settings):
    """Who may ask, and how much."""

    keys_file: Path | None = None
    """File with a line `name:sha256-hex` a key, as `python -m pad_ray.serving.keys` writes them."""
    keys_env: str = "PAD_RAY_API_KEYS"
    """Environment variable with the same lines, separated by commas."""
    requests_a_minute: float = Field(600.0, gt=0)
    """Requests that a key may make a minute, by each ingress replica; unused ones add up to it."""
    max_body_kb: int = Field(256, ge=1)
    """Largest request body."""
    max_question_chars: int = Field(8000, ge=1)
    """Longest question."""
    max_batch: int = Field(64, ge=1)
    """Most questions of a batch request."""
    max_n: int = Field(64, ge=1)
    """Most samples that a request may ask for."""
    log_questions: bool = False
    """Write questions and answers into the log."""


class ServingSettings(Settings):
    """One Serve application: an ingress, and replicas that hold students."""

    students: dict[str, StudentSettings] = Field(min_length=1)
    """Students by the name that requests call them by; the first is the default."""
    doors: DoorSettings = DoorSettings()
    """Keys and limits."""
    sandbox: SandboxSettings = SandboxSettings(cpu_s=1.0)
    """Limits of one program's run."""
    deadline_s: float = Field(60.0, gt=0)
    """Longest time a request may take; then the best so far is answered, or status 504."""
    max_rows: int = Field(64, ge=1)
    """Programs in writing at a time in a replica."""
    threads: int = Field(1, ge=1)
    """Threads a replica without a GPU computes with."""
    students_a_replica: int = Field(2, ge=1)
    """Students that a replica keeps in memory; the least recently used leaves."""
    tries: int = Field(3, ge=1)
    """Replicas that a request is given to, one after the other, as they die under it."""
    tracing: bool = False
    """Send OpenTelemetry spans; the OTEL_* variables of the nodes say where to."""
    solver: dict[str, Any] = Field(default_factory=dict)
    """Options of the solver deployment over the defaults: num_replicas, autoscaling_config, ..."""
    ingress: dict[str, Any] = Field(default_factory=dict)
    """Options of the ingress deployment over the defaults."""

    @model_validator(mode="after")
    def _names_are_plain(self) -> Self:
        for name in self.students:
            if not name or ":" in name or "/" in name:
                raise ValueError(f"students: '{name}' is no name (no ':' and no '/')")
        return self

    @property
    def default_student(self) -> str:
        return next(iter(self.students))
