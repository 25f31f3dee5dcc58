"""Where the judges of steps come from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pad_ray.base.config import Settings
from pad_ray.base.fields import Input
from pad_ray.students.files import model_input


class ScorerSettings(Settings):
    """Where the judges of steps come from; the weights say how much each counts."""

    alignment: Annotated[str | None, Input(model_input, is_saved=True)] = None
    """Sentence-transformers folder or hub id, such as facebook/roscoe-512-roberta-base."""
    value: Annotated[Path | None, Input(model_input, "verifier", is_saved=True)] = None
    """Verifier folder, as pad-ray train_verifier writes it."""
