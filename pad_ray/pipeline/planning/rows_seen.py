"""What a student would read: its shape, and the tokens of a sample of its training rows."""

from __future__ import annotations

import math
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSeq2SeqLM, AutoTokenizer

from pad_ray.base.errors import DataError, StudentError, reason_of
from pad_ray.base.storage import parquet_dataset
from pad_ray.flow.parquet_folder import rows_of
from pad_ray.flow.stages import MANIFEST, read_manifest
from pad_ray.pipeline.planning.memory import RowsSeen, StudentShape
from pad_ray.students.card import StudentCard
from pad_ray.students.models import load_student, make_scratch_student
from pad_ray.training.data import TOO_LONG, tokenise_rows
from pad_ray.training.settings import TrainingHyperparameters, TrainingSettings
from pad_ray.training.student import kinds_of, read_rows

__all__ = ["see_rows", "take_sample", "verified_rows"]


def verified_rows(folder: Path) -> int:
    """Count the verified rows of a directory; `DataError` where it has none."""
    read_manifest(folder)
    if not (folder / "verified").is_dir():
        raise DataError(f"data: {folder} has no verified/*.parquet in it")
    rows = rows_of([folder / "verified"])
    if not rows:
        raise DataError(f"data: no verified rows in {folder}")
    return rows


def take_sample(folder: Path, rows: float, out: Path) -> Path:
    """Write the first verified rows of a stage's directory, with its manifest, into another."""
    (out / "verified").mkdir(parents=True)
    table = parquet_dataset(folder / "verified").head(math.ceil(rows))
    pq.write_table(table, out / "verified" / "part-0.parquet")
    shutil.copy(folder / MANIFEST, out / MANIFEST)
    return out


def see_rows(settings: TrainingSettings) -> RowsSeen:
    """Tokenise the rows of directories as training will."""
    parts = read_rows(settings, kinds_of(settings))
    rows = [row for part in parts for row in part]
    texts = [row.source + row.target for row in rows]
    config, parameters, tokenizer = _student(settings, texts)
    limits = (settings.max_source_tokens, settings.max_target_tokens)
    train, validation = (tokenise_rows(part, tokenizer, config, *limits)[0] for part in parts)
    if not train:
        raise DataError(f"data: all {len(rows)} {TOO_LONG}")
    lengths = [example.length for example in train]
    return RowsSeen(
        StudentShape(parameters, config.hidden_size, config.num_hidden_layers, config.vocab_size),
        train=len(train),
        validation=len(validation),
        tokens=sum(lengths) / len(lengths),
        longest=max(lengths),
        target_tokens=sum(len(example.target) for example in train) / len(train),
    )


def _student(run: TrainingHyperparameters, texts: Sequence[str]) -> tuple[Any, int, Any]:
    """Return the student's config, parameters and tokenizer, without its weights if it has any."""
    name = run.student
    if name.startswith("scratch:"):
        made = make_scratch_student(name, texts, card=StudentCard(run.writes, name), seed=run.seed)
        return made.model.config, made.model.num_parameters(), made.tokenizer
    if name.endswith(".gguf"):
        loaded = load_student(name)
        return loaded.model.config, loaded.model.num_parameters(), loaded.tokenizer
    try:
        config, tokenizer = AutoConfig.from_pretrained(name), AutoTokenizer.from_pretrained(name)
    except (OSError, ValueError, KeyError) as error:
        raise StudentError(f"student: cannot load '{name}': {reason_of(error)}") from error
    auto = AutoModelForSeq2SeqLM if config.is_encoder_decoder else AutoModelForCausalLM
    with torch.device("meta"):
        model = auto.from_config(config)
    return config, model.num_parameters(), tokenizer
