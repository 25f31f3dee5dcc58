"""A training run's metrics.jsonl: its losses by step, and the workers that trained."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

from pad_ray.base.errors import DataError


class MetricsLog:
    """Rank 0 writes metrics as JSON lines, and to a TensorBoard folder if there is one."""

    def __init__(self, path: str, tensorboard: str | None, resumed_at: int) -> None:
        import torch.distributed  # which who reads metrics has no need of

        self._active = torch.distributed.get_rank() == 0
        self._path = Path(path)
        self._board: Any = None
        if not self._active:
            return
        self._forget_after(resumed_at)
        if tensorboard is not None:
            from torch.utils.tensorboard import SummaryWriter

            self._board = SummaryWriter(tensorboard, purge_step=resumed_at + 1)

    def _forget_after(self, step: int) -> None:
        """Drop lines of steps that a lost run had done after its last checkpoint."""
        lines = self._path.read_text(encoding="utf-8").splitlines() if self._path.exists() else []
        # A killed worker may have left half a line at the end.
        whole = [line for line in lines if line.endswith("}")]
        kept = [line for line in whole if json.loads(line)["step"] <= step]
        self._path.write_text("".join(f"{line}\n" for line in kept))

    def write(self, metrics: dict[str, float | str]) -> None:
        if not self._active:
            return
        with self._path.open("a") as file:
            file.write(json.dumps(metrics) + "\n")
        for name, value in metrics.items():
            if self._board is not None and isinstance(value, float):
                self._board.add_scalar(name, value, metrics["step"])


def worker_groups(path: Path) -> list[dict[str, Any]]:
    """Return the workers that trained, and from which step on."""
    lines = map(json.loads, path.read_text(encoding="utf-8").splitlines())
    groups: list[dict[str, Any]] = []
    for line in (line for line in lines if "workers" in line):
        group = {"workers": line["workers"], "device": line["device"]}
        # A group that was lost before its first checkpoint left nothing.
        if groups and groups[-1]["from_step"] == line["step"]:
            groups.pop()
        if not groups or not group.items() <= groups[-1].items():
            groups.append({"from_step": line["step"], **group})
    return groups


def general_loss(metrics: Path, best_step: int) -> dict[str, float] | None:
    """Return the loss (nats a token) on the held-back texts before training and at its best step.

    None where no texts were given.
    """
    lines = map(json.loads, metrics.read_text(encoding="utf-8").splitlines())
    by_step = {line["step"]: line["general_loss"] for line in lines if "general_loss" in line}
    return {"before": by_step[0], "after": by_step[best_step]} if by_step else None


def last_metrics(path: Path) -> tuple[int, str]:
    """Return the last logged step and the losses there, for the progress display."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    latest: dict[str, float] = {}
    for line in lines[-50:]:
        with suppress(ValueError):
            latest.update(json.loads(line))
    names = {"loss": "loss", "validation_loss": "validation loss"}
    remark = ", ".join(f"{names[name]} {latest[name]:.4f}" for name in names if name in latest)
    return int(latest.get("step", 0)), remark


def metric_lines(path: Path) -> list[dict[str, Any]]:
    """Read a training run's metrics.jsonl; `DataError` names a line at fault."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    lines = []
    for number, line in enumerate(text.splitlines(), 1):
        try:
            lines.append(json.loads(line))
        except ValueError as error:
            raise DataError(f"{path}, line {number}: malformed JSON: {error}") from error
    return lines
