"""A key/value cache whose rows can be forked, dropped and re-aligned in one copy.

Suffixes name a tensor's dimensions: R rows, C columns, H heads, D width of a head, K channels.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from transformers import Cache, DynamicCache, EncoderDecoderCache, PretrainedConfig
from transformers.cache_utils import DynamicLayer, LinearAttentionCacheLayerMixin

from pad_ray.base.errors import StudentError

_SPARE_COLUMNS = 64
_SPARE_ROWS = 4


class GrowingLayer(DynamicLayer):  # type: ignore[misc]
    """Attention keys and values with room to grow: a token is written, nothing else is copied.

    `keys` and `values` are views of the buffers. In these a head's columns lie together: attention
    reads one head at a time, and on a CPU takes two to four times as long where it has to step
    over the others.
    """

    def __init__(self) -> None:
        super().__init__()
        self._buffers_R_H_C_D: list[torch.Tensor] = []
        self._rows = self._columns = 0

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Append [rows, heads, new, width] states; return all keys and values."""
        rows, _, new, _ = key_states.shape
        end = self._columns + new
        if not self._buffers_R_H_C_D:
            self.device = key_states.device
            self.is_initialized = True
            self._buffers_R_H_C_D = [
                states.new_empty((rows, states.shape[1], end + _SPARE_COLUMNS, states.shape[3]))
                for states in (key_states, value_states)
            ]
        self._make_room(rows, end)
        for buffer, states in zip(self._buffers_R_H_C_D, (key_states, value_states), strict=True):
            buffer[:rows, :, self._columns : end] = states
        self._show(rows, end)
        return self.keys, self.values

    def arrange(self, rows: torch.Tensor, columns: torch.Tensor) -> None:
        """Make the rows anew: row i is old row `rows[i]` at its columns `columns[i, :]`."""
        if not self._buffers_R_H_C_D:
            return
        count, width = columns.shape
        # One gather over rows and columns at once: to pick rows and then columns would copy twice.
        have_heads, have_columns = self._buffers_R_H_C_D[0].shape[1:3]
        heads = torch.arange(have_heads, device=rows.device)
        at_R_H = rows[:, None] * have_heads + heads
        index_RHC = (at_R_H[..., None] * have_columns + columns[:, None]).reshape(-1)
        for at, old in enumerate(self._buffers_R_H_C_D):
            # Keys and values may differ in width.
            size = old.shape[-1]
            new = old.new_empty((count + _SPARE_ROWS, have_heads, width + _SPARE_COLUMNS, size))
            picked_RHC_D = old.flatten(0, 2).index_select(0, index_RHC)
            new[:count, :, :width] = picked_RHC_D.view(count, have_heads, width, size)
            self._buffers_R_H_C_D[at] = new
        self._show(count, width)

    def fork(self, source: torch.Tensor) -> None:
        """Append copies of rows."""
        # Nothing was read yet: the first `update` makes the buffers, with all rows.
        if not self._buffers_R_H_C_D:
            return
        rows = self._rows + len(source)
        self._make_room(rows, self._columns)
        for buffer in self._buffers_R_H_C_D:
            buffer[self._rows : rows, :, : self._columns] = buffer[source, :, : self._columns]
        self._show(rows, self._columns)

    def absorb(self, rows: int, other: GrowingLayer, more: int) -> None:
        """Append `more` rows of another cache to these `rows`, both ending in the last column.

        The other has no more columns than this one.
        """
        if not self._buffers_R_H_C_D:
            return
        self._make_room(rows + more, self._columns)
        first = self._columns - other._columns
        for at, mine in enumerate(self._buffers_R_H_C_D):
            # Not left as found: whatever stands there is multiplied by a weight of 0.
            mine[rows : rows + more, :, :first] = 0
            if other._buffers_R_H_C_D:
                theirs = other._buffers_R_H_C_D[at][:more, :, : other._columns]
                mine[rows : rows + more, :, first : self._columns] = theirs
        self._show(rows + more, self._columns)

    def taken(self, rows: torch.Tensor) -> GrowingLayer:
        """Return a layer of its own with copies of these rows."""
        layer = GrowingLayer()
        layer.is_initialized = self.is_initialized
        for old in self._buffers_R_H_C_D:
            room = (len(rows), old.shape[1], self._columns + _SPARE_COLUMNS, old.shape[3])
            new = old.new_empty(room)
            new[:, :, : self._columns] = old[rows, :, : self._columns]
            layer._buffers_R_H_C_D.append(new)
        if self._buffers_R_H_C_D:
            layer._show(len(rows), self._columns)
        return layer

    def copy_rows(self, to: torch.Tensor, source: torch.Tensor, first: int) -> None:
        """Overwrite rows by other rows, from column `first` on."""
        for buffer in self._buffers_R_H_C_D:
            buffer[to, :, first : self._columns] = buffer[source, :, first : self._columns]

    def cut(self, columns: int) -> None:
        """Forget all columns but the first so many."""
        if self._buffers_R_H_C_D:
            self._show(self._rows, columns)

    def _make_room(self, rows: int, columns: int) -> None:
        have_rows, _, have_columns, _ = self._buffers_R_H_C_D[0].shape
        if rows <= have_rows and columns <= have_columns:
            return
        # By a ratio, so that what is copied stays a constant share of what is written.
        more_rows = have_rows if rows <= have_rows else rows + rows // 2
        more_columns = have_columns
        if columns > have_columns:
            more_columns = columns + columns // 2 + _SPARE_COLUMNS
        for at, old in enumerate(self._buffers_R_H_C_D):
            new = old.new_empty((more_rows, old.shape[1], more_columns, old.shape[3]))
            used = slice(0, self._rows), slice(None), slice(0, self._columns)
            new[used] = old[used]
            self._buffers_R_H_C_D[at] = new

    def _show(self, rows: int, columns: int) -> None:
        self._rows, self._columns = rows, columns
        self.keys, self.values = (b[:rows, :, :columns] for b in self._buffers_R_H_C_D)


def make_cache(config: PretrainedConfig) -> Cache:
    """Return an empty cache for a model, of growing layers where it attends."""
    if config.is_encoder_decoder:
        return EncoderDecoderCache(_self_attention(config), DynamicCache(config=config))
    return _self_attention(config)


def _self_attention(config: PretrainedConfig) -> DynamicCache:
    cache = DynamicCache(config=config)
    # Recurrent layers stay transformers' own: their state has no columns to grow by.
    cache.layers = [
        layer if isinstance(layer, LinearAttentionCacheLayerMixin) else GrowingLayer()
        for layer in cache.layers
    ]
    if any(
        isinstance(layer, DynamicLayer) and not isinstance(layer, GrowingLayer)
        for layer in cache.layers
    ):
        raise StudentError(
            f"student: the decoder cannot fork the cache of a {config.model_type} model, "
            "whose layers both attend and recur"
        )
    return cache


def self_attention_layers(cache: Cache) -> list[Any]:
    """Return the layers that hold what has been written, without those of an encoder's output."""
    inner = cache.self_attention_cache if isinstance(cache, EncoderDecoderCache) else cache
    return list(inner.layers)


def recurrent_layers(cache: Cache) -> list[Any]:
    """Return the layers that hold a recurrent (convolution or state-space) state."""
    layers = self_attention_layers(cache)
    return [layer for layer in layers if isinstance(layer, LinearAttentionCacheLayerMixin)]


def recurrent_states(cache: Cache) -> list[tuple[dict[int, torch.Tensor], int]]:
    """Return where each recurrent state [rows, ...] is kept."""
    return [
        (states, number)
        for layer in recurrent_layers(cache)
        for states in (layer.conv_states, layer.recurrent_states)
        for number, state in states.items()
        if state is not None
    ]


def taken(cache: Cache, config: PretrainedConfig, rows: torch.Tensor) -> Cache:
    """Return a decoder-only model's cache of its own with copies of these rows."""
    new = make_cache(config)
    new.layers = [
        layer.taken(rows) if isinstance(layer, GrowingLayer) else _taken_states(layer, rows)
        for layer in cache.layers
    ]
    return new


def _taken_states(layer: Any, rows: torch.Tensor) -> Any:
    new = copy.copy(layer)
    for name in ("conv_states", "recurrent_states"):
        states = getattr(layer, name)
        picked = {n: None if state is None else state[rows] for n, state in states.items()}
        setattr(new, name, picked)
    new.has_previous_state = dict(layer.has_previous_state)
    return new


@contextmanager
def recorded_convolutions(layers: Sequence[Any]) -> Iterator[None]:
    """Keep all that convolutions see of a chunk, for `end_convolutions`."""
    for layer in layers:
        layer.activate_past_recording()
    try:
        yield
    finally:
        for layer in layers:
            layer.record_past = False


def end_convolutions(layers: Sequence[Any], lengths: Sequence[int]) -> None:
    """Take each row's state as it was after so many tokens, from the left, of a recorded chunk."""
    for layer in layers:
        for number, seen_R_K_C in layer.conv_states.items():
            kernel = layer.conv_kernel_size[number]
            device, channels = seen_R_K_C.device, seen_R_K_C.shape[1]
            # What was seen begins with the state from before the chunk, `kernel` columns of it:
            # after n tokens the state is the `kernel` columns from n on.
            ends_R_1 = torch.tensor(lengths, device=device)[:, None]
            columns_R_1_C = (ends_R_1 + torch.arange(kernel, device=device))[:, None, :]
            index_R_K_C = columns_R_1_C.expand(-1, channels, -1)
            layer.conv_states[number] = seen_R_K_C.gather(2, index_R_K_C)
