"""How a model knows where a token stands: by the position it is told, or by the cache's columns."""

from __future__ import annotations

from typing import Any

from transformers import PretrainedConfig


def counts_columns(config: PretrainedConfig) -> bool:
    """Tell whether attention measures distances by columns, so that rows must have no gaps.

    Windows, chunks and local attention are masked by column in transformers whatever the
    `position_ids`; so are the relative positions of encoder-decoders, and MPT's (Falcon's and
    BLOOM's ALiBi counts the mask).
    """
    if config.is_encoder_decoder:
        return True
    decoder = config.get_text_config(decoder=True)
    kinds = {str(kind) for kind in _listed(getattr(decoder, "layer_types", None))}
    if any(word in kind for kind in kinds for word in ("sliding", "chunked", "local")):
        return True
    if not kinds and _window(decoder):
        return True
    kinds = {str(kind) for kind in _listed(getattr(decoder, "attention_layers", None))}
    attention = getattr(decoder, "attn_config", None)
    return "local" in kinds or bool(getattr(attention, "alibi", False))


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else []


def _window(config: PretrainedConfig) -> bool:
    return bool(getattr(config, "sliding_window", None)) and bool(
        getattr(config, "use_sliding_window", True)
    )
