"""Memory: what a calibration is seen to take, and what training a student needs."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace

import psutil

from pad_ray.pipeline.planning.quantities import Range

__all__ = ["PeakMemory", "RowsSeen", "StudentShape", "training_memory", "watch_memory"]

_EVERY_S = 1.0
# A worker without its student: Python, torch, DeepSpeed and Ray.
_WORKER_GB = 0.6


class PeakMemory:
    """The most proportional set size, in GB, of this process and all below it at once."""

    gb: float = 0.0

    def look(self) -> None:
        """Measure once more."""
        bytes_now = 0
        with suppress(psutil.NoSuchProcess):
            own = psutil.Process()
            for process in [own, *own.children(recursive=True)]:
                with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                    bytes_now += process.memory_full_info().pss
        self.gb = max(self.gb, bytes_now / 1e9)


@contextmanager
def watch_memory() -> Iterator[PeakMemory]:
    """Look at the memory every second while the block runs; a local Ray is below the driver."""
    peak, stop = PeakMemory(), threading.Event()

    def watch() -> None:
        while not stop.wait(_EVERY_S):
            peak.look()

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield peak
    finally:
        stop.set()
        thread.join()


@dataclass(frozen=True)
class StudentShape:
    """What memory and FLOPs follow from."""

    parameters: int
    hidden: int
    layers: int
    vocabulary: int


@dataclass(frozen=True)
class RowsSeen:
    """A student's shape and rows: how many for training and validation, and their mean tokens."""

    shape: StudentShape
    train: float
    validation: float
    tokens: float
    longest: int
    target_tokens: float

    def scaled(self, factor: float) -> RowsSeen:
        """Return so many times the rows."""
        return replace(self, train=self.train * factor, validation=self.validation * factor)


def training_memory(
    shape: StudentShape,
    *,
    zero_stage: int,
    precision: str,
    workers: int,
    micro_batch_size: int,
    row_tokens: Range,
) -> Range:
    """Return the GB of a worker: states by ZeRO stage, activations of a micro-batch, itself.

    States as Rajbhandari et al. 2020 (arXiv 1910.02054) count them, with an fp32 master copy
    under ZeRO in fp32 too; activations as Korthikanti et al. 2022 (arXiv 2205.05198) without
    attention's squares, doubled in fp32, and three copies of the logits. The range is that of rows
    of usual and of greatest length.
    """
    half = precision == "bf16"
    weights, gradients = (2.0, 2.0) if half else (4.0, 4.0)
    master = 4.0 if half or zero_stage else 0.0
    shared = [(weights, 3), (gradients, 2), (master + 8.0, 1)]
    a_parameter = sum(size / (workers if zero_stage >= stage else 1) for size, stage in shared)
    token = shape.layers * shape.hidden * (34 if half else 68) + 3 * 4 * shape.vocabulary
    activations = row_tokens.times(micro_batch_size * token / 1e9)
    fixed = shape.parameters * a_parameter / 1e9 + _WORKER_GB
    return Range(fixed, fixed, fixed) + activations
