"""Where a student's files are, as a worker anywhere finds them, and what they hold."""

from __future__ import annotations

import re
from contextlib import suppress
from functools import cache
from pathlib import Path

from pad_ray.base.config import resolve
from pad_ray.base.errors import StudentError
from pad_ray.flow.stages import MANIFEST, file_fingerprint, fingerprint
from pad_ray.students.card import CARD_FILE, StudentCard, read_card

__all__ = [
    "STATES_FILE",
    "VERIFIER_FILE",
    "hub_revision",
    "located",
    "model_input",
    "models_input",
]

VERIFIER_FILE = "pad_ray_verifier.json"
"""The card of a verifier, beside its weights."""
STATES_FILE = "pad_ray_states.json"
"""A linear head that judges by a student's own states, beside the student's weights."""
_HUB_TIMEOUT_S = 10
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


def model_input(name: str, source: list[str] | str | Path) -> dict[str, str]:
    """Return the fingerprints of a model's files as inputs of a stage, by what they are called.

    A model of a hub has no files here: its id stands for it, and the revision that its name now
    means, where the hub or its cache tells.
    """
    if isinstance(source, list):
        return models_input(name, source)
    path = Path(source).expanduser()
    if not path.exists():
        revision = None if isinstance(source, Path) else hub_revision(source)
        return {name: str(source)} | ({f"{name}/revision": revision} if revision else {})
    if path.is_file():
        return {f"{name}/{path.name}": file_fingerprint(path)}
    single = [path / file for file in (*WEIGHTS, CARD_FILE, VERIFIER_FILE, STATES_FILE)]
    others = {
        str(file.relative_to(path)): file_fingerprint(file)
        for file in sorted(path.rglob("*"))
        if file not in single and _is_of_model(file.relative_to(path)) and file.is_file()
    }
    found = {f"{name}/{file.name}": file_fingerprint(file) for file in single if file.is_file()}
    return found | ({f"{name}/others": fingerprint(others)} if others else {})


def models_input(name: str, sources: list[str] | str) -> dict[str, str]:
    """Return what `model_input` does for one or several models, numbered."""
    found: dict[str, str] = {}
    for number, source in enumerate([sources] if isinstance(sources, str) else sources):
        found |= model_input(f"{name}_{number}", source)
    return found


def _is_of_model(file: Path) -> bool:
    """Tell shards, configurations and tokenizers from what else lies in a student's folder."""
    if file.name == MANIFEST or any(_OTHER_FOLDERS.match(part) for part in file.parts):
        return False
    return file.suffix in _MODEL_FILES


_OTHER_FOLDERS = re.compile(r"\.|work$|checkpoint-")
_MODEL_FILES = {".bin", ".jinja", ".json", ".model", ".py", ".safetensors", ".txt"}
_HUB_ID = re.compile(r"\w[\w.-]*(/\w[\w.-]*)?(?<!\.gguf)")


@cache
def hub_revision(model: str) -> str | None:
    """Return the commit that a hub id means now; of a hub that does not answer, the cached one."""
    if not _HUB_ID.fullmatch(model):
        return None
    # It takes its time to import, and most students are folders.
    import huggingface_hub as hub

    try:
        return hub.model_info(model, timeout=_HUB_TIMEOUT_S).sha
    except Exception:  # of the network, the hub or the id: whoever loads the model tells
        with suppress(hub.errors.HFValidationError):
            cached = hub.try_to_load_from_cache(model, "config.json")
            return Path(cached).parent.name if isinstance(cached, str) else None
    return None
