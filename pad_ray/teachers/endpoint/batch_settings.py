"""What a batch of requests is written for."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, field_validator, model_validator

from pad_ray.base.fields import Runtime
from pad_ray.tasks.settings import ProblemSettings
from pad_ray.teachers.endpoint.settings import EndpointSettings, LengthField
from pad_ray.teachers.prompts import Format


class BatchEndpoint(EndpointSettings):
    """How the teacher samples; settings of a live connection are accepted and have no effect."""

    base_url: Annotated[str, Runtime] = "https://api.openai.com/v1"
    """Address of the API that the printed commands name."""

    max_tokens_field: LengthField = "max_tokens"
    """Name of the length limit in the request; OpenAI's reasoning models want the second."""

    @field_validator("n_per_request")
    @classmethod
    def _one_sample_a_request(cls, value: int) -> int:
        if value != 1:
            raise ValueError("a batch asks for one sample a request; leave it at 1")
        return value


class BatchSettings(ProblemSettings):
    """Write the input files of an OpenAI batch, to be replayed by the teacher `recorded`."""

    endpoint: BatchEndpoint
    """Model and sampling settings, as of the teacher `endpoint`."""
    format: Format = "program"
    """What is asked for: programs, or chains of thought ("cot") that end in the answer."""
    samples: int = Field(1, ge=1)
    """Samples asked for a problem, one request each."""
    requests_per_file: int = Field(50_000, ge=1)
    """Most requests a file; OpenAI takes 50,000."""
    megabytes_per_file: float = Field(200, gt=0)
    """Most megabytes (10^6 bytes) a file; OpenAI takes 200."""
    out: Annotated[Path, Runtime]
    """Directory for requests-00000.jsonl … and manifest.json."""

    @model_validator(mode="after")
    def _file_holds_bytes(self) -> Self:
        if self.bytes_per_file < 1:
            raise ValueError("megabytes_per_file: is less than one byte")
        return self

    @property
    def bytes_per_file(self) -> int:
        return int(self.megabytes_per_file * 1_000_000)
