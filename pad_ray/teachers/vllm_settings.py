"""Which model vLLM runs, on what, and how it samples."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import Field, field_validator, model_validator

from pad_ray.base.config import Settings, resolve
from pad_ray.base.fields import Input, Runtime
from pad_ray.students.files import model_input

_OWN_FIELDS = ("model", "tensor_parallel_size", "pipeline_parallel_size", "task_type")


_LIGHT_CPUS = 0.25


class VLLMSettings(Settings):
    """Which model vLLM runs, on what, and how it samples."""

    model: Annotated[str, Input(model_input, is_saved=True)] = Field(min_length=1)
    """Hub id, or a folder that all nodes see."""
    tensor_parallel_size: Annotated[int, Runtime] = Field(1, ge=1)
    """GPUs that one layer is split over."""
    pipeline_parallel_size: Annotated[int, Runtime] = Field(1, ge=1)
    """Groups of GPUs that the layers are split over."""
    concurrency: Annotated[int | tuple[int, int], Runtime] = 1
    """Engines, each with a copy of the model, or [least, most]."""
    batch_size: Annotated[int, Runtime] = Field(64, ge=1)
    """Rows handed to an engine at once; it works on several such batches."""
    accelerator_type: Annotated[str | None, Runtime] = None
    """Kind of GPU, as Ray names it: H100, A100, L4 …"""
    engine_kwargs: dict[str, Any] = Field(default_factory=dict)
    """Further engine arguments of vLLM: max_model_len, dtype, quantization …"""
    chat_template_kwargs: dict[str, Any] = Field(default_factory=dict)
    """Variables of the model's chat template, as enable_thinking: false."""
    placement_group_config: Annotated[dict[str, Any] | None, Runtime] = None
    """Ray's bundles for an engine, where one GPU and one CPU for each worker do not fit."""
    runtime_env: Annotated[dict[str, Any] | None, Runtime] = None
    """Ray runtime environment of the engines: env_vars, pip …"""
    temperature: float | None = Field(0.7, ge=0)
    """Sampling temperature; null is the engine's default."""
    top_p: float | None = Field(1.0, gt=0, le=1)
    """Nucleus sampling mass; null is the engine's default."""
    max_tokens: int = Field(512, ge=1)
    """Longest completion, in tokens; a longer one is cut: `truncated`."""
    shots: int = Field(4, ge=0)
    """Worked examples in the prompt."""

    @field_validator("concurrency")
    @classmethod
    def _least_to_most(cls, value: int | tuple[int, int]) -> int | tuple[int, int]:
        least, most = value if isinstance(value, tuple) else (value, value)
        if not 1 <= least <= most:
            raise ValueError("must be at least 1, or [least, most] with 1 <= least <= most")
        return value

    @model_validator(mode="after")
    def _fields_are_set_once(self) -> Self:
        for name in _OWN_FIELDS:
            if name in self.engine_kwargs:
                raise ValueError(f"engine_kwargs: {name} is a setting of its own, not one of these")
        return self

    @property
    def teacher(self) -> str:
        """Return the name that completed rows give their teacher."""
        return f"vllm:{Path(self.model).name}"

    @property
    def engines(self) -> tuple[int, int]:
        """Return the least and the most engines."""
        return self.concurrency if isinstance(self.concurrency, tuple) else (self.concurrency,) * 2

    def source(self) -> str:
        """Return the model as the nodes name it: a local folder by its absolute path."""
        local = Path(self.model)
        return str(resolve(local)) if local.exists() else self.model

    def needs(self) -> dict[str, float]:
        """Return the CPUs and GPUs that the least number of engines and their helpers take."""
        workers = self.tensor_parallel_size * self.pipeline_parallel_size
        bundles = [{"CPU": 1.0, "GPU": 1.0}] * workers
        if self.placement_group_config is not None:
            group = self.placement_group_config
            bundles = group.get("bundles") or [group.get("bundle_per_worker", {})] * workers
        least = self.engines[0]
        cpus, gpus = (sum(b.get(kind, 0.0) for b in bundles) * least for kind in ("CPU", "GPU"))
        # The tokenising actor, and the tasks before and after the engines.
        return {"CPU": cpus + 3 * _LIGHT_CPUS, "GPU": gpus}
