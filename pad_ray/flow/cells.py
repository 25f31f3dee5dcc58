"""Running independent cells as Ray tasks, some at a time, with the failed ones told at the end."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pkgutil import resolve_name
from typing import Any

import ray

from pad_ray.base.config import root_cause
from pad_ray.base.errors import PadError
from pad_ray.flow.holding import let_go_of_all
from pad_ray.flow.progress import watch
from pad_ray.flow.runtime import connect


@dataclass(frozen=True)
class Call:
    """A cell: a function of its arguments, and what of a node it holds while it runs.

    Nothing, where it is its own actors and tasks that take the room. `MODULE:NAME` is a function
    that only the cell imports.
    """

    function: Callable[..., object] | str
    arguments: tuple[Any, ...]
    cpus: float = 0.0
    gpus: float = 0.0


Poll = Callable[[], tuple[int, str]]


def in_parallel(
    title: str, calls: Mapping[str, Call], at_once: int, within: tuple[int, Poll] | None = None
) -> None:
    """Run named calls as Ray tasks; each skips by itself what it has already done.

    Progress is shown by how many have ended; where a few are long, by what is done `within` them:
    how much that is in all, and what polls it.

    A cell that fails by a mistake of the user's does not stop the others; at the end a `PadError`
    tells the first and how many there were. Any other error is raised at once.
    """
    connect()
    waiting = list(calls.items())
    running: dict[Any, str] = {}
    failed: dict[str, PadError] = {}
    ended = 0

    def progress() -> tuple[int, str]:
        return ended, f"{len(failed)} failed" if failed else ", ".join(list(running.values())[:1])

    with watch(title, *(within or (len(calls), progress))):
        while waiting or running:
            while waiting and len(running) < at_once:
                name, call = waiting.pop(0)
                held = _cell.options(num_cpus=call.cpus, num_gpus=call.gpus)
                running[held.remote(call.function, call.arguments)] = name
            (done,), _ = ray.wait(list(running), num_returns=1)
            name = running.pop(done)
            ended += 1
            try:
                ray.get(done)
            except Exception as error:
                mistake = root_cause(error)
                if mistake is None:
                    raise
                failed[name] = mistake
    if failed:
        name, mistake = next(iter(failed.items()))
        raise type(mistake)(f"{len(failed)} of {len(calls)} cells failed; {name}: {mistake}")


@ray.remote(max_retries=0)
def _cell(function: Callable[..., object] | str, arguments: tuple[Any, ...]) -> float:
    started = time.monotonic()
    try:
        call = resolve_name(function) if isinstance(function, str) else function
        call(*arguments)
    finally:
        let_go_of_all()  # the process may go on to other cells
    return time.monotonic() - started
