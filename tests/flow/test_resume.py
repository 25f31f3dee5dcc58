"""What survives a kill -9: of the driver in synthesis, of a worker in training."""

from __future__ import annotations

import json
import signal
import subprocess
import threading
from pathlib import Path

import psutil
import pytest
from kills import (
    ROOT,
    job_command,
    rows_after_a_kill,
    rows_without_timings,
    run_job,
    saved_blocks,
    wait_until,
)
from safetensors.torch import load_file

from pad_ray.synthesis.run import synthesize
from pad_ray.synthesis.settings import SynthesisSettings
from pad_ray.training.settings import TrainingSettings
from pad_ray.training.student import train

# Endless loops make the run last long enough to be killed in the middle.
FAULTS = {"endless_loop": 0.15, "wrong_number": 0.1}


def synthesis_command(out: Path) -> list[str]:
    flags = "--task arithmetic --count 60 --samples 2 --teacher scripted --rows_per_block 8"
    own = [f"--out={out}", f"--faults={json.dumps(FAULTS)}", "--sandbox.cpu_s=0.5"]
    return [*job_command("synthesize", flags), *own]


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_killed_driver_loses_and_repeats_nothing(tmp_path: Path) -> None:
    rows, _ = rows_after_a_kill(synthesis_command, tmp_path / "whole", tmp_path / "killed")
    assert len({row["row_id"] for row in rows}) == len(rows) == 120


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("job", ["inject --count 40", "augment --copies 40"])
def test_killed_edits_lose_and_repeat_nothing(tmp_path: Path, job: str) -> None:
    data = tmp_path / "data"
    flags = f"--task arithmetic --count 100 --teacher scripted --faults {{}} --out {data}"
    run_job(job_command("synthesize", flags))

    def command(out: Path) -> list[str]:
        name, own = job.split(maxsplit=1)
        return job_command(name, f"{own} --data {data} --rows_per_block 40 --out {out}")

    rows, saved = rows_after_a_kill(command, tmp_path / "whole", tmp_path / "killed")
    assert saved < 100
    assert len({row["row_id"] for row in rows}) == len(rows) == 4000


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_an_interrupted_training_says_so_and_goes_on(tmp_path: Path) -> None:
    data, out = tmp_path / "data", tmp_path / "out"
    flags = f"--task arithmetic --count 100 --teacher scripted --faults {{}} --out {data}"
    run_job(job_command("synthesize", flags))
    flags = (
        f"--data {data} --out {out} --student scratch:tiny --max_steps 300 --evaluate_every 10 "
        "--batch_size 4 --micro_batch_size 4"
    )
    command = job_command("train", flags)
    metrics = out / "metrics.jsonl"

    # A shell has interrupts ignored in what it starts in the background.
    driver = subprocess.Popen(
        command,
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    wait_until(lambda: metrics.exists() and len(metrics.read_text().splitlines()) > 25, 200)
    driver.send_signal(signal.SIGINT)
    errors = driver.communicate(timeout=60)[1]
    assert driver.returncode == 130
    assert "interrupted; the same command goes on from here" in errors
    assert "Traceback" not in errors
    before = len(metrics.read_text().splitlines())

    run_job(command)
    steps = [json.loads(line)["step"] for line in metrics.read_text().splitlines()]
    assert len(steps) < before + 300, "it began anew"
    assert steps[-1] == 300


def judges(driver: int) -> list[psutil.Process]:
    """Return the processes of a job's own Ray that hold a sandbox."""
    family = psutil.Process(driver).children(recursive=True)
    return [process for process in family if "ProgramJudge" in "".join(process.cmdline())]


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_killed_sandbox_actor_costs_no_row(tmp_path: Path) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    run_job(synthesis_command(whole))
    driver = subprocess.Popen(synthesis_command(killed), cwd=ROOT)
    wait_until(lambda: saved_blocks(killed) >= 2, seconds=200)
    victims = judges(driver.pid)
    zygotes = [child for judge in victims for child in judge.children()]
    assert victims
    assert zygotes
    victims[0].kill()
    assert driver.wait(300) == 0
    assert rows_without_timings(killed) == rows_without_timings(whole)
    # A zygote that has no parent left is taken away by whatever process is the machine's first.
    _, alive = psutil.wait_procs(zygotes, timeout=30)
    assert not [zygote for zygote in alive if zygote.status() != psutil.STATUS_ZOMBIE]


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
