"""Muon: what a step does to matrices and to the rest, and a training by it."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from small_trainings import STEPS, logged, settings

from pad_ray.base.config import validate
from pad_ray.base.errors import ConfigError
from pad_ray.training.muon import make_muon
from pad_ray.training.settings import TrainingSettings
from pad_ray.training.student import train
from pad_ray.training.verifier_settings import VerifierSettings

RATE, DECAY, BETAS = 0.01, 0.1, (0.9, 0.95)


class Model(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table = torch.nn.Embedding(20, 24)
        self.wide = torch.nn.Linear(24, 12)
        self.tall = torch.nn.Linear(12, 48)
        self.square = torch.nn.Linear(48, 48, bias=False)
        self.convolution = torch.nn.Conv1d(48, 48, 3, groups=48)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        hidden = self.square(self.tall(self.wide(self.table(ids))))
        return self.convolution(hidden.mT).square().mean()


@pytest.fixture(autouse=True)
def _eager() -> Iterator[None]:
    # As a worker without a GPU does.
    with torch.compiler.set_stance("force_eager"):
        yield


def stepped(model: Model, optimizers: list[torch.optim.Optimizer], steps: int) -> None:
    for step in range(steps):
        torch.manual_seed(step)
        model(torch.randint(20, (4, 9))).backward()
        for optimizer in optimizers:
            optimizer.step()
        model.zero_grad()


def test_matrices_move_by_muon_and_the_rest_by_adamw() -> None:
    torch.manual_seed(0)
    ours = Model()
    theirs, before = copy.deepcopy(ours), copy.deepcopy(ours)
    stepped(ours, [make_muon(ours, RATE, DECAY, BETAS)], 3)
    matrices = ["wide.weight", "tall.weight", "square.weight"]
    named = dict(theirs.named_parameters())
    tables = ["table.weight", "convolution.weight"]
    stepped(
        theirs,
        [
            torch.optim.Muon(
                [named[name] for name in matrices],
                lr=RATE,
                weight_decay=DECAY,
                adjust_lr_fn="match_rms_adamw",
            ),
            torch.optim.AdamW(
                [
                    {"params": [named[name] for name in tables], "weight_decay": DECAY},
                    {
                        "params": [p for name, p in named.items() if p.dim() == 1],
                        "weight_decay": 0.0,
                    },
                ],
                lr=RATE,
                betas=BETAS,
            ),
        ],
        3,
    )
    first = dict(before.named_parameters())
    for name, parameter in ours.named_parameters():
        moved, wanted = (p.detach() - first[name].detach() for p in (parameter, named[name]))
        assert moved.abs().max() > 0, name
        # PyTorch's Muon works in bfloat16.
        difference = (moved - wanted).norm() / wanted.norm()
        assert difference < (0.25 if name in matrices else 0.02), (name, difference)


def test_the_rate_that_is_logged_is_the_one_that_was_asked_for() -> None:
    optimizer = make_muon(Model(), RATE, DECAY, BETAS)
    assert optimizer.param_groups[0]["lr"] == RATE


def test_a_student_learns_by_it(local_ray: None, training_data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    train(settings(training_data, out, optimizer="muon", zero_stage=0, source_weight=0.3))
    losses = logged(out, "loss")
    assert len(losses) == STEPS and losses[-1] < losses[0] - 0.3
    assert logged(out, "learning_rate") == [pytest.approx(3e-3)] * STEPS


@pytest.mark.slow
def test_two_workers_see_the_same_losses(
    local_ray: None, training_data: Path, tmp_path: Path
) -> None:
    for workers in (1, 2):
        asked = {"optimizer": "muon", "zero_stage": 0, "source_weight": 0.3, "workers": workers}
        train(settings(training_data, tmp_path / str(workers), **asked))
    one, two = (logged(tmp_path / str(workers), "loss") for workers in (1, 2))
    assert two == pytest.approx(one, abs=1e-3)


def test_split_matrices_are_refused() -> None:
    asked = {"data": "d", "out": "o", "optimizer": "muon"}
    with pytest.raises(ConfigError, match="optimizer: 'muon' needs zero_stage 0, not 1"):
        validate(TrainingSettings, asked)
    assert validate(TrainingSettings, {**asked, "zero_stage": 0}).optimizer == "muon"


def test_two_optimizers_are_refused(training_data: Path, tmp_path: Path) -> None:
    file = tmp_path / "ds.json"
    file.write_text('{"optimizer": {"type": "AdamW"}}')
    asked = settings(
        training_data, tmp_path / "out", optimizer="muon", zero_stage=0, deepspeed=file
    )
    with pytest.raises(ConfigError, match="has an 'optimizer', and optimizer is 'muon'"):
        train(asked)


def test_questions_are_learned_only_where_they_can_be(training_data: Path, tmp_path: Path) -> None:
    reader = settings(training_data, tmp_path / "out", student="scratch:t5-tiny", source_weight=0.5)
    with pytest.raises(ConfigError, match="source_weight: scratch:t5-tiny reads with an encoder"):
        train(reader)
    for made, more in ((TrainingSettings, {"distill": {"teacher": "t"}}), (VerifierSettings, {})):
        with pytest.raises(ConfigError, match="source_weight: "):
            validate(made, {"data": "d", "out": "o", "source_weight": 0.5, **more})
