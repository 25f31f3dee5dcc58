"""Exporting verified rows in the formats of other trainers, and to the Hugging Face Hub."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from pad_ray.base.config import resolve, resolve_all
from pad_ray.base.errors import ConfigError, DataError
from pad_ray.base.pages import code_fence, page_template, yaml_text
from pad_ray.flow.stages import (
    Stage,
    open_stage,
    read_manifest,
    write_json,
    write_text,
)
from pad_ray.synthesis.dataset.card import CARD, KINDS, DataFile, card_data, holds_texts, licence_of
from pad_ray.synthesis.export.hub import HubRepository, open_repository
from pad_ray.synthesis.export.layout import Layout, layout_of
from pad_ray.synthesis.export.rows import Row, RowWriter, Tally, chosen_rows, in_validation
from pad_ray.synthesis.export.settings import ExportSettings, Written

__all__ = ["export_dataset"]

DATASET_INFO = "dataset_info.json"
_SPLITS = ("train", "validation")
_OPENAI_TAGS = {
    "role_tag": "role",
    "content_tag": "content",
    "user_tag": "user",
    "assistant_tag": "assistant",
    "system_tag": "system",
}


def export_dataset(settings: ExportSettings) -> dict[str, Any]:
    """Make the dataset in `settings.out` and return its manifest.

    A finished directory with the same settings is returned as it is, and still uploaded where that
    is asked for; an interrupted one is written anew. Raises `DataError` for directories that hold
    no rows to take, `ConfigError` for another job's directory and where the Hub refuses.
    """
    folders = resolve_all(settings.data)
    sources = [_source(folder) for folder in folders]
    stage = open_stage(resolve(settings.out), "export", settings)
    repository = None
    if settings.push_to_hub is not None:
        repository = open_repository(settings.push_to_hub, settings.private)
    manifest = stage.complete
    if manifest is None:
        manifest = _export(stage, settings, folders, sources)
    else:
        print(f"export: {stage.out} is complete; nothing to do")
    if repository is not None:
        _push(repository, stage.out, manifest)
    return manifest


@dataclass(frozen=True)
class _Source:
    """Where rows come from, as the manifest of their synthesis says."""

    task: str
    teacher: str
    written: Written


def _source(folder: Path) -> _Source:
    manifest = read_manifest(folder)
    made = manifest.get("job", "synthesize")
    if made not in ("synthesize", "judge") or not (folder / "verified").is_dir():
        raise DataError(
            f"data: {folder} is not a synthesis directory (job '{manifest.get('job')}'); export "
            "takes what pad-ray synthesize makes"
        )
    task = manifest.get("config", {}).get("task", "unknown")
    written: Written = "chain_of_thought" if holds_texts(manifest) else "program"
    return _Source(str(task), str(manifest.get("teacher", "unknown")), written)


def _export(
    stage: Stage, settings: ExportSettings, folders: Sequence[Path], sources: Sequence[_Source]
) -> dict[str, Any]:
    tally = Tally()
    written = sources[0].written
    if any(source.written != written for source in sources):
        raise DataError("data: both programs and chains of thought; export each by itself")
    layout = layout_of(settings, written)
    rows = chosen_rows(folders, written, settings.choice, tally)
    first = next(rows, None)
    if first is None:
        raise DataError(
            f"data: no verified rows to export in {', '.join(map(str, folders))}"
            + ("; widen pass_rate_min and pass_rate_max" if tally.pass_rate else "")
        )
    stage.begin()
    counted = _write(stage.out, chain([first], rows), layout, settings)
    files = [
        DataFile("default", split, f"{split}.{settings.file_type}")
        for split in _SPLITS
        if counted[split]["rows"]
    ]
    counts = counted | {
        "read": tally.read,
        "left_out": {
            "pass_rate": tally.pass_rate,
            "repeated": tally.repeated,
            "per_problem": tally.per_problem,
        },
    }
    _write_info(stage.out, layout, files)
    _write_card(stage, counts, sources, files)
    manifest = stage.finish({"counts": counts, "sources": [asdict(source) for source in sources]})
    print(
        f"export: {counts['train']['rows']} training and {counts['validation']['rows']} validation "
        f"rows of {tally.read} verified ones; written to {stage.out}"
    )
    return manifest


def _write(
    out: Path, rows: Iterator[Row], layout: Layout, settings: ExportSettings
) -> dict[str, Any]:
    """Write the rows to the files of their splits and return the counts of each split."""
    problems = dict.fromkeys(_SPLITS, 0)
    last = None
    with ExitStack() as stack:
        writers = {
            split: stack.enter_context(
                RowWriter(out / f"{split}.{settings.file_type}", layout.schema)
            )
            for split in _SPLITS
        }
        for row in rows:
            held = in_validation(row["question"], settings.split_fraction)
            split = _SPLITS[held]
            writers[split].write(layout.example(row))
            problems[split] += row["problem_id"] != last
            last = row["problem_id"]
    return {s: {"rows": writers[s].rows, "problems": problems[s]} for s in _SPLITS}


def _write_info(out: Path, layout: Layout, files: Sequence[DataFile]) -> None:
    """Describe the files to LLaMA-Factory, which reads no prompts apart from their completions."""
    match layout.format:
        case "messages":
            entry: dict[str, Any] = {"formatting": "sharegpt", "columns": {"messages": "messages"}}
            entry["tags"] = _OPENAI_TAGS
        case "alpaca":
            columns = {"prompt": "instruction", "query": "input", "response": "output"}
            columns |= {"system": "system"} if layout.system else {}
            entry = {"formatting": "alpaca", "columns": columns}
        case "prompt_completion":
            return
    info = {f"pad_ray_{file.split}": {"file_name": file.pattern, **entry} for file in files}
    write_json(out / DATASET_INFO, info)


def _write_card(
    stage: Stage, counts: dict[str, Any], sources: Sequence[_Source], files: Sequence[DataFile]
) -> None:
    tasks = sorted({source.task for source in sources})
    teachers = sorted({source.teacher for source in sources})
    config = yaml_text(stage.record["settings"])
    texts = sources[0].written == "chain_of_thought"
    title = f"{', '.join(tasks)}: {KINDS[texts]} for fine-tuning"
    rows = counts["train"]["rows"] + counts["validation"]["rows"]
    text = page_template("export_card.md.j2").render(
        front_matter=card_data(tasks, title, rows, files).to_yaml(),
        title=title,
        texts=texts,
        what=KINDS[texts],
        counts=counts,
        files=files,
        licences=[licence_of(task).statement for task in tasks],
        teachers=teachers,
        simulated=any("simulated" in teacher for teacher in teachers),
        config=config,
        fence=code_fence(config),
        has_info=(stage.out / DATASET_INFO).is_file(),
        fingerprint=stage.fingerprint,
    )
    write_text(stage.out / CARD, text)


def _push(repository: HubRepository, out: Path, manifest: dict[str, Any]) -> None:
    patterns = [f"{split}.*" for split in _SPLITS] + [CARD, DATASET_INFO]
    message = f"pad-ray export {manifest['fingerprint']}"
    try:
        address = repository.push(out, patterns, message)
    except ConfigError as error:
        raise ConfigError(f"{error}; the dataset is complete in {out}") from error
    print(f"export: uploaded to {address}")
