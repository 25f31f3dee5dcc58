"""A plan as a table on the terminal and as JSON."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from rich.console import Console
from rich.table import Table

from pad_ray.base.pages import duration, million
from pad_ray.pipeline.planning.cluster import ClusterSettings
from pad_ray.pipeline.planning.quantities import Range, total
from pad_ray.pipeline.planning.settings import StageEstimate

__all__ = ["Plan", "print_plan"]


@dataclass(frozen=True)
class Plan:
    """Estimates of a job's stages in order, on a cluster that is paid for from start to end."""

    job: str
    cluster: ClusterSettings
    stages: tuple[StageEstimate, ...]
    assumptions: tuple[str, ...]

    @property
    def seconds(self) -> Range:
        return total(stage.seconds for stage in self.stages)

    @property
    def usd(self) -> Range:
        teacher = total(stage.teacher_usd for stage in self.stages)
        return self.seconds.times(self.cluster.usd_per_hour / 3600) + teacher

    def stage_usd(self, stage: StageEstimate) -> Range:
        """Return the dollars of a stage: the whole cluster while it runs, and its teacher."""
        return stage.seconds.times(self.cluster.usd_per_hour / 3600) + stage.teacher_usd

    @property
    def misfits(self) -> list[str]:
        return [f"{stage.name}: {fault}" for stage in self.stages for fault in stage.misfits]

    def as_json(self) -> dict[str, Any]:
        """Return the plan JSON-ready; times in seconds, memory in GB."""
        return {
            "job": self.job,
            "cluster": self.cluster.model_dump(mode="json"),
            "fits": not self.misfits,
            "misfits": self.misfits,
            "seconds": asdict(self.seconds),
            "usd": asdict(self.usd),
            "stages": [
                {
                    **asdict(stage),
                    "gpu_hours": asdict(stage.gpu_hours),
                    "usd": asdict(self.stage_usd(stage)),
                }
                for stage in self.stages
            ],
            "assumptions": list(self.assumptions),
        }


def print_plan(plan: Plan) -> None:
    """Print the table, what does not fit, and the assumptions."""
    table = Table("stage", "of", "time", "tokens", "memory", "GPU hours", "dollars")
    for stage in plan.stages:
        table.add_row(
            stage.name,
            stage.size,
            _text(stage.seconds, duration),
            _text(stage.tokens, tokens_text),
            _text(stage.memory_gb, lambda gb: f"{gb:,.1f} GB"),
            _text(stage.gpu_hours, lambda hours: f"{hours:,.2f}"),
            _text(plan.stage_usd(stage), dollars),
        )
    hours = total(stage.gpu_hours for stage in plan.stages)
    tokens = total(stage.tokens for stage in plan.stages)
    table.add_section()
    table.add_row(
        *("all", "", _text(plan.seconds, duration), _text(tokens, tokens_text), ""),
        _text(hours, lambda value: f"{value:,.2f}"),
        _text(plan.usd, dollars),
    )
    console = Console(markup=False, width=150, highlight=False)
    console.print(table)
    console.print(f"cluster: {plan.cluster.describe()}")
    verdict = "; ".join(plan.misfits)
    console.print(f"does not fit: {verdict}" if verdict else "fits")
    for line in plan.assumptions:
        console.print(f"- {line}")


def _text(value: Range, show: Callable[[float], str]) -> str:
    if not value.high:
        return ""
    low, likely, high = show(value.low), show(value.likely), show(value.high)
    return likely if low == high else f"{likely} ({low} to {high})"


def tokens_text(tokens: float) -> str:
    """Write a number of tokens to three figures."""
    return million(round(tokens))


def dollars(amount: float) -> str:
    """Write an amount of money; small ones with their fractions of a cent."""
    return f"${amount:,.2f}" if amount >= 1 or not amount else f"${amount:.4f}"
