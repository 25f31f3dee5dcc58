"""One local Ray for the whole session, and settings that keep it quiet and offline."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from hypothesis import settings

# A shared machine may pause for longer than any deadline.
settings.register_profile("pad_ray", deadline=None)
settings.load_profile("pad_ray")

# Set before Ray is imported: it reads some of them at import.
os.environ.update(
    RAY_AUTH_MODE="token",
    RAY_ADDRESS="local",
    RAY_TRAIN_HEALTH_CHECK_INTERVAL_S="0.2",
    RAY_USAGE_STATS_ENABLED="0",
    HF_HUB_OFFLINE="1",
)


@pytest.fixture(scope="session")
def local_ray() -> Iterator[None]:
    """A local Ray with four logical CPUs: row checkpointing deadlocks on two."""
    import ray

    # A job that an earlier test ran in this process may have started its own.
    ray.shutdown()
    ray.init(
        "local",
        num_cpus=4,
        object_store_memory=200 * 1024**2,
        include_dashboard=False,
        log_to_driver=False,
    )
    yield
    ray.shutdown()
