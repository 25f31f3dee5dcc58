"""What a model is trained to do: write targets, or tell right programs from wrong ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, Protocol

import torch
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy
from torch.nn.utils.rnn import pad_sequence

from pad_ray.students.models import DTYPES, Student, load_student
from pad_ray.training.regularisation import nucleus_divergence, set_dropout
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


@dataclass(frozen=True)
class Lesson:
    """How a model is taught, beside its examples.

    `dropout` is None for the model's own. `source_weight` is the loss of a token that is read,
    beside 1 for one that is written. `teacher` is a student's folder or hub id: with it the
    loss is `weight` parts of KL divergence from the teacher's `top_p` nucleus to the rest of cross
    entropy.
    """

    dropout: float | None = None
    label_smoothing: float = 0.0
    source_weight: float = 0.0
    teacher: str | None = None
    weight: float = 0.5
    top_p: float = 0.95


def make_objective(name: ObjectiveName, source: str, precision: str, lesson: Lesson) -> Objective:
    """Load the model from `source` and return it with the named loss."""
    dtype = DTYPES[precision]
    objective: Objective
    if name == "value":
        objective = Valuing(make_value_model(source, dtype=dtype), lesson.label_smoothing)
    elif lesson.teacher is None:
        objective = LanguageModelling(load_student(source, dtype=dtype), lesson)
    else:
        objective = Distilling(
            load_student(source, dtype=dtype), load_student(lesson.teacher, dtype=dtype), lesson
        )
    if lesson.dropout is not None:
        set_dropout(objective.model, lesson.dropout)
    return objective


class LanguageModelling:
    """Negative log-likelihood of the target tokens.

    While the model is trained it is smoothed, and the source tokens count with their weight.
    """

    def __init__(self, student: Student, lesson: Lesson = Lesson()) -> None:
        self._student = student
        self._lesson = lesson
        self.model: torch.nn.Module = student.model

    def loss_sum(self, engine: Any, rows: Rows) -> torch.Tensor:
        """Return the summed negative log-likelihood of the target tokens."""
        inputs, labels = collate(rows, self._student)
        placed = _placed(inputs, engine.device)
        if self._lesson.source_weight and self.model.training:
            return self._of_all(engine, placed, labels)
        return self._likelihood(*self._predicted(engine, placed, labels))

    def _of_all(
        self, engine: Any, inputs: dict[str, torch.Tensor], labels: torch.Tensor
    ) -> torch.Tensor:
        """Return the sum over all tokens, those of the source by their weight."""
        every = inputs["input_ids"].masked_fill(inputs["attention_mask"] == 0, -100)
        logits, tokens = self._predicted(engine, inputs, every)
        is_read = labels[:, 1:][every[:, 1:].to(labels.device) != -100].to(logits.device) == -100
        weights = torch.where(is_read, self._lesson.source_weight, 1.0)
        return (self._likelihood(logits, tokens, reduction="none") * weights).sum()

    def _predicted(
        self, model: Any, inputs: dict[str, torch.Tensor], labels: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the logits [positions, vocabulary] at the target tokens, and those."""
        logits = model(**inputs, use_cache=False).logits
        labels = labels.to(logits.device)
        if not self._student.is_encoder_decoder:
            logits, labels = logits[:, :-1], labels[:, 1:]
        is_target = labels != -100
        return logits[is_target].float(), labels[is_target]

    def _likelihood(
        self, logits: torch.Tensor, labels: torch.Tensor, reduction: str = "sum"
    ) -> torch.Tensor:
        smoothing = self._lesson.label_smoothing if self.model.training else 0.0
        return cross_entropy(logits, labels, reduction=reduction, label_smoothing=smoothing)


class Distilling(LanguageModelling):
    """Cross entropy and KL divergence from another student's nucleus, token by token.

    Validation measures the cross entropy alone, so that it compares with other trainings'.
    """

    def __init__(self, student: Student, teacher: Student, lesson: Lesson) -> None:
        super().__init__(student, lesson)
        self._teacher = teacher.model.requires_grad_(False).eval()

    def loss_sum(self, engine: Any, rows: Rows) -> torch.Tensor:
        """Return the weighted sum of both losses over the target tokens."""
        inputs, labels = collate(rows, self._student)
        placed = _placed(inputs, engine.device)
        logits, targets = self._predicted(engine, placed, labels)
        likelihood = self._likelihood(logits, targets)
        if not self.model.training:
            return likelihood
        with torch.no_grad():
            wanted, _ = self._predicted(self._teacher.to(engine.device), placed, labels)
        divergence = nucleus_divergence(logits, wanted, self._lesson.top_p)
        return (1 - self._lesson.weight) * likelihood + self._lesson.weight * divergence


class Valuing:
    """Cross entropy between a program's label and the value at each of its tokens.

    Every token of a program carries the program's label (TinyGSM, arXiv 2312.09241), so that the
    value is learned for programs that are still being written.
    """

    def __init__(self, verifier: Verifier, label_smoothing: float = 0.0) -> None:
        self._smoothing = label_smoothing
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
        if self.model.training:
            labels = labels * (1 - self._smoothing) + self._smoothing / 2
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
