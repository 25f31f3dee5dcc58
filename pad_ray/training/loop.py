"""What each Ray Train worker does: the DeepSpeed loop over planned batches.

The gradient of a step is that of the mean loss over all target tokens of the global batch,
whatever the number of workers or micro-batches.
"""

from __future__ import annotations

import math
import random
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.distributed
from datasets import Dataset, load_from_disk
from transformers import get_scheduler

from pad_ray.training.checkpoints import find_start, restore, save_checkpoint
from pad_ray.training.data import Batch, micro_batches_of, plan_epoch
from pad_ray.training.metrics import MetricsLog
from pad_ray.training.muon import make_muon
from pad_ray.training.objectives import Lesson, Objective, ObjectiveName, make_objective
from pad_ray.training.settings import BatchSizes

_PARTS = ("train", "validation", "general")
_BETAS = (0.9, 0.95)


@dataclass(frozen=True)
class LoopSettings:
    """The resolved, picklable settings of one training run."""

    objective: ObjectiveName
    lesson: dict[str, Any]
    student: str
    tokens: str
    metrics: str
    tensorboard: str | None
    deepspeed: dict[str, Any]
    batch_size: int
    micro_batch_size: int
    steps: int
    optimizer: str
    learning_rate: float
    weight_decay: float
    schedule: str
    warmup_steps: int
    precision: str
    threads: int
    log_every: int
    evaluate_every: int
    seed: int

    @property
    def sizes(self) -> BatchSizes:
        return BatchSizes(self.batch_size, self.micro_batch_size)


@dataclass
class Position:
    """Where a run stands: optimizer steps done, and tokens seen in this process."""

    step: int
    tokens: int
    started: float


def train_worker(config: dict[str, Any]) -> None:
    """Train from the last checkpoint, or the start, to the last step."""
    import deepspeed

    settings = LoopSettings(**config)
    if not torch.cuda.is_available():
        torch.set_num_threads(settings.threads)
        # Without this DeepSpeed compiles a shared-memory operator, which needs a compiler.
        deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False
        # And Muon's kernels would be compiled.
        torch.compiler.set_stance("force_eager")
    torch.manual_seed(settings.seed)
    objective = make_objective(
        settings.objective, settings.student, settings.precision, Lesson(**settings.lesson)
    )
    start = find_start(Path(settings.tokens) / "universal")
    engine = _engine(objective.model, settings, start.is_universal)
    restore(engine, start)
    train, validation, general = (load_examples(Path(settings.tokens) / part) for part in _PARTS)
    position = Position(start.step, 0, time.time())
    log = MetricsLog(settings.metrics, settings.tensorboard, position.step)
    workers = torch.distributed.get_world_size()
    log.write({"step": position.step, "workers": workers, "device": engine.device.type})
    plan = BatchPlan(train, settings)
    if position.step == 0 and len(general):
        loss = _validation_loss(engine, objective, general, settings)
        log.write({"step": 0, "general_loss": loss})
    while position.step < settings.steps:
        metrics = _train_step(engine, objective, train, plan, position)
        position.step += 1
        if position.step % settings.log_every == 0 or position.step == settings.steps:
            log.write({"step": position.step, "epoch": plan.epoch, **metrics})
        if position.step % settings.evaluate_every == 0 or position.step == settings.steps:
            began = time.time()
            loss = _validation_loss(engine, objective, validation, settings)
            done = {"validation_loss": loss}
            if len(general):
                done["general_loss"] = _validation_loss(engine, objective, general, settings)
            done["validation_s"] = time.time() - began
            log.write({"step": position.step, "epoch": plan.epoch, **done})
            # Never without a loss: the best checkpoint is chosen by it.
            save_checkpoint(engine, position.step, loss)


def load_examples(folder: Path) -> Dataset:
    """Load a part's tokenised rows; a part without rows is not on disk."""
    if folder.is_dir():
        return load_from_disk(str(folder))
    return Dataset.from_dict({"source": [], "target": [], "length": []})


class BatchPlan:
    """The run's batches by step; an epoch's plan is made when its first step is asked for."""

    def __init__(self, train: Dataset, settings: LoopSettings) -> None:
        self.lengths = list(train["length"])
        self._target_lengths = list(train["target_length"])
        self._settings = settings
        self.seed = settings.seed
        self.epoch = 0
        self._batches = self._plan(0)

    def _plan(self, epoch: int) -> list[Batch]:
        return plan_epoch(self.lengths, self._settings.sizes, self._settings.seed, epoch)

    def at(self, step: int) -> Batch:
        """Return global batch `step`."""
        epoch, index = divmod(step, len(self._batches))
        if epoch != self.epoch:
            self._batches = self._plan(epoch)
            self.epoch = epoch
        return self._batches[index]

    def tokens(self, batch: Batch) -> tuple[int, float]:
        """Return how many tokens a global batch has, and what their losses weigh together.

        Target tokens weigh 1, and of the others all but the first are predicted too.
        """
        rows = [row for micro in batch for row in micro]
        tokens, written = (sum(of[r] for r in rows) for of in (self.lengths, self._target_lengths))
        weight = self._settings.lesson["source_weight"]
        return tokens, written + weight * (tokens - written - len(rows))


def _engine(model: torch.nn.Module, settings: LoopSettings, load_universal: bool) -> Any:
    import deepspeed

    model.train()
    workers = torch.distributed.get_world_size()
    config = {
        **settings.deepspeed,
        "gradient_accumulation_steps": settings.sizes.accumulation(workers),
        "checkpoint": {
            **settings.deepspeed.get("checkpoint", {}),
            "load_universal": load_universal,
        },
    }
    optimizer = None
    if "optimizer" not in config:
        optimizer = _optimizer(model, settings)
    engine, *_ = deepspeed.initialize(
        model=model,
        model_parameters=model.parameters() if optimizer is None else None,
        optimizer=optimizer,
        # Of whichever optimizer it is, the one of a given configuration too.
        lr_scheduler=None if "scheduler" in config else partial(_schedule, settings),
        config=config,
        dist_init_required=False,
    )
    return engine


def _optimizer(model: torch.nn.Module, settings: LoopSettings) -> torch.optim.Optimizer:
    if settings.optimizer == "muon":
        return make_muon(model, settings.learning_rate, settings.weight_decay, _BETAS)
    groups = _parameter_groups(model, settings.weight_decay)
    return torch.optim.AdamW(groups, lr=settings.learning_rate, betas=_BETAS)


def _schedule(settings: LoopSettings, optimizer: torch.optim.Optimizer) -> Any:
    return get_scheduler(settings.schedule, optimizer, settings.warmup_steps, settings.steps)


def _parameter_groups(model: torch.nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    # Norms and biases are scales and offsets of what matrices compute: decay would only bend them.
    decayed = [p for p in model.parameters() if p.dim() >= 2]
    others = [p for p in model.parameters() if p.dim() < 2]
    return [
        {"params": decayed, "weight_decay": weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]


def _train_step(
    engine: Any, objective: Objective, train: Dataset, plan: BatchPlan, position: Position
) -> dict[str, float]:
    world, rank = torch.distributed.get_world_size(), torch.distributed.get_rank()
    batch = plan.at(position.step)
    shares = micro_batches_of(batch, plan.lengths, rank, world)
    tokens, total = plan.tokens(batch)
    loss_sum = torch.zeros((), device=engine.device)
    accumulation = engine.gradient_accumulation_steps()
    # An epoch's last batch may be short, and every rank must take part in the collectives:
    # an empty share runs a row at weight 0.
    for micro in shares + [[]] * (accumulation - len(shares)):
        _seed_dropout(plan.seed, position.step, micro)
        loss = objective.loss_sum(engine, train[micro or batch[0][:1]]) * float(bool(micro))
        # DeepSpeed averages over ranks and accumulation steps; this makes it a mean over tokens.
        engine.backward(loss * (world * accumulation / total))
        # Of every micro-batch: DeepSpeed counts them, and moves the weights at the last alone.
        engine.step()
        loss_sum += loss.detach()
    torch.distributed.all_reduce(loss_sum)
    position.tokens += tokens
    seconds = time.time() - position.started
    # Without ZeRO DeepSpeed keeps none.
    norm = engine.get_global_grad_norm()
    return {
        "loss": loss_sum.item() / total,
        "learning_rate": engine.get_lr()[0],
        **({} if norm is None else {"gradient_norm": float(norm)}),
        "tokens_per_s": position.tokens / seconds,
        "seconds": seconds,
    }


def _seed_dropout(seed: int, step: int, micro: list[int]) -> None:
    # A micro-batch drops the same units whichever worker has it, and after a resume.
    torch.manual_seed(random.Random(f"{seed}/{step}/{micro}").getrandbits(63))


@torch.no_grad()
def _validation_loss(
    engine: Any, objective: Objective, validation: Dataset, settings: LoopSettings
) -> float:
    """Return the mean loss (nats) a target token over the validation rows."""
    if len(validation) == 0:
        return math.nan
    engine.eval()
    world, rank = torch.distributed.get_world_size(), torch.distributed.get_rank()
    totals = torch.zeros(2, dtype=torch.float64, device=engine.device)
    lengths = list(validation["length"])
    # One plan for all times, so that the losses of two steps differ by the weights alone.
    for batch in plan_epoch(lengths, settings.sizes, settings.seed, 0):
        for micro in micro_batches_of(batch, lengths, rank, world):
            # As in training: no rank may be missing where the others gather parameters (ZeRO 3).
            rows = validation[micro or batch[0][:1]]
            weight = float(bool(micro))
            totals[0] += objective.loss_sum(engine, rows).double() * weight
            totals[1] += sum(len(target) for target in rows["target"]) * weight
    torch.distributed.all_reduce(totals)
    engine.train()
    return float(totals[0] / totals[1])
