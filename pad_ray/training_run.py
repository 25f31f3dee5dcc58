"""One training run on Ray Train with DeepSpeed: from tokenised rows to the best weights."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout, suppress
from dataclasses import asdict, dataclass
from io import StringIO
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset, disable_progress_bars
from ray.train import CheckpointConfig, FailureConfig, RunConfig, ScalingConfig
from ray.train.torch import TorchConfig, TorchTrainer

from pad_ray.errors import ConfigError, ResourceError
from pad_ray.progress import watch
from pad_ray.runtime import cluster_resources, connect, node_resources
from pad_ray.stages import Stage, file_fingerprint, open_stage, write_json
from pad_ray.training_data import Batch, Example, padding_share, plan_epoch
from pad_ray.training_loop import CHECKPOINT_TAG, LoopSettings, train_worker
from pad_ray.training_objectives import ObjectiveName
from pad_ray.training_settings import TrainingHyperparameters, deepspeed_config


@dataclass(frozen=True)
class Best:
    """The best checkpoint: after which step, its validation loss (NaN: none), its weights."""

    step: int
    loss: float
    weights: dict[str, torch.Tensor]


@dataclass(frozen=True)
class Prepared:
    """What a run starts from.

    Tokenised examples and counts by part (train, validation); `place` writes the initial model
    where workers can load it, if it must, and returns where that is.
    """

    examples: Mapping[str, Sequence[Example]]
    counts: Mapping[str, Mapping[str, int]]
    place: Callable[[], str]
    parameters: int
    is_encoder_decoder: bool = False


def open_training(
    out: Path, job: str, settings: TrainingHyperparameters, inputs: dict[str, str]
) -> Stage:
    """Open a training stage's directory; connect to Ray and check resources unless complete."""
    if settings.tensorboard:
        _require_tensorboard()
    if settings.deepspeed is not None:
        deepspeed_config(settings)
        inputs = inputs | {"deepspeed": file_fingerprint(settings.deepspeed)}
    stage = open_stage(out, job, settings, inputs)
    if stage.complete is not None:
        print(f"{job}: {out} is complete; nothing to do")
        return stage
    disable_progress_bars()
    connect()
    check_resources(settings)
    return stage


def _require_tensorboard() -> None:
    try:
        import torch.utils.tensorboard  # noqa: F401
    except ImportError:
        raise ConfigError("tensorboard: the package is missing; pip install tensorboard") from None


def prepare(
    stage: Stage, settings: TrainingHyperparameters, make: Callable[[], Prepared]
) -> dict[str, Any]:
    """Write the initial model and the tokenised rows once; return their description."""
    work = stage.out / "work"
    description = work / "prepared.json"
    if description.is_file():
        return dict(json.loads(description.read_text()))
    made = make()
    stage.begin()
    for part, examples in made.examples.items():
        _save_examples(examples, work / part)
    train = made.examples["train"]
    plan = plan_epoch([example.length for example in train], settings.sizes, settings.seed, 0)
    prepared = {
        "student": made.place(),
        "parameters": made.parameters,
        "steps": settings.max_steps or max(1, round(settings.epochs * len(plan))),
        "padding_share": _padding(train, plan, made.is_encoder_decoder),
        "counts": {part: dict(counts) for part, counts in made.counts.items()},
    }
    write_json(description, prepared)
    return prepared


def run(
    settings: TrainingHyperparameters,
    out: Path,
    prepared: dict[str, Any],
    title: str,
    objective: ObjectiveName = "language_model",
) -> Best:
    """Train to the last step, or on from the last checkpoint; return the best checkpoint."""
    loop = _loop_settings(settings, out, prepared, objective)
    with watch(title, loop.steps, lambda: _last_metrics(Path(loop.metrics))):
        result = _trainer(settings, out, loop).fit()
    checkpoints = result.best_checkpoints or []
    scored = [(m["validation_loss"], m["step"], c) for c, m in checkpoints]
    usable = [entry for entry in scored if not math.isnan(entry[0])]
    loss, step, best = (
        min(usable, key=lambda e: e[:2]) if usable else max(scored, key=lambda e: e[1])
    )
    with best.as_directory() as folder:
        return Best(step, loss, _consolidated_weights(Path(folder)))


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


def _save_examples(examples: Sequence[Example], folder: Path) -> None:
    table = {
        "source": [example.source for example in examples],
        "target": [example.target for example in examples],
        "label": [example.label for example in examples],
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


def _loop_settings(
    settings: TrainingHyperparameters,
    out: Path,
    prepared: dict[str, Any],
    objective: ObjectiveName,
) -> LoopSettings:
    steps = prepared["steps"]
    return LoopSettings(
        objective=objective,
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


def _trainer(settings: TrainingHyperparameters, out: Path, loop: LoopSettings) -> TorchTrainer:
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


def _consolidated_weights(folder: Path) -> dict[str, torch.Tensor]:
    """Return the fp32 weights of a DeepSpeed checkpoint of any ZeRO stage."""
    from deepspeed.utils.zero_to_fp32 import get_fp32_state_dict_from_zero_checkpoint

    if any((folder / CHECKPOINT_TAG).glob("*optim_states.pt")):
        with redirect_stdout(StringIO()), redirect_stderr(StringIO()):
            return dict(get_fp32_state_dict_from_zero_checkpoint(str(folder), tag=CHECKPOINT_TAG))
    states = torch.load(folder / CHECKPOINT_TAG / "mp_rank_00_model_states.pt", weights_only=False)
    return dict(states["module"])
