"""Fingerprints of inputs, as the mark `Input` of settings' fields reads them."""

from __future__ import annotations

from pathlib import Path

from pad_ray.base.storage import locate, locate_all
from pad_ray.flow.stages import file_fingerprint, input_fingerprints

__all__ = ["file_input", "stage_input"]


def file_input(name: str, path: Path) -> dict[str, str]:
    """Return a file's fingerprint; `DataError` where there is none."""
    return {name: file_fingerprint(locate(path))}


def stage_input(name: str, folders: list[Path] | Path) -> dict[str, str]:
    """Return the fingerprints of finished stages' rows, numbered."""
    return input_fingerprints(name, locate_all(folders))
