"""A learned verifier: the probability that a program will return the right answer, step by step.

After the verifiers of GSM8K (Cobbe et al., arXiv 2110.14168) and TinyGSM (arXiv 2312.09241): a
small language model with a head on its last hidden state, trained on executed samples.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from transformers import AutoModel, AutoTokenizer, PreTrainedModel

from pad_ray.base.errors import StudentError, reason_of
from pad_ray.programs.statements import split_steps
from pad_ray.students.card import format_source
from pad_ray.students.files import VERIFIER_FILE
from pad_ray.students.inference import Rows, check_understood
from pad_ray.students.models import quieten, tokenise_source, with_padding
from pad_ray.students.weights import load_pretrained, share_weights
from pad_ray.verifiers.base import Candidate, calibrated

HEAD_FILE = "head.safetensors"
# At so many empty columns, and a quarter more than there are tokens, rows are copied together.
_MOST_GAPS = 48


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


def make_value_model(
    source: str | Path,
    *,
    dtype: torch.dtype | Literal["auto"] = torch.float32,
    is_verifier: bool = False,
) -> Verifier:
    """Return an untrained verifier on a decoder-only language model from a folder or hub id.

    `dtype` "auto" is that of the saved weights. What writes the next token is left out, which a
    saved verifier has not.
    """
    quieten()
    try:
        backbone = load_pretrained(
            AutoModel, str(source), f"verifier: {source}", not is_verifier, dtype=dtype
        )
        tokenizer = AutoTokenizer.from_pretrained(source)
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        raise StudentError(f"verifier: cannot load '{source}': {reason_of(error)}") from error
    if backbone.config.is_encoder_decoder:
        raise StudentError(f"verifier: {source} is an encoder-decoder; give a decoder-only model")
    tokenizer = with_padding(tokenizer, f"verifier: {source}")
    return Verifier(ValueModel(backbone), tokenizer, ValueCard(str(source)))


def save_value_model(verifier: Verifier, folder: Path) -> None:
    """Write backbone, tokenizer, head and card so that `load_value_model(folder)` works."""
    quieten()
    folder.mkdir(parents=True, exist_ok=True)
    verifier.model.backbone.save_pretrained(folder)
    verifier.tokenizer.save_pretrained(folder)
    save_file(verifier.model.head.state_dict(), folder / HEAD_FILE)
    card = folder / VERIFIER_FILE
    card.write_text(json.dumps(asdict(verifier.card), indent=2) + "\n", encoding="utf-8")
    share_weights(card)


def load_value_model(folder: Path, device: torch.device | str = "cpu") -> Verifier:
    """Load a trained verifier as it was saved; `StudentError` if the folder holds none."""
    card_file = folder / VERIFIER_FILE
    try:
        card = ValueCard(**json.loads(card_file.read_text()))
    except FileNotFoundError:
        raise StudentError(
            f"scorers.value: {folder} holds no verifier ({VERIFIER_FILE} is missing)"
        ) from None
    except (OSError, ValueError, TypeError) as error:
        raise StudentError(f"scorers.value: {card_file}: cannot be read: {error}") from error
    made = make_value_model(folder, dtype="auto", is_verifier=True)
    made.model.to(made.model.backbone.dtype)
    try:
        made.model.head.load_state_dict(load_file(folder / HEAD_FILE))
    except (OSError, RuntimeError, SafetensorError) as error:
        said = " ".join(str(error).split())
        raise StudentError(f"scorers.value: {folder / HEAD_FILE}: {said}") from error
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


@dataclass(frozen=True)
class _Place:
    """Where a program was read to: its row, the value of its last step, whether no more fits."""

    rows: Rows
    row: int
    value: float | None = None
    is_full: bool = False


class ValueScorer:
    """Reads on from what it has read of each program: no prefix is read twice.

    Steps beyond what the verifier has positions for keep the value of the last one before them;
    0.5 where not even the question fits.
    """

    def __init__(self, verifier: Verifier) -> None:
        check_understood(verifier.model.backbone, "scorers.value")
        self._verifier = verifier
        limit = getattr(verifier.model.backbone.config, "max_position_embeddings", None)
        self._limit: float = math.inf if limit is None else int(limit)
        # Where each candidate of a search's last call was read to, by its number.
        self._places: dict[int, dict[int, _Place]] = {}

    @torch.inference_mode()
    def score(self, candidates: Sequence[Candidate]) -> list[list[float]]:
        """Return, for each step, the probability that the program will give the right answer."""
        rows, parents = self._rows_of_parents(candidates)
        tokenizer = self._verifier.tokenizer
        # A search's step may hold several statements; its value is the last one's.
        steps = [
            [_joined(step_tokens(tokenizer, step)) for step in candidate.steps]
            for candidate in candidates
        ]
        scores: list[list[float]] = [[] for _ in candidates]
        values = [parent.value for parent in parents]
        full = [parent.is_full for parent in parents]
        for number in range(max(map(len, steps))):
            fresh = [s[number] if number < len(s) else [] for s in steps]
            for row, ids in enumerate(fresh):
                if full[row] or rows.lengths[row] + len(ids) > self._limit:
                    # What comes after a step that was left out makes no sense without it.
                    fresh[row], full[row] = [], True
            logits = rows.read(fresh).float().tolist() if any(fresh) else []
            for row, asked in enumerate(steps):
                if fresh[row]:
                    values[row] = self._value(logits[row])
                if number < len(asked):
                    value = values[row]
                    scores[row].append(0.5 if value is None else value)
        found: dict[int, dict[int, _Place]] = {}
        for row, candidate in enumerate(candidates):
            place = _Place(rows, row, values[row], full[row])
            found.setdefault(candidate.search, {})[candidate.number] = place
        self._places |= found
        return scores

    def forget(self, search: int) -> None:
        """Let go of a search's rows."""
        self._places.pop(search, None)

    def _value(self, logit: float) -> float:
        card = self._verifier.card
        return calibrated(logit, card.scale, card.shift)

    def _rows_of_parents(self, candidates: Sequence[Candidate]) -> tuple[Rows, list[_Place]]:
        """Return a row for each candidate that holds what its parent has read, and the parents."""
        keys = [(c.search, c.parent) for c in candidates]
        firsts = dict(reversed(list(zip(keys, candidates, strict=True))))
        places = {
            (search, parent): place
            for search, parent in firsts
            if (place := self._places.get(search, {}).get(parent)) is not None
        }
        new = [key for key in firsts if key not in places]
        if new:
            places |= zip(new, self._read([firsts[key] for key in new]), strict=True)
        wanted = [places[key] for key in keys]
        # One copy from each of the caches that hold some, then one into their order.
        sources = list({id(place.rows): place.rows for place in wanted}.values())
        order: list[int] = [0] * len(wanted)
        joined: Rows | None = None
        at = 0
        for source in sources:
            here = [i for i, place in enumerate(wanted) if place.rows is source]
            part = source.taken([wanted[i].row for i in here])
            for i in here:
                order[i] = at
                at += 1
            if joined is None:
                joined = part
            else:
                joined.join(part)
        assert joined is not None
        # Steps of unlike lengths leave empty columns, and attention pays for one as for a token.
        gaps = joined.columns > 1.25 * max(joined.lengths) + _MOST_GAPS
        if gaps or order != list(range(len(order))):
            joined.select(order)
        return joined, wanted

    def _read(self, candidates: Sequence[Candidate]) -> list[_Place]:
        """Read questions, with the programs so far, into rows of their own."""
        tokenizer = self._verifier.tokenizer
        texts, read, full = [], [], []
        for candidate in candidates:
            question = question_tokens(tokenizer, candidate.question)
            before = step_tokens(tokenizer, candidate.before) if candidate.before else []
            ends = [*accumulate(map(len, before), initial=len(question))]
            fitting = sum(end <= self._limit for end in ends)
            # A row needs something to hold, though nothing comes of it.
            texts.append([*question, *_joined(before[: fitting - 1])] if fitting else question[:1])
            read.append(fitting > 1)
            full.append(fitting < len(ends))
        pad = int(tokenizer.pad_token_id)
        rows = Rows(self._verifier.model.backbone, self._output(), pad, len(texts))
        logits = rows.read(texts).float().tolist()
        return [
            _Place(rows, row, self._value(logit) if read[row] else None, full[row])
            for row, logit in enumerate(logits)
        ]

    def _output(self) -> Callable[..., torch.Tensor]:
        model = self._verifier.model

        def logits(ends: torch.Tensor, **inputs: Any) -> torch.Tensor:
            values: torch.Tensor = model(**inputs)
            return values[torch.arange(len(ends), device=ends.device), ends]

        return logits


def _joined(parts: Sequence[Sequence[int]]) -> list[int]:
    return [token for part in parts for token in part]
