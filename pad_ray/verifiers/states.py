"""A verifier without a model of its own: a linear head on the states of the student that writes.

A model's states tell more about whether its answer is right than what it says (Kadavath et al.,
arXiv 2207.05221; Orgad et al., arXiv 2410.02707), and they are there already while it writes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from transformers import PreTrainedModel

from pad_ray.base.errors import StudentError
from pad_ray.students.files import STATES_FILE
from pad_ray.verifiers.base import Candidate, calibrated

# Values of each parameter that tell one student from another.
_MARKED = 16


@dataclass(frozen=True)
class StateHead:
    """The logit that a program will be right is `weight` (one a hidden unit) times state + `bias`.

    A step's state is the one that wrote its last token. The probability is
    sigmoid(`scale` * logit + `shift`), fitted on held-out problems (Platt). `student` is the mark
    of the only student whose states it reads, `origin` where that lay.
    """

    origin: str
    student: str
    weight: tuple[float, ...]
    bias: float
    scale: float = 1.0
    shift: float = 0.0

    def probability(self, logit: float) -> float:
        """Return the probability that the answer will be right."""
        return calibrated(logit, self.scale, self.shift)

    def reader(self, model: PreTrainedModel) -> Callable[[torch.Tensor], torch.Tensor]:
        """Return what maps the model's states [..., hidden] to logits [...].

        Raises `StudentError` where the student is another.
        """
        if student_mark(model) != self.student:
            raise StudentError(
                f"scorers.value: it reads the states of {self.origin}, and this student is another "
                "or was trained further; train a head for it (train_verifier --states true)"
            )
        weight = torch.tensor(self.weight, dtype=torch.float32, device=model.device)
        return lambda states: states @ weight + self.bias


def student_mark(model: PreTrainedModel) -> str:
    """Return 16 hex digits that tell a student's weights from others', in fp32 and bf16 alike."""
    digest = hashlib.sha256()
    for name, parameter in model.named_parameters():
        few = parameter.detach().flatten()[:_MARKED].to("cpu", torch.bfloat16)
        digest.update(f"{name} {tuple(parameter.shape)} {few.tolist()}".encode())
    return digest.hexdigest()[:16]


def save_state_head(head: StateHead, folder: Path) -> None:
    """Write a head so that `load_state_head(folder)` works."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / STATES_FILE).write_text(json.dumps(asdict(head), indent=2) + "\n")


def load_state_head(folder: Path) -> StateHead:
    """Load a trained head; `StudentError` if it cannot be read."""
    file = folder / STATES_FILE
    try:
        values = json.loads(file.read_text())
        return StateHead(**{**values, "weight": tuple(map(float, values["weight"]))})
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise StudentError(f"scorers.value: {file}: cannot be read: {error}") from error


class StateScorer:
    """Reads nothing: what it judges by came with each token of the student."""

    def __init__(self, head: StateHead) -> None:
        self.head = head

    def score(self, candidates: Sequence[Candidate]) -> list[list[float]]:
        """Return, for each step, the probability that the program will give the right answer."""
        return [[self.head.probability(one) for one in c.logits] for c in candidates]

    def forget(self, search: int) -> None:
        """Nothing is kept."""
