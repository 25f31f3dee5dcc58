"""What a student expects at each token of a text: entropy, surprise and support, by kind."""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from pad_ray.evaluation.analysis.metrics import effective_support, entropy
from pad_ray.students.models import Student, tokenise_source
from pad_ray.training.objectives import collate

__all__ = ["CLASSES", "Forced", "force", "token_classes"]

CLASSES = ("digits", "operators", "names", "keywords", "other")
_LEXEME = re.compile(r"(?P<digits>\d)|(?P<word>[^\W\d]\w*)|(?P<operators>[-+*/%=<>()\[\]{}.,:^$])")
_ROWS = 16


@dataclass(frozen=True)
class Forced:
    """A text that a student was made to read: a value a token, its end-of-sequence included.

    `surprise` is the negative log-probability of each token, `entropy` that of the distribution
    before it (both in nats), `support` the tokens in its nucleus; `vector` is the mean of the last
    hidden states over the text.
    """

    entropy: list[float]
    surprise: list[float]
    support: list[int]
    classes: list[str]
    vector: NDArray[np.float64]


@torch.inference_mode()
def force(student: Student, pairs: Sequence[tuple[str, Sequence[int]]]) -> Iterator[Forced]:
    """Teacher-force (source text, target token ids) pairs, in order; targets are not empty."""
    encodes = student.is_encoder_decoder
    device = student.model.device
    for start in range(0, len(pairs), _ROWS):
        part = pairs[start : start + _ROWS]
        sources = [tokenise_source(student.tokenizer, source, encodes) for source, _ in part]
        targets = [list(ids) for _, ids in part]
        inputs, labels = collate({"source": sources, "target": targets}, student)
        placed = {name: tensor.to(device) for name, tensor in inputs.items()}
        output = student.model(**placed, output_hidden_states=True)
        states = (output.decoder_hidden_states if encodes else output.hidden_states)[-1]
        for row, ids in enumerate(targets):
            # A decoder-only model foretells a token where it reads the one before.
            places = torch.nonzero(labels[row] != -100).flatten()
            before = (places - (0 if encodes else 1)).to(device)
            logprobs = torch.log_softmax(output.logits[row, before].float(), dim=-1)
            yield _forced(student, ids, logprobs, states[row, places.to(device)])


def _forced(
    student: Student, ids: Sequence[int], logprobs: torch.Tensor, states: torch.Tensor
) -> Forced:
    chosen = logprobs[torch.arange(len(ids)), torch.tensor(ids, device=logprobs.device)]
    return Forced(
        entropy(logprobs).tolist(),
        (-chosen).tolist(),
        effective_support(logprobs).tolist(),
        token_classes(student.tokenizer, ids, not student.card.writes_text),
        states.double().mean(dim=0).cpu().numpy(),
    )


def token_classes(tokenizer: Any, ids: Sequence[int], is_program: bool) -> list[str]:
    """Return the class of each token by the characters that it adds to the text.

    names are identifiers and words, keywords those of a program; a token of several kinds is of
    the first that is no blank.
    """
    ends = [
        len(tokenizer.decode(list(ids[: at + 1]), skip_special_tokens=True))
        for at in range(len(ids))
    ]
    kinds = _kinds(tokenizer.decode(list(ids), skip_special_tokens=True), is_program)
    found, start = [], 0
    for end in ends:
        inside = [kind for kind in kinds[start:end] if kind]
        found.append(inside[0] if inside else "other")
        start = max(start, end)
    return found


def _kinds(text: str, is_program: bool) -> list[str]:
    """Return the class of each character of a text; empty for a blank."""
    kinds = ["" if character.isspace() else "other" for character in text]
    for match in _LEXEME.finditer(text):
        kind = str(match.lastgroup)
        if kind == "word":
            is_keyword = is_program and keyword.iskeyword(match.group())
            kind = "keywords" if is_keyword else "names"
        kinds[match.start() : match.end()] = [kind] * len(match.group())
    return kinds
