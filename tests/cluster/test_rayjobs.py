"""The RayJobs: each runs a job that exists, with settings that it takes, on nodes that it needs."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
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


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_what_is_read_is_what_another_job_writes(overlay: str) -> None:
    """The jobs make one whole, and the endpoint serves a student of theirs."""
    outs: dict[str, str] = {}
    read: dict[str, str] = {}
    for job in of_kind("RayJob", f"overlays/{overlay}-jobs"):
        script, flags = _command(job)
        values = find_job(script.stem).parse(flags).model_dump(mode="json")
        assert outs.setdefault(values["out"], label(job)) == label(job), "two jobs write there"
        del values["out"]
        read |= {text: label(job) for text in _texts(values) if text.startswith("runs/")}
    (service,) = of_kind("RayService", f"overlays/{overlay}")
    (application,) = yaml.safe_load(service["spec"]["serveConfigV2"])["applications"]
    for student in application["args"]["students"].values():
        read[student["path"].removeprefix("/shared/")] = label(service)
    assert read
    for path, reader in read.items():
        assert any(Path(path).is_relative_to(out) for out in outs), f"{reader}: who writes {path}?"


def _texts(values: Any) -> Iterator[str]:
    """Yield all strings in nested settings."""
    if isinstance(values, str):
        yield values
    elif isinstance(values, dict | list):
        for one in values.values() if isinstance(values, dict) else values:
            yield from _texts(one)


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
