"""Training: the loss does not depend on the workers, and what cannot run is refused at once."""

from __future__ import annotations

import json
import math
import signal
from pathlib import Path
from typing import Any

import pyarrow.dataset as pads
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_trainings import STEPS, furthest_weights, logged, settings

from pad_ray.base.config import validate
from pad_ray.base.errors import ConfigError, DataError, PadError, ResourceError
from pad_ray.decoding.solver import Solver
from pad_ray.flow.stages import read_manifest
from pad_ray.students.models import load_student
from pad_ray.students.trained_questions import count_trained
from pad_ray.training.data import read_training_rows
from pad_ray.training.settings import BatchSizes, TrainingSettings
from pad_ray.training.student import read_rows, train


@pytest.fixture(scope="module")
def data(training_data: Path) -> Path:
    return training_data


def test_problems_solved_in_one_of_the_other_formats_directories_are_kept(
    data: Path, tmp_path: Path
) -> None:
    table = pads.dataset(data / "verified").to_table()
    others = []
    for number in range(2):
        other = tmp_path / f"other{number}"
        (other / "verified").mkdir(parents=True)
        pq.write_table(table.slice(10 * number, 10), other / "verified" / "part-0.parquet")
        others.append(other)
    asked = settings(data, tmp_path / "out", same_problems=others)
    kept = [row.problem_id for part in read_rows(asked, {data: False}) for row in part]
    assert sorted(kept) == sorted(table["problem_id"].to_pylist()[:20])
    empty = tmp_path / "empty"
    (empty / "verified").mkdir(parents=True)
    pq.write_table(table.slice(0, 0), empty / "verified" / "part-0.parquet")
    alone = settings(data, tmp_path / "out", same_problems=empty)
    with pytest.raises(DataError, match="same_problems: no problem of data is solved there too"):
        read_rows(alone, {data: False})


def test_every_step_is_logged_and_the_loss_falls(one_worker: Path) -> None:
    losses = logged(one_worker, "loss")
    assert len(losses) == STEPS
    assert losses[-1] < losses[0] - 0.3
    assert logged(one_worker, "learning_rate") == [pytest.approx(3e-3)] * STEPS
    assert all(norm > 0 for norm in logged(one_worker, "gradient_norm"))


def test_ray_train_leaves_no_handler_that_swallows_interrupts(one_worker: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)


def test_first_loss_is_that_of_guessing(one_worker: Path) -> None:
    vocabulary = len(load_student(one_worker).tokenizer)
    assert logged(one_worker, "loss")[0] == pytest.approx(math.log(vocabulary), rel=0.1)


def test_manifest_counts_and_names_the_best_checkpoint(one_worker: Path) -> None:
    manifest = read_manifest(one_worker)
    validation = logged(one_worker, "validation_loss")
    assert len(validation) == 2
    assert manifest["best_validation_loss"] == pytest.approx(min(validation))
    assert manifest["best_step"] == [3, 6][validation.index(min(validation))]
    assert manifest["steps"] == STEPS
    parts = manifest["counts"]
    assert parts["train"]["problems"] + parts["validation"]["problems"] == 44
    assert parts["validation"]["problems"] == 4
    assert not (one_worker / "work").exists()


def test_the_saved_student_tells_what_it_was_trained_on(data: Path, one_worker: Path) -> None:
    questions = pads.dataset(data / "verified").to_table()["question"].to_pylist()
    # Four are held back.
    assert count_trained(str(one_worker), questions) == len(questions) - 4 == 40


def test_saved_student_is_whole(one_worker: Path) -> None:
    student = load_student(one_worker)
    assert student.card.format == "program"
    assert student.card.origin == "scratch:tiny"
    with Solver(student) as solver:
        assert solver.solve("What is 1 + 1?", max_new_tokens=5).tokens <= 5
    assert student.model.num_parameters() == read_manifest(one_worker)["parameters"]


@pytest.mark.slow
def test_a_run_without_validation_keeps_its_last_step(
    local_ray: None, data: Path, tmp_path: Path
) -> None:
    more = settings(data, tmp_path / "out", validation_fraction=0, max_steps=2, evaluate_every=1)
    manifest = train(more)
    assert manifest["best_validation_loss"] is None and manifest["best_step"] == 2
    assert manifest["counts"]["validation"] == {
        "rows": 0,
        "too_long": 0,
        "problems": 0,
        "repairs": 0,
    }


@pytest.mark.slow
def test_tokens_come_to_steps(local_ray: None, data: Path, tmp_path: Path) -> None:
    asked = {"max_steps": None, "max_tokens": 5000, "evaluate_every": 100}
    out = tmp_path / "out"
    manifest = train(settings(data, out, **asked))
    rows = manifest["counts"]["train"]["rows"]
    tokenizer = load_student(out).tokenizer
    texts = [row.source + row.target for row in read_training_rows([data], "program")]
    mean = sum(len(tokenizer(text).input_ids) + 1 for text in texts) / len(texts)
    assert rows == 40
    assert manifest["steps"] == pytest.approx(5000 / (mean * 12 * (40 / 48)), abs=2)


@pytest.mark.slow
def test_two_workers_see_the_same_losses(
    one_worker: Path, local_ray: None, data: Path, tmp_path: Path
) -> None:
    train(settings(data, tmp_path / "out", workers=2))
    for name in ("loss", "validation_loss", "gradient_norm"):
        first, second = (logged(out, name) for out in (one_worker, tmp_path / "out"))
        assert second == pytest.approx(first, abs=1e-3), name


def test_the_same_command_again_does_no_work(
    one_worker: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(settings(data, one_worker, threads=2)) == read_manifest(one_worker)
    assert "nothing to do" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("field", "value"), [("learning_rate", 1e-3), ("student", "scratch:small")]
)
def test_other_settings_are_refused_by_name(
    one_worker: Path, data: Path, field: str, value: object
) -> None:
    with pytest.raises(ConfigError, match=rf"other settings: {field} \("):
        train(settings(data, one_worker, **{field: value}))


@pytest.mark.slow
def test_encoder_decoder_student_is_trained(local_ray: None, data: Path, tmp_path: Path) -> None:
    manifest = train(settings(data, tmp_path / "out", student="scratch:t5-tiny"))
    losses = logged(tmp_path / "out", "loss")
    assert losses[-1] < losses[0]
    student = load_student(tmp_path / "out")
    assert student.is_encoder_decoder
    assert student.model.num_parameters() == manifest["parameters"]


@pytest.mark.slow
@pytest.mark.parametrize("stage", [0, 2, 3])
def test_zero_stages_see_the_same_losses(
    one_worker: Path, local_ray: None, data: Path, tmp_path: Path, stage: int
) -> None:
    train(settings(data, tmp_path / "out", zero_stage=stage, workers=2))
    first, second = (logged(out, "loss") for out in (one_worker, tmp_path / "out"))
    assert second == pytest.approx(first, abs=5e-3)
    saved, other = (load_student(out).model.state_dict() for out in (one_worker, tmp_path / "out"))
    for name, weight in saved.items():
        assert other[name].shape == weight.shape
        assert float((other[name] - weight).abs().max()) < 2e-2, name


@pytest.mark.slow
def test_offloaded_optimizer_sees_the_same_losses(
    one_worker: Path, data: Path, tmp_path: Path
) -> None:
    train(settings(data, tmp_path / "out", zero_stage=2, offload="optimizer"))
    for name in ("loss", "validation_loss", "gradient_norm"):
        first, second = (logged(out, name) for out in (one_worker, tmp_path / "out"))
        assert second == pytest.approx(first, abs=1e-4), name
    assert furthest_weights(one_worker, tmp_path / "out") < 1e-4


@pytest.mark.slow
@pytest.mark.parametrize(
    ("stage", "offload"), [(1, "optimizer"), (3, "optimizer"), (3, "parameters")]
)
def test_offloading_at_each_stage_sees_the_same_losses(
    one_worker: Path, data: Path, tmp_path: Path, stage: int, offload: str
) -> None:
    train(settings(data, tmp_path / "out", zero_stage=stage, offload=offload, workers=2))
    first, second = (logged(out, "loss") for out in (one_worker, tmp_path / "out"))
    assert second == pytest.approx(first, abs=1e-3)
    assert furthest_weights(one_worker, tmp_path / "out") < 1e-4


@pytest.mark.parametrize(
    ("stage", "offload", "remedy"),
    [(0, "optimizer", 1), (0, "parameters", 3), (2, "parameters", 3)],
)
def test_offload_that_the_stage_has_nothing_for_is_refused(
    stage: int, offload: str, remedy: int
) -> None:
    values = {"data": "d", "out": "o", "zero_stage": stage, "offload": offload}
    with pytest.raises(ConfigError, match=f"^offload: '{offload}' needs zero_stage {remedy} "):
        validate(TrainingSettings, values)


def test_several_workers_have_whole_gpus() -> None:
    half = {"data": "d", "out": "o", "gpus_per_worker": 0.5}
    assert validate(TrainingSettings, half).gpus_per_worker == 0.5
    with pytest.raises(ConfigError, match=r"gpus_per_worker: 0\.5 is no whole number"):
        validate(TrainingSettings, {**half, "workers": 2})


def test_fewest_workers_are_no_more_than_the_workers() -> None:
    with pytest.raises(ConfigError, match="^min_workers: 3 is more than workers 2"):
        validate(TrainingSettings, {"data": "d", "out": "o", "workers": 2, "min_workers": 3})


def test_elastic_training_needs_state_that_can_be_converted(data: Path, tmp_path: Path) -> None:
    file = tmp_path / "ds.json"
    file.write_text('{"optimizer": {"type": "Lion", "params": {"lr": "auto"}}}')
    with pytest.raises(ConfigError, match="^min_workers: .* state of Lion, .*; leave min_workers"):
        train(settings(data, tmp_path / "out", workers=2, min_workers=1, deepspeed=file))


def test_format_without_chains_of_thought_is_refused(data: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no chain_of_thought; --format cot"):
        train(settings(data, tmp_path / "out", format="cot"))


def test_more_workers_than_the_cluster_has_fails_with_the_remedy(
    local_ray: None, data: Path, tmp_path: Path
) -> None:
    for workers in (64, 63):
        with pytest.raises(
            ResourceError, match=rf"CPU \(worker {workers}\).*lower workers"
        ) as caught:
            train(settings(data, tmp_path / "out", workers=workers))
        assert "\n" not in str(caught.value)


def test_failed_command_can_be_mended_in_the_same_directory(
    local_ray: None, data: Path, tmp_path: Path
) -> None:
    for mistake in ({"student": "./gone"}, {"max_target_tokens": 8}, {"format": "cot"}):
        with pytest.raises(PadError) as caught:
            train(settings(data, tmp_path / "out", **mistake))
        assert "other settings" not in str(caught.value), mistake


def test_unfinished_synthesis_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="not a finished stage"):
        train(settings(tmp_path / "gone", tmp_path / "out"))


@given(st.integers(1, 8), st.integers(1, 8), st.integers(1, 12))
def test_accumulated_micro_batches_cover_a_batch(micro: int, several: int, workers: int) -> None:
    steps = BatchSizes(micro * several, micro).accumulation(workers)
    assert (steps - 1) * workers < several <= steps * workers


@pytest.mark.slow
def test_optimizer_of_a_deepspeed_file_learns_as_the_settings_say(
    one_worker: Path, data: Path, tmp_path: Path
) -> None:
    params = {"torch_adam": True, "lr": "auto", "betas": "auto", "weight_decay": "auto"}
    content: dict[str, Any] = {"optimizer": {"type": "AdamW", "params": params}}
    file = tmp_path / "ds.json"
    file.write_text(json.dumps(content))
    train(settings(data, tmp_path / "plain", deepspeed=file))
    assert logged(tmp_path / "plain", "learning_rate") == logged(one_worker, "learning_rate")
    # But for the decay of what is no matrix, all is alike.
    losses = [logged(out, "loss") for out in (one_worker, tmp_path / "plain")]
    assert losses[1] == pytest.approx(losses[0], abs=2e-2)
    content["scheduler"] = {
        "type": "WarmupDecayLR",
        "params": {"warmup_max_lr": "auto", "warmup_num_steps": "auto", "total_num_steps": "auto"},
    }
    file.write_text(json.dumps(content))
    train(settings(data, tmp_path / "falling", deepspeed=file))
    rates = logged(tmp_path / "falling", "learning_rate")
    # After one step of warm-up, the fewest that DeepSpeed has.
    assert rates[0] == 0 and rates[1] == pytest.approx(3e-3) and len(rates) == STEPS
    assert rates[1:] == sorted(rates[1:], reverse=True) and 0 < rates[-1] < 1e-3


@pytest.mark.slow
def test_student_folder_may_be_trained_further(
    one_worker: Path, local_ray: None, data: Path, tmp_path: Path
) -> None:
    more = settings(data, tmp_path / "out", student=str(one_worker), max_steps=2, evaluate_every=2)
    train(more)
    assert logged(tmp_path / "out", "loss")[0] < logged(one_worker, "loss")[1]
