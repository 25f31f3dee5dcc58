"""Step scorers by name, as settings ask for them."""

from __future__ import annotations

import torch

from pad_ray.sandbox import OutcomeCache
from pad_ray.students.files import STATES_FILE
from pad_ray.verifiers.alignment import AlignmentScorer
from pad_ray.verifiers.base import StepScorer
from pad_ray.verifiers.execution import ExecutionScorer
from pad_ray.verifiers.grounding import GroundingScorer
from pad_ray.verifiers.settings import ScorerSettings
from pad_ray.verifiers.states import StateScorer, load_state_head
from pad_ray.verifiers.value import ValueScorer, load_value_model


def load_scorers(
    settings: ScorerSettings, outcomes: OutcomeCache, device: torch.device
) -> dict[str, StepScorer]:
    """Return the scorers by name; those that need no model are always among them."""
    scorers: dict[str, StepScorer] = {}
    if settings.alignment is not None:
        scorers["alignment"] = AlignmentScorer(settings.alignment, device)
    if settings.value is not None:
        if (settings.value / STATES_FILE).is_file():
            scorers["value"] = StateScorer(load_state_head(settings.value))
        else:
            scorers["value"] = ValueScorer(load_value_model(settings.value, device))
    scorers["grounding"] = GroundingScorer()
    scorers["execution"] = ExecutionScorer(outcomes)
    return scorers
