"""What survives a kill -9: of the driver in synthesis, of a worker in training."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pyarrow.dataset as pads
import pytest
from safetensors.torch import load_file

from pad_ray.synthesis import SynthesisSettings, synthesize
from pad_ray.training import TrainingSettings, train

ROOT = Path(__file__).parents[1]
# Endless loops make the run last long enough to be killed in the middle.
FAULTS = {"endless_loop": 0.15, "wrong_number": 0.1}


def wait_until(true: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.05)


def synthesis_command(out: Path) -> list[str]:
    flags = "--task arithmetic --count 60 --samples 2 --teacher scripted --rows_per_block 8"
    return [
        sys.executable,
        str(ROOT / "jobs/synthesize.py"),
        *flags.split(),
        f"--out={out}",
        f"--faults={json.dumps(FAULTS)}",
        "--sandbox.cpu_s=0.5",
    ]


def rows_without_timings(folder: Path) -> list[dict[str, Any]]:
    tables = [pads.dataset(folder / part).to_table() for part in ("verified", "rejected")]
    return [
        {**row, "cpu_s": None, "wall_s": None}
        for table in tables
        for row in table.sort_by("row_id").to_pylist()
    ]


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_killed_driver_loses_and_repeats_nothing(tmp_path: Path) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    subprocess.run(synthesis_command(whole), check=True, cwd=ROOT, timeout=300)

    driver = subprocess.Popen(synthesis_command(killed), cwd=ROOT, start_new_session=True)
    checkpoint = killed / "work/checkpoint"
    wait_until(lambda: len(list(checkpoint.glob("*.parquet"))) >= 3, seconds=200)
    os.kill(driver.pid, signal.SIGKILL)
    driver.wait()
    assert not (killed / "manifest.json").exists()
    saved = set(checkpoint.glob("*.parquet"))

    subprocess.run(synthesis_command(killed), check=True, cwd=ROOT, timeout=300)
    assert saved, "nothing was saved before the kill, so nothing was resumed"
    rows = rows_without_timings(killed)
    assert rows == rows_without_timings(whole)
    assert len({row["row_id"] for row in rows}) == len(rows) == 120


def judges(driver: int) -> list[psutil.Process]:
    """Return the processes of a job's own Ray that hold a sandbox."""
    family = psutil.Process(driver).children(recursive=True)
    return [process for process in family if "ProgramJudge" in "".join(process.cmdline())]


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_killed_sandbox_actor_costs_no_row(tmp_path: Path) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    subprocess.run(synthesis_command(whole), check=True, cwd=ROOT, timeout=300)
    driver = subprocess.Popen(synthesis_command(killed), cwd=ROOT)
    checkpoint = killed / "work/checkpoint"
    wait_until(lambda: len(list(checkpoint.glob("*.parquet"))) >= 2, seconds=200)
    victims = judges(driver.pid)
    zygotes = [child for judge in victims for child in judge.children()]
    assert victims
    assert zygotes
    victims[0].kill()
    assert driver.wait(300) == 0
    assert rows_without_timings(killed) == rows_without_timings(whole)
    assert not [zygote for zygote in zygotes if zygote.is_running()]


def train_workers() -> list[psutil.Process]:
    named = [p for p in psutil.process_iter(["cmdline"]) if p.info["cmdline"]]
    return [p for p in named if p.info["cmdline"][0].startswith("ray::RayTrainWorker")]


def kill_one_worker(metrics: Path, killed: list[int]) -> None:
    """Kill a training worker once the run is past its first checkpoint."""

    def past_first_checkpoint() -> bool:
        lines = metrics.read_text().splitlines() if metrics.exists() else []
        return any(json.loads(line)["step"] >= 18 for line in lines)

    wait_until(past_first_checkpoint, seconds=400)
    victim = train_workers()[0]
    victim.kill()
    killed.append(victim.pid)


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.usefixtures("local_ray")
def test_killed_training_worker_resumes_to_the_same_student(tmp_path: Path) -> None:
    data = tmp_path / "data"
    synthesize(SynthesisSettings(task="arithmetic", count=80, teacher="scripted", out=data))

    def settings(out: Path) -> TrainingSettings:
        return TrainingSettings(
            data=data,
            out=out,
            student="scratch:tiny",
            max_steps=60,
            evaluate_every=15,
            log_every=1,
            workers=2,
            zero_stage=1,
        )

    train(settings(tmp_path / "whole"))
    killed: list[int] = []
    out = tmp_path / "killed"
    killer = threading.Thread(target=kill_one_worker, args=(out / "metrics.jsonl", killed))
    killer.start()
    train(settings(out))
    killer.join()
    assert killed

    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if "loss" in line] == list(range(1, 61))
    whole = load_file(tmp_path / "whole/model.safetensors")
    resumed = load_file(out / "model.safetensors")
    for name, weights in whole.items():
        assert weights.allclose(resumed[name], atol=1e-4), name
