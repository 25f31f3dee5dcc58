"""Fine-tuning a student: Ray Train's TorchTrainer around a DeepSpeed loop."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout, suppress
from dataclasses import asdict
from io import StringIO
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import torch
from datasets import Dataset, disable_progress_bars
from pydantic import Field, field_validator, model_validator
from ray.train import CheckpointConfig, FailureConfig, Result, RunConfig, ScalingConfig
from ray.train.torch import TorchConfig, TorchTrainer

from pad_ray.config import Settings, resolve
from pad_ray.errors import ConfigError, DataError, ResourceError
from pad_ray.progress import watch
from pad_ray.runtime import cluster_resources, connect, node_resources
from pad_ray.stages import Stage, file_fingerprint, open_stage, read_manifest, write_json
from pad_ray.students import (
    DTYPES,
    Student,
    StudentCard,
    TargetFormat,
    load_student,
    make_scratch_student,
    save_student,
    scratch_size,
)
from pad_ray.training_data import (
    Batch,
    BatchSizes,
    Example,
    padding_share,
    plan_epoch,
    read_training_rows,
    split_by_problem,
    tokenise_rows,
)
from pad_ray.training_loop import CHECKPOINT_TAG, LoopSettings, train_worker


class TrainingHyperparameters(Settings):
    """How a student is fine-tuned, apart from data and place."""

    runtime_fields: ClassVar[frozenset[str]] = frozenset(
        {"out", "deepspeed", "threads", "max_failures", "tensorboard", "wait_for_resources"}
    )

    student: str = "scratch:small"
    """Hub id, folder, .gguf file or scratch:<size> (tiny, small, medium, t5-tiny, t5-small)."""
    format: TargetFormat = "program"
    """What the student learns to write: a program, or chain-of-thought text."""
    epochs: float = Field(1.0, gt=0)
    """Passes over the training rows (ignored where max_steps is given)."""
    max_steps: int | None = Field(None, ge=1)
    """Optimizer steps, in place of epochs."""
    batch_size: int = Field(32, ge=1)
    """Rows an optimizer step, over all workers."""
    micro_batch_size: int = Field(8, ge=1)
    """Rows of similar length in one forward pass; batch_size is a multiple of it."""
    learning_rate: float = Field(5e-4, gt=0)
    """Peak learning rate of AdamW."""
    schedule: Literal["linear", "cosine", "constant_with_warmup"] = "cosine"
    """Learning rate after the warm-up."""
    warmup_ratio: float = Field(0.05, ge=0, le=1)
    """Share of the steps in which the learning rate rises."""
    weight_decay: float = Field(0.01, ge=0)
    """AdamW's weight decay, on matrices only."""
    gradient_clipping: float = Field(1.0, gt=0)
    """Largest gradient norm."""
    max_source_tokens: int = Field(512, ge=8)
    """Rows with a longer source are left out and counted."""
    max_target_tokens: int = Field(512, ge=8)
    """Rows with a longer target are left out and counted."""
    validation_fraction: float = Field(0.05, ge=0, lt=1)
    """Share of the problems (not rows) held back to choose the checkpoint."""
    zero_stage: Literal[0, 1, 2, 3] = 1
    """DeepSpeed's ZeRO stage."""
    deepspeed: Path | None = None
    """DeepSpeed JSON laid over the settings made from these fields."""
    precision: Literal["fp32", "bf16"] = "fp32"
    """Number format of weights and activations."""
    workers: int = Field(1, ge=1)
    """Ray Train workers (data-parallel ranks)."""
    cpus_per_worker: float = Field(1.0, gt=0)
    """Logical CPUs each worker reserves."""
    gpus_per_worker: float = Field(0.0, ge=0)
    """GPUs each worker reserves; above 0 the worker trains on one."""
    threads: int = Field(1, ge=1)
    """Threads a CPU worker computes with."""
    wait_for_resources: bool = False
    """Wait for an autoscaler to add nodes instead of failing when they are not there."""
    log_every: int = Field(20, ge=1)
    """Steps between two lines of training metrics."""
    evaluate_every: int = Field(200, ge=1)
    """Steps between two validations, each with a checkpoint."""
    max_failures: int = Field(3, ge=0)
    """Lost workers survived by going on from the last checkpoint."""
    tensorboard: bool = False
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

    @property
    def sizes(self) -> BatchSizes:
        return BatchSizes(self.batch_size, self.micro_batch_size)


class TrainingSettings(TrainingHyperparameters):
    """Fine-tune a student on the verified rows of synthesis directories."""

    data: list[Path] | Path
    """Synthesis directory, or a list of them."""
    out: Path
    """Directory for the student, metrics.jsonl and manifest.json."""

    @property
    def folders(self) -> list[Path]:
        return [resolve(p) for p in (self.data if isinstance(self.data, list) else [self.data])]

    def row_settings(self) -> dict[str, Any]:
        settings = super().row_settings()
        del settings["data"]
        return settings


def train(settings: TrainingSettings) -> dict[str, Any]:
    """Fine-tune a student into `settings.out` and return the manifest.

    A finished run with the same settings is returned as it is; an interrupted one goes on from
    its last checkpoint. Raises `ResourceError` where the cluster cannot give what is asked for.
    """
    out = resolve(settings.out)
    if settings.tensorboard:
        _require_tensorboard()
    inputs = {f"data_{i}": read_manifest(f)["fingerprint"] for i, f in enumerate(settings.folders)}
    if settings.deepspeed is not None:
        deepspeed_config(settings)
        inputs["deepspeed"] = file_fingerprint(settings.deepspeed)
    stage = open_stage(out, "train", settings, inputs)
    if stage.complete is not None:
        print(f"train: {out} is complete; nothing to do")
        return stage.complete
    disable_progress_bars()
    connect()
    check_resources(settings)
    prepared = _prepare(settings, stage)
    loop = _loop_settings(settings, out, prepared)
    with watch("train", loop.steps, lambda: _last_metrics(Path(loop.metrics))):
        result = _trainer(settings, out, loop).fit()
    return _finish(settings, stage, result, prepared, loop)


def _require_tensorboard() -> None:
    try:
        import torch.utils.tensorboard  # noqa: F401
    except ImportError:
        raise ConfigError("tensorboard: the package is missing; pip install tensorboard") from None


def _prepare(settings: TrainingSettings, stage: Stage) -> dict[str, Any]:
    """Write the initial student and the tokenised rows once; return their description."""
    work = stage.out / "work"
    description = work / "prepared.json"
    if description.is_file():
        return dict(json.loads(description.read_text()))
    rows = read_training_rows(settings.folders, settings.format)
    train_rows, validation_rows = split_by_problem(
        rows, settings.validation_fraction, settings.seed
    )
    student = _initial_student(settings, [row.source + row.target for row in train_rows])
    parts = {"train": train_rows, "validation": validation_rows}
    tokenised = {
        part: tokenise_rows(
            part_rows,
            student.tokenizer,
            student.is_encoder_decoder,
            settings.max_source_tokens,
            settings.max_target_tokens,
        )
        for part, part_rows in parts.items()
    }
    examples, too_long = tokenised["train"]
    if not examples:
        raise DataError(f"data: all {too_long} rows are longer than max_source/target_tokens")
    stage.begin()
    for part in parts:
        _save_examples(tokenised[part][0], work / part)
    plan = plan_epoch([example.length for example in examples], settings.sizes, settings.seed, 0)
    prepared = {
        "student": _place_initial(settings, student, work / "initial"),
        "parameters": student.model.num_parameters(),
        "batches": len(plan),
        "padding_share": _padding(examples, plan, student.is_encoder_decoder),
        "counts": {
            part: {
                "rows": len(tokenised[part][0]),
                "too_long": tokenised[part][1],
                "problems": len({row.problem_id for row in part_rows}),
            }
            for part, part_rows in parts.items()
        },
    }
    write_json(description, prepared)
    return prepared


def _initial_student(settings: TrainingSettings, texts: Sequence[str]) -> Student:
    card = _card(settings)
    if settings.student.startswith("scratch:"):
        return make_scratch_student(settings.student, texts, card=card, seed=settings.seed)
    loaded = load_student(settings.student)
    return Student(loaded.model, loaded.tokenizer, card)


def _place_initial(settings: TrainingSettings, student: Student, folder: Path) -> str:
    """Return where workers load the initial student: written once unless they can read it."""
    if settings.student.startswith("scratch:") or settings.student.endswith(".gguf"):
        save_student(student, folder)
        return str(folder)
    local = Path(settings.student)
    return str(resolve(local)) if local.is_dir() else settings.student


def _save_examples(examples: Sequence[Example], folder: Path) -> None:
    table = {
        "source": [example.source for example in examples],
        "target": [example.target for example in examples],
        "length": [example.length for example in examples],
        "target_length": [len(example.target) for example in examples],
    }
    Dataset.from_dict(table).save_to_disk(str(folder))


def _padding(examples: Sequence[Example], plan: Sequence[Batch], is_encoder_decoder: bool) -> float:
    """Return the first epoch's share of padding tokens, as the workers will see them."""
    sides = [[len(e.source) for e in examples], [len(e.target) for e in examples]]
    if not is_encoder_decoder:
        sides = [[source + target for source, target in zip(*sides, strict=True)]]
    padded = sum(sum(side) / (1 - padding_share(side, plan)) for side in sides)
    return round(1 - sum(sum(side) for side in sides) / padded, 4)


def _loop_settings(settings: TrainingSettings, out: Path, prepared: dict[str, Any]) -> LoopSettings:
    per_epoch = prepared["batches"]
    steps = settings.max_steps or max(1, round(settings.epochs * per_epoch))
    return LoopSettings(
        student=prepared["student"],
        tokens=str(out / "work"),
        metrics=str(out / "metrics.jsonl"),
        tensorboard=str(out / "tensorboard") if settings.tensorboard else None,
        deepspeed=deepspeed_config(settings),
        batch_size=settings.batch_size,
        micro_batch_size=settings.micro_batch_size,
        steps=steps,
        learning_rate=settings.learning_rate,
        weight_decay=settings.weight_decay,
        schedule=settings.schedule,
        warmup_steps=round(steps * settings.warmup_ratio),
        precision=settings.precision,
        threads=settings.threads,
        log_every=settings.log_every,
        evaluate_every=settings.evaluate_every,
        seed=settings.seed,
    )


def deepspeed_config(settings: TrainingHyperparameters) -> dict[str, Any]:
    """Return DeepSpeed's configuration: these settings, and the user's JSON laid over them."""
    micro_batches = settings.batch_size // settings.micro_batch_size
    config: dict[str, Any] = {
        "train_micro_batch_size_per_gpu": settings.micro_batch_size,
        "gradient_accumulation_steps": math.ceil(micro_batches / settings.workers),
        "gradient_clipping": settings.gradient_clipping,
        "zero_optimization": {"stage": settings.zero_stage},
        "bf16": {"enabled": settings.precision == "bf16"},
        # The optimizer is torch's AdamW: DeepSpeed's own needs a compiler at run time.
        "zero_allow_untested_optimizer": True,
        "zero_force_ds_cpu_optimizer": False,
        "steps_per_print": 10**9,
    }
    if settings.deepspeed is None:
        return config
    return {**config, **_given_deepspeed(settings.deepspeed)}


_OWNED_BY_SETTINGS = {
    "train_batch_size",
    "train_micro_batch_size_per_gpu",
    "gradient_accumulation_steps",
}


def _given_deepspeed(path: Path) -> dict[str, Any]:
    """Read the user's DeepSpeed JSON; "auto" leaves a value to the settings."""
    try:
        given = json.loads(path.read_text())
    except OSError as error:
        raise DataError(f"deepspeed: {path}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise DataError(f"deepspeed: {path}: malformed JSON: {error}") from error
    if not isinstance(given, dict):
        raise DataError(f"deepspeed: {path}: expected a JSON object")
    values = {key: value for key, value in given.items() if value != "auto"}
    for key in _OWNED_BY_SETTINGS & set(values):
        raise ConfigError(
            f"deepspeed: {path}: leave '{key}' out or \"auto\": batch_size, micro_batch_size and "
            "workers decide it"
        )
    return values


def check_resources(settings: TrainingHyperparameters) -> None:
    """Print the resource plan; raise `ResourceError` if the cluster can never give it."""
    each = {"CPU": settings.cpus_per_worker, "GPU": settings.gpus_per_worker}
    have = cluster_resources()
    print(
        f"train: {settings.workers} worker(s), each {each['CPU']:g} CPU and {each['GPU']:g} GPU; "
        f"the cluster has {have.get('CPU', 0):g} CPU and {have.get('GPU', 0):g} GPU"
    )
    if settings.wait_for_resources:
        return
    for kind, amount in each.items():
        largest = max((node.get(kind, 0) for node in node_resources()), default=0)
        if amount * settings.workers > have.get(kind, 0) or amount > largest:
            raise ResourceError(
                f"{settings.workers} worker(s) with {amount:g} {kind} each do not fit: the cluster "
                f"has {have.get(kind, 0):g} {kind}, {largest:g} on its largest node; lower workers "
                f"or {kind.lower()}s_per_worker, or set wait_for_resources if it autoscales"
            )


def _trainer(settings: TrainingSettings, out: Path, loop: LoopSettings) -> TorchTrainer:
    use_gpu = settings.gpus_per_worker > 0
    has_validation = settings.validation_fraction > 0
    resources = {"CPU": settings.cpus_per_worker}
    if use_gpu:
        resources["GPU"] = settings.gpus_per_worker
    return TorchTrainer(
        train_worker,
        train_loop_config=asdict(loop),
        torch_config=TorchConfig(backend="nccl" if use_gpu else "gloo"),
        scaling_config=ScalingConfig(
            num_workers=settings.workers, use_gpu=use_gpu, resources_per_worker=resources
        ),
        run_config=RunConfig(
            # The same name in the same place makes Ray Train take up an interrupted run.
            name="ray_train",
            storage_path=str(out / "work"),
            failure_config=FailureConfig(max_failures=settings.max_failures),
            checkpoint_config=CheckpointConfig(
                num_to_keep=2,
                checkpoint_score_attribute="validation_loss" if has_validation else None,
                checkpoint_score_order="min",
            ),
        ),
    )


def _last_metrics(path: Path) -> tuple[int, str]:
    """Return the last logged step and the losses there, for the progress display."""
    lines = path.read_text().splitlines() if path.is_file() else []
    latest: dict[str, float] = {}
    for line in lines[-50:]:
        with suppress(ValueError):
            latest.update(json.loads(line))
    names = {"loss": "loss", "validation_loss": "validation loss"}
    remark = ", ".join(f"{names[name]} {latest[name]:.4f}" for name in names if name in latest)
    return int(latest.get("step", 0)), remark


def _finish(
    settings: TrainingSettings,
    stage: Stage,
    result: Result,
    prepared: dict[str, Any],
    loop: LoopSettings,
) -> dict[str, Any]:
    checkpoints = result.best_checkpoints or []
    scored = [(m["validation_loss"], m["step"], c) for c, m in checkpoints]
    usable = [entry for entry in scored if not math.isnan(entry[0])]
    best = min(usable, key=lambda e: e[:2]) if usable else max(scored, key=lambda e: e[1])
    student = load_student(loop.student)
    with best[2].as_directory() as folder:
        student.model.load_state_dict(_consolidated_weights(Path(folder)), strict=False)
    student.model.tie_weights()
    student.model.to(DTYPES[settings.precision])
    save_student(Student(student.model, student.tokenizer, _card(settings)), stage.out)
    manifest = stage.finish(
        {
            "counts": prepared["counts"],
            "parameters": prepared["parameters"],
            "padding_share": prepared["padding_share"],
            "steps": loop.steps,
            "best_step": best[1],
            "best_validation_loss": None if math.isnan(best[0]) else best[0],
        }
    )
    shutil.rmtree(stage.out / "work")
    print(f"train: student of {manifest['parameters']:,} parameters saved in {stage.out}")
    return manifest


def _card(settings: TrainingSettings) -> StudentCard:
    return StudentCard(settings.format, settings.student)


def _consolidated_weights(folder: Path) -> dict[str, torch.Tensor]:
    """Return the fp32 weights of a DeepSpeed checkpoint of any ZeRO stage."""
    from deepspeed.utils.zero_to_fp32 import get_fp32_state_dict_from_zero_checkpoint

    if any((folder / CHECKPOINT_TAG).glob("*optim_states.pt")):
        with redirect_stdout(StringIO()), redirect_stderr(StringIO()):
            return dict(get_fp32_state_dict_from_zero_checkpoint(str(folder), tag=CHECKPOINT_TAG))
    states = torch.load(folder / CHECKPOINT_TAG / "mp_rank_00_model_states.pt", weights_only=False)
    return dict(states["module"])
