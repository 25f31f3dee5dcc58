"""What a job asks of a cluster before it writes: room for its actors, and shared storage."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import ray
from ray.util.placement_group import placement_group, remove_placement_group
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from pad_ray.base.errors import ConfigError, ResourceError, reason_of
from pad_ray.base.storage import is_remote
from pad_ray.flow.rows import ActorStage, FlowStage
from pad_ray.flow.runtime import cluster_resources, connect, node_resources

__all__ = ["Need", "check_room", "check_shared", "join_for"]

# Reading and the row checkpoint's filter each take a CPU beside the actors; with less than that Ray
# Data waits for ever, without a word.
_READING_CPUS = 2
_SEEN_WITHIN_S = 10.0
_PROBED_WITHIN_S = 60.0
_TOLD_EVERY_S = 60.0

# Folders whose outputs all nodes have been seen to see: a pipeline has many in one.
_shared: set[Path] = set()


@dataclass(frozen=True)
class Need:
    """Equal parts of a job, each of which has to find room on one node.

    `fewer` and `smaller` are what can be lowered where they do not, "" for nothing.
    """

    name: str
    count: int
    cpus: float
    gpus: float = 0.0
    fewer: str = ""
    smaller: str = ""


def join_for(out: Path, stages: Sequence[FlowStage], wait: bool) -> None:
    """Join Ray for a flow whose output goes into `out`, a located path.

    Without stages the flow takes no room beside that of this process.
    Raises `ResourceError` where its actors cannot find room, unless it may `wait` for nodes, and
    `ConfigError` where other nodes do not see `out`.
    """
    _refuse_file(out)
    connect()
    if stages:
        check_room([*map(_need_of, stages), Need("reading", _READING_CPUS, 1.0)], wait)
    check_shared(out)


def _refuse_file(out: Path) -> None:
    """Raise `ConfigError` for a folder that cannot be made, before anybody waits for Ray."""
    if is_remote(out):
        return
    there = next(place for place in (out, *out.parents) if place.exists())
    if not there.is_dir():
        raise ConfigError(f"out: cannot write in {out}: {there} is no folder")


def _need_of(stage: FlowStage) -> Need:
    if isinstance(stage, ActorStage):
        words = re.findall("[A-Z][a-z]*", stage.make.__name__.removesuffix("Stage"))
        name = " ".join(words).lower()
        return Need(name, stage.least, stage.cpus, stage.gpus, "the number of actors")
    # An engine places its own actors: one a GPU is the least that is sure.
    parts = max(1, int(stage.gpus))
    return Need("engine", parts, stage.cpus / parts, stage.gpus / parts)


def check_room(needs: Sequence[Need], wait: bool) -> None:
    """Raise `ResourceError` where parts do not fit the cluster, or wait for nodes until they do."""
    lacking = _lacking(needs)
    if lacking is None:
        return
    if not wait:
        raise ResourceError(f"{lacking}, or give --wait_for_resources true if it autoscales")
    print(f"waiting for nodes: {lacking.partition(';')[0]}", flush=True)
    _wait_for(needs)


def _lacking(needs: Sequence[Need]) -> str | None:
    """Say what does not fit, GPUs first, and what to do; None where everything does."""
    nodes = node_resources()
    for need in needs:
        wanted = {"GPU": need.gpus, "CPU": need.cpus}
        if not any(all(n.get(k, 0) >= w for k, w in wanted.items()) for n in nodes):
            told = " and ".join(f"{amount:g} {kind}" for kind, amount in wanted.items() if amount)
            largest = {k: max((n.get(k, 0) for n in nodes), default=0) for k in wanted}
            has = " and ".join(f"{largest[kind]:g} {kind}" for kind in wanted if wanted[kind])
            ways = [f"lower {need.smaller}"] if need.smaller else []
            return (
                f"each {need.name} needs {told} on one node, where the most is {has}; "
                f"{', '.join([*ways, 'add larger nodes'])}"
            )
    have = cluster_resources()
    for kind, field in (("GPU", "gpus"), ("CPU", "cpus")):
        each = {need.name: need.count * float(getattr(need, field)) for need in needs}
        total = sum(each.values())
        if total > have.get(kind, 0):
            parts = ", ".join(f"{name} {amount:g}" for name, amount in each.items() if amount)
            fewer = {need.fewer for need in needs if need.count > 1 and need.fewer}
            ways = [f"lower {field}" for field in sorted(fewer)]
            return (
                f"the job needs {total:g} {kind} ({parts}), the cluster has "
                f"{have.get(kind, 0):g}; {', '.join([*ways, 'add nodes'])}"
            )
    return None


def _wait_for(needs: Sequence[Need]) -> None:
    """Hold the room that is wanted until it is there; the job's own actors then take it.

    What is waited for goes with the driver, so that nothing is asked of the autoscaler in vain.
    """
    bundles = [
        {kind: amount for kind, amount in (("CPU", need.cpus), ("GPU", need.gpus)) if amount}
        for need in needs
        for _ in range(need.count)
    ]
    group = placement_group([bundle for bundle in bundles if bundle], strategy="PACK")
    started = told = time.monotonic()
    try:
        while not group.wait(5):
            now = time.monotonic()
            if now - told >= _TOLD_EVERY_S:
                told = now
                print(f"still waiting for nodes, {(now - started) / 60:.0f} min", flush=True)
    finally:
        remove_placement_group(group)


def check_shared(out: Path) -> None:
    """Raise `ConfigError` where a node that works does not see what is written into `out`.

    `out` is made where it is not there; nothing stays in it.
    """
    others = _other_nodes()
    if is_remote(out) or not others or out.parent in _shared:
        return
    made = _make(out)
    probe = out / f".{uuid4().hex}.partial"
    try:
        probe.touch()
        blind = nodes_without(probe, others)
    except OSError as error:
        raise ConfigError(f"out: cannot write in {out}: {reason_of(error)}") from error
    finally:
        probe.unlink(missing_ok=True)
        for folder in made:
            with suppress(OSError):  # another run has written into it
                folder.rmdir()
    if blind:
        raise ConfigError(
            f"out: {out} is not on storage that all nodes share: {blind[0]} does not see what is "
            "written there; give a folder that every node mounts, or for datasets s3://… or gs://…"
        )
    _shared.add(out.parent)


def _make(folder: Path) -> list[Path]:
    """Make a folder; return those that were not there, the innermost first."""
    missing = [one for one in (folder, *folder.parents) if not one.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"out: cannot write in {folder}: {reason_of(error)}") from error
    return missing


def _other_nodes() -> dict[str, str]:
    """Return the addresses by id of the living nodes, but the driver's, on which actors may run."""
    own = ray.get_runtime_context().get_node_id()
    nodes = ray.nodes()  # type: ignore[no-untyped-call]
    return {
        node["NodeID"]: node["NodeManagerAddress"]
        for node in nodes
        if node["Alive"] and node["NodeID"] != own and node["Resources"].get("CPU", 0) > 0
    }


def nodes_without(file: Path, nodes: dict[str, str]) -> list[str]:
    """Return the addresses of the nodes, given by id, that do not see a file.

    A node that cannot say so in a minute is none of them: it may be on its way out.
    """
    asked = {
        _sees.options(scheduling_strategy=NodeAffinitySchedulingStrategy(node, soft=False)).remote(
            str(file)
        ): address
        for node, address in nodes.items()
    }
    answered, late = ray.wait(list(asked), num_returns=len(asked), timeout=_PROBED_WITHIN_S)
    for one in late:
        ray.cancel(one, force=True)
    return [asked[one] for one in answered if _answer(one) is False]


def _answer(reference: Any) -> bool | None:
    try:
        return bool(ray.get(reference))
    except ray.exceptions.RayError:
        return None


@ray.remote(num_cpus=0, max_retries=0)
def _sees(file: str) -> bool:
    path = Path(file)
    for _ in _tries():
        # Listing has a network's file system look anew.
        with suppress(OSError):
            list(path.parent.iterdir())
        if path.exists():
            return True
    return False


def _tries() -> Iterator[None]:
    deadline = time.monotonic() + _SEEN_WITHIN_S
    while time.monotonic() < deadline:
        yield
        time.sleep(0.5)
