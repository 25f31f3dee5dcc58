"""What a plan is asked for, and what it answers for each stage."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from pydantic import Field

from pad_ray.base.config import Settings
from pad_ray.pipeline.planning.cluster import ClusterSettings
from pad_ray.pipeline.planning.quantities import NOTHING, Range

__all__ = ["PlanSettings", "Spread", "StageEstimate", "spread_of"]

# A machine with so many processes a core that want to run is shared with others' work.
_BUSY = 1.5


@dataclass(frozen=True)
class Spread:
    """How far off times may be, as a share, and why."""

    share: float
    reason: str


def spread_of(cluster: ClusterSettings, load: float) -> Spread:
    """Return the spread of times for a cluster; `load` is this machine's before the calibration."""
    cores = ClusterSettings().cores
    if load > _BUSY * cores:
        return Spread(
            1.0,
            f"this machine was busy (load {load:.0f} on {cores} cores), so times may be half or "
            "twice as much; plan again when it is quiet",
        )
    if not cluster.is_here:
        return Spread(0.6, "times on another cluster may be 60% off")
    return Spread(0.25, "times measured here may be 25% off")


class PlanSettings(Settings):
    """Estimate time, tokens, memory, GPU hours and money of a job on a cluster."""

    job: Path
    """YAML file of the job pipeline, synthesize or train."""
    count: int | None = Field(None, ge=1)
    """Problems to plan for, all syntheses together (default: those of the job)."""
    cluster: ClusterSettings = ClusterSettings()
    """Nodes and prices, a YAML file or flags (default: this machine)."""
    calibration_problems: int | None = Field(None, ge=8)
    """Problems of each synthesis that are really run (default: 2000, and more until it takes long
    enough, of at most a fifth; a paid teacher needs it)."""
    calibration_steps: int = Field(60, ge=8)
    """Training steps that are really run."""
    out: Path | None = None
    """Directory for plan.json."""


@dataclass(frozen=True)
class StageEstimate:
    """What a stage takes: seconds, tokens, GB on the busiest node or device, GPUs, dollars.

    `misfits` say what the cluster cannot give, with the remedy; `notes` are assumptions.
    """

    name: str
    size: str
    seconds: Range
    tokens: Range = NOTHING
    memory_gb: Range = NOTHING
    gpus: float = 0.0
    teacher_usd: Range = NOTHING
    misfits: tuple[str, ...] = ()
    notes: tuple[str, ...] = field(default_factory=tuple)

    @property
    def gpu_hours(self) -> Range:
        return self.seconds.times(self.gpus / 3600)
