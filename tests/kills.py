"""Killing a job in the middle and running it again, against the same job undisturbed."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pad_ray.base.storage import parquet_dataset

ROOT = Path(__file__).parents[1]
TIMINGS = {"cpu_s", "wall_s", "solve_s"}


def job_command(job: str, flags: str) -> list[str]:
    return [sys.executable, str(ROOT / f"jobs/{job}.py"), *flags.split()]


def run_job(command: list[str]) -> None:
    subprocess.run(command, cwd=ROOT, check=True, timeout=300)


def wait_until(true: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.05)


def rows_without_timings(folder: Path) -> list[dict[str, Any]]:
    """Return a dataset's rows, on a disk or in object storage, without what was measured."""
    return [
        {name: value for name, value in row.items() if name not in TIMINGS}
        for part in ("verified", "rejected")
        for row in parquet_dataset(folder / part).to_table().to_pylist()
    ]


def saved_blocks(folder: Path) -> int:
    return sum(1 for _ in (folder / "work").rglob("checkpoint/*.parquet"))


def rows_after_a_kill(
    command: Callable[[Path], list[str]], whole: Path, killed: Path
) -> tuple[list[dict[str, Any]], int]:
    """Kill a job in the middle, run it again, and compare its rows with an undisturbed run's.

    Returns the rows, and how many blocks were saved before the kill.
    """
    run_job(command(whole))
    driver = subprocess.Popen(command(killed), cwd=ROOT, start_new_session=True)
    wait_until(lambda: driver.poll() is not None or saved_blocks(killed) >= 3, seconds=200)
    driver.kill()
    driver.wait()
    assert not (killed / "manifest.json").exists(), "finished before the kill"
    saved = saved_blocks(killed)
    assert saved, "nothing was saved before the kill, so nothing is resumed"
    run_job(command(killed))
    rows = rows_without_timings(killed)
    assert rows == rows_without_timings(whole)
    return rows, saved
