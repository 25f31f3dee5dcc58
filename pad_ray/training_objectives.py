"""What a model is trained to do: write targets, or tell right programs from wrong ones."""

from __future__ import annotations

from typing import Any, Literal, Protocol

import torch
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy
from torch.nn.utils.rnn import pad_sequence

from pad_ray.students import DTYPES, Student, load_student
from pad_ray.verifiers.value import Verifier, make_value_model

ObjectiveName = Literal["language_model", "value"]
Rows = dict[str, list[Any]]


class Objective(Protocol):
    """A model with its loss."""

    @property
    def model(self) -> torch.nn.Module: ...

    def loss_sum(self, engine: Any, rows: Rows) -> torch.Tensor:
        """Return the loss (nats) summed over the rows' target tokens; `engine` wraps the model."""
        ...


def make_objective(name: ObjectiveName, source: str, precision: str) -> Objective:
    """Load the model from `source` and return it with the named loss."""
    dtype = DTYPES[precision]
    if name == "language_model":
        return LanguageModelling(load_student(source, dtype=dtype))
    return Valuing(make_value_model(source, dtype=dtype))


class LanguageModelling:
    """Negative log-likelihood of the target tokens."""

    def __init__(self, student: Student) -> None:
        self._student = student
        self.model: torch.nn.Module = student.model

    def loss_sum(self, engine: Any, rows: Rows) -> torch.Tensor:
        """Return the summed negative log-likelihood of the target tokens."""
        inputs, labels = collate(rows, self._student)
        labels = labels.to(engine.device)
        logits = engine(**_placed(inputs, engine.device), use_cache=False).logits
        if not self._student.is_encoder_decoder:
            logits, labels = logits[:, :-1], labels[:, 1:]
        return cross_entropy(
            logits.reshape(-1, logits.shape[-1]).float(),
            labels.reshape(-1),
            ignore_index=-100,
            reduction="sum",
        )


class Valuing:
    """Cross entropy between a program's label and the value at each of its tokens.

    Every token of a program carries the program's label (TinyGSM, arXiv 2312.09241), so that the
    value is learned for programs that are still being written.
    """

    def __init__(self, verifier: Verifier) -> None:
        self._pad = int(verifier.tokenizer.pad_token_id)
        self.model: torch.nn.Module = verifier.model

    def loss_sum(self, engine: Any, rows: Rows) -> torch.Tensor:
        """Return the summed cross entropy over the target tokens."""
        sources = [torch.tensor(ids) for ids in rows["source"]]
        targets = [torch.tensor(ids) for ids in rows["target"]]
        whole = [torch.cat(pair) for pair in zip(sources, targets, strict=True)]
        counted = [
            torch.cat([torch.zeros(len(source)), torch.ones(len(target))])
            for source, target in zip(sources, targets, strict=True)
        ]
        weight = pad_sequence(counted, batch_first=True).to(engine.device)
        inputs = {
            "input_ids": pad_sequence(whole, batch_first=True, padding_value=self._pad),
            "attention_mask": pad_sequence([torch.ones_like(ids) for ids in whole], True),
        }
        logits = engine(**_placed(inputs, engine.device), use_cache=False).float()
        labels = torch.tensor(rows["label"], device=engine.device)[:, None].expand_as(logits)
        return binary_cross_entropy_with_logits(logits, labels, weight, reduction="sum")


def _placed(inputs: dict[str, torch.Tensor], device: torch.device) -> dict[str, torch.Tensor]:
    return {name: tensor.to(device) for name, tensor in inputs.items()}


def collate(
    rows: dict[str, list[list[int]]], student: Student
) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    """Pad rows of token ids on the right; labels are -100 outside the target."""
    pad = student.tokenizer.pad_token_id
    sources = [torch.tensor(ids) for ids in rows["source"]]
    targets = [torch.tensor(ids) for ids in rows["target"]]
    if student.is_encoder_decoder:
        labels = pad_sequence(targets, batch_first=True, padding_value=-100)
        inputs = {
            "input_ids": pad_sequence(sources, batch_first=True, padding_value=pad),
            "decoder_input_ids": student.model.prepare_decoder_input_ids_from_labels(labels),
        }
        full = sources
    else:
        full = [torch.cat(pair) for pair in zip(sources, targets, strict=True)]
        masked = [
            torch.cat([torch.full_like(source, -100), target])
            for source, target in zip(sources, targets, strict=True)
        ]
        labels = pad_sequence(masked, batch_first=True, padding_value=-100)
        inputs = {"input_ids": pad_sequence(full, batch_first=True, padding_value=pad)}
    ones = [torch.ones_like(ids) for ids in full]
    inputs["attention_mask"] = pad_sequence(ones, batch_first=True)
    return inputs, labels
