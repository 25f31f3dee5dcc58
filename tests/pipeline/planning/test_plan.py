"""Plans of whole jobs, their stages really calibrated on a local Ray."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from pad_ray.base.errors import ConfigError
from pad_ray.pipeline.planning.report import Plan
from pad_ray.pipeline.planning.run import plan
from pad_ray.pipeline.planning.settings import PlanSettings
from tests.teachers.openai_server import Call, Reply, as_asked, openai_server

SCRIPTED = {"task": "arithmetic", "teacher": "scripted", "faults": {"wrong_number": 0.2}}
GPU_NODES = {"nodes": [{"cpus": 16, "memory_gb": 128, "gpus": 2, "gpu": "H100", "usd_per_hour": 5}]}


def planned(folder: Path, job: dict[str, Any], **settings: Any) -> Plan:
    file = folder / "job.yaml"
    file.write_text(yaml.safe_dump(job))
    return plan(PlanSettings(**{"job": file, "calibration_problems": 50, **settings}))


@pytest.mark.slow
def test_a_pipeline_on_gpus_that_are_not_here(local_ray: None, tmp_path: Path) -> None:
    training = {"student": "scratch:tiny", "workers": 2, "gpus_per_worker": 1, "epochs": 3}
    evaluation = [{"task": "arithmetic", "count": 4}]
    job = {"out": "o", "synthesis": [SCRIPTED], "training": training, "evaluation": evaluation}
    made = planned(tmp_path, job, count=2000, cluster=GPU_NODES, out=tmp_path / "plan")
    names = ["start", "synthesis arithmetic", "training", "evaluation"]
    assert [stage.name for stage in made.stages] == names
    assert not made.misfits
    told = json.loads((tmp_path / "plan" / "plan.json").read_text())
    assert told["seconds"]["likely"] == pytest.approx(made.seconds.likely)
    # 2000 problems at about four in five kept, three times over, in batches of 32.
    steps = made.stages[2].tokens.likely / (32 * 150)
    assert 100 < steps < 250
    assert made.stages[2].gpu_hours.likely == pytest.approx(
        2 * made.stages[2].seconds.likely / 3600
    )
    assert made.usd.likely == pytest.approx(5 * made.seconds.likely / 3600)
    assert any("not measured" in line for line in made.assumptions)
    assert any("not estimated" in line for line in made.assumptions)
    assert not (tmp_path / "o").exists()


@pytest.mark.slow
def test_a_synthesis_estimate_is_near_its_own_calibration(local_ray: None, tmp_path: Path) -> None:
    job = SCRIPTED | {"count": 60, "samples": 2}
    made = planned(tmp_path, job, calibration_problems=60)
    (line,) = [stage for stage in made.stages if stage.name.startswith("synthesis")]
    assert line.size == "60 problems, 120 samples"
    assert 0.5 < line.seconds.likely < 300
    assert line.memory_gb.likely > 0.1


def slow(call: Call) -> Reply:
    return replace(as_asked(call), delay_s=0.3)


@pytest.mark.slow
def test_a_paid_teacher_is_asked_for_no_more_than_was_allowed(
    local_ray: None,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with openai_server(slow) as server:
        endpoint = {
            "base_url": server.base_url,
            "model": "m",
            "concurrency": 4,
            "usd_per_million_prompt_tokens": 1.0,
            "usd_per_million_completion_tokens": 2.0,
        }
        job = {"task": "arithmetic", "teacher": "endpoint", "samples": 2, "endpoint": endpoint}
        made = planned(tmp_path, job, calibration_problems=20, count=10_000)
        asked = [call for call in server.calls if len(call.body["messages"]) > 2]
        checks = len(server.calls) - len(asked)
    assert len(asked) == 40 and checks == 2
    said = capsys.readouterr().out
    assert said.index("asks 20 problems: 40 samples") < said.index("calibrating")
    stage = made.stages[1]
    assert stage.tokens.likely == pytest.approx(20_000 * 120)
    assert stage.teacher_usd.likely == pytest.approx((100 + 2 * 20) * 20_000 / 1e6)
    # 20,000 requests of 0.3 s, four at a time, on a machine that may be slow.
    assert 1400 < stage.seconds.likely < 6000


def test_a_paid_teacher_without_leave_is_not_asked(tmp_path: Path) -> None:
    with openai_server() as server:
        endpoint = {"base_url": server.base_url, "model": "m"}
        job = {"task": "arithmetic", "teacher": "endpoint", "endpoint": endpoint}
        with pytest.raises(ConfigError, match="calibration_problems: .* 16 are 16 samples"):
            planned(tmp_path, job, calibration_problems=None)
    assert not server.calls


@pytest.mark.slow
def test_a_pipeline_on_this_machine(local_ray: None, tmp_path: Path) -> None:
    training = {"student": "scratch:tiny", "batch_size": 8, "epochs": 2, "learning_rate": 1e-3}
    evaluation = [{"task": "arithmetic", "count": 40, "batch_size": 8, "max_new_tokens": 60}]
    job = {"out": "o", "synthesis": [SCRIPTED], "training": training, "evaluation": evaluation}
    made = planned(tmp_path, job, count=1000, calibration_steps=12)
    assert [bool(stage.seconds.likely) for stage in made.stages] == [True] * 4
    assert not any("not estimated" in line for line in made.assumptions)
    seconds = {stage.name: stage.seconds for stage in made.stages}
    assert all(0 < one.low <= one.likely <= one.high for one in seconds.values())


@pytest.mark.slow
def test_a_training_on_a_sample_of_its_rows(local_ray: None, tmp_path: Path) -> None:
    from pad_ray.synthesis.run import synthesize
    from pad_ray.synthesis.settings import SynthesisSettings

    data = tmp_path / "data"
    synthesize(SynthesisSettings(**SCRIPTED, count=200, out=data))
    job = {"data": str(data), "student": "scratch:tiny", "batch_size": 8}
    once = planned(tmp_path, job, calibration_steps=8).stages[1]
    ten_times = planned(tmp_path, job, calibration_steps=8, count=2000).stages[1]
    assert ten_times.tokens.likely == pytest.approx(10 * once.tokens.likely, rel=0.05)
