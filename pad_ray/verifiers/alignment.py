"""Semantic alignment of a step with the question, as PaD measures it."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from typing import Any

import torch

from pad_ray.base.errors import ConfigError, StudentError, reason_of
from pad_ray.verifiers.base import Candidate

_SENTENCE = re.compile(r"(?<=[.!?])\s+|\n+")
_KEPT_TEXTS = 20_000


class AlignmentScorer:
    """ψ = max over the question's sentences of (1 + cos) / 2 between sentence and step.

    PaD, arXiv 2305.13888, equation 5. `model` is a sentence-transformers folder or hub id. Each
    text is embedded once: embeddings are kept until `_KEPT_TEXTS` others have come.
    """

    def __init__(self, model: str, device: torch.device) -> None:
        self._model = load_encoder(model, device, "scorers.alignment")
        self._kept: OrderedDict[str, torch.Tensor] = OrderedDict()

    def score(self, candidates: Sequence[Candidate]) -> list[list[float]]:
        """Return each step's alignment, from 0 to 1."""
        questions = [sentences(candidate.question) for candidate in candidates]
        steps = [[step.strip() for step in candidate.steps] for candidate in candidates]
        embedded = self._embed([text for texts in (*questions, *steps) for text in texts])
        return [
            [_alignment(embedded[step], [embedded[s] for s in asked]) for step in written]
            for asked, written in zip(questions, steps, strict=True)
        ]

    def forget(self, search: int) -> None:
        """Do nothing: embeddings serve whoever asks next."""

    def _embed(self, texts: Iterable[str]) -> dict[str, torch.Tensor]:
        """Return the unit vectors of texts."""
        wanted = list(dict.fromkeys(texts))
        missing = [text for text in wanted if text not in self._kept]
        if missing:
            vectors = self._model.encode(
                missing,
                convert_to_tensor=True,
                normalize_embeddings=True,
                show_progress_bar=False,
            )
            self._kept |= zip(missing, vectors.float().cpu(), strict=True)
        found = {text: self._kept[text] for text in wanted}
        for text in wanted:
            self._kept.move_to_end(text)
        while len(self._kept) > _KEPT_TEXTS:
            self._kept.popitem(last=False)
        return found


def load_encoder(model: str, device: torch.device, field: str) -> Any:
    """Load a sentence-transformers folder or hub id; errors name the settings' `field`."""
    try:
        from sentence_transformers import SentenceTransformer
    except ImportError:
        raise ConfigError(
            f"{field}: the package sentence-transformers is missing; "
            "pip install 'pad-ray[alignment]'"
        ) from None
    try:
        return SentenceTransformer(model, device=str(device))
    except (OSError, ValueError, RuntimeError) as error:
        raise StudentError(f"{field}: cannot load '{model}': {reason_of(error)}") from error


def sentences(question: str) -> list[str]:
    """Return a question's sentences, at least one."""
    found = [part.strip() for part in _SENTENCE.split(question) if part.strip()]
    return found or [question.strip()]


def _alignment(step: torch.Tensor, asked: Sequence[torch.Tensor]) -> float:
    cosine = float((torch.stack(list(asked)) @ step).max())
    return min(1.0, max(0.0, (1 + cosine) / 2))
