"""Where a student's files are, as a worker anywhere finds them, and what they hold."""

from __future__ import annotations

from pathlib import Path

from pad_ray.base.config import resolve
from pad_ray.base.errors import StudentError
from pad_ray.flow.stages import file_fingerprint
from pad_ray.students.card import CARD_FILE, StudentCard, read_card

__all__ = ["STATES_FILE", "VERIFIER_FILE", "located", "weight_fingerprints"]

VERIFIER_FILE = "pad_ray_verifier.json"
"""The card of a verifier, beside its weights."""
STATES_FILE = "pad_ray_states.json"
"""A linear head that judges by a student's own states, beside the student's weights."""
WEIGHTS = ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin")


def located(student: str, field: str = "student") -> tuple[str, StudentCard]:
    """Return a trained student as a worker anywhere can load it, and its card.

    Raises `StudentError`, with the settings' field, where there is none.
    """
    if student.startswith("scratch:"):
        raise StudentError(f"{field}: {student} is untrained; give the folder of a trained one")
    path = resolve(Path(student))
    if path.is_dir() and not (path / "config.json").is_file():
        raise StudentError(f"{field}: {path} holds no model (config.json is missing)")
    if not path.exists() and (student.endswith(".gguf") or student.startswith((".", "/"))):
        raise StudentError(f"{field}: {path}: no such file or folder")
    return str(path) if path.exists() else student, read_card(path, student)


def weight_fingerprints(part: str, source: str) -> dict[str, str]:
    """Return the fingerprints of a model's files as inputs of a stage, named after `part`.

    A model of a hub has no files here; its id stands for them.
    """
    path = Path(source)
    if not path.exists():
        return {part: source}
    names = (*WEIGHTS, CARD_FILE, VERIFIER_FILE, STATES_FILE)
    files = [path] if path.is_file() else [path / name for name in names]
    return {f"{part}/{f.name}": file_fingerprint(f) for f in files if f.is_file()}
