"""Joining a Ray cluster, or starting a local one, in the same way for every job."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psutil
import ray
import ray.data

from pad_ray.base.errors import ResourceError
from pad_ray.flow.local_cpus import local_cpus

_OBJECT_STORE_BYTES = 512 * 1024**2
_STARTS = 3
# What Ray says of a node that did not start in time; the error has no class of its own.
_LATE = "timed out during startup"


def connect() -> None:
    """Join the cluster at RAY_ADDRESS, or start a local Ray; does nothing when connected.

    `ray job submit` sets RAY_ADDRESS for its driver. Raises `ResourceError` when the address
    does not answer.
    """
    _quieten()
    if ray.is_initialized():
        return
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    address = os.environ.get("RAY_ADDRESS", "local")
    try:
        if address == "local":
            # Ray's own processes complain on the terminal about harmless things; the log level
            # must be in the environment before they start.
            os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
            with _silent_stderr():
                start_local(
                    num_cpus=local_cpus(os.cpu_count() or 1),
                    object_store_memory=_OBJECT_STORE_BYTES,
                    logging_level=logging.ERROR,
                    log_to_driver=False,
                )
        else:
            ray.init(address, logging_level=logging.ERROR, log_to_driver=False)
    except ConnectionError as error:
        raise ResourceError(f"RAY_ADDRESS={address}: no Ray cluster answers there") from error


def start_local(**options: Any) -> None:
    """Start a local Ray and join it; the options are those of `ray.init`.

    Ray gives a node 30 s to start, which is not enough where others keep the cores busy: it is
    tried again. Raises `ResourceError` when it does not start in three attempts.
    """
    driver = psutil.Process()
    for _ in range(_STARTS):
        others = set(driver.children())
        try:
            ray.init("local", **options)
            return
        except Exception as error:
            if _LATE not in str(error):
                raise
            late = error
            # Ray forgets the processes of a node that was late, and they would go on starting.
            left = set(driver.children()) - others
            for process in left:
                process.kill()
            psutil.wait_procs(left)
    raise ResourceError(
        f"a local Ray did not start in {_STARTS} attempts of 30 s; is this machine busy?"
    ) from late


@contextmanager
def _silent_stderr() -> Iterator[None]:
    """Hide the line in which Ray's C++ core repeats its log level; failures still raise."""
    kept = os.dup(2)
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def cluster_resources() -> dict[str, float]:
    """Return the cluster's total resources by name."""
    return dict(ray.cluster_resources())  # type: ignore[no-untyped-call]


def node_resources() -> list[dict[str, float]]:
    """Return each living node's resources by name."""
    nodes = ray.nodes()  # type: ignore[no-untyped-call]
    return [node["Resources"] for node in nodes if node["Alive"]]


def _quieten() -> None:
    """Leave the terminal to the jobs' own progress; Ray keeps its logs in its session folder."""
    for name in ("ray.data", "ray.train"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
