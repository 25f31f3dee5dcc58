"""A training goes on with another number of workers, as if it had had them all along."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from small_trainings import STEPS, furthest_weights, logged, settings, train_partly

from pad_ray.base.errors import ConfigError
from pad_ray.flow.stages import read_manifest
from pad_ray.training.student import train

# Largest seen: 1.2e-4 (T5, stage 3; optimizer state of the wrong step moves a weight by 1.7e-3),
# and 8e-3 where the saved weights are rounded to bf16, which is one step at 1.
CLOSE = {"fp32": 3e-4, "bf16": 1.6e-2}


def leave_half_a_conversion(out: Path) -> None:
    """Leave fragments as a conversion that was killed does; taken along they spoil the weights."""
    (position,) = (out / "work/ray_train").glob("checkpoint_*/position.json")
    partial = out / "work/universal" / f".{position.parent.name}.partial" / "state"
    for name in ("model.norm.weight", "model.embedding_norm.weight"):
        fragment = partial / "tmp" / name / "0" / "fp32.07"
        fragment.parent.mkdir(parents=True)
        fragment.write_bytes(b"half")


@pytest.mark.slow
def test_checkpoint_of_two_workers_goes_on_with_one(
    one_worker: Path, training_data: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    train_partly(settings(training_data, out, workers=2), steps=3)
    leave_half_a_conversion(out)
    train(settings(training_data, out, workers=1))
    assert logged(out, "loss") == pytest.approx(logged(one_worker, "loss"), abs=1e-4)
    assert furthest_weights(one_worker, out) < CLOSE["fp32"]
    assert read_manifest(out)["worker_groups"] == [
        {"from_step": 0, "workers": 2, "device": "cpu"},
        {"from_step": 3, "workers": 1, "device": "cpu"},
    ]


@pytest.fixture(scope="module")
def undisturbed(
    one_worker: Path, training_data: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str, str, int], Path]:
    """The training of one worker from beginning to end; in fp32 all ZeRO stages are alike."""

    @cache
    def make(student: str, precision: str, stage: int) -> Path:
        if (student, precision) == ("scratch:tiny", "fp32"):
            return one_worker
        out = tmp_path_factory.mktemp("undisturbed") / "out"
        asked: dict[str, Any] = {"student": student, "precision": precision, "zero_stage": stage}
        train(settings(training_data, out, **asked))
        return out

    return make


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("student", "precision", "stage", "workers"),
    [
        ("scratch:tiny", "fp32", 0, (2, 1)),
        ("scratch:tiny", "fp32", 1, (1, 2)),
        ("scratch:tiny", "fp32", 2, (2, 1)),
        ("scratch:tiny", "fp32", 2, (1, 2)),
        ("scratch:tiny", "fp32", 3, (2, 1)),
        ("scratch:tiny", "fp32", 3, (1, 2)),
        ("scratch:tiny", "bf16", 1, (2, 1)),
        ("scratch:tiny", "bf16", 2, (1, 2)),
        ("scratch:tiny", "bf16", 3, (2, 1)),
        # These drop units at random.
        ("scratch:t5-tiny", "fp32", 1, (2, 1)),
        ("scratch:t5-tiny", "fp32", 3, (1, 2)),
    ],
)
def test_every_stage_goes_on_in_both_directions(
    undisturbed: Callable[[str, str, int], Path],
    training_data: Path,
    tmp_path: Path,
    student: str,
    precision: str,
    stage: int,
    workers: tuple[int, int],
) -> None:
    before, after = workers
    whole, out = undisturbed(student, precision, stage if precision == "bf16" else 1), tmp_path
    asked: dict[str, Any] = {"student": student, "precision": precision, "zero_stage": stage}
    train_partly(settings(training_data, out, workers=before, **asked), steps=3)
    train(settings(training_data, out, workers=after, **asked))
    assert logged(out, "loss") == pytest.approx(logged(whole, "loss"), abs=1e-3)
    assert furthest_weights(whole, out) < CLOSE[precision]


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize(("stage", "offload"), [(1, "optimizer"), (3, "parameters")])
def test_offloaded_state_goes_on_with_fewer_workers(
    one_worker: Path, training_data: Path, tmp_path: Path, stage: int, offload: str
) -> None:
    out = tmp_path / "out"
    asked: dict[str, Any] = {"zero_stage": stage, "offload": offload}
    train_partly(settings(training_data, out, workers=2, **asked), steps=3)
    train(settings(training_data, out, **asked))
    assert furthest_weights(one_worker, out) < CLOSE["fp32"]


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_state_that_cannot_be_converted_is_refused(
    local_ray: None, training_data: Path, tmp_path: Path
) -> None:
    file = tmp_path / "sgd.json"
    file.write_text(json.dumps({"optimizer": {"type": "SGD", "params": {"lr": "auto"}}}))
    out = tmp_path / "out"
    train_partly(settings(training_data, out, workers=2, deepspeed=file), steps=3)
    with pytest.raises(ConfigError, match=r"^workers: .* state of SGD.* go on with --workers 2 "):
        train(settings(training_data, out, workers=1, deepspeed=file))
    train(settings(training_data, out, workers=2, deepspeed=file))
    assert len(logged(out, "loss")) == STEPS
