"""How a model is trained."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, Self, TypeAlias

from pydantic import Field, field_validator, model_validator

from pad_ray.base.config import Settings
from pad_ray.base.errors import ConfigError
from pad_ray.base.fields import Input, Runtime
from pad_ray.base.storage import locate_all
from pad_ray.flow.inputs import file_input, stage_input
from pad_ray.flow.waiting import WaitSettings
from pad_ray.students.card import TargetFormat
from pad_ray.students.files import model_input
from pad_ray.students.sizes import scratch_size

Format: TypeAlias = Literal["program", "cot", "answer", "repair", "hierarchical"]


class DistillSettings(Settings):
    """Learning another student's distribution beside the texts themselves."""

    teacher: Annotated[str | None, Input(model_input, "teacher")] = None
    """Folder or hub id of a student with the same tokenizer; its own earlier self, for one."""
    weight: float = Field(0.5, gt=0, le=1)
    """Share of the loss that is KL divergence from the teacher's distribution."""
    top_p: float = Field(0.95, gt=0, le=1)
    """Probability that the teacher's likeliest tokens hold; the others are not learned."""


class GeneralSettings(Settings):
    """Texts of other kinds, mixed in so that what a language model could do is not lost."""

    texts: Annotated[Path | None, Input(file_input, "general")] = None
    """A .txt file, or .jsonl or .parquet with a column `text`; a part is held back to measure."""
    share: float = Field(0.1, ge=0, lt=1)
    """Share of them among the examples; 0 only measures what is lost."""
    tokens: int = Field(128, ge=8)
    """Tokens of one example; the first half is read, the second learned."""


class TrainingHyperparameters(WaitSettings):
    """How a student is fine-tuned, apart from data and place."""

    student: Annotated[str, Input(model_input, is_saved=True)] = "scratch:small"
    """Hub id, folder, .gguf file or scratch:<size> (tiny, mini, small, medium, t5-tiny,
    t5-small)."""
    format: Format = "program"
    """What the student learns: to write programs, chains of thought that end in the answer, the
    answer alone, programs and repairs of broken ones (the paper's PaD with self-refinement; needs
    data of `inject` or `collect_failures` too), or programs whole and by sub-questions."""
    repair_share: float = Field(0.3, gt=0, lt=1)
    """Share of repairs among the examples (format repair)."""
    max_problems: int | None = Field(None, ge=1)
    """Train on the rows of so many problems, drawn by the seed: a smaller number's are among a
    larger one's, and they are the same for every format (validation keeps its own). An augmented
    row counts as of the problem that it was made from."""
    max_rows: int | None = Field(None, ge=1)
    """Train on so many rows, of the first problems in that order."""
    epochs: float = Field(1.0, gt=0)
    """Passes over the training rows (ignored where max_steps or max_tokens is given)."""
    max_steps: int | None = Field(None, ge=1)
    """Optimizer steps, in place of epochs."""
    max_tokens: int | None = Field(None, ge=1)
    """Tokens trained on (read and written, no padding), in place of epochs."""
    batch_size: int = Field(32, ge=1)
    """Rows an optimizer step, over all workers."""
    micro_batch_size: int = Field(8, ge=1)
    """Rows of similar length in one forward pass; batch_size is a multiple of it."""
    optimizer: Literal["adamw", "muon"] = "adamw"
    """AdamW, or Muon for the matrices and AdamW for the rest: a student made from scratch learns
    from far fewer tokens by it. It works on whole matrices, so it wants zero_stage 0."""
    learning_rate: float = Field(5e-4, gt=0)
    """Peak learning rate."""
    schedule: Literal["linear", "cosine", "constant_with_warmup"] = "cosine"
    """Learning rate after the warm-up."""
    warmup_ratio: float = Field(0.05, ge=0, le=1)
    """Share of the steps in which the learning rate rises."""
    weight_decay: float = Field(0.01, ge=0)
    """Weight decay, on matrices only."""
    dropout: float | None = Field(None, ge=0, lt=1)
    """Share of what each layer adds that is dropped in training; the model's own unless given."""
    label_smoothing: float = Field(0.0, ge=0, lt=1)
    """Share of each target token's probability that is spread over all tokens in training."""
    source_weight: float = Field(0.0, ge=0, le=1)
    """Loss of a token that is read, beside 1 for one that is written: above 0 the student learns to
    write questions too, which teaches a student made from scratch the language (decoder-only)."""
    distill: DistillSettings = DistillSettings()
    """Another student that teaches this one."""
    general: GeneralSettings = GeneralSettings()
    """Texts that keep its general ability."""
    gradient_clipping: float = Field(1.0, gt=0)
    """Largest gradient norm."""
    max_source_tokens: int = Field(1024, ge=8)
    """Rows with a longer source are left out and counted."""
    max_target_tokens: int = Field(512, ge=8)
    """Rows with a longer target are left out and counted."""
    validation_fraction: float = Field(0.05, ge=0, lt=1)
    """Share of the problems (not rows) held back to choose the checkpoint."""
    zero_stage: Literal[0, 1, 2, 3] = 1
    """DeepSpeed's ZeRO stage."""
    offload: Annotated[Literal["none", "optimizer", "parameters"], Runtime] = "none"
    """What waits in the CPU's memory: the optimizer's state (ZeRO 1 to 3), whose step is then
    computed there, or that and the parameters (ZeRO 3). An `optimizer` of type AdamW in the
    DeepSpeed JSON makes it DeepSpeedCPUAdam, which is compiled when first used."""
    deepspeed: Annotated[Path | None, Input(file_input)] = None
    """DeepSpeed JSON laid over what these fields come to, section by section; "auto" anywhere in it
    leaves a value to them, and a value that contradicts one of them is refused."""
    precision: Literal["fp32", "bf16"] = "fp32"
    """Number format of weights and activations."""
    workers: Annotated[int, Runtime] = Field(1, ge=1)
    """Ray Train workers (data-parallel ranks); a run may go on with another number."""
    min_workers: Annotated[int | None, Runtime] = Field(None, ge=1)
    """Go on with as few as this while nodes are lost, instead of waiting for all workers."""
    cpus_per_worker: Annotated[float, Runtime] = Field(1.0, gt=0)
    """Logical CPUs each worker reserves."""
    gpus_per_worker: Annotated[float, Runtime] = Field(0.0, ge=0)
    """GPUs each worker reserves; above 0 the worker trains on one."""
    threads: Annotated[int, Runtime] = Field(1, ge=1)
    """Threads a CPU worker computes with."""
    log_every: Annotated[int, Runtime] = Field(20, ge=1)
    """Steps between two lines of training metrics."""
    evaluate_every: int = Field(200, ge=1)
    """Steps between two validations, each with a checkpoint."""
    max_failures: Annotated[int, Runtime] = Field(3, ge=0)
    """Lost workers survived by going on from the last checkpoint."""
    tensorboard: Annotated[bool, Runtime] = False
    """Write TensorBoard events too (needs the tensorboard package)."""
    seed: int = 0
    """Seed of initial weights, validation split and batch order."""

    @field_validator("student")
    @classmethod
    def _known_size(cls, student: str) -> str:
        if student.startswith("scratch:"):
            try:
                scratch_size(student)
            except ConfigError as error:
                raise ValueError(str(error).removeprefix("student: ")) from None
        return student

    @model_validator(mode="after")
    def _batch_divides(self) -> Self:
        if self.batch_size % self.micro_batch_size:
            raise ValueError(
                f"batch_size: {self.batch_size} is not a multiple of micro_batch_size "
                f"{self.micro_batch_size}"
            )
        return self

    @model_validator(mode="after")
    def _one_length(self) -> Self:
        if self.max_steps is not None and self.max_tokens is not None:
            raise ValueError("max_tokens: give it or max_steps, not both")
        return self

    @model_validator(mode="after")
    def _one_more_loss(self) -> Self:
        if self.source_weight > 0 and self.distill.teacher is not None:
            raise ValueError("source_weight: distill.teacher teaches what is written alone")
        return self

    @model_validator(mode="after")
    def _whole_matrices(self) -> Self:
        if self.optimizer == "muon" and self.zero_stage > 0:
            raise ValueError(
                f"optimizer: 'muon' needs zero_stage 0, not {self.zero_stage}: the other stages "
                "spread a matrix over the workers"
            )
        return self

    @model_validator(mode="after")
    def _fewer_at_least(self) -> Self:
        if self.least_workers > self.workers:
            raise ValueError(f"min_workers: {self.min_workers} is more than workers {self.workers}")
        return self

    @model_validator(mode="after")
    def _whole_gpus(self) -> Self:
        if self.workers > 1 and self.gpus_per_worker % 1:
            raise ValueError(
                f"gpus_per_worker: {self.gpus_per_worker:g} is no whole number; NCCL wants a GPU "
                "of its own for each of several workers"
            )
        return self

    @model_validator(mode="after")
    def _offload_fits(self) -> Self:
        least = {"none": 0, "optimizer": 1, "parameters": 3}[self.offload]
        if self.zero_stage < least:
            raise ValueError(
                f"offload: '{self.offload}' needs zero_stage {least} or more, not {self.zero_stage}"
            )
        return self

    @property
    def writes(self) -> TargetFormat:
        """What the trained student writes."""
        return self.format if self.format in ("cot", "answer") else "program"

    @property
    def least_workers(self) -> int:
        """The number of workers that must be there for training to go on."""
        return self.workers if self.min_workers is None else self.min_workers

    @property
    def sizes(self) -> BatchSizes:
        return BatchSizes(self.batch_size, self.micro_batch_size)


class TrainingSettings(TrainingHyperparameters):
    """Fine-tune a student on the verified rows of synthesis directories."""

    data: Annotated[list[Path] | Path, Input(stage_input)]
    """Synthesis directory, or a list of them."""
    same_problems: Annotated[list[Path] | Path, Input(stage_input)] = Field(default_factory=list)
    """Synthesis directories of another format: only problems that are solved in one of them too
    are trained on, so that formats are compared on the same ones."""
    out: Annotated[Path, Runtime]
    """Directory for the student, metrics.jsonl and manifest.json."""

    @property
    def folders(self) -> list[Path]:
        return locate_all(self.data)


@dataclass(frozen=True)
class BatchSizes:
    """Rows an optimizer step, and rows in one forward pass; the first is a multiple."""

    batch: int
    micro: int

    def accumulation(self, workers: int) -> int:
        """Return how many micro-batches the busiest of the workers has in a step."""
        return math.ceil(self.batch // self.micro / workers)
