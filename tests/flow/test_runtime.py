"""A local Ray on a machine that is too busy to start it in time."""

from __future__ import annotations

import os
import subprocess
import sys

import psutil
import pytest
import ray

from pad_ray.base.errors import ResourceError
from pad_ray.flow.runtime import _stderr_unless_raised, start_local

LATE = "The current node timed out during startup. This could happen because ..."


class LateRay:
    """Stands for `ray.init` on a busy machine: leaves a real process behind where it is late."""

    def __init__(self, late: int) -> None:
        self.late = late
        self.calls = 0
        self.left: list[subprocess.Popen[bytes]] = []

    def __call__(self, address: str, **options: object) -> None:
        self.calls += 1
        if self.calls <= self.late:
            sleep = [sys.executable, "-c", "import time; time.sleep(600)"]
            self.left.append(subprocess.Popen(sleep))
            raise Exception(LATE)


def test_a_node_that_is_late_is_started_again(monkeypatch: pytest.MonkeyPatch) -> None:
    own = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    late = LateRay(2)
    monkeypatch.setattr(ray, "init", late)
    start_local()
    assert late.calls == 3
    assert not any(psutil.pid_exists(process.pid) for process in late.left)
    assert own.poll() is None
    own.communicate(b"\n")


def test_a_node_that_never_starts_is_told_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    late = LateRay(100)
    monkeypatch.setattr(ray, "init", late)
    with pytest.raises(ResourceError, match="did not start in 3 attempts"):
        start_local()
    assert late.calls == 3 and not any(psutil.pid_exists(process.pid) for process in late.left)


def test_other_errors_of_ray_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(address: str, **options: object) -> None:
        raise ValueError("no such option")

    monkeypatch.setattr(ray, "init", broken)
    with pytest.raises(ValueError, match="no such option"):
        start_local()


def test_what_ray_says_is_shown_only_where_joining_fails(capfd: pytest.CaptureFixture[str]) -> None:
    with _stderr_unless_raised():
        os.write(2, b"harmless\n")
    assert capfd.readouterr().err == ""

    def fail() -> None:
        os.write(2, b"the port is taken\n")
        raise ValueError("late")

    for told, shown in (((), "the port is taken\n"), ((ValueError,), "")):
        with pytest.raises(ValueError, match="late"), _stderr_unless_raised(*told):
            fail()
        assert capfd.readouterr().err == shown
    os.write(2, b"as before\n")
    assert capfd.readouterr().err == "as before\n"


@pytest.mark.slow
def test_deepspeed_says_nothing_of_a_machine_without_gpus() -> None:
    ask = (
        "from pad_ray.flow.runtime import _quieten\n"
        "_quieten()\n"
        "import logging\n"
        "from deepspeed.accelerator import get_accelerator\n"
        "get_accelerator()\n"
        "logging.getLogger('DeepSpeed').warning('something else')\n"
    )
    ran = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True)
    said = ran.stdout + ran.stderr
    assert ran.returncode == 0 and "something else" in said, said
    assert "Setting accelerator" not in said


def test_a_local_ray_opens_no_port_for_jobs() -> None:
    """Ray's dashboard runs anybody's code who reaches it, as this user, on a shared machine."""
    code = (
        "import ray\n"
        "from pad_ray.flow.runtime import connect\n"
        "from ray._private.worker import get_dashboard_url\n"
        "connect()\n"
        "print('has', get_dashboard_url() or 'none')\n"
        "ray.shutdown()\n"
    )
    env = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    said = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)
    assert said.stdout.endswith("has none\n"), said.stderr
