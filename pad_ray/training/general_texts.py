"""Texts of other kinds than the problems': learned beside them, and measured before and after."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.json as pajson
import pyarrow.parquet as pq

from pad_ray.base.config import resolve
from pad_ray.base.errors import ConfigError, DataError, reason_of
from pad_ray.flow.stages import fingerprint
from pad_ray.students.models import positions_hold
from pad_ray.training.data import Example
from pad_ray.training.settings import GeneralSettings

__all__ = ["GeneralExamples", "general_examples"]

HELD_SHARE = 0.1
# A measure's standard error on so many windows is small beside what training changes.
MOST_HELD = 200


@dataclass(frozen=True)
class GeneralExamples:
    """Windows of running text: those to learn from, in an order of chance, and those held back."""

    train: list[Example]
    held: list[Example]

    def mixed(self, others: Sequence[Example], share: float) -> list[Example]:
        """Return the others with so many of these that they are `share` of all, if they last."""
        return [*others, *self.train[: round(len(others) * share / (1 - share))]]


def general_examples(settings: GeneralSettings, tokenizer: Any, config: Any) -> GeneralExamples:
    """Cut the texts into windows, of which the student reads one half and writes the other.

    `config` is that of the student's model.
    """
    assert settings.texts is not None
    path = resolve(settings.texts)
    windows = []
    for text in _texts(path):
        ids = list(tokenizer(text, add_special_tokens=False).input_ids)
        # What is left over at a text's end is too short to tell anything.
        for start in range(0, len(ids) - settings.tokens + 1, settings.tokens):
            windows.append(ids[start : start + settings.tokens])
    if len(windows) < 2:
        raise DataError(f"general.texts: {path}: fewer than two windows of general.tokens tokens")
    windows.sort(key=fingerprint)
    end = [tokenizer.eos_token_id] if config.is_encoder_decoder else []
    half = settings.tokens // 2
    examples = [Example([*ids[:half], *end], ids[half:]) for ids in windows]
    if not positions_hold(config, len(examples[0].source), len(examples[0].target)):
        raise ConfigError(
            f"general.tokens: {settings.tokens} are more than the student has positions for "
            f"({config.max_position_embeddings})"
        )
    held = min(MOST_HELD, max(1, round(HELD_SHARE * len(examples))))
    return GeneralExamples(examples[held:], examples[:held])


def _texts(path: Path) -> Iterator[str]:
    try:
        if path.suffix == ".txt":
            yield path.read_text(encoding="utf-8")
            return
        table = pq.read_table(path) if path.suffix == ".parquet" else pajson.read_json(path)
    except (OSError, UnicodeDecodeError, pa.ArrowInvalid) as error:
        raise DataError(f"general.texts: {path}: cannot be read: {reason_of(error)}") from error
    if "text" not in table.schema.names or not pa.types.is_string(table.schema.field("text").type):
        raise DataError(f"general.texts: {path}: has no column 'text' of texts")
    yield from (text for text in table["text"].to_pylist() if text)
