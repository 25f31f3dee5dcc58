"""Plans against runs: `jobs/plan.py`, and at once the run of ten times its calibration.

Synthesis with the scripted teacher (simulated, free) and training of `scratch:small`, each
planned and run PAD_RAY_BENCH_REPEATS times, in turn, because the machine changes its pace.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import ROOT
from rich.console import Console
from rich.table import Table

REPEATS = int(os.environ.get("PAD_RAY_BENCH_REPEATS", 2))
PROBLEMS = int(os.environ.get("PAD_RAY_BENCH_PROBLEMS", 40_000))
STEPS = int(os.environ.get("PAD_RAY_BENCH_STEPS", 600))
LARGER = 10
FAULTS = {"wrong_number": 0.05, "undefined_name": 0.05, "no_code": 0.02}
SYNTHESIS = {"task": "arithmetic", "teacher": "scripted", "faults": FAULTS}
TRAINING = {
    "student": "scratch:small",
    "batch_size": 16,
    "micro_batch_size": 4,
    "workers": 2,
    "learning_rate": 4e-3,
    "validation_fraction": 0.01,
}


@dataclass(frozen=True)
class Round:
    """A plan and its run: what it took to plan, and the seconds planned and real."""

    job: str
    planning_s: float
    planned: dict[str, float]
    real_s: float

    @property
    def ratio(self) -> float:
        return self.planned["likely"] / self.real_s


def call(job: str, *flags: str) -> float:
    """Run a job as a process of its own; return its seconds from start to exit."""
    started = time.monotonic()
    command = [sys.executable, str(ROOT / f"jobs/{job}.py"), *flags]
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - started


def plan_and_run(folder: Path, job: str, settings: dict[str, Any], *calibration: str) -> Round:
    folder.mkdir()
    config = folder / "job.yaml"
    config.write_text(yaml.safe_dump(settings | {"out": str(folder / "run")}))
    planning = call("plan", "--job", str(config), "--out", str(folder / "plan"), *calibration)
    planned = json.loads((folder / "plan/plan.json").read_text())["seconds"]
    return Round(job, planning, planned, call(job, "--config", str(config)))


@pytest.mark.timeout(7200)
def test_plans_hold(tmp_path: Path) -> None:
    rounds = []
    for i in range(REPEATS):
        synthesis = SYNTHESIS | {"count": PROBLEMS}
        calibration = ("--calibration_problems", str(PROBLEMS // LARGER))
        rounds.append(plan_and_run(tmp_path / f"s{i}", "synthesize", synthesis, *calibration))
        show(rounds)
        data = str(tmp_path / f"s{i}" / "run")
        training = TRAINING | {"data": data, "max_steps": STEPS}
        calibration = ("--calibration_steps", str(STEPS // LARGER))
        rounds.append(plan_and_run(tmp_path / f"t{i}", "train", training, *calibration))
        show(rounds)
    assert all(one.planned["likely"] > 0 for one in rounds)


def show(rounds: list[Round]) -> None:
    table = Table("job", "planning s", "planned s", "real s", "planned : real")
    for one in rounds:
        low, likely, high = (one.planned[name] for name in ("low", "likely", "high"))
        table.add_row(
            one.job,
            f"{one.planning_s:.0f}",
            f"{likely:.0f} ({low:.0f} to {high:.0f})",
            f"{one.real_s:.0f}",
            f"{one.ratio:.2f}",
        )
    Console(width=110).print(table)
