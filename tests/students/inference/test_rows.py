"""Whatever is done to rows, each gives the logits that its whole text gives without a cache."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

import pytest
import torch
from families import FAMILIES, family
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from transformers import PreTrainedModel

from pad_ray.students.inference.positions import counts_columns
from pad_ray.students.inference.rows import Rows, all_logits, next_token_logits

VOCABULARY = 300


@pytest.fixture(scope="module", params=FAMILIES)
def model(request: pytest.FixtureRequest) -> PreTrainedModel:
    return family(request.param, VOCABULARY)


@dataclass
class Text:
    """What a row should hold."""

    source: list[int]
    read: list[int]


class Both:
    """Rows, and beside them the texts that they hold."""

    def __init__(self, model: PreTrainedModel, rng: random.Random) -> None:
        self.model = model
        self.rng = rng
        self.output = next_token_logits(model)
        self.rows, self.texts = self._new(2)

    @property
    def encodes(self) -> bool:
        return bool(self.model.config.is_encoder_decoder)

    def ids(self, least: int, most: int) -> list[int]:
        return [self.rng.randrange(5, 250) for _ in range(self.rng.randint(least, most))]

    def _new(self, count: int) -> tuple[Rows, list[Text]]:
        texts = [Text(self.ids(2, 7), []) for _ in range(count)]
        sources = [text.source for text in texts] if self.encodes else None
        rows = Rows(self.model, self.output, 0, count, sources)
        if not self.encodes:
            for text in texts:
                text.read = text.source
            rows.read([text.read for text in texts])
        return rows, [Text(text.source, list(text.read)) for text in texts]

    def tick(self) -> None:
        """Some rows read a token, and the others have a gap then."""
        tokens = [self.ids(0, 1) for _ in self.texts]
        if not any(tokens):
            tokens[0] = [9]
        self.check(tokens)

    def chunk(self) -> None:
        """Rows read several tokens, not equally many."""
        self.check([self.ids(1, 1 if self.encodes else 5) for _ in self.texts])

    def close(self) -> None:
        """Gaps are closed."""
        self.rows.select(range(len(self.rows)))

    def ahead(self) -> None:
        """Rows read several tokens, some none, and forget the last of them."""
        if not self.rows.reads_ahead:
            return
        tokens = [self.ids(0, 4) for _ in self.texts]
        tokens[self.rng.randrange(len(tokens))] = self.ids(1, 4)
        got = self.rows.read_ahead(tokens, all_logits(self.model))
        kept = [self.rng.randint(min(1, len(ids)), len(ids)) for ids in tokens]
        for row, (text, ids) in enumerate(zip(self.texts, tokens, strict=True)):
            for place, token in enumerate(ids):
                text.read.append(token)
                wanted = self._whole(text)
                torch.testing.assert_close(got[row, place], wanted, atol=2e-5, rtol=1e-4)
            text.read = text.read[: len(text.read) - len(ids) + kept[row]]
        self.rows.keep([len(ids) for ids in tokens], kept)
        assert self.rows.lengths == [len(text.read) for text in self.texts]
        assert self.rows.columns == self.rows._mask_R_C.shape[1] >= max(self.rows.lengths)

    def fork(self) -> None:
        chosen = [self.rng.randrange(len(self.texts)) for _ in range(self.rng.randint(1, 4))]
        self.rows.select(chosen)
        self.texts = [Text(self.texts[i].source, list(self.texts[i].read)) for i in chosen]

    def grow(self) -> None:
        chosen = [self.rng.randrange(len(self.texts)) for _ in range(self.rng.randint(1, 6))]
        first = len(self.texts)
        made = self.rows.fork(chosen)
        assert made == list(range(first, first + len(chosen)))
        self.texts += [Text(self.texts[i].source, list(self.texts[i].read)) for i in chosen]

    def join(self) -> None:
        new, texts = self._new(2)
        self.rows.join(new)
        self.texts += texts

    def copy(self) -> None:
        source = self.rng.randrange(len(self.texts))
        to = [i for i in range(len(self.texts)) if i != source and self.rng.random() < 0.5]
        if not to:
            return
        self.rows.copy(to, [source] * len(to), 0)
        for i in to:
            self.texts[i] = Text(self.texts[source].source, list(self.texts[source].read))

    def check(self, tokens: Sequence[list[int]]) -> None:
        got = self.rows.read(tokens)
        for row, (text, ids) in enumerate(zip(self.texts, tokens, strict=True)):
            text.read += ids
            if ids:
                torch.testing.assert_close(got[row], self._whole(text), atol=2e-5, rtol=1e-4)
        assert self.rows.lengths == [len(text.read) for text in self.texts]

    def _whole(self, text: Text) -> torch.Tensor:
        read = torch.tensor([text.read])
        inputs = {"input_ids": read}
        if self.encodes:
            inputs = {"input_ids": torch.tensor([text.source]), "decoder_input_ids": read}
        with torch.inference_mode():
            logits: torch.Tensor = self.model(**inputs).logits[0, -1]
        return logits


@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    deeds=st.lists(
        st.sampled_from(
            ["tick", "tick", "chunk", "ahead", "fork", "grow", "join", "copy", "close"]
        ),
        max_size=12,
    ),
    seed=st.integers(0, 1 << 30),
)
def test_rows_read_as_if_each_was_alone(
    model: PreTrainedModel, deeds: list[str], seed: int
) -> None:
    both = Both(model, random.Random(seed))
    for deed in [*deeds, "chunk"]:
        getattr(both, deed)()


def test_only_what_knows_its_positions_reads_ahead(model: PreTrainedModel) -> None:
    both = Both(model, random.Random(0))
    # A state-space model cannot go back.
    knows = not counts_columns(model.config) and model.config.model_type != "mamba2"
    assert both.rows.reads_ahead is knows
    assert not (both.encodes and knows)


def test_reading_writes_into_room_that_is_there() -> None:
    model = family("llama", VOCABULARY)
    rows = Rows(model, next_token_logits(model), 0, 1)
    rows.read([[5, 6, 7]])
    layer = rows._attention()[0]
    before = layer.keys.data_ptr()
    for _ in range(20):
        rows.read([[8]])
    assert layer.keys.data_ptr() == before
    assert layer.keys.shape[2] == 23
