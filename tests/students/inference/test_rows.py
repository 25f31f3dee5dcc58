"""Whatever is done to rows, each gives the logits that its whole text gives without a cache."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedModel,
    Qwen2Config,
    Qwen2ForCausalLM,
)

from pad_ray.students.card import StudentCard
from pad_ray.students.inference.rows import Rows, all_logits, next_token_logits
from pad_ray.students.models import make_scratch_student

VOCABULARY = 300
SMALL = {"vocab_size": VOCABULARY, "hidden_size": 32, "intermediate_size": 64}
SHAPE = {"num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2}


def scratch(size: str) -> PreTrainedModel:
    card = StudentCard("program", "test")
    return make_scratch_student(size, ["def solution():"], card=card, seed=0).model.eval()


def models() -> dict[str, PreTrainedModel]:
    torch.manual_seed(0)
    return {
        "lfm2": scratch("scratch:tiny"),
        "t5": scratch("scratch:t5-tiny"),
        "llama": LlamaForCausalLM(LlamaConfig(**SMALL, **SHAPE)).eval(),
        "qwen2": Qwen2ForCausalLM(Qwen2Config(**SMALL, **SHAPE)).eval(),
        "gpt2": GPT2LMHeadModel(
            GPT2Config(vocab_size=VOCABULARY, n_embd=32, n_layer=2, n_head=4)
        ).eval(),
    }


@pytest.fixture(scope="module", params=["lfm2", "t5", "llama", "qwen2", "gpt2"])
def model(request: pytest.FixtureRequest) -> PreTrainedModel:
    return models()[request.param]


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
        """Some rows read a token; then gaps are closed."""
        tokens = [self.ids(0, 1) for _ in self.texts]
        if not any(tokens):
            tokens[0] = [9]
        self.check(tokens)
        self.rows.select(range(len(self.rows)))

    def chunk(self) -> None:
        """Rows read several tokens, not equally many."""
        self.check([self.ids(1, 1 if self.encodes else 5) for _ in self.texts])
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
        same = [i for i, t in enumerate(self.texts) if t.source == self.texts[source].source]
        to = [i for i in same if i != source]
        if not to:
            return
        self.rows.copy(to, [source] * len(to), 0)
        for i in to:
            self.texts[i].read = list(self.texts[source].read)

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
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    deeds=st.lists(
        st.sampled_from(["tick", "chunk", "ahead", "fork", "grow", "join", "copy"]), max_size=12
    ),
    seed=st.integers(0, 1 << 30),
)
def test_rows_read_as_if_each_was_alone(
    model: PreTrainedModel, deeds: list[str], seed: int
) -> None:
    both = Both(model, random.Random(seed))
    for deed in [*deeds, "chunk"]:
        getattr(both, deed)()


def test_decoders_read_ahead_and_encoder_decoders_do_not(model: PreTrainedModel) -> None:
    both = Both(model, random.Random(0))
    assert both.rows.reads_ahead is not both.encodes


def test_reading_writes_into_room_that_is_there() -> None:
    model = models()["llama"]
    rows = Rows(model, next_token_logits(model), 0, 1)
    rows.read([[5, 6, 7]])
    layer = rows._attention()[0]
    before = layer.keys.data_ptr()
    for _ in range(20):
        rows.read([[8]])
    assert layer.keys.data_ptr() == before
    assert layer.keys.shape[2] == 23
