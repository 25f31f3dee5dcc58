"""The RayJobs: each runs a job that exists, with settings that it takes, on nodes that it needs."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from manifests import OVERLAYS, ROOT, label, of_kind

from pad_ray.pipeline.submission.run import find_job

JOBS = sorted(path.stem for path in (ROOT / "jobs").glob("*.py"))
# A question at a time, and the submitting of jobs, are done from one's own machine.
LOCAL_JOBS = {"solve", "submit", "plan"}


def test_there_is_a_rayjob_for_every_job() -> None:
    scripts = {_command(job)[0].stem for job in of_kind("RayJob", "overlays/gpu-jobs")}
    assert scripts == set(JOBS) - LOCAL_JOBS


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_job_runs_what_exists(overlay: str) -> None:
    jobs = of_kind("RayJob", f"overlays/{overlay}-jobs")
    for job in jobs:
        script, flags = _command(job)
        settings = find_job(script.stem).parse(flags)
        values = settings.model_dump(mode="json")
        assert not values["out"].startswith("/"), "outputs are below /shared, the working directory"
        spec = job["spec"]
        assert spec["shutdownAfterJobFinishes"] and spec["ttlSecondsAfterFinished"] > 0
        assert spec["backoffLimit"] > 0 and spec["activeDeadlineSeconds"] > 0
        _check_start(job, str(values))
    assert {job["metadata"]["labels"]["pad-ray/job"] for job in jobs} == {
        job["metadata"]["name"] for job in jobs
    }


def _check_start(job: dict[str, Any], values: str) -> None:
    """A job that looks for GPUs as it starts has a node with one; others start none."""
    wants = re.search(r"'(gpus?\w*)': [1-9]", values)
    cluster = job["spec"]["rayClusterSpec"]
    first = {group["groupName"]: group["replicas"] for group in cluster["workerGroupSpecs"]}
    assert first["cpu"] == 1
    if "gpu" in first:
        assert bool(first["gpu"]) == bool(wants), label(job)


def _command(job: dict[str, Any]) -> tuple[Path, list[str]]:
    """Return a job's script and flags, with the image's paths turned into those of this tree."""
    words = shlex.split(job["spec"]["entrypoint"])
    assert words[:4] == ["env", "-C", "/shared", "python"], words
    script, *flags = [
        str(ROOT / word.removeprefix("/app/")) if word.startswith("/app/") else word
        for word in words[4:]
    ]
    assert Path(script).parent == ROOT / "jobs" and Path(script).is_file(), script
    return Path(script), flags
