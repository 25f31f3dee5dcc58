"""Augmentation at scale: verified rows → new problems → sandbox → verified and rejected rows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from pad_ray.base.schemas import AUGMENTED_SCHEMA
from pad_ray.base.storage import locate, remove_folder
from pad_ray.flow.ledger import share_ledger
from pad_ray.flow.parquet_folder import bounded_duckdb, view_of
from pad_ray.flow.ready import join_for
from pad_ray.flow.rows import ActorStage, run_rows, write_requests
from pad_ray.flow.stages import (
    Stage,
    open_stage,
    print_reasons,
    refuse_augmented,
)
from pad_ray.synthesis.augmentation.paraphrase import paraphraser
from pad_ray.synthesis.augmentation.settings import AugmentationRun, AugmentationSettings
from pad_ray.synthesis.augmentation.stage import ORIGIN_COLUMNS, AugmentationStage
from pad_ray.synthesis.dataset.files import JudgedRows
from pad_ray.synthesis.journal import spent_in
from pad_ray.synthesis.repairs.rows import copies_of, read_verified, task_names, tasks_of

__all__ = ["augment"]


def augment(settings: AugmentationSettings) -> dict[str, Any]:
    """Make the directory of augmented rows in `settings.out` and return its manifest.

    A finished directory with the same settings is returned as it is; an interrupted one goes on
    with the rows that are missing. With more `copies` all are made again, the old ones alike,
    unless paraphrases among them were paid for.
    """
    rise = ["copies"] if settings.paraphrase_teacher is None else []
    stage = open_stage(locate(settings.out), "augment", settings, may_rise=rise)
    if stage.complete is not None and not stage.grown:
        print(f"augment: {stage.out} is complete; nothing to do")
        return stage.complete
    instead = "give the directory that it was made from, and more --copies"
    refuse_augmented("data", settings.folders, instead)
    verified = read_verified(settings.folders, list(ORIGIN_COLUMNS))
    tasks = tasks_of(settings.folders)
    if settings.paraphrase_teacher is not None:
        paraphraser(settings.paraphrase_teacher, settings.seed).check()
    sizes = ActorStage(AugmentationStage, {}, settings.actors)
    join_for(stage.out, [sizes], settings.wait_for_resources)
    work = stage.out / "work"
    stage.claim()
    if stage.grown:
        remove_folder(work)
    stage.begin()
    print(f"augment: {verified.num_rows} verified rows x {settings.copies} copies")
    run = AugmentationRun(**settings.model_dump(include=set(AugmentationRun.model_fields)))
    write_requests(_requests(verified, settings), work)
    kept = work / "paraphrases"
    kept.mkdir(exist_ok=True)
    ledger = share_ledger(None, spent_in(kept), settings.max_failures, can_retry=False)
    if settings.paraphrase_teacher is not None:
        ledger.entrust(paraphraser(settings.paraphrase_teacher, settings.seed).keys())
    arguments = {"run": run, "tasks": tasks, "kept": kept, "ledger": ledger}
    run_rows([replace(sizes, arguments=arguments)], work, "augment")
    return _finish(stage, verified.num_rows, task_names(settings.folders))


def _requests(verified: pa.Table, settings: AugmentationSettings) -> Iterator[pa.Table]:
    """Yield blocks of rows, each as often as it is to be copied."""
    for block in copies_of(verified, settings.copies, settings.rows_per_block):
        pairs = zip(block.places, block.numbers, strict=True)
        columns = {
            "row_id": block.ids,
            "origin_row": block.rows["row_id"],
            "sample_index": pa.array(block.numbers, pa.int32()),
            "number": pa.array([place * settings.copies + number for place, number in pairs]),
            "block": pa.array([f"{block.places[0]:07d}"] * block.rows.num_rows),
        }
        others = {name: block.rows[name] for name in block.rows.column_names if name != "row_id"}
        yield pa.table(columns | others)


def _finish(stage: Stage, origins: int, tasks: list[str]) -> dict[str, Any]:
    work = stage.out / "work"
    with JudgedRows([work / "done"], work / "spill", AUGMENTED_SCHEMA) as rows:
        result = rows.write(stage.out, False)
    counts = {"origins": origins, **_plain(result["counts"]), "by_kind": _by_kind(stage.out)}
    paid = {name: result[name] for name in ("tokens", "cost_usd", "rows_fingerprint")}
    manifest = stage.finish({"counts": counts, **paid, "tasks": tasks})
    remove_folder(work)
    print(
        f"augment: {counts['verified']} of {counts['rows']} new problems kept, "
        f"written to {stage.out}"
    )
    print_reasons(counts["by_reason"])
    return manifest


def _plain(counts: dict[str, Any]) -> dict[str, Any]:
    names = ("rows", "verified", "rejected", "by_reason", "errors_by_type", "teacher_errors")
    return {name: counts[name] for name in names}


def _by_kind(out: Path) -> dict[str, dict[str, int]]:
    """Count the rows made by each kind, and those kept of them."""
    files = [file for part in ("verified", "rejected") for file in (out / part).glob("*.parquet")]
    with bounded_duckdb(out / "work" / "spill") as base:
        view_of(base, "made", files)
        found = base.execute(
            "SELECT kind, count(*), count(*) FILTER (reason IS NULL) FROM made "
            "WHERE kind IS NOT NULL GROUP BY kind ORDER BY kind"
        ).fetchall()
    return {kind: {"made": made, "kept": kept} for kind, made, kept in found}
