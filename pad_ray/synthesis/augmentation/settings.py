"""Settings of augmentation."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, model_validator

from pad_ray.base.errors import ConfigError
from pad_ray.base.fields import Input, Runtime
from pad_ray.base.sandbox_settings import SandboxSettings
from pad_ray.base.storage import locate_all
from pad_ray.base.weights import check_kinds
from pad_ray.flow.failures import FailureLimitSettings
from pad_ray.flow.inputs import stage_input
from pad_ray.flow.waiting import WaitSettings
from pad_ray.synthesis.augmentation.kinds import DEFAULT_WEIGHTS, PARAPHRASE
from pad_ray.teachers.endpoint.settings import EndpointSettings

__all__ = ["AugmentationRun", "AugmentationSettings"]

# The model decides the rows, not where and how fast it is asked.
_ASKING = (
    *("base_url", "api_key_env", "timeout_s", "max_retries", "concurrency", "headers"),
    *("requests_per_minute", "tokens_per_minute"),
)


class AugmentationRun(WaitSettings):
    """How new problems are made of verified ones."""

    copies: int = Field(1, ge=1)
    """New problems made of each verified row."""
    weights: dict[str, float] = Field(default_factory=dict)
    """How often a kind is drawn (numbers, names, paraphrase), in place of its default; 0 leaves it
    out."""
    paraphrase_teacher: EndpointSettings | None = None
    """Endpoint that tells questions in other words; without one nothing is paraphrased."""
    seed: int = 0
    """Of all that is drawn, with the row's id and its program."""
    sandbox: SandboxSettings = SandboxSettings(cpu_s=0.5)
    """Limits of one program's run."""
    actors: Annotated[int, Runtime] = Field(1, ge=1)
    """Actors that make problems and execute their programs."""
    rows_per_block: Annotated[int, Runtime] = Field(4096, ge=1)
    """New problems an interruption costs at most, per running task."""

    @model_validator(mode="after")
    def _weights_make_sense(self) -> Self:
        if self.weights.get(PARAPHRASE) and self.paraphrase_teacher is None:
            raise ValueError(
                "weights: paraphrase needs --paraphrase_teacher.base_url and "
                "--paraphrase_teacher.model"
            )
        try:
            check_kinds(self.shares, DEFAULT_WEIGHTS, "kind")
        except ConfigError as error:
            raise ValueError(str(error)) from None
        return self

    @property
    def shares(self) -> dict[str, float]:
        """Every kind's weight."""
        shares = {**DEFAULT_WEIGHTS, **self.weights}
        return shares if self.paraphrase_teacher else shares | {PARAPHRASE: 0.0}


class AugmentationSettings(AugmentationRun, FailureLimitSettings):
    """Make new problems of verified ones: other numbers, other names, other words.

    Every program is executed again: with other numbers its value is the new answer, else it has to
    return the old one. Writes verified/, which trains beside the directories that it was made from,
    rejected/ (each row with its reason) and manifest.json.
    """

    data: Annotated[list[Path] | Path, Input(stage_input)]
    """Synthesis directory, or a list of them."""
    out: Annotated[Path, Runtime]
    """Directory for verified/, rejected/ and manifest.json."""

    @property
    def folders(self) -> list[Path]:
        return locate_all(self.data)
