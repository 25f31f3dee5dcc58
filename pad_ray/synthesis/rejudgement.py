"""Judging a dataset's completions again, under another rule, without asking the teacher."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pad_ray.base.errors import DataError
from pad_ray.base.schemas import COMPLETED_SCHEMA
from pad_ray.base.storage import locate, parquet_dataset, remove_folder
from pad_ray.flow.failed_rows import refuse_all_failed
from pad_ray.flow.failures import FAILED
from pad_ray.flow.ledger import share_ledger
from pad_ray.flow.ready import join_for
from pad_ray.flow.rows import ActorStage, run_rows, write_requests
from pad_ray.flow.stages import open_stage, read_manifest
from pad_ray.synthesis.dataset.card import holds_texts
from pad_ray.synthesis.dataset.files import JudgedRows
from pad_ray.synthesis.judges import ProgramJudge, TextJudge
from pad_ray.synthesis.run import describe, print_counts
from pad_ray.synthesis.settings import JudgeSettings
from pad_ray.tasks import get_task

__all__ = ["judge_again"]


def judge_again(settings: JudgeSettings) -> dict[str, Any]:
    """Make the dataset in `settings.out` from another one's completions; return its manifest."""
    data = locate(settings.data)
    source = read_manifest(data)
    if source["job"] not in ("synthesize", "judge"):
        raise DataError(f"data: {data} was made by job '{source['job']}', not by synthesize")
    # What learns from the rows reads their task from the manifest.
    settings = settings.model_copy(update={"task": settings.task or source["config"]["task"]})
    stage = open_stage(locate(settings.out), "judge", settings)
    if stage.complete is not None:
        print(f"judge: {stage.out} is complete; nothing to do")
        return stage.complete
    assert settings.task is not None
    task = get_task(settings.task)
    texts = holds_texts(source)
    sizes = ActorStage(TextJudge if texts else ProgramJudge, {}, settings.sandbox_actors)
    join_for(stage.out, [sizes], settings.wait_for_resources)
    stage.begin()
    work = stage.out / "work"
    print(f"judge: {source['counts']['rows']} completions of {data}")
    write_requests(_completions(data, settings.rows_per_block), work)
    ledger = share_ledger(max_failures=settings.max_failures, can_retry=False)
    judging = {
        "task": task,
        "sandbox": settings.sandbox,
        "rule": settings.rule,
        "ledger": ledger,
    }
    if texts:
        del judging["sandbox"]
    run_rows([replace(sizes, arguments=judging)], work, "judge")
    refuse_all_failed([work / "done"], settings.max_failures, can_retry=False)
    with JudgedRows([work / "done"], work / "spill") as rows:
        result = rows.write(stage.out, settings.rule.near_keys)
    kept = ("problems", "samples_per_problem", "repeated_questions", "contaminated", "rounds")
    counts = {name: source["counts"][name] for name in kept} | result.pop("counts")
    counts["not_asked"] = 0
    format = "cot" if texts else "program"
    manifest = stage.finish({"counts": counts, "format": format, **result})
    remove_folder(work)
    describe(stage.out, manifest)
    print_counts(manifest, stage.out, "judge")
    return manifest


def _completions(folder: Path, rows_per_block: int) -> Iterator[pa.Table]:
    """Yield a dataset's rows as its teacher left them, in blocks."""
    parts = [parquet_dataset(folder / part) for part in ("verified", "rejected")]
    known = set(parts[0].schema.names)
    wanted = {
        field.name: pc.field(field.name) if field.name in known else _null(field.type)
        for field in COMPLETED_SCHEMA
    }
    unanswered = pa.array(sorted(FAILED - {"judge_error"}))
    no_answer = pc.is_in(pc.field("reason"), value_set=unanswered)
    wanted["error"] = pc.if_else(no_answer, pc.field("message"), _null(pa.string()))
    for rows in parts:
        for batch in rows.to_batches(columns=wanted, batch_size=rows_per_block, batch_readahead=2):
            if batch.num_rows:
                table = pa.Table.from_batches([batch])
                yield table.select(COMPLETED_SCHEMA.names).cast(COMPLETED_SCHEMA)


def _null(kind: pa.DataType) -> pc.Expression:
    return pc.scalar(pa.scalar(None, kind))
