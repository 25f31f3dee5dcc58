"""Keeping a student from learning its examples by heart, and letting another one teach it."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn.functional import dropout, log_softmax
from transformers import TopPLogitsWarper

__all__ = ["nucleus", "nucleus_divergence", "set_dropout"]


def set_dropout(model: nn.Module, share: float) -> None:
    """Let a model drop this share of what each layer adds, while it is trained.

    Models that have dropout layers (T5, GPT-2) get the share in those; to others (Llama, Qwen,
    LFM2) residual dropout is added: on what attention, convolution and MLP hand back to the
    residual stream (Vaswani et al., arXiv 1706.03762, section 5.4).
    """
    layers = [module for module in model.modules() if isinstance(module, nn.Dropout)]
    for layer in layers:
        layer.p = share
    if layers:
        return

    def drop(module: nn.Module, _: Any, output: Any) -> Any:
        if isinstance(output, tuple):
            return (dropout(output[0], share, module.training), *output[1:])
        return dropout(output, share, module.training)

    for block in _blocks(model):
        for child in block.children():
            if "norm" not in type(child).__name__.lower():
                child.register_forward_hook(drop)


def _blocks(model: nn.Module) -> nn.ModuleList:
    """Return the decoder's layers: the longest list of modules, the first of equal ones."""
    lists = [module for module in model.modules() if isinstance(module, nn.ModuleList)]
    return max(lists, key=len)


def nucleus(logits: torch.Tensor, top_p: float) -> torch.Tensor:
    """Return probabilities [positions, vocabulary] within the smallest set that holds `top_p`.

    The others are 0, and what is left sums to 1 (Holtzman et al., arXiv 1904.09751).
    """
    inside: torch.Tensor = TopPLogitsWarper(top_p)(None, logits)
    return inside.softmax(-1)


def nucleus_divergence(student: torch.Tensor, teacher: torch.Tensor, top_p: float) -> torch.Tensor:
    """Return KL(teacher's nucleus || student) in nats, summed over positions.

    Both are logits [positions, vocabulary]; columns that only one of them has are left out of the
    teacher's distribution (models pad their vocabulary to round sizes).
    """
    shared = min(student.shape[-1], teacher.shape[-1])
    wanted = nucleus(teacher[:, :shared].float(), top_p)
    given = log_softmax(student.float(), dim=-1)[:, :shared]
    return (torch.xlogy(wanted, wanted) - wanted * given).sum()
