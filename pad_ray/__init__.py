"""Program-aided Distillation (PaD, arXiv 2305.13888) as a Ray application."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pad_ray.base.errors import PadError
    from pad_ray.decoding.solution import Solution
    from pad_ray.decoding.solver import Solver

__all__ = ["PadError", "Solution", "Solver", "__version__"]
__version__ = "0.1.0"

_HOMES = {
    "PadError": "pad_ray.base.errors",
    "Solution": "pad_ray.decoding.solution",
    "Solver": "pad_ray.decoding.solver",
}


def __getattr__(name: str) -> Any:
    # Imported on first use: `pad_ray.sandbox` must stay usable without torch and Ray.
    if name not in _HOMES:
        raise AttributeError(f"module 'pad_ray' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
