"""A learned verifier: the probability that a program will return the right answer, step by step.

After the verifiers of GSM8K (Cobbe et al., arXiv 2110.14168) and TinyGSM (arXiv 2312.09241): a
small language model with a head on its last hidden state, trained on executed samples.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from transformers import AutoModel, AutoTokenizer, PreTrainedModel

from pad_ray.errors import StudentError
from pad_ray.inference.rows import Rows
from pad_ray.statements import split_steps
from pad_ray.students import format_source, quieten, tokenise_source
from pad_ray.verifiers.base import Candidate

CARD_FILE = "pad_ray_verifier.json"
HEAD_FILE = "head.safetensors"


@dataclass(frozen=True)
class ValueCard:
    """What a saved verifier was made from, and its calibration.

    The value is sigmoid(`scale` * head + `shift`), fitted on held-out problems (Platt).
    """

    origin: str
    scale: float = 1.0
    shift: float = 0.0


class ValueModel(torch.nn.Module):
    """A language model without its vocabulary, and a linear head to one number a position."""

    def __init__(self, backbone: PreTrainedModel) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = torch.nn.Linear(backbone.config.hidden_size, 1)
        torch.nn.init.zeros_(self.head.weight)
        torch.nn.init.zeros_(self.head.bias)

    def forward(self, **inputs: Any) -> torch.Tensor:
        """Return logits [rows, columns]."""
        hidden = self.backbone(**inputs).last_hidden_state
        logits: torch.Tensor = self.head(hidden.to(self.head.weight.dtype))[..., 0]
        return logits


@dataclass(frozen=True)
class Verifier:
    """A value model with its tokenizer and card."""

    model: ValueModel
    tokenizer: Any
    card: ValueCard


def make_value_model(source: str | Path, *, dtype: torch.dtype = torch.float32) -> Verifier:
    """Return an untrained verifier on a decoder-only language model from a folder or hub id."""
    quieten()
    try:
        backbone = AutoModel.from_pretrained(source, dtype=dtype)
        tokenizer = AutoTokenizer.from_pretrained(source)
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else repr(error)
        raise StudentError(f"verifier: cannot load '{source}': {reason}") from error
    if backbone.config.is_encoder_decoder:
        raise StudentError(f"verifier: {source} is an encoder-decoder; give a decoder-only model")
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return Verifier(ValueModel(backbone), tokenizer, ValueCard(str(source)))


def save_value_model(verifier: Verifier, folder: Path) -> None:
    """Write backbone, tokenizer, head and card so that `load_value_model(folder)` works."""
    quieten()
    folder.mkdir(parents=True, exist_ok=True)
    verifier.model.backbone.save_pretrained(folder)
    verifier.tokenizer.save_pretrained(folder)
    save_file(verifier.model.head.state_dict(), folder / HEAD_FILE)
    (folder / CARD_FILE).write_text(json.dumps(asdict(verifier.card), indent=2) + "\n")


def load_value_model(folder: Path, device: torch.device | str = "cpu") -> Verifier:
    """Load a trained verifier; `StudentError` if the folder holds none."""
    card_file = folder / CARD_FILE
    try:
        card = ValueCard(**json.loads(card_file.read_text()))
    except FileNotFoundError:
        raise StudentError(
            f"scorers.value: {folder} holds no verifier ({CARD_FILE} is missing)"
        ) from None
    except (OSError, ValueError, TypeError) as error:
        raise StudentError(f"scorers.value: {card_file}: cannot be read: {error}") from error
    made = make_value_model(folder)
    try:
        made.model.head.load_state_dict(load_file(folder / HEAD_FILE))
    except (OSError, RuntimeError, SafetensorError) as error:
        raise StudentError(f"scorers.value: {folder / HEAD_FILE}: {error}") from error
    made.model.to(device).eval()
    return Verifier(made.model, made.tokenizer, card)


def question_tokens(tokenizer: Any, question: str) -> list[int]:
    """Return what the verifier reads first: the prompt that a student gets."""
    return tokenise_source(tokenizer, format_source(question, "program"), False)


def step_tokens(tokenizer: Any, text: str) -> list[list[int]]:
    """Return the ids of each statement in a text; each is tokenised alone, so that what the
    verifier reads does not depend on where a search cut the text."""
    steps = split_steps(text) or [text or "\n"]
    return [tokenizer(step, add_special_tokens=False).input_ids for step in steps]


class ValueScorer:
    """Reads on from what it has read of each program: no prefix is read twice."""

    def __init__(self, verifier: Verifier) -> None:
        self._verifier = verifier
        self._rows: Rows | None = None
        self._places: dict[int, int] = {}
        self._of_search: dict[int, list[int]] = {}

    @torch.inference_mode()
    def score(self, candidates: Sequence[Candidate]) -> list[list[float]]:
        """Return, for each step, the probability that the program will give the right answer."""
        self._read_parents(candidates)
        self._select(candidates)
        tokenizer = self._verifier.tokenizer
        # A search's step may hold several statements; its value is the last one's.
        steps = [
            [_joined(step_tokens(tokenizer, step)) for step in candidate.steps]
            for candidate in candidates
        ]
        scores: list[list[float]] = [[] for _ in candidates]
        rows = self._rows
        assert rows is not None
        others = len(rows) - len(candidates)
        for number in range(max(map(len, steps))):
            fresh = [s[number] if number < len(s) else [] for s in steps]
            logits = rows.read([*fresh, *([[]] * others)]).float().tolist()
            for row, ids in enumerate(fresh):
                if ids:
                    scores[row].append(self._value(logits[row]))
        return scores

    def forget(self, search: int) -> None:
        """Let go of a search's rows; with the last one, of the cache."""
        for number in self._of_search.pop(search, ()):
            self._places.pop(number, None)
        if not self._of_search:
            self._rows = None
            self._places.clear()

    def _value(self, logit: float) -> float:
        card = self._verifier.card
        return 1 / (1 + math.exp(-max(-50.0, min(50.0, card.scale * logit + card.shift))))

    def _read_parents(self, candidates: Sequence[Candidate]) -> None:
        """Read questions, and programs so far, that have no row yet."""
        tokenizer = self._verifier.tokenizer
        new: dict[int, list[int]] = {}
        for candidate in candidates:
            parent = -1 if candidate.parent is None else candidate.parent
            if parent not in self._places and parent not in new:
                ids = question_tokens(tokenizer, candidate.question)
                if candidate.before:
                    ids += _joined(step_tokens(tokenizer, candidate.before))
                new[parent] = ids
        if not new:
            return
        rows = Rows(self._verifier.model.backbone, self._output(), self._pad, len(new))
        rows.read(list(new.values()))
        first = 0 if self._rows is None else len(self._rows)
        if self._rows is None:
            self._rows = rows
        else:
            self._rows.join(rows)
        self._places |= {parent: first + i for i, parent in enumerate(new)}

    def _select(self, candidates: Sequence[Candidate]) -> None:
        """Give each candidate its parent's row; keep those of searches that do not ask now."""
        asking = {candidate.search for candidate in candidates}
        order = [
            self._places[-1 if candidate.parent is None else candidate.parent]
            for candidate in candidates
        ]
        places = {candidate.number: row for row, candidate in enumerate(candidates)}
        kept: dict[int, list[int]] = {search: [] for search in asking}
        for candidate in candidates:
            kept[candidate.search].append(candidate.number)
        for search, numbers in self._of_search.items():
            if search in asking:
                continue
            kept[search] = numbers
            for number in numbers:
                places[number] = len(order)
                order.append(self._places[number])
        assert self._rows is not None
        self._rows.select(order)
        self._places, self._of_search = places, kept

    @property
    def _pad(self) -> int:
        return int(self._verifier.tokenizer.pad_token_id)

    def _output(self) -> Callable[..., torch.Tensor]:
        model = self._verifier.model

        def logits(**inputs: Any) -> torch.Tensor:
            last: torch.Tensor = model(**inputs)[:, -1]
            return last

        return logits


def _joined(parts: Sequence[Sequence[int]]) -> list[int]:
    return [token for part in parts for token in part]
