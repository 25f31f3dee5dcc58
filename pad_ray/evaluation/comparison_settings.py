"""Which ways to decode are compared."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from pad_ray.base.fields import Input, Runtime
from pad_ray.evaluation.settings import EvaluationRun
from pad_ray.students.files import model_input


class ComparisonSettings(EvaluationRun):
    """Let one student answer the same problems by several strategies, and draw the curves.

    The fields below are those of every strategy; each entry of `strategies` changes some.
    """

    student: Annotated[str, Input(model_input, is_saved=True)]
    """Student folder, hub id or .gguf file."""
    strategies: dict[str, dict[str, Any]] = Field(min_length=1)
    """A name for each, and the settings that it changes, such as {strategy: vote, n: 16}."""
    seeds: list[int] = Field(default=[0], min_length=1)
    """Seeds of generated problems and of sampling; a file's problems are the same for all."""
    out: Annotated[Path, Runtime]
    """Directory for one folder a strategy and seed, comparison.json and curves.svg."""
