"""Progress of long work, polled from what it has written: a bar on a terminal, else lines."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

_POLL_S = 1.0
_FIRST_LINE_S, _LINE_EVERY_S = 3.0, 15.0


@contextmanager
def watch(title: str, total: int, poll: Callable[[], tuple[int, str]]) -> Iterator[None]:
    """Show (done, remark) as `poll` gives it, out of `total`, while the block runs."""
    stop = threading.Event()
    show = _show_bar if sys.stdout.isatty() else _print_lines
    thread = threading.Thread(target=show, args=(title, total, poll, stop), daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _show_bar(
    title: str, total: int, poll: Callable[[], tuple[int, str]], stop: threading.Event
) -> None:
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[remark]}", markup=False),
    )
    with Progress(*columns, console=Console()) as progress:
        started = time.monotonic()
        first = poll()[0]
        task = progress.add_task(title, total=total, completed=first, remark="")
        ended = False
        while not ended:
            ended = stop.wait(_POLL_S)
            done, remark = poll()
            pace = _pace((done - first) / (time.monotonic() - started))
            progress.update(task, completed=done, remark=f"{pace} {remark}")


def _pace(a_second: float) -> str:
    """Write how many are done a second, or a minute where that is few."""
    return f"{a_second:,.0f}/s" if a_second >= 10 else f"{a_second * 60:,.0f}/min"


def _print_lines(
    title: str, total: int, poll: Callable[[], tuple[int, str]], stop: threading.Event
) -> None:
    started = time.monotonic()
    shown = poll()
    first = shown[0]
    ended, pause_s = False, _FIRST_LINE_S
    while not ended:
        ended = stop.wait(pause_s)
        done, remark = poll()
        if (done, remark) == shown:
            continue
        shown, pause_s = (done, remark), _LINE_EVERY_S
        elapsed = time.monotonic() - started
        line = f"{title}: {done}/{total} in {elapsed:.0f} s"
        if done > first:
            left = elapsed / (done - first) * (total - done)
            line += f", {_pace((done - first) / elapsed)}, about {left:.0f} s left"
        print(f"{line} {remark}".rstrip(), flush=True)
