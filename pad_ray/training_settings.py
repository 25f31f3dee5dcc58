"""How a model is trained, and the DeepSpeed configuration that follows from it."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator

from pad_ray.config import Settings
from pad_ray.errors import ConfigError, DataError
from pad_ray.students import TargetFormat, scratch_size
from pad_ray.training_data import BatchSizes


class TrainingHyperparameters(Settings):
    """How a student is fine-tuned, apart from data and place."""

    runtime_fields: ClassVar[frozenset[str]] = frozenset(
        {"out", "deepspeed", "threads", "max_failures", "tensorboard", "wait_for_resources"}
    )

    student: str = "scratch:small"
    """Hub id, folder, .gguf file or scratch:<size> (tiny, small, medium, t5-tiny, t5-small)."""
    format: TargetFormat = "program"
    """What the student learns to write: a program, or chain-of-thought text."""
    epochs: float = Field(1.0, gt=0)
    """Passes over the training rows (ignored where max_steps is given)."""
    max_steps: int | None = Field(None, ge=1)
    """Optimizer steps, in place of epochs."""
    batch_size: int = Field(32, ge=1)
    """Rows an optimizer step, over all workers."""
    micro_batch_size: int = Field(8, ge=1)
    """Rows of similar length in one forward pass; batch_size is a multiple of it."""
    learning_rate: float = Field(5e-4, gt=0)
    """Peak learning rate of AdamW."""
    schedule: Literal["linear", "cosine", "constant_with_warmup"] = "cosine"
    """Learning rate after the warm-up."""
    warmup_ratio: float = Field(0.05, ge=0, le=1)
    """Share of the steps in which the learning rate rises."""
    weight_decay: float = Field(0.01, ge=0)
    """AdamW's weight decay, on matrices only."""
    gradient_clipping: float = Field(1.0, gt=0)
    """Largest gradient norm."""
    max_source_tokens: int = Field(512, ge=8)
    """Rows with a longer source are left out and counted."""
    max_target_tokens: int = Field(512, ge=8)
    """Rows with a longer target are left out and counted."""
    validation_fraction: float = Field(0.05, ge=0, lt=1)
    """Share of the problems (not rows) held back to choose the checkpoint."""
    zero_stage: Literal[0, 1, 2, 3] = 1
    """DeepSpeed's ZeRO stage."""
    deepspeed: Path | None = None
    """DeepSpeed JSON laid over the settings made from these fields."""
    precision: Literal["fp32", "bf16"] = "fp32"
    """Number format of weights and activations."""
    workers: int = Field(1, ge=1)
    """Ray Train workers (data-parallel ranks)."""
    cpus_per_worker: float = Field(1.0, gt=0)
    """Logical CPUs each worker reserves."""
    gpus_per_worker: float = Field(0.0, ge=0)
    """GPUs each worker reserves; above 0 the worker trains on one."""
    threads: int = Field(1, ge=1)
    """Threads a CPU worker computes with."""
    wait_for_resources: bool = False
    """Wait for an autoscaler to add nodes instead of failing when they are not there."""
    log_every: int = Field(20, ge=1)
    """Steps between two lines of training metrics."""
    evaluate_every: int = Field(200, ge=1)
    """Steps between two validations, each with a checkpoint."""
    max_failures: int = Field(3, ge=0)
    """Lost workers survived by going on from the last checkpoint."""
    tensorboard: bool = False
    """Write TensorBoard events too (needs the tensorboard package)."""
    seed: int = 0
    """Seed of initial weights, validation split and batch order."""

    @field_validator("student")
    @classmethod
    def _known_size(cls, student: str) -> str:
        if student.startswith("scratch:"):
            try:
                scratch_size(student)
            except ConfigError as error:
                raise ValueError(str(error).removeprefix("student: ")) from None
        return student

    @model_validator(mode="after")
    def _batch_divides(self) -> Self:
        if self.batch_size % self.micro_batch_size:
            raise ValueError(
                f"batch_size: {self.batch_size} is not a multiple of micro_batch_size "
                f"{self.micro_batch_size}"
            )
        return self

    @property
    def sizes(self) -> BatchSizes:
        return BatchSizes(self.batch_size, self.micro_batch_size)


def deepspeed_config(settings: TrainingHyperparameters) -> dict[str, Any]:
    """Return DeepSpeed's configuration: these settings, and the user's JSON laid over them."""
    micro_batches = settings.batch_size // settings.micro_batch_size
    config: dict[str, Any] = {
        "train_micro_batch_size_per_gpu": settings.micro_batch_size,
        "gradient_accumulation_steps": math.ceil(micro_batches / settings.workers),
        "gradient_clipping": settings.gradient_clipping,
        "zero_optimization": {"stage": settings.zero_stage},
        "bf16": {"enabled": settings.precision == "bf16"},
        # The optimizer is torch's AdamW: DeepSpeed's own needs a compiler at run time.
        "zero_allow_untested_optimizer": True,
        "zero_force_ds_cpu_optimizer": False,
        "steps_per_print": 10**9,
    }
    if settings.deepspeed is None:
        return config
    return {**config, **_given_deepspeed(settings.deepspeed)}


_OWNED_BY_SETTINGS = {
    "train_batch_size",
    "train_micro_batch_size_per_gpu",
    "gradient_accumulation_steps",
}


def _given_deepspeed(path: Path) -> dict[str, Any]:
    """Read the user's DeepSpeed JSON; "auto" leaves a value to the settings."""
    try:
        given = json.loads(path.read_text())
    except OSError as error:
        raise DataError(f"deepspeed: {path}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise DataError(f"deepspeed: {path}: malformed JSON: {error}") from error
    if not isinstance(given, dict):
        raise DataError(f"deepspeed: {path}: expected a JSON object")
    values = {key: value for key, value in given.items() if value != "auto"}
    for key in _OWNED_BY_SETTINGS & set(values):
        raise ConfigError(
            f"deepspeed: {path}: leave '{key}' out or \"auto\": batch_size, micro_batch_size and "
            "workers decide it"
        )
    return values
