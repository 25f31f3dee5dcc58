"""Sizes of students made from scratch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pad_ray.base.errors import ConfigError


@dataclass(frozen=True)
class ScratchSize:
    """Width and depth of a from-scratch student."""

    kind: Literal["lfm2", "t5"]
    hidden: int
    layers: int
    heads: int
    vocabulary: int


# Vocabularies are small on purpose: a word that is seen rarely is learned late, its pieces early.
SCRATCH_SIZES: dict[str, ScratchSize] = {
    "tiny": ScratchSize("lfm2", 64, 2, 4, 640),
    "mini": ScratchSize("lfm2", 64, 4, 2, 640),
    "small": ScratchSize("lfm2", 192, 4, 6, 640),
    "medium": ScratchSize("lfm2", 384, 6, 6, 2048),
    "t5-tiny": ScratchSize("t5", 64, 2, 4, 640),
    "t5-small": ScratchSize("t5", 192, 3, 6, 640),
}


def scratch_size(source: str) -> ScratchSize:
    """Return the size named by `scratch:<size>`."""
    name = source.removeprefix("scratch:")
    if name not in SCRATCH_SIZES:
        known = ", ".join(SCRATCH_SIZES)
        raise ConfigError(f"student: unknown size '{source}'; known: scratch:<size> with {known}")
    return SCRATCH_SIZES[name]
