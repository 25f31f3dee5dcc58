"""Checkpoints of a training run, which go on with any number of workers.

DeepSpeed's ZeRO state is cut into one shard a worker. Where another number of workers goes on,
the state is first made into DeepSpeed's universal checkpoint, which any number can load.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from argparse import Namespace
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

import ray.train
import torch
import torch.distributed

from pad_ray.base.errors import ConfigError

_TAG = "state"
_POSITION = "position.json"
# The converter looks for these two moments in the optimizer's state.
_CONVERTIBLE = {"adam", "adamw"}


@dataclass(frozen=True)
class Start:
    """Where a run takes up: the steps done, and the folder of the state after them, if any."""

    step: int = 0
    folder: Path | None = None
    is_universal: bool = False


def save_checkpoint(engine: Any, step: int, validation_loss: float) -> None:
    """Save the state of every rank and report it to Ray Train; all ranks must call it."""
    # Every rank saves its shard of the ZeRO state; Ray merges the folders into one checkpoint.
    with tempfile.TemporaryDirectory() as folder:
        engine.save_checkpoint(folder, tag=_TAG)
        (Path(folder) / _POSITION).write_text(json.dumps({"step": step}))
        torch.distributed.barrier()
        ray.train.report(
            {"step": step, "validation_loss": validation_loss},
            checkpoint=ray.train.Checkpoint.from_directory(folder),
        )


def find_start(conversions: Path) -> Start:
    """Return where this group of workers takes up; all ranks must call it.

    The first rank converts the last checkpoint into `conversions` if as many workers as now did
    not write it, unless that has been done.
    """
    checkpoint = ray.train.get_checkpoint()
    if checkpoint is None:
        return Start()
    folder = Path(checkpoint.path)
    step = _steps_done(folder)
    if _shards(folder) in (0, torch.distributed.get_world_size()):
        return Start(step, folder)
    converted = conversions / folder.name
    if torch.distributed.get_rank() == 0 and not converted.is_dir():
        _convert(folder, converted)
    torch.distributed.barrier()
    return Start(step, converted, is_universal=True)


def restore(engine: Any, start: Start) -> None:
    """Load the model, optimizer and schedule that a run takes up with."""
    if start.folder is None:
        return
    decays = _weight_decays(engine) if start.is_universal else []
    engine.load_checkpoint(str(start.folder), tag=_TAG)
    if start.is_universal:
        _mend_stage_3(engine, decays)


def _steps_done(folder: Path) -> int:
    return int(json.loads((folder / _POSITION).read_text(encoding="utf-8"))["step"])


def _shards(folder: Path) -> int:
    """Return how many workers wrote a ZeRO checkpoint; 0 for stage 0, where the state is whole."""
    return len(list((folder / _TAG).glob("*_optim_states.pt")))


def _convert(folder: Path, converted: Path) -> None:
    """Make a universal checkpoint; `converted` exists only when it is whole."""
    from deepspeed.checkpoint import ds_to_universal

    # What an interrupted conversion or an earlier checkpoint left.
    shutil.rmtree(converted.parent, ignore_errors=True)
    partial = converted.with_name(f".{converted.name}.partial")
    arguments = Namespace(
        input_folder=str(folder / _TAG),
        output_folder=str(partial / _TAG),
        num_extract_workers=1,
        num_merge_workers=1,
        keep_temp_folder=False,
        strict=True,
        inject_missing_state=True,
    )
    with redirect_stdout(StringIO()), redirect_stderr(StringIO()):
        ds_to_universal.main(arguments)
    partial.rename(converted)


def _weight_decays(engine: Any) -> list[float]:
    return [group["weight_decay"] for group in engine.basic_optimizer.param_groups]


def _mend_stage_3(engine: Any, weight_decays: list[float]) -> None:
    """Undo what stage 3 does when it loads a universal checkpoint.

    It gives every group of parameters the weight decay of the first, and all of them one step
    count, which each of them then advances.
    """
    optimizer = engine.basic_optimizer
    for group, weight_decay in zip(optimizer.param_groups, weight_decays, strict=True):
        group["weight_decay"] = weight_decay
    for state in optimizer.state.values():
        if torch.is_tensor(state.get("step")):
            state["step"] = state["step"].clone()


def check_workers(out: Path, workers: int, deepspeed: dict[str, Any]) -> None:
    """Refuse a number of workers that a run's last checkpoint cannot be converted to."""
    written = [p.parent for p in (out / "work").glob(f"*/checkpoint_*/{_POSITION}")]
    shards = _shards(max(written, key=_steps_done)) if written else 0
    obstacle = conversion_obstacle(deepspeed)
    if obstacle is not None and shards not in (0, workers):
        raise ConfigError(
            f"workers: {out} has a checkpoint of {shards} worker(s), and {obstacle}; "
            f"go on with --workers {shards} or name another directory"
        )


def conversion_obstacle(deepspeed: dict[str, Any]) -> str | None:
    """Return why checkpoints under this configuration keep their number of workers, if so."""
    zero = deepspeed["zero_optimization"]
    name = str(deepspeed.get("optimizer", {}).get("type", "AdamW"))
    if zero.get("stage", 0) == 0:
        return None
    if (zero.get("offload_optimizer") or {}).get("device") == "nvme":
        return "DeepSpeed cannot convert optimizer state that is on NVMe"
    if name.lower() not in _CONVERTIBLE:
        return f"DeepSpeed cannot convert the state of {name}, only that of Adam and AdamW"
    return None


def read_weights(folder: Path) -> dict[str, torch.Tensor]:
    """Return the fp32 weights of a checkpoint of any ZeRO stage."""
    from deepspeed.utils.zero_to_fp32 import get_fp32_state_dict_from_zero_checkpoint

    if _shards(folder):
        with redirect_stdout(StringIO()), redirect_stderr(StringIO()):
            return dict(get_fp32_state_dict_from_zero_checkpoint(str(folder), tag=_TAG))
    states = torch.load(folder / _TAG / "mp_rank_00_model_states.pt", weights_only=True)
    return dict(states["module"])
