"""Joining a Ray cluster, or starting a local one, in the same way for every job."""

from __future__ import annotations

import logging
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psutil
import ray
import ray.data
from ray.exceptions import AuthenticationError

from pad_ray.base.errors import ClusterError, ResourceError, reason_of
from pad_ray.flow.address import TOKEN_REMEDY, check_address
from pad_ray.flow.local_cpus import local_cpus

_OBJECT_STORE_BYTES = 512 * 1024**2
_STARTS = 3
# What Ray says of a node that did not start in time; the error has no class of its own.
_LATE = "timed out during startup"


def connect() -> None:
    """Join the cluster at RAY_ADDRESS, or start a local Ray; does nothing when connected.

    `ray job submit` sets RAY_ADDRESS for its driver. Raises `ClusterError` when nothing answers at
    the address or the token is not taken, within seconds, and `ResourceError` when a local Ray does
    not start.
    """
    _quieten()
    if ray.is_initialized():
        return
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    address = os.environ.get("RAY_ADDRESS") or "local"
    if address == "local":
        # Ray's own processes complain on the terminal about harmless things; the log level must be
        # in the environment before they start.
        os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
        cpus = local_cpus(os.cpu_count() or 1)
        # Ray warns of more processes than a few a real core; they wait for each other anyway.
        os.environ.setdefault("RAY_worker_maximum_startup_concurrency", str(cpus))
        with _stderr_unless_raised():
            start_local(
                num_cpus=cpus,
                # A dozen processes, and a port at which anybody on this machine can run code.
                include_dashboard=False,
                object_store_memory=_OBJECT_STORE_BYTES,
                logging_level=logging.ERROR,
                log_to_driver=False,
            )
        return
    if address != "auto":
        check_address(address)
    try:
        with _stderr_unless_raised(AuthenticationError, ConnectionError):
            ray.init(address, logging_level=logging.ERROR, log_to_driver=False)
    except AuthenticationError as error:
        said = reason_of(error).partition(".")[0]
        raise ClusterError(f"RAY_ADDRESS={address}: {said}; {TOKEN_REMEDY}") from error
    except ConnectionError as error:
        raise ClusterError(
            f"RAY_ADDRESS={address}: no Ray cluster is there that this machine is a node of; "
            "start Ray here (`ray start`), or send the job there with `pad-ray submit`"
        ) from error


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
def _stderr_unless_raised(*told: type[Exception]) -> Iterator[None]:
    """Keep back what Ray's C++ core writes on the terminal, and show it only where joining fails.

    Not for errors of the kinds `told`, which say all in one line.
    """
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as said:
        os.dup2(said.fileno(), 2)
        try:
            yield
        except told:
            raise
        except BaseException:
            os.dup2(kept, 2)
            said.seek(0)
            sys.stderr.write(said.read().decode(errors="replace"))
            raise
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
    # That there is no GPU, which a training says itself.
    logging.getLogger("DeepSpeed").addFilter(_is_no_cpu_warning)


def _is_no_cpu_warning(record: logging.LogRecord) -> bool:
    return not record.getMessage().startswith("Setting accelerator to CPU.")
