"""Which rows of a dataset are exported, and as what."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from pad_ray.base.config import Settings
from pad_ray.base.fields import Input, Runtime
from pad_ray.flow.inputs import stage_input


class ExportSettings(Settings):
    """Write verified programs or chains of thought as a dataset for TRL, LLaMA-Factory and others.

    Writes train and, with --split_fraction, validation as Parquet or JSONL, README.md (a dataset
    card, so that datasets.load_dataset takes the directory), dataset_info.json for LLaMA-Factory
    and manifest.json.
    """

    data: Annotated[list[Path] | Path, Input(stage_input)]
    """Synthesis directory, or a list of them, all of programs or all of chains of thought."""
    out: Annotated[Path, Runtime]
    """Directory for the dataset and manifest.json."""
    format: ExportFormat = "messages"
    """messages (chat; TRL, LLaMA-Factory), prompt_completion (chat in two columns; TRL) or alpaca
    (instruction, input, output; LLaMA-Factory)."""
    file_type: Literal["parquet", "jsonl"] = "parquet"
    """Type of the files."""
    fenced: bool = True
    """Put programs into a ```python fence."""
    instruction: str | None = None
    """What is asked before each question; empty for the question alone. By default what the rows
    are: a Python function solution(), or reasoning that ends in the answer."""
    system: str = ""
    """System message; empty for none."""
    per_problem: int | None = Field(None, ge=1)
    """Most programs of one problem, the first by sample number (default all)."""
    pass_rate_min: float = Field(0.0, ge=0, le=1)
    """Leaves out problems that fewer of their samples solve: too hard, or badly put."""
    pass_rate_max: float = Field(1.0, ge=0, le=1)
    """Leaves out problems that more of their samples solve: too easy."""
    split_fraction: float = Field(0.0, ge=0, lt=1)
    """Share of problems for the validation split, drawn by a hash of the question."""
    push_to_hub: Annotated[str | None, Runtime] = None
    """Dataset repository (owner/name) on the Hugging Face Hub to upload to; the token comes from
    the environment variable HF_TOKEN and nowhere else."""
    private: Annotated[bool, Runtime] = True
    """Make a new repository private."""

    @model_validator(mode="after")
    def _bounds_in_order(self) -> Self:
        if self.pass_rate_min > self.pass_rate_max:
            raise ValueError(
                f"pass_rate_min: {self.pass_rate_min} is above pass_rate_max {self.pass_rate_max}"
            )
        return self

    @property
    def choice(self) -> Choice:
        return Choice(self.per_problem, self.pass_rate_min, self.pass_rate_max)


ExportFormat = Literal["messages", "prompt_completion", "alpaca"]


Written = Literal["program", "chain_of_thought"]


@dataclass(frozen=True)
class Choice:
    """Which verified rows are taken: pass rates are shares, both bounds included."""

    per_problem: int | None
    pass_rate_min: float
    pass_rate_max: float

    @property
    def asks_pass_rate(self) -> bool:
        return self.pass_rate_min > 0 or self.pass_rate_max < 1
