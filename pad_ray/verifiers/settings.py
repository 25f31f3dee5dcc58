"""Where the judges of steps come from."""

from __future__ import annotations

from pathlib import Path

from pad_ray.base.config import Settings


class ScorerSettings(Settings):
    """Where the judges of steps come from; the weights say how much each counts."""

    alignment: str | None = None
    """Sentence-transformers folder or hub id, such as facebook/roscoe-512-roberta-base."""
    value: Path | None = None
    """Verifier folder, as jobs/train_verifier.py writes it."""
