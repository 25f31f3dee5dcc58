"""Whether a model family is read rightly from rows of unequal length: tried, not assumed.

Models that load and run may still take a row's neighbours, padding or gaps for a part of it, each
family in its own way, and then write fluent wrong texts. A few short texts show it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from weakref import WeakSet

import torch
from transformers import PreTrainedModel

from pad_ray.base.errors import StudentError
from pad_ray.students.inference.rows import Rows

_FIRST_ID = 3
_IDS = 500
# Of the largest logit; what a family that is misread differs by is a tenth and more.
_MOST_APART = {torch.float32: 2e-3, torch.float64: 2e-3}
_MOST_APART_HALF = 5e-2
_understood: WeakSet[PreTrainedModel] = WeakSet()


def check_understood(model: PreTrainedModel, role: str = "student") -> None:
    """Raise `StudentError` for a model that reads a row among others unlike the row alone.

    The model may have a head for the vocabulary or none; `role` is what the message calls it.
    """
    if model in _understood:
        return
    family, trains = model.config.model_type, model.training
    try:
        # Dropout differs from pass to pass.
        apart = _apart(model.eval())
    except torch.OutOfMemoryError:
        raise
    except (RuntimeError, TypeError, ValueError, LookupError, AttributeError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise StudentError(f"{role}: the decoder cannot read a {family} model: {reason}") from error
    finally:
        model.train(trains)
    if not apart <= _MOST_APART.get(model.dtype, _MOST_APART_HALF):
        raise StudentError(
            f"{role}: the decoder does not understand a {family} model: what it reads in a row "
            f"depends on the rows beside it (logits differ by {apart:.1%} of the largest)"
        )
    _understood.add(model)


def _apart(model: PreTrainedModel) -> float:
    """Return the largest difference to reading each row alone, over the largest logit."""
    encodes = bool(model.config.is_encoder_decoder)
    size = min(_IDS, model.config.get_text_config(decoder=True).vocab_size - _FIRST_ID)

    def ids(first: int, count: int) -> list[int]:
        return [_FIRST_ID + (first + 7 * place) % size for place in range(count)]

    sources = [ids(1, 4), ids(2, 9)] if encodes else None
    texts = [ids(3, 4), ids(4, 7)] if not encodes else [ids(3, 1), ids(4, 1)]

    def output(ends: torch.Tensor, **inputs: Any) -> torch.Tensor:
        return _states(model, inputs)[torch.arange(len(ends), device=ends.device), ends]

    rows = Rows(model, output, 0, len(texts), sources)
    apart = 0.0
    # Unequal prompts, then rows that stand still while others read on, and read on after them.
    for fresh in (texts, [ids(5, 1), []], [[], ids(6, 1)], [ids(7, 1), ids(8, 1)]):
        if fresh is not texts:
            texts = [[*text, *new] for text, new in zip(texts, fresh, strict=True)]
        found = rows.read(fresh)
        for row, new in enumerate(fresh):
            if new:
                alone = _alone(model, texts[row], None if sources is None else sources[row])
                largest = float(alone.abs().max()) or 1.0
                apart = max(apart, float((found[row].float() - alone).abs().max()) / largest)
    return apart


@torch.inference_mode()
def _alone(
    model: PreTrainedModel, text: Sequence[int], source: Sequence[int] | None
) -> torch.Tensor:
    """Return the logits or states [...] after a text that is read by itself, without a cache."""
    device = model.device
    read = torch.tensor([list(text)], device=device)
    if source is None:
        inputs = {"input_ids": read}
    else:
        inputs = {"input_ids": torch.tensor([list(source)], device=device)}
        inputs["decoder_input_ids"] = read
    return _states(model, {**inputs, "use_cache": False})[0, -1].float()


def _states(model: PreTrainedModel, inputs: dict[str, Any]) -> torch.Tensor:
    """Return the logits, or where there is no head the last states, of each token read."""
    output = model(**inputs)
    found: torch.Tensor = output.logits if "logits" in output else output.last_hidden_state
    return found
