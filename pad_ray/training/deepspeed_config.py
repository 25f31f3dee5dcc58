"""The DeepSpeed configuration that follows from the settings and the user's JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pad_ray.base.errors import ConfigError, DataError, reason_of
from pad_ray.training.settings import TrainingHyperparameters

__all__ = ["deepspeed_config"]

Section = dict[str, Any]

_SECTIONS = (
    "bf16",
    "bfloat16",
    "checkpoint",
    "fp16",
    "optimizer",
    "scheduler",
    "zero_optimization",
)
_OFFLOADS: dict[str, tuple[str, ...]] = {
    "none": (),
    "optimizer": ("offload_optimizer",),
    "parameters": ("offload_optimizer", "offload_param"),
}
# The loop tells DeepSpeed of these itself: what they are depends on the workers that are there.
_OF_THE_LOOP = ("train_batch_size", "gradient_accumulation_steps")
# What DeepSpeed's schedules have that follows from the settings.
_OF_SCHEDULES = {
    "WarmupLR": ("warmup_min_lr", "warmup_max_lr", "warmup_num_steps"),
    "WarmupDecayLR": ("warmup_min_lr", "warmup_max_lr", "warmup_num_steps", "total_num_steps"),
    "WarmupCosineLR": ("warmup_num_steps", "total_num_steps"),
}


def deepspeed_config(settings: TrainingHyperparameters, steps: int | None = None) -> Section:
    """Return DeepSpeed's configuration: these settings, and the user's JSON laid over them.

    Objects in it are merged at every depth, and "auto" leaves a value to the settings. `steps` are
    those of the run, where they are known. `ConfigError` for a value that contradicts a setting.
    """
    config: Section = {
        "train_micro_batch_size_per_gpu": settings.micro_batch_size,
        "gradient_clipping": settings.gradient_clipping,
        "zero_optimization": _zero_optimization(settings),
        "bf16": {"enabled": settings.precision == "bf16"},
        # The optimizer is torch's AdamW: DeepSpeed's own needs a compiler at run time.
        "zero_allow_untested_optimizer": True,
        "zero_force_ds_cpu_optimizer": False,
        "steps_per_print": 10**9,
    }
    if settings.deepspeed is None:
        return config
    given = _read(settings.deepspeed)
    values = _without_auto(given)
    _refuse_contradictions(settings, values)
    for key in _OF_THE_LOOP:
        values.pop(key, None)
    if "optimizer" in values:
        config["optimizer"] = {"params": _of_optimizer(settings, given["optimizer"])}
    if "scheduler" in values:
        config["scheduler"] = {"params": _of_scheduler(settings, values["scheduler"], steps)}
    return _merged(config, values)


def _zero_optimization(settings: TrainingHyperparameters) -> Section:
    place = {"device": "cpu", "pin_memory": settings.gpus_per_worker > 0}
    return {"stage": settings.zero_stage, **dict.fromkeys(_OFFLOADS[settings.offload], place)}


def _of_optimizer(settings: TrainingHyperparameters, given: Section) -> Section:
    params: Section = {"lr": settings.learning_rate, "weight_decay": settings.weight_decay}
    if "betas" in given.get("params", {}):  # not every optimizer has them
        params["betas"] = [0.9, 0.95]
    return params


def _of_scheduler(settings: TrainingHyperparameters, given: Section, steps: int | None) -> Section:
    known: Section = {"warmup_min_lr": 0.0, "warmup_max_lr": settings.learning_rate}
    if steps is not None:
        warmup = max(1, round(steps * settings.warmup_ratio))
        known |= {"warmup_num_steps": warmup, "total_num_steps": steps}
    wanted = _OF_SCHEDULES.get(given.get("type", ""), ())
    return {key: known[key] for key in wanted if key in known}


def _read(path: Path) -> Section:
    """Read the user's DeepSpeed JSON, with an object wherever there must be one."""
    try:
        given = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"deepspeed: {path}: cannot be read: {reason_of(error)}") from error
    except ValueError as error:
        raise DataError(f"deepspeed: {path}: malformed JSON: {error}") from error
    if not isinstance(given, dict):
        raise DataError(f"deepspeed: {path}: expected a JSON object")
    for key in _SECTIONS:
        section = given.get(key, {})
        if not isinstance(section, dict) and section != "auto":
            raise DataError(f"deepspeed: {path}: '{key}': expected an object")
        if isinstance(section, dict) and not isinstance(section.get("params", {}), dict):
            raise DataError(f"deepspeed: {path}: '{key}.params': expected an object")
    return given


def _without_auto(given: Section) -> Section:
    return {
        key: _without_auto(value) if isinstance(value, dict) else value
        for key, value in given.items()
        if value != "auto"
    }


def _merged(config: Section, given: Section) -> Section:
    """Lay `given` over `config`; where both have an object, that of the two is merged."""
    both = {
        key: _merged(config[key], value)
        for key, value in given.items()
        if isinstance(value, dict) and isinstance(config.get(key), dict)
    }
    return {**config, **given, **both}


def _refuse_contradictions(settings: TrainingHyperparameters, given: Section) -> None:
    if settings.optimizer == "muon" and "optimizer" in given:
        raise ConfigError(
            f"deepspeed: {settings.deepspeed}: it has an 'optimizer', and optimizer is 'muon'; "
            "leave one of them out"
        )
    flat = dict(_flat(given))
    for key, wanted, field in _decided(settings):
        if key in flat and flat[key] != wanted:
            raise ConfigError(
                f"deepspeed: {settings.deepspeed}: '{key}' is {json.dumps(flat[key])}, and "
                f'{field}; make them the same, or leave the key out or "auto"'
            )


def _flat(section: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in section.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _decided(settings: TrainingHyperparameters) -> Iterator[tuple[str, Any, str]]:
    """Yield what DeepSpeed's keys must be by the settings, and how those say it."""
    for name, keys in {
        "batch_size": ["train_batch_size"],
        "micro_batch_size": ["train_micro_batch_size_per_gpu"],
        "gradient_clipping": ["gradient_clipping", "optimizer.params.max_grad_norm"],
        "learning_rate": ["optimizer.params.lr", "scheduler.params.warmup_max_lr"],
        "weight_decay": ["optimizer.params.weight_decay"],
        "zero_stage": ["zero_optimization.stage"],
    }.items():
        value = getattr(settings, name)
        yield from ((key, value, f"{name} is {value}") for key in keys)
    accumulation = settings.sizes.accumulation(settings.workers)
    by = "batch_size, micro_batch_size and workers come to"
    yield "gradient_accumulation_steps", accumulation, f"{by} {accumulation}"
    precision = f"precision is '{settings.precision}'"
    yield "fp16.enabled", False, precision
    for key in ("bf16.enabled", "bfloat16.enabled"):
        yield key, settings.precision == "bf16", precision
    for kind in _OFFLOADS[settings.offload]:
        # Itself too, where it is no object: null would offload nothing.
        for key in (f"zero_optimization.{kind}", f"zero_optimization.{kind}.device"):
            yield key, "cpu", f"offload is '{settings.offload}'"
