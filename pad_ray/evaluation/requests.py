"""What an evaluation asks: all problems once, and only the new ones of a set that has grown."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from pad_ray.base.records import Problem
from pad_ray.base.storage import move_folder, remove_folder, scratch_beside
from pad_ray.flow.parquet_folder import rows_of
from pad_ray.flow.rows import DONE, REQUESTS, WHOLE, requests_are_written, write_requests
from pad_ray.flow.stages import Stage
from pad_ray.synthesis.growth import Grown, keep_earlier_rows
from pad_ray.synthesis.requests import request_tables, sample_tables

__all__ = ["MAY_GROW", "begin_flows"]

MAY_GROW = ("count", "problems")
_EARLIER = "earlier"


def begin_flows(
    stage: Stage, problems: Sequence[Problem], rows_per_block: int, refuse: Callable[[], object]
) -> list[Path]:
    """Write what is to be asked, begin the stage, and return the folders of its flows.

    `refuse` is called where the problems are not those that were asked, and more.
    """
    work = stage.out / "work"
    if stage.grown:
        _grow(stage, problems, rows_per_block, refuse)
    else:
        stage.begin()
        write_requests(request_tables(problems, samples=1, rows_per_block=rows_per_block), work)
    flows = [work / _EARLIER, work, *sorted(work.glob("more-*"))]
    return [flow for flow in flows if rows_of([flow / REQUESTS])]


def _grow(
    stage: Stage, problems: Sequence[Problem], rows_per_block: int, refuse: Callable[[], object]
) -> None:
    work = stage.out / "work"
    goes_on = requests_are_written(work)
    more = sorted(work.glob("more-*"))
    there = [flow / REQUESTS for flow in (work, *more)] + [work / _EARLIER / DONE]
    grown = Grown(there if goes_on else [stage.out], samples=1)
    with scratch_beside(stage.out) as folder:
        fresh = folder / "work"
        write_requests(sample_tables(grown.wanted(problems), rows_per_block), fresh)
        if grown.is_other:
            refuse()
        stage.claim()
        if goes_on:
            move_folder(fresh, work / f"more-{len(more):03d}", last=WHOLE)
        else:
            remove_folder(work)
            if stage.complete is not None:
                keep_earlier_rows([stage.out], fresh / _EARLIER)
            move_folder(fresh, work, last=WHOLE)
        stage.begin()
