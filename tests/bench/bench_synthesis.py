"""Data synthesis at two sizes and on one core and two, against the bare sandbox.

The scripted teacher is simulated and free, so what is measured is the pipeline: requests, Ray Data,
reading programs out of texts, the sandbox, keys, checkpoints and the sorted dataset.
PAD_RAY_BENCH_ROWS names the large run's samples.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pyarrow.dataset as pads
import pytest
from conftest import ROOT
from rich.console import Console
from rich.table import Table

from pad_ray.sandbox import Sandbox

ROWS = int(os.environ.get("PAD_RAY_BENCH_ROWS", 1_000_000))
SMALL, CORES = 50_000, 200_000
SAMPLES = 4
FAULTS = {"wrong_number": 0.05, "undefined_name": 0.05, "no_code": 0.02}
PROGRAMS = 100_000
EVERY_S = 2.0


@dataclass(frozen=True)
class Run:
    """One synthesis: its manifest, seconds from start to exit, and the most memory at once."""

    manifest: dict[str, Any]
    wall_s: float
    peak_mb: float
    driver_mb: float

    @property
    def rows_per_s(self) -> float:
        return float(self.manifest["counts"]["rows"]) / self.wall_s


class Memory:
    """The proportional set sizes of a process and all below it, object store included."""

    def __init__(self, process: psutil.Process) -> None:
        self._process = process
        self.peak = self.driver = 0.0

    def look(self) -> None:
        total = 0.0
        with suppress(psutil.NoSuchProcess):
            for process in [self._process, *self._process.children(recursive=True)]:
                with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                    pss = process.memory_full_info().pss / 1e6
                    total += pss
                    if process.pid == self._process.pid:
                        self.driver = max(self.driver, pss)
        self.peak = max(self.peak, total)


@contextmanager
def watched(process: subprocess.Popen[str]) -> Iterator[Memory]:
    memory = Memory(psutil.Process(process.pid))
    stop = threading.Event()

    def watch() -> None:
        while not stop.wait(EVERY_S):
            memory.look()

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield memory
    finally:
        stop.set()
        thread.join()


def synthesise(out: Path, rows: int, cores: str, sandboxes: int) -> Run:
    flags = (
        f"--task arithmetic --teacher scripted --count {rows // SAMPLES} --samples {SAMPLES} "
        f"--sandbox_actors {sandboxes} --out {out}"
    )
    command = [sys.executable, str(ROOT / "jobs/synthesize.py"), *flags.split()]
    command.append(f"--faults={json.dumps(FAULTS)}")
    started = time.monotonic()
    process = subprocess.Popen(
        ["taskset", "-c", cores, *command], cwd=ROOT, stdout=subprocess.DEVNULL, text=True
    )
    with watched(process) as memory:
        assert process.wait() == 0
    wall = time.monotonic() - started
    manifest = json.loads((out / "manifest.json").read_text())
    return Run(manifest, wall, memory.peak, memory.driver)


def bare_rows_per_s(folder: Path, zygotes: int) -> float:
    """Run a dataset's own programs in a sandbox and do nothing else."""
    programs: list[str] = []
    for part in ("verified", "rejected"):
        column = pads.dataset(folder / part, format="parquet").head(PROGRAMS, columns=["program"])
        programs += [program for program in column["program"].to_pylist() if program]
    programs = programs[:PROGRAMS]
    with Sandbox(zygotes=zygotes) as sandbox:
        sandbox.run(programs[:2000])
        started = time.monotonic()
        sandbox.run(programs)
        return len(programs) / (time.monotonic() - started)


@pytest.mark.timeout(7200)
def test_synthesis_scales(tmp_path: Path) -> None:
    small = synthesise(tmp_path / "small", SMALL, "0,1", 2)
    large = synthesise(tmp_path / "large", ROWS, "0,1", 2)
    bare = bare_rows_per_s(tmp_path / "large", 2)
    bare_one = bare_rows_per_s(tmp_path / "large", 1)
    one = synthesise(tmp_path / "one", CORES, "0", 1)
    two = synthesise(tmp_path / "two", CORES, "0,1", 2)
    again = time.monotonic()
    resumed = synthesise(tmp_path / "large", ROWS, "0,1", 2)
    again = time.monotonic() - again

    for run in (small, large, one, two):
        counts = run.manifest["counts"]
        assert counts["rows"] == counts["verified"] + counts["rejected"]
        assert counts["rejected"] == sum(counts["by_reason"].values())
    assert large.manifest["counts"]["rows"] == ROWS
    assert resumed.manifest == large.manifest

    table = Table("run", "rows", "cores", "seconds", "rows/s", "peak MB", "driver MB")
    for name, run, cores in (
        ("small", small, 2),
        ("large", large, 2),
        ("one core", one, 1),
        ("two cores", two, 2),
    ):
        table.add_row(
            name,
            f"{run.manifest['counts']['rows']:,}",
            str(cores),
            f"{run.wall_s:.0f}",
            f"{run.rows_per_s:,.0f}",
            f"{run.peak_mb:,.0f}",
            f"{run.driver_mb:,.0f}",
        )
    console = Console(width=110)
    console.print(table)
    goals = Table("ratio", "measured", "goal")
    goals.add_row("peak memory, large : small", f"{large.peak_mb / small.peak_mb:.2f}", "<= 1.3")
    goals.add_row("rows/s, large : bare sandbox", f"{large.rows_per_s / bare:.2f}", ">= 0.6")
    goals.add_row("rows/s, two cores : one", f"{two.rows_per_s / one.rows_per_s:.2f}", ">= 1.7")
    goals.add_row("seconds to see that it is complete", f"{again:.0f}", "< 30")
    console.print(goals)
    console.print(f"bare sandbox: {bare:,.0f} rows/s on two cores, {bare_one:,.0f} on one")
