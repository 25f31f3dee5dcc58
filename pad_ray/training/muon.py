"""Muon for the matrices of a model, AdamW for all else.

A matrix moves by its gradient's momentum made nearly orthogonal, so that directions that the
gradient shows rarely are learned as fast as the others: a model made from scratch then learns from
far fewer tokens (Jordan et al. 2024, https://kellerjordan.github.io/posts/muon/).
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import torch

# A matrix's update has the size that AdamW's would have, so that one learning rate serves both
# (Liu et al. 2025, arXiv 2502.16982).
_SIZE = 0.2
_MOMENTUM = 0.95


def make_muon(
    model: torch.nn.Module, learning_rate: float, weight_decay: float, betas: tuple[float, float]
) -> torch.optim.Optimizer:
    """Return DeepSpeed's Muon with AdamW beside it, for a model whose matrices are whole.

    Embeddings, and the output that may share their weights, are AdamW's: of those a step moves the
    rows of the tokens that it saw.
    """
    from deepspeed.runtime.zero.muon.muon_optimizer import MuonWithAuxAdam

    by_columns: dict[int, list[torch.nn.Parameter]] = defaultdict(list)
    others: list[torch.nn.Parameter] = []
    tables = _tables(model)
    for parameter in model.parameters():
        is_matrix = parameter.dim() == 2 and id(parameter) not in tables
        (by_columns[parameter.shape[1]] if is_matrix else others).append(parameter)
    adamw = {"use_muon": False, "lr": learning_rate, "betas": betas, "eps": 1e-8}
    # First, so that the learning rate that is logged is theirs.
    groups: list[dict[str, Any]] = [
        {"params": chosen, "weight_decay": decay, **adamw}
        for chosen, decay in (
            ([p for p in others if p.dim() >= 2], weight_decay),
            ([p for p in others if p.dim() < 2], 0.0),
        )
        if chosen
    ]
    for columns, matrices in by_columns.items():
        # DeepSpeed scales an update by sqrt(rows / columns) where it is taller than wide: with this
        # factor it has the size of arXiv 2502.16982. The decay must not grow with it.
        factor = _SIZE * columns**0.5
        groups.append(
            {
                "params": matrices,
                "use_muon": True,
                "lr": learning_rate * factor,
                "weight_decay": weight_decay / factor,
                "momentum": _MOMENTUM,
            }
        )
    made: torch.optim.Optimizer = MuonWithAuxAdam(groups)
    return made


def _tables(model: torch.nn.Module) -> set[int]:
    """Return the ids of the weights that hold a row for each token or place."""
    tables = {
        id(module.weight) for module in model.modules() if isinstance(module, torch.nn.Embedding)
    }
    output = getattr(model, "get_output_embeddings", lambda: None)()
    return tables if output is None else tables | {id(output.weight)}
