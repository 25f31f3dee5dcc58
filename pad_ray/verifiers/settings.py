"""Where the judges of steps come from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Self

from pad_ray.base.config import Settings, resolve
from pad_ray.base.fields import Input
from pad_ray.students.files import model_input


class ScorerSettings(Settings):
    """Where the judges of steps come from; the weights say how much each counts."""

    alignment: Annotated[str | None, Input(model_input, is_saved=True)] = None
    """Sentence-transformers folder or hub id, such as facebook/roscoe-512-roberta-base."""
    value: Annotated[Path | None, Input(model_input, "verifier", is_saved=True)] = None
    """Verifier folder, as pad-ray train_verifier writes it."""

    def located(self) -> Self:
        """Return the same with folders of this machine as a worker anywhere finds them."""
        value, alignment = self.value, self.alignment
        if alignment is not None and resolve(Path(alignment)).exists():
            alignment = str(resolve(Path(alignment)))
        placed = {"value": None if value is None else resolve(value), "alignment": alignment}
        return self.model_copy(update=placed)
