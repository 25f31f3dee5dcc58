"""How one question is asked."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from pad_ray.base.fields import Runtime
from pad_ray.base.sandbox_settings import SandboxSettings
from pad_ray.decoding.settings import SearchSettings
from pad_ray.verifiers.settings import ScorerSettings


class AskSettings(SearchSettings):
    """Ask a student one question: its program and the program's value, or its text and answer."""

    question: str
    """The question."""
    student: str
    """Student folder, hub id or .gguf file."""
    precision: Literal["fp32", "bf16"] = "fp32"
    """Number format of the weights."""
    threads: Annotated[int | None, Runtime] = Field(None, ge=1)
    """Threads to compute with on a CPU (default: torch's, one a core; 1 is much faster where other
    work keeps the cores busy)."""
    scorers: ScorerSettings = ScorerSettings()
    """Where the judges of steps come from."""
    sandbox: SandboxSettings = SandboxSettings()
    """Limits of one program's run."""
    show_tree: bool = Field(False)
    """Print every step that was proposed, how it was judged and why it lost."""
