"""Training: the loss does not depend on the workers, and what cannot run is refused at once."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pad_ray.decoding import Solver
from pad_ray.errors import ConfigError, DataError, PadError, ResourceError
from pad_ray.records import JUDGED_SCHEMA, row_id
from pad_ray.stages import MANIFEST, read_manifest
from pad_ray.students import load_student
from pad_ray.tasks import get_task
from pad_ray.training import TrainingSettings, train
from pad_ray.training_settings import deepspeed_config

STEPS = 6


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A synthesis directory of 44 problems with their gold programs and no chains of thought."""
    folder = tmp_path_factory.mktemp("data")
    make = get_task("arithmetic").generate
    assert make is not None
    rows = [
        {
            "row_id": row_id(problem.problem_id, 0),
            "problem_id": problem.problem_id,
            "question": problem.question,
            "program": problem.program,
        }
        for problem in make(44, "train", 0, None)
    ]
    (folder / "verified").mkdir()
    table = pa.Table.from_pylist(rows, schema=JUDGED_SCHEMA)
    pq.write_table(table, folder / "verified" / "part-0.parquet")
    (folder / MANIFEST).write_text('{"job": "synthesize", "fingerprint": "00aa"}')
    return folder


def settings(data: Path, out: Path, **others: Any) -> TrainingSettings:
    """Return a short run whose epochs end in a batch that two workers cannot share evenly."""
    values: dict[str, Any] = {
        "student": "scratch:tiny",
        "data": data,
        "out": out,
        "max_steps": STEPS,
        "batch_size": 12,
        "micro_batch_size": 4,
        "learning_rate": 3e-3,
        "schedule": "constant_with_warmup",
        "warmup_ratio": 0.0,
        "validation_fraction": 0.1,
        "log_every": 1,
        "evaluate_every": 3,
    }
    return TrainingSettings(**{**values, **others})


def logged(out: Path, name: str) -> list[float]:
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    return [line[name] for line in lines if name in line]


@pytest.fixture(scope="module")
def one_worker(local_ray: None, data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("one") / "out"
    train(settings(data, out))
    return out


def test_every_step_is_logged_and_the_loss_falls(one_worker: Path) -> None:
    losses = logged(one_worker, "loss")
    assert len(losses) == STEPS
    assert losses[-1] < losses[0] - 0.3
    assert logged(one_worker, "learning_rate") == [pytest.approx(3e-3)] * STEPS
    assert all(norm > 0 for norm in logged(one_worker, "gradient_norm"))


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


def test_saved_student_is_whole(one_worker: Path) -> None:
    student = load_student(one_worker)
    assert student.card.format == "program"
    assert student.card.origin == "scratch:tiny"
    with Solver(student) as solver:
        assert solver.solve("What is 1 + 1?", max_new_tokens=5).tokens <= 5
    assert student.model.num_parameters() == read_manifest(one_worker)["parameters"]


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


def test_format_without_chains_of_thought_is_refused(data: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no chain_of_thought; --format cot"):
        train(settings(data, tmp_path / "out", format="cot"))


def test_more_workers_than_the_cluster_has_fails_with_the_remedy(
    local_ray: None, data: Path, tmp_path: Path
) -> None:
    for workers in (64, 63):
        with pytest.raises(ResourceError, match=rf"^{workers} worker.*lower workers") as caught:
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
    values = {"batch_size": micro * several, "micro_batch_size": micro, "workers": workers}
    config = deepspeed_config(settings(Path("d"), Path("o"), **values))
    steps = config["gradient_accumulation_steps"]
    assert (steps - 1) * workers < several <= steps * workers


def test_given_deepspeed_file_is_laid_over_the_settings(tmp_path: Path) -> None:
    file = tmp_path / "ds.json"
    file.write_text('{"zero_optimization": {"stage": 3}, "gradient_clipping": "auto"}')
    config = deepspeed_config(settings(tmp_path, tmp_path, deepspeed=file, gradient_clipping=0.5))
    assert config["zero_optimization"] == {"stage": 3}
    assert config["gradient_clipping"] == 0.5


@pytest.mark.parametrize("content", [None, b"{", b"[1]", b"\xff"])
def test_bad_deepspeed_file_is_named(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "ds.json"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(PadError, match=r"deepspeed: .*ds\.json"):
        deepspeed_config(settings(tmp_path, tmp_path, deepspeed=file))


def test_directory_as_deepspeed_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PadError, match="deepspeed: "):
        deepspeed_config(settings(tmp_path, tmp_path, deepspeed=tmp_path))


def test_student_folder_may_be_trained_further(
    one_worker: Path, local_ray: None, data: Path, tmp_path: Path
) -> None:
    more = settings(data, tmp_path / "out", student=str(one_worker), max_steps=2, evaluate_every=2)
    train(more)
    assert logged(tmp_path / "out", "loss")[0] < logged(one_worker, "loss")[1]


@pytest.mark.parametrize(
    "key", ["train_batch_size", "train_micro_batch_size_per_gpu", "gradient_accumulation_steps"]
)
def test_deepspeed_file_may_not_decide_batch_sizes(tmp_path: Path, key: str) -> None:
    file = tmp_path / "ds.json"
    file.write_text(json.dumps({key: 7}))
    with pytest.raises(PadError, match=f"leave '{key}' out"):
        deepspeed_config(settings(tmp_path, tmp_path, deepspeed=file))
    file.write_text(json.dumps({key: "auto"}))
    assert deepspeed_config(settings(tmp_path, tmp_path, deepspeed=file)).get(key) != 7
