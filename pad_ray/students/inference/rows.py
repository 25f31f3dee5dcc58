"""Rows of text that a model reads on from, each with its own length, forked by index.

Suffixes name a tensor's dimensions: R rows, C columns of the cache, T new tokens, S tokens of an
encoder's source, E width of its states.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.nn.utils.rnn import pad_sequence
from transformers import DynamicCache, EncoderDecoderCache, PreTrainedModel
from transformers.modeling_outputs import BaseModelOutput

from pad_ray.students.inference.attention import use_quick_attention
from pad_ray.students.inference.cache import (
    GrowingLayer,
    end_convolutions,
    make_cache,
    recorded_convolutions,
    recurrent_layers,
    recurrent_states,
    self_attention_layers,
    taken,
)
from pad_ray.students.inference.positions import counts_columns

Output = Callable[..., torch.Tensor]


# What maps states [..., hidden] to a number each.
Reader = Callable[[torch.Tensor], torch.Tensor]


def next_token_logits(model: PreTrainedModel, reader: Reader | None = None) -> Output:
    """Return the model as a function to the logits [rows, vocabulary] after a row's last token.

    What a `reader` makes of the states there is one more column, behind the vocabulary's.
    """

    def logits(ends: torch.Tensor, **inputs: Any) -> torch.Tensor:
        place = (torch.arange(len(ends), device=ends.device), ends)
        return _logits(model, inputs, reader, place)

    return logits


def all_logits(model: PreTrainedModel, reader: Reader | None = None) -> Output:
    """Return the model as a function to the logits [rows, columns, vocabulary] of new tokens.

    What a `reader` makes of the states there is one more column, behind the vocabulary's.
    """

    def logits(ends: torch.Tensor, **inputs: Any) -> torch.Tensor:
        return _logits(model, inputs, reader, ...)

    return logits


def last_states(output: Any) -> torch.Tensor:
    """Return the last layer's states [rows, columns, hidden], those that the logits are made of."""
    states = getattr(output, "decoder_hidden_states", None) or output.hidden_states
    last: torch.Tensor = states[-1]
    return last


def _logits(
    model: PreTrainedModel, inputs: dict[str, Any], reader: Reader | None, place: Any
) -> torch.Tensor:
    if reader is None:
        logits: torch.Tensor = model(**inputs).logits[place]
        return logits
    output = model(**inputs, output_hidden_states=True)
    read = reader(last_states(output)[place].float())
    return torch.cat([output.logits[place].float(), read[..., None]], dim=-1)


class Rows:
    """A model, and what it has read in each row.

    Columns are the cache's positions; the mask is False where a row has none. A row
    that stands still while others read on gets an empty column. `select` closes such gaps, so
    that all rows end in the last column; for a model that measures distances by columns (see
    `counts_columns`) that is done before a row with a gap reads on.

    `output` maps the columns of the rows' last tokens, and the model's inputs, to a tensor
    [rows, ...] for these columns. `pad` is any token. The rows of an
    encoder-decoder model start with its encoder's output for `sources`.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        output: Output,
        pad: int,
        count: int,
        sources: Sequence[Sequence[int]] | None = None,
    ) -> None:
        use_quick_attention(model)
        self._model = model
        self._output = output
        self._device = model.device
        self._pad = pad
        self._cache = make_cache(model.config)
        self._counts_columns = counts_columns(model.config)
        self.lengths = [0] * count
        # Whether a row has an empty column behind its first token.
        self._gaps = [False] * count
        self._mask_R_C = torch.zeros((count, 0), dtype=torch.bool, device=self._device)
        self._encoded_R_S_E: torch.Tensor | None = None
        self._source_mask_R_S = self._mask_R_C
        if sources is not None:
            self._encode(model, sources)

    def __len__(self) -> int:
        return len(self.lengths)

    @property
    def columns(self) -> int:
        """Columns of the cache."""
        return self._mask_R_C.shape[1]

    @torch.inference_mode()
    def read(self, tokens: Sequence[Sequence[int]]) -> torch.Tensor:
        """Let each row read its tokens (none: it stands still); return `output` for all rows.

        The output of a row that stands still means nothing.
        """
        return self._read_on(tokens, self._output)

    @property
    def reads_ahead(self) -> bool:
        """Tell whether tokens that were read can be forgotten again."""
        # Wrong guesses would leave gaps at every pass.
        recurrent = recurrent_layers(self._cache)
        return not self._counts_columns and all(layer.is_croppable for layer in recurrent)

    @torch.inference_mode()
    def read_ahead(self, tokens: Sequence[Sequence[int]], output: Output) -> torch.Tensor:
        """Let each row read tokens of which some may be forgotten: `keep` must be called next.

        `output` is asked for all columns, [rows, longest, ...]; where a row has fewer tokens what
        stands there means nothing.
        """
        width = max(map(len, tokens))
        with recorded_convolutions(recurrent_layers(self._cache)):
            return self._read(tokens, width, output, at_left=True)

    @torch.inference_mode()
    def keep(self, read: Sequence[int], kept: Sequence[int]) -> None:
        """Of the `read` tokens that each row has just read ahead keep the first `kept`."""
        first, most = self.columns - max(read), max(kept)
        end_convolutions(recurrent_layers(self._cache), kept)
        for layer in self._attention():
            layer.cut(first + most)
        fresh_R_T = (
            torch.arange(most, device=self._device)
            < torch.tensor(kept, device=self._device)[:, None]
        )
        self._mask_R_C = torch.cat([self._mask_R_C[:, :first], fresh_R_T], dim=1)
        for row, (before, after) in enumerate(zip(read, kept, strict=True)):
            self.lengths[row] -= before - after
            self._gaps[row] = self._gaps[row] or after < most

    @torch.inference_mode()
    def skim(self, tokens: Sequence[Sequence[int]]) -> None:
        """Read without an output, which may be large for many tokens."""
        self._read_on(tokens, self._no_output)

    def _read_on(self, tokens: Sequence[Sequence[int]], output: Output) -> torch.Tensor:
        widths = {len(ids) for ids in tokens if ids}
        width = max(widths)
        uneven = width > 1 and self.columns > 0 and widths != {width}
        recurrent = recurrent_layers(self._cache) if uneven else []
        if not recurrent:
            return self._read(tokens, width, output, at_left=uneven)
        if all(layer.is_croppable for layer in recurrent):
            # Tokens first and padding behind: a convolution must see a row's new tokens right
            # after its old ones, and its state is then taken from where they end.
            with recorded_convolutions(recurrent):
                found = self._read(tokens, width, output, at_left=True)
            end_convolutions(recurrent, [len(ids) for ids in tokens])
            return found
        # A state-space model would carry on through the padding.
        for back in range(width, 0, -1):
            one = [ids[-back:][:1] if len(ids) >= back else [] for ids in tokens]
            found = self._read(one, 1, output)
        return found

    def _read(
        self,
        tokens: Sequence[Sequence[int]],
        width: int,
        output: Output,
        at_left: bool = False,
    ) -> torch.Tensor:
        """Read rows of unequal length, the shorter ones padded on the right with `at_left`."""
        pairs = zip(tokens, self._gaps, strict=True)
        if self._counts_columns and any(new and gap for new, gap in pairs):
            self.select(range(len(self)))

        def padded(values: Sequence[int], pad: int) -> list[int]:
            rest = [pad] * (width - len(values))
            return [*values, *rest] if at_left else [*rest, *values]

        # By a row's own length, not by column: it may have empty columns before.
        packed_R_3_T = [
            [
                padded(new, self._pad),
                padded([1] * len(new), 0),
                padded(range(length, length + len(new)), 0),
            ]
            for new, length in zip(tokens, self.lengths, strict=True)
        ]
        # One transfer a pass: each makes a GPU wait.
        ids_R_T, fresh_R_T, positions_R_T = self._tensor(packed_R_3_T).unbind(1)
        ends_R = (
            (fresh_R_T.sum(1) - 1) % width if at_left else torch.full_like(ids_R_T[:, 0], width - 1)
        )
        self._mask_R_C = torch.cat([self._mask_R_C, fresh_R_T.bool()], dim=1)
        still = [] if at_left else [row for row, new in enumerate(tokens) if not new]
        # The mask keeps padding out of attention, but not out of a recurrent state.
        before = self._states_of(still)
        found = output(ends_R, **self._inputs(ids_R_T, positions_R_T))
        for (states, number), state in before:
            states[number][still] = state
        for row, new in enumerate(tokens):
            # Those padded on the left begin there, or have had their gaps closed.
            self._gaps[row] |= self.lengths[row] > 0 and len(new) < width
            self.lengths[row] += len(new)
        return found

    def _no_output(self, ends: torch.Tensor, **inputs: Any) -> torch.Tensor:
        self._model.base_model(**inputs)
        return ends

    def _inputs(self, ids: torch.Tensor, positions: torch.Tensor) -> dict[str, Any]:
        if self._encoded_R_S_E is None:
            return {
                "input_ids": ids,
                "attention_mask": self._mask_R_C.long(),
                "position_ids": positions,
                "cache": self._cache,
                "use_cache": True,
            }
        return {
            "decoder_input_ids": ids,
            "decoder_attention_mask": self._mask_R_C.long(),
            "encoder_outputs": BaseModelOutput(last_hidden_state=self._encoded_R_S_E),
            "attention_mask": self._source_mask_R_S.long(),
            "cache": self._cache,
            "use_cache": True,
        }

    @torch.inference_mode()
    def select(self, rows: Sequence[int], columns: int = 0) -> None:
        """Make these the rows, in order; a row may be taken many times.

        All end in the last column then; `columns` asks for more columns than the longest needs.
        """
        index = torch.tensor(list(rows), dtype=torch.long, device=self._device)
        valid_R_C = self._mask_R_C[index]
        self.lengths = [self.lengths[row] for row in rows]
        self._gaps = [False] * len(self.lengths)
        width = max([columns, *self.lengths])
        # A stable sort puts a row's empty columns first and keeps the others in order.
        order_R_C = torch.argsort(valid_R_C.int(), dim=1, stable=True)
        missing = width - order_R_C.shape[1]
        if missing > 0:
            # Column 0 stands in for those that are not there; the mask hides it.
            order_R_C = torch.nn.functional.pad(order_R_C, (missing, 0))
        order_R_C = order_R_C[:, order_R_C.shape[1] - width :]
        for layer in self._attention():
            layer.arrange(index, order_R_C)
        for states, number in recurrent_states(self._cache):
            states[number] = states[number][index]
        ends = torch.tensor(self.lengths, device=self._device)
        self._mask_R_C = torch.arange(width, device=self._device) >= width - ends[:, None]
        if self._encoded_R_S_E is not None:
            self._encoded_R_S_E = self._encoded_R_S_E[index]
            self._source_mask_R_S = self._source_mask_R_S[index]
            if isinstance(self._cache, EncoderDecoderCache):
                self._cache.cross_attention_cache.batch_select_indices(index)

    @torch.inference_mode()
    def fork(self, source: Sequence[int]) -> list[int]:
        """Append copies of rows, and return their numbers."""
        index = torch.tensor(list(source), device=self._device)
        first = len(self)
        for layer in self._attention():
            layer.fork(index)
        for states, number in recurrent_states(self._cache):
            states[number] = torch.cat([states[number], states[number][index]])
        self._mask_R_C = torch.cat([self._mask_R_C, self._mask_R_C[index]])
        self.lengths += [self.lengths[row] for row in source]
        self._gaps += [self._gaps[row] for row in source]
        if self._encoded_R_S_E is not None:
            self._encoded_R_S_E = torch.cat([self._encoded_R_S_E, self._encoded_R_S_E[index]])
            self._source_mask_R_S = torch.cat([self._source_mask_R_S, self._source_mask_R_S[index]])
            for layer in self._cross():
                layer.keys = torch.cat([layer.keys, layer.keys[index]])
                layer.values = torch.cat([layer.values, layer.values[index]])
        return list(range(first, len(self)))

    @torch.inference_mode()
    def join(self, other: Rows) -> None:
        """Append the rows of another of the same model; all end in the last column."""
        # Empty columns can be put before a row, but none of its own can go.
        if other.columns > self.columns:
            self.select(range(len(self)), other.columns)
        for mine, theirs in zip(self._attention(), other._attention(), strict=True):
            mine.absorb(len(self), theirs, len(other))
        pairs = zip(recurrent_states(self._cache), recurrent_states(other._cache), strict=True)
        for (states, number), (more, _) in pairs:
            states[number] = torch.cat([states[number], more[number]])
        gap = self.columns - other.columns
        self._mask_R_C = torch.cat(
            [self._mask_R_C, torch.nn.functional.pad(other._mask_R_C, (gap, 0))]
        )
        if self._encoded_R_S_E is not None:
            self._join_encoded(other)
        self.lengths += other.lengths
        self._gaps += other._gaps

    @torch.inference_mode()
    def taken(self, rows: Sequence[int]) -> Rows:
        """Return rows of their own, copies of these; for decoder-only models."""
        index = torch.tensor(list(rows), dtype=torch.long, device=self._device)
        new = copy.copy(self)
        new._cache = taken(self._cache, self._model.config, index)
        new._mask_R_C = self._mask_R_C[index]
        new.lengths = [self.lengths[row] for row in rows]
        new._gaps = [self._gaps[row] for row in rows]
        return new

    @torch.inference_mode()
    def copy(self, to: Sequence[int], source: Sequence[int], first: int) -> None:
        """Overwrite rows by rows that have the same columns up to `first`, and the same source.

        From 0 on the target may have had another source.
        """
        where, what = self._tensor([list(to), list(source)])
        for layer in self._attention():
            layer.copy_rows(where, what, first)
        for states, number in recurrent_states(self._cache):
            states[number][where] = states[number][what]
        self._mask_R_C[where] = self._mask_R_C[what]
        if self._encoded_R_S_E is not None and first == 0:
            self._encoded_R_S_E[where] = self._encoded_R_S_E[what]
            self._source_mask_R_S[where] = self._source_mask_R_S[what]
            for layer in self._cross():
                layer.keys[where] = layer.keys[what]
                layer.values[where] = layer.values[what]
        # A row may be source and target at once.
        lengths, gaps = list(self.lengths), list(self._gaps)
        for row, old in zip(to, source, strict=True):
            self.lengths[row], self._gaps[row] = lengths[old], gaps[old]

    def _attention(self) -> list[GrowingLayer]:
        layers = self_attention_layers(self._cache)
        return [layer for layer in layers if isinstance(layer, GrowingLayer)]

    def _states_of(self, rows: Sequence[int]) -> list[tuple[Any, torch.Tensor]]:
        if not rows:
            return []
        return [
            ((states, number), states[number][rows].clone())
            for states, number in recurrent_states(self._cache)
        ]

    def _cross(self) -> list[Any]:
        cache = self._cache
        if not isinstance(cache, EncoderDecoderCache):
            return []
        return [layer for layer in cache.cross_attention_cache.layers if layer.is_initialized]

    def _tensor(self, values: Sequence[Any]) -> torch.Tensor:
        return torch.tensor(values, device=self._device)

    @torch.inference_mode()
    def _encode(self, model: PreTrainedModel, sources: Sequence[Sequence[int]]) -> None:
        ids = [torch.tensor(list(source)) for source in sources]
        padded = pad_sequence(ids, batch_first=True, padding_value=self._pad)
        ones = [torch.ones_like(source, dtype=torch.bool) for source in ids]
        self._source_mask_R_S = pad_sequence(ones, batch_first=True).to(self._device)
        encoder = model.get_encoder()
        output = encoder(padded.to(self._device), attention_mask=self._source_mask_R_S.long())
        self._encoded_R_S_E = output.last_hidden_state

    def _join_encoded(self, other: Rows) -> None:
        assert self._encoded_R_S_E is not None
        assert other._encoded_R_S_E is not None
        width = max(self._encoded_R_S_E.shape[1], other._encoded_R_S_E.shape[1])
        pad = torch.nn.functional.pad
        for rows in (self, other):
            assert rows._encoded_R_S_E is not None
            missing = width - rows._encoded_R_S_E.shape[1]
            rows._encoded_R_S_E = pad(rows._encoded_R_S_E, (0, 0, 0, missing))
            rows._source_mask_R_S = pad(rows._source_mask_R_S, (0, missing))
        self._encoded_R_S_E = torch.cat([self._encoded_R_S_E, other._encoded_R_S_E])
        self._source_mask_R_S = torch.cat([self._source_mask_R_S, other._source_mask_R_S])
        # Its keys and values are made again from the joined output, with the next token.
        cache = self._cache
        assert isinstance(cache, EncoderDecoderCache)
        cache.cross_attention_cache = DynamicCache()
        cache.is_updated = {}
