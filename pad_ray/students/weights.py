"""Weights as they are loaded, none missing and none too many, and as others can read them."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel

from pad_ray.base.errors import StudentError

__all__ = ["load_pretrained", "load_weights", "share_weights"]

_NAMED = 3
# What older checkpoints of GPT kinds keep of attention beside its weights: masks.
_MASK = re.compile(r"(?:.*\.)?(?:attn|attention|self_attn)\.(?:bias|masked_bias|causal_mask)")


def load_pretrained(
    auto: Any, source: str, name: str, may_have_more: bool = False, **options: Any
) -> PreTrainedModel:
    """Return `auto.from_pretrained(source, **options)`.

    `name` begins what is said of it. Raises `StudentError` where the model has weights that the
    files lack, which would stay as they are drawn, or the files have weights that the model has
    no place for, unless they `may_have_more`.
    """
    model, told = auto.from_pretrained(source, output_loading_info=True, **options)
    buffers = [key for key, _ in model.named_buffers()]
    more = {
        key
        for key in told["unexpected_keys"]
        if not _MASK.fullmatch(key)
        and not any(one == key or one.endswith(f".{key}") for one in buffers)
    }
    _refuse(name, told["missing_keys"], () if may_have_more else more)
    return model


def load_weights(model: torch.nn.Module, weights: Mapping[str, torch.Tensor], name: str) -> None:
    """Load all weights of a model in place; `StudentError` where some are missing or too many.

    Of tensors that share their memory (tied ones) one is enough.
    """
    own = {key: tensor.data_ptr() for key, tensor in model.state_dict().items()}
    missing, more = model.load_state_dict(weights, strict=False)
    given = {own[key] for key in weights if key in own}
    _refuse(name, [key for key in missing if own[key] not in given], more)


def share_weights(beside: Path) -> None:
    """Let all read the weights beside a file who can read that.

    safetensors writes for the owner alone, and on shared storage others serve what one has trained.
    """
    mode = beside.stat().st_mode
    for file in beside.parent.glob("*.safetensors"):
        file.chmod(mode)


def _refuse(name: str, missing: Collection[str], more: Iterable[str]) -> None:
    for found, what in ((missing, "weights are missing"), (more, "weights have no place in it")):
        if keys := sorted(found):
            others = f" and {len(keys) - _NAMED} others" if len(keys) > _NAMED else ""
            raise StudentError(f"{name}: {what}: {', '.join(keys[:_NAMED])}{others}")
