"""Texts that keep a student's general ability, and other students that teach it, in real runs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from small_trainings import STEPS, logged, settings
from transformers import GPT2Config

from pad_ray.base.errors import ConfigError, DataError, StudentError
from pad_ray.students.card import StudentCard
from pad_ray.students.models import load_student, make_scratch_student, save_student
from pad_ray.training.general_texts import general_examples
from pad_ray.training.settings import GeneralSettings, TrainingSettings
from pad_ray.training.student import train
from pad_ray.training.verifier import train_verifier
from pad_ray.training.verifier_settings import VerifierSettings

PROSE = [
    f"The {n} ships that left the harbour at dawn came back after {n + 3} days." for n in range(60)
]


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    file = tmp_path / "prose.jsonl"
    file.write_text(
        "".join(json.dumps({"text": " ".join(PROSE[i : i + 9])}) + "\n" for i in range(50))
    )
    return file


@pytest.mark.slow
def test_every_switch_at_once(
    one_worker: Path, training_data: Path, texts: Path, tmp_path: Path
) -> None:
    run = settings(
        training_data,
        tmp_path / "out",
        dropout=0.1,
        label_smoothing=0.1,
        distill={"teacher": str(one_worker)},
        general={"texts": texts, "share": 0.25, "tokens": 32},
    )
    manifest = train(run)
    plain = json.loads((one_worker / "manifest.json").read_text())
    counts = manifest["counts"]
    assert counts["general"]["rows"] == round(counts["train"]["rows"] / 3)
    assert counts["train"] == plain["counts"]["train"] and plain["general_loss"] is None
    losses = manifest["general_loss"]
    assert losses["after"] < losses["before"] - 0.2
    assert len(logged(tmp_path / "out", "general_loss")) == 1 + STEPS // 3
    assert {"teacher/model.safetensors", "general"} <= manifest["inputs"].keys()
    vocabularies = [load_student(p).tokenizer.get_vocab() for p in (one_worker, tmp_path / "out")]
    assert vocabularies[0] == vocabularies[1]
    texts.write_text(texts.read_text() + json.dumps({"text": "more"}) + "\n")
    with pytest.raises(ConfigError, match=r"other settings: general \("):
        train(run)


def test_windows_hold_each_token_once(texts: Path) -> None:
    tokenizer = make_scratch_student(
        "scratch:tiny", PROSE, card=StudentCard("program", "x"), seed=0
    ).tokenizer
    found = general_examples(GeneralSettings(texts=texts, tokens=16), tokenizer, GPT2Config())
    every = [*found.train, *found.held]
    whole = 0
    for line in texts.read_text().splitlines():
        whole += len(tokenizer(json.loads(line)["text"]).input_ids) // 16
    assert len(every) == whole and len(found.held) == round(whole * 0.1)
    assert all((len(e.source), len(e.target)) == (8, 8) for e in every)
    again = general_examples(GeneralSettings(texts=texts, tokens=16), tokenizer, GPT2Config())
    assert again == found
    assert len(found.mixed(found.held, 0.5)) == 2 * len(found.held)
    assert general_examples(
        GeneralSettings(texts=texts, tokens=16), tokenizer, GPT2Config(n_positions=16)
    )
    with pytest.raises(ConfigError, match=r"general\.tokens: 16 are more than .* \(15\)"):
        general_examples(
            GeneralSettings(texts=texts, tokens=16), tokenizer, GPT2Config(n_positions=15)
        )


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.jsonl", b'{"words": "x"}\n', "has no column 'text'"),
        ("a.jsonl", b'{"text": 3}\n', "has no column 'text' of texts"),
        ("a.jsonl", b"{", "cannot be read"),
        ("a.parquet", b"no parquet", "cannot be read"),
        ("a.txt", b"\xff\xfe\xff", "cannot be read"),
        ("a.txt", b"short", "fewer than two windows"),
        ("missing.txt", None, "cannot be read"),
    ],
)
def test_bad_texts_are_refused_in_a_line(
    tmp_path: Path, name: str, content: bytes | None, said: str
) -> None:
    file = tmp_path / name
    if content is not None:
        file.write_bytes(content)
    made = make_scratch_student("scratch:tiny", PROSE, card=StudentCard("program", "x"), seed=0)
    with pytest.raises(DataError, match=f"general.texts: .*{said}") as error:
        general_examples(GeneralSettings(texts=file), made.tokenizer, GPT2Config())
    assert "\n" not in str(error.value)


@pytest.mark.slow
def test_a_teacher_that_cannot_teach_is_refused(
    local_ray: None, one_worker: Path, training_data: Path, tmp_path: Path
) -> None:
    def refused(**more: object) -> str:
        with pytest.raises((ConfigError, StudentError)) as error:
            train(settings(training_data, tmp_path / "out", **more))
        return str(error.value)

    assert "distill.teacher" in refused(distill={"teacher": "scratch:tiny"})
    assert "no such file" in refused(distill={"teacher": "./nowhere"})
    other = make_scratch_student("scratch:tiny", PROSE, card=StudentCard("program", "x"), seed=0)
    save_student(other, tmp_path / "other")
    said = refused(student=str(one_worker), distill={"teacher": str(tmp_path / "other")})
    assert "another tokenizer" in said
    said = refused(student="scratch:t5-tiny", distill={"teacher": str(one_worker)})
    assert "encoder-decoder" in said


def test_verifiers_are_not_taught_to_write(tmp_path: Path, one_worker: Path) -> None:
    for field in ({"distill": {"teacher": "x"}}, {"general": {"texts": "x.txt"}}):
        run = VerifierSettings(
            student=str(one_worker), data=tmp_path, out=tmp_path / "out", **field
        )
        with pytest.raises(ConfigError, match="a verifier writes no texts"):
            train_verifier(run)


def test_a_share_of_one_is_refused() -> None:
    with pytest.raises(ValueError, match="share"):
        TrainingSettings(data=Path("x"), out=Path("y"), general={"share": 1.0})
