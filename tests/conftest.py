"""One local Ray for the whole session, and settings that keep it quiet and offline."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from browsers import CHROMIUM
from hypothesis import settings
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

if TYPE_CHECKING:
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
    # An actor, and seconds of imports, a training.
    RAY_TRAIN_ENABLE_PREEMPTION_WATCHER="0",
    # Workers are niced else, and hardly run beside the tests of the other process.
    RAY_worker_niceness="0",
    HF_HUB_OFFLINE="1",
)


# A run with more failures than this is no flaky one.
FEW = 20


# Files whose tests need the session's Ray.
ON_RAY = re.compile(r"\b(local_ray|one_worker|Endpoint)\b")


@cache
def scope_of(file: str) -> str:
    """Return the name of the tests that stay together: a file, the decoder's, those on Ray."""
    if ON_RAY.search(Path(file).read_text()):
        # A second Ray would take memory and cores from the first.
        return "on Ray"
    return "decoding" if file.startswith("tests/decoding/") else file


# What starts a training or the served application: half a dozen processes one after another, each
# with seconds of imports. On a machine whose cores are busy that is longer than a test may take.
STARTS_MANY = {"one_worker", "endpoint"}
STARTING_S = 400


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the served application last: it stays to the session's end, and takes from the cores."""
    items.sort(key=lambda item: item.nodeid.startswith("tests/serving/"))
    for item in items:
        if STARTS_MANY & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.timeout(STARTING_S))


class ByFile(LoadScopeScheduling):
    """Gives tests that share what is dear to make to one process."""

    def _split_scope(self, nodeid: str) -> str:
        return scope_of(nodeid.partition("::")[0])


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling:
    return ByFile(config, log)


@pytest.hookimpl(trylast=True)
def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Tell a failure at once in CI, which may be ended before pytest's own summary."""
    if report.failed and "CI" in os.environ and "PYTEST_XDIST_WORKER" not in os.environ:
        print(f"\n{report.nodeid} ({report.when})\n{report.longreprtext[-4000:]}", flush=True)


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, exitstatus: pytest.ExitCode
) -> None:
    """Leave .ci/run the names of few failed tests of a run that reached its end."""
    names = os.environ.get("PAD_RAY_FAILED")
    stats = terminalreporter.stats
    failed = {report.nodeid for kind in ("failed", "error") for report in stats.get(kind, [])}
    if names and exitstatus == pytest.ExitCode.TESTS_FAILED and len(failed) <= FEW:
        with open(names, "w") as file:
            file.write("\n".join(sorted(failed)))


@pytest.fixture(scope="session")
def local_ray() -> Iterator[None]:
    """A local Ray with six logical CPUs: room for a resumed flow beside a Serve application."""
    import ray

    from pad_ray.flow.runtime import start_local

    # A job that an earlier test ran in this process may have started its own.
    ray.shutdown()
    start_local(
        num_cpus=6,
        object_store_memory=200 * 1024**2,
        include_dashboard=False,
        log_to_driver=False,
    )
    yield
    ray.shutdown()


@pytest.fixture(scope="session")
def taught_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A student that was taught in seconds, for reading only; the processes of a run share it."""
    from filelock import FileLock
    from small_students import taught

    from pad_ray.students.models import save_student

    own = tmp_path_factory.getbasetemp()
    # xdist gives each process a folder inside the run's own.
    shared = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own
    folder = shared / "taught"
    with FileLock(shared / "taught.lock"):
        if not folder.exists():
            save_student(taught("scratch:tiny"), folder)
    return folder


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

    from pad_ray.training.student import train

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
