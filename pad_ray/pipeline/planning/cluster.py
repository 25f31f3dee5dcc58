"""The cluster that a plan is for, as the user describes it, and what GPUs can do."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Literal, Self

from pydantic import Field, model_validator

from pad_ray.base.config import Settings
from pad_ray.flow.local_cpus import local_cpus

__all__ = ["GPUS", "ClusterSettings", "GPUKind", "NodeGroup", "this_machine"]

GPUName = Literal["T4", "A10G", "L4", "L40S", "A100-40GB", "A100-80GB", "H100", "H200", "B200"]


@dataclass(frozen=True)
class GPUKind:
    """Memory in GB, and peak TFLOP/s without sparsity."""

    memory_gb: float
    bf16_tflops: float
    fp32_tflops: float


# NVIDIA's data sheets, SXM where there are several forms. A T4 computes bf16 as fp32; fp32 is that
# of the plain units, as torch multiplies by default.
GPUS: dict[str, GPUKind] = {
    "T4": GPUKind(16, 8.1, 8.1),
    "A10G": GPUKind(24, 70, 35),
    "L4": GPUKind(24, 121, 30.3),
    "L40S": GPUKind(48, 362, 91.6),
    "A100-40GB": GPUKind(40, 312, 19.5),
    "A100-80GB": GPUKind(80, 312, 19.5),
    "H100": GPUKind(80, 989, 67),
    "H200": GPUKind(141, 989, 67),
    "B200": GPUKind(180, 2250, 75),
}


class NodeGroup(Settings):
    """Nodes of one kind."""

    nodes: int = Field(1, ge=1)
    """How many of them."""
    cpus: int = Field(ge=1)
    """Cores of each."""
    memory_gb: float = Field(gt=0)
    """Memory of each."""
    gpus: int = Field(0, ge=0)
    """GPUs of each."""
    gpu: GPUName | None = None
    """Kind of GPU."""
    usd_per_hour: float = Field(0.0, ge=0)
    """Price of each."""

    @model_validator(mode="after")
    def _gpu_is_named(self) -> Self:
        if bool(self.gpus) != (self.gpu is not None):
            raise ValueError("gpu: give the kind of GPU and their number, gpus, or neither")
        return self


class ClusterSettings(Settings):
    """Nodes and prices."""

    nodes: list[NodeGroup] = Field(default_factory=list)
    """Groups of nodes; none: this machine."""
    usd_per_million_prompt_tokens: float | None = Field(None, ge=0)
    """The teacher's price (default: that of its endpoint settings)."""
    usd_per_million_completion_tokens: float | None = Field(None, ge=0)
    """The teacher's price of what it writes."""
    utilisation: float = Field(0.3, gt=0, le=1)
    """Share of a GPU's peak that training reaches, where no such GPU is here to measure on."""

    @property
    def is_here(self) -> bool:
        return not self.nodes

    @property
    def groups(self) -> list[NodeGroup]:
        return self.nodes or [this_machine()]

    @property
    def cores(self) -> int:
        return sum(group.nodes * group.cpus for group in self.groups)

    @property
    def slots(self) -> int:
        """Logical CPUs that Ray hands out: a local Ray counts a small machine's cores twice."""
        count = sum(group.nodes for group in self.groups)
        return max(self.cores, local_cpus(self.cores)) if count == 1 else self.cores

    @property
    def gpus(self) -> int:
        return sum(group.nodes * group.gpus for group in self.groups)

    @property
    def usd_per_hour(self) -> float:
        return sum(group.nodes * group.usd_per_hour for group in self.groups)

    @property
    def weakest_gpu(self) -> GPUKind | None:
        """The kind with the least peak: data-parallel workers wait for the slowest."""
        kinds = [GPUS[group.gpu] for group in self.groups if group.gpu is not None]
        return min(kinds, key=lambda kind: kind.bf16_tflops, default=None)

    def describe(self) -> str:
        """Return the cluster in a line."""
        parts = [
            f"{group.nodes} x {group.cpus} cores, {group.memory_gb:,.0f} GB"
            + (f", {group.gpus} {group.gpu}" if group.gpus else "")
            for group in self.groups
        ]
        place = " (this machine)" if self.is_here else ""
        return f"{'; '.join(parts)}{place}, ${self.usd_per_hour:,.2f} an hour"


def this_machine() -> NodeGroup:
    """Return this machine as a node without GPUs and without a price."""
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e9
    return NodeGroup(cpus=os.cpu_count() or 1, memory_gb=round(memory, 1))
