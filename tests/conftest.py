"""One local Ray for the whole session, and settings that keep it quiet and offline."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from browsers import CHROMIUM
from hypothesis import settings

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Browser

# A shared machine may pause for longer than any deadline.
settings.register_profile("pad_ray", deadline=None)
settings.load_profile("pad_ray")

# A shell that starts pytest in the background has interrupts ignored; some tests raise them.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Small students train no faster on two threads, and many times slower where others use the cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Set before Ray is imported: it reads some of them at import.
os.environ.update(
    RAY_AUTH_MODE="token",
    RAY_ADDRESS="local",
    RAY_TRAIN_HEALTH_CHECK_INTERVAL_S="0.2",
    RAY_USAGE_STATS_ENABLED="0",
    HF_HUB_OFFLINE="1",
)


# Seconds after which no further test of the slow stage is begun; those are skipped, and say so.
SLOW_S = float(os.environ.get("PAD_RAY_SLOW_S", "inf"))
BEGAN = time.monotonic()


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("slow") and time.monotonic() - BEGAN > SLOW_S:
        pytest.skip(f"out of time: PAD_RAY_SLOW_S={SLOW_S:.0f}")


@pytest.hookimpl(trylast=True)
def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Tell a failure at once in CI, which may be ended before pytest's own summary."""
    if report.failed and "PAD_RAY_SLOW_S" in os.environ:
        print(f"\n{report.nodeid} ({report.when})\n{report.longreprtext[-4000:]}", flush=True)


@pytest.fixture(scope="session")
def local_ray() -> Iterator[None]:
    """A local Ray with six logical CPUs: room for a resumed flow beside a Serve application."""
    import ray

    # A job that an earlier test ran in this process may have started its own.
    ray.shutdown()
    ray.init(
        "local",
        num_cpus=6,
        object_store_memory=200 * 1024**2,
        include_dashboard=False,
        log_to_driver=False,
    )
    yield
    ray.shutdown()


@pytest.fixture(scope="session")
def training_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A synthesis directory for the trainings of `small_trainings`."""
    from small_trainings import write_verified

    return write_verified(tmp_path_factory.mktemp("training_data"))


@pytest.fixture(scope="session")
def one_worker(
    local_ray: None, training_data: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A small training by one worker, undisturbed; for reading only."""
    from small_trainings import settings

    from pad_ray.training import train

    out = tmp_path_factory.mktemp("one_worker") / "out"
    train(settings(training_data, out))
    return out


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium without a window; for tests that are marked `in_a_browser`."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()
