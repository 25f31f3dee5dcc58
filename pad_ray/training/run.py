"""One training run on Ray Train with DeepSpeed: from tokenised rows to the best weights."""

from __future__ import annotations

import itertools
import json
import math
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import ray
import torch
from datasets import Dataset, disable_progress_bars
from ray._private.worker import get_dashboard_url
from ray.train import CheckpointConfig, FailureConfig, RunConfig, ScalingConfig
from ray.train.torch import TorchConfig, TorchTrainer
from ray.train.v2._internal.constants import ENV_VARS_TO_PROPAGATE

from pad_ray.base.errors import ConfigError
from pad_ray.flow.progress import watch
from pad_ray.flow.ready import Need, check_room, check_shared
from pad_ray.flow.runtime import cluster_resources, connect
from pad_ray.flow.stages import Stage, open_stage, write_json
from pad_ray.students.files import located
from pad_ray.training.checkpoints import check_workers, conversion_obstacle, read_weights
from pad_ray.training.data import Batch, Example, padding_share, plan_epoch
from pad_ray.training.deepspeed_config import deepspeed_config
from pad_ray.training.loop import LoopSettings, train_worker
from pad_ray.training.metrics import last_metrics
from pad_ray.training.objectives import Lesson, ObjectiveName
from pad_ray.training.settings import TrainingHyperparameters


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


def open_training(out: Path, job: str, settings: TrainingHyperparameters) -> Stage:
    """Open a training stage's directory; connect to Ray and check resources unless complete."""
    if settings.tensorboard:
        _require_tensorboard()
    config = deepspeed_config(settings)
    teacher_of(settings)
    stage = open_stage(out, job, settings)
    if stage.complete is not None:
        print(f"{job}: {out} is complete; nothing to do")
        return stage
    _check_conversions(out, settings, config)
    disable_progress_bars()
    connect()
    check_resources(settings)
    check_shared(out)
    return stage


def teacher_of(settings: TrainingHyperparameters) -> str | None:
    """Return the student to be distilled as a worker anywhere can load it, if there is one."""
    teacher = settings.distill.teacher
    return None if teacher is None else located(teacher, "distill.teacher")[0]


def _check_conversions(
    out: Path, settings: TrainingHyperparameters, deepspeed: dict[str, Any]
) -> None:
    check_workers(out, settings.workers, deepspeed)
    obstacle = conversion_obstacle(deepspeed)
    if obstacle is not None and settings.least_workers != settings.workers:
        raise ConfigError(f"min_workers: {obstacle}; leave min_workers out")


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
        stage.begin()
        return dict(json.loads(description.read_text(encoding="utf-8")))
    made = make()
    stage.begin()
    for part, examples in made.examples.items():
        _save_examples(examples, work / part)
    train = made.examples["train"]
    plan = plan_epoch([example.length for example in train], settings.sizes, settings.seed, 0)
    prepared = {
        "student": made.place(),
        "parameters": made.parameters,
        "steps": _steps(settings, [example.length for example in train], len(plan)),
        "padding_share": _padding(train, plan, made.is_encoder_decoder),
        "counts": {part: dict(counts) for part, counts in made.counts.items()},
    }
    write_json(description, prepared)
    return prepared


def _steps(settings: TrainingHyperparameters, lengths: Sequence[int], epoch_steps: int) -> int:
    """Return the optimizer steps that steps, tokens or epochs come to."""
    if settings.max_steps is not None:
        return settings.max_steps
    if settings.max_tokens is None:
        return max(1, round(settings.epochs * epoch_steps))
    left, steps = settings.max_tokens, 0
    for epoch in itertools.count():
        for batch in plan_epoch(lengths, settings.sizes, settings.seed, epoch):
            left -= sum(lengths[row] for micro in batch for row in micro)
            steps += 1
            if left <= 0:
                return steps
    raise AssertionError


def run(
    settings: TrainingHyperparameters,
    out: Path,
    prepared: dict[str, Any],
    title: str,
    objective: ObjectiveName = "language_model",
) -> Best:
    """Train to the last step, or on from the last checkpoint; return the best checkpoint."""
    loop = _loop_settings(settings, out, prepared, objective)
    shown = watch(title, loop.steps, lambda: last_metrics(Path(loop.metrics)))
    with _own_interrupts(), _own_cluster(), shown:
        result = _trainer(settings, out, loop).fit()
    checkpoints = result.best_checkpoints or []
    scored = [(m["validation_loss"], m["step"], c) for c, m in checkpoints]
    usable = [entry for entry in scored if not math.isnan(entry[0])]
    loss, step, best = (
        min(usable, key=lambda e: e[:2]) if usable else max(scored, key=lambda e: e[1])
    )
    with best.as_directory() as folder:
        return Best(step, loss, read_weights(Path(folder)))


@contextmanager
def _own_cluster() -> Iterator[None]:
    """Tell Ray Train's actors which cluster is theirs.

    One of them asks whether the run is alive, and ends the training if it is told no: it asks the
    cluster at RAY_ADDRESS, and without it the machine's newest, which knows nothing of this run.
    A Ray without a dashboard says all the same that it has one at the usual port, where that of
    another Ray may listen; so it is sent to a port where nobody does.
    """
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        own = {"RAY_ADDRESS": ray.get_runtime_context().gcs_address}
        if not get_dashboard_url():  # type: ignore[no-untyped-call]
            own["RAY_API_SERVER_ADDRESS"] = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        before = {name: os.environ.get(name) for name in own}
        os.environ.update(own)
        ENV_VARS_TO_PROPAGATE.update(own)
        try:
            yield
        finally:
            ENV_VARS_TO_PROPAGATE.difference_update(own)
            for name, value in before.items():
                if value is None:
                    del os.environ[name]
                else:
                    os.environ[name] = value


@contextmanager
def _own_interrupts() -> Iterator[None]:
    """Undo what Ray Train does to SIGINT.

    Its handler stays after the run, where it swallows every later interrupt; and an interrupted
    run ends the process with status 0, which a script would take for success.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGINT)
    try:
        yield
    except SystemExit:
        raise KeyboardInterrupt from None
    finally:
        signal.signal(signal.SIGINT, before)


def check_resources(settings: TrainingHyperparameters) -> None:
    """Print the resource plan; raise `ResourceError` if the cluster can never give it."""
    have = cluster_resources()
    least = settings.least_workers
    wanted = f"{least} to {settings.workers}" if least < settings.workers else f"{least}"
    print(
        f"train: {wanted} worker(s), each {settings.cpus_per_worker:g} CPU and "
        f"{settings.gpus_per_worker:g} GPU; "
        f"the cluster has {have.get('CPU', 0):g} CPU and {have.get('GPU', 0):g} GPU"
    )
    if not settings.wait_for_resources:  # else Ray Train waits
        each = (settings.cpus_per_worker, settings.gpus_per_worker)
        fields = ("workers", "cpus_per_worker or gpus_per_worker")
        check_room([Need("worker", least, *each, *fields)], wait=False)


def _save_examples(examples: Sequence[Example], folder: Path) -> None:
    if not examples:  # datasets cannot load a folder without rows
        return
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
        lesson=asdict(_lesson(settings)),
        student=prepared["student"],
        tokens=str(out / "work"),
        metrics=str(out / "metrics.jsonl"),
        tensorboard=str(out / "tensorboard") if settings.tensorboard else None,
        deepspeed=deepspeed_config(settings, steps),
        batch_size=settings.batch_size,
        micro_batch_size=settings.micro_batch_size,
        steps=steps,
        optimizer=settings.optimizer,
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


def _lesson(settings: TrainingHyperparameters) -> Lesson:
    return Lesson(
        settings.dropout,
        settings.label_smoothing,
        settings.source_weight,
        teacher_of(settings),
        settings.distill.weight,
        settings.distill.top_p,
    )


def _trainer(settings: TrainingHyperparameters, out: Path, loop: LoopSettings) -> TorchTrainer:
    use_gpu = settings.gpus_per_worker > 0
    has_validation = settings.validation_fraction > 0
    resources = {"CPU": settings.cpus_per_worker}
    # Ray's annotation leaves the pair of an elastic group out.
    workers: Any = settings.workers
    if settings.min_workers is not None:
        workers = (settings.min_workers, settings.workers)
    if use_gpu:
        resources["GPU"] = settings.gpus_per_worker
    return TorchTrainer(
        train_worker,
        train_loop_config=asdict(loop),
        torch_config=TorchConfig(backend="nccl" if use_gpu else "gloo"),
        scaling_config=ScalingConfig(
            num_workers=workers, use_gpu=use_gpu, resources_per_worker=resources
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
