"""TRL's own SFTTrainer takes the exported rows: what it tokenises, what it learns, one step."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import datasets
import pytest
import torch
from finished_stages import synthesised
from trl import SFTConfig, SFTTrainer

from pad_ray.students.card import StudentCard
from pad_ray.students.models import make_scratch_student
from pad_ray.synthesis.export.run import export_dataset
from pad_ray.synthesis.export.settings import ExportSettings

CHAT = (
    "{% for message in messages %}{{ '<' + message['role'] + '>' + message['content'] }}"
    "{{ eos_token }}{% endfor %}{% if add_generation_prompt %}{{ '<assistant>' }}{% endif %}"
)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "coins"
    synthesised(folder, task="coin_flip", count=16, samples=1, faults={})
    return folder


def trainer_of(data: Path, root: Path, **settings: Any) -> tuple[SFTTrainer, list[dict[str, Any]]]:
    """Return TRL's trainer on an export with a tiny student, and the exported rows."""
    export_dataset(ExportSettings(data=data, out=root / "out", split_fraction=0.2, **settings))
    loaded = datasets.load_dataset(str(root / "out"), cache_dir=str(root / "cache"))
    rows = loaded["train"].to_list()
    card = StudentCard("program", "scratch:tiny")
    student = make_scratch_student("scratch:tiny", map(json.dumps, rows), card=card, seed=0)
    student.tokenizer.chat_template = CHAT
    arguments = SFTConfig(
        output_dir=str(root / "trl"),
        max_steps=1,
        per_device_train_batch_size=2,
        learning_rate=1e-2,
        use_cpu=True,
        bf16=False,
        report_to="none",
        save_strategy="no",
        disable_tqdm=True,
    )
    trainer = SFTTrainer(
        student.model,
        arguments,
        train_dataset=loaded["train"],
        eval_dataset=loaded["validation"],
        processing_class=student.tokenizer,
    )
    return trainer, rows


def learned(trainer: SFTTrainer) -> list[str]:
    """Return the texts of a batch that the loss is over."""
    (batch, *_) = trainer.get_train_dataloader()
    decode = trainer.processing_class.decode
    return [decode([t for t in labels.tolist() if t >= 0]) for labels in batch["labels"]]


@pytest.mark.parametrize("file_type", ["parquet", "jsonl"])
def test_messages_are_tokenised_whole_and_trained_on(
    data: Path, tmp_path: Path, file_type: str
) -> None:
    trainer, rows = trainer_of(data, tmp_path, system="Be exact.", file_type=file_type)
    texts = [trainer.processing_class.decode(ids) for ids in trainer.train_dataset["input_ids"]]
    assert len(texts) == len(rows) > 0
    for text, row in zip(texts, rows, strict=True):
        system, user, assistant = (message["content"] for message in row["messages"])
        assert text == f"<system>{system}</s><user>{user}</s><assistant>{assistant}</s>"
        assert "def solution():" in text and text.endswith("```</s>")
    before = trainer.model.get_input_embeddings().weight.detach().clone()
    result = trainer.train()
    assert result.global_step == 1 and 0 < result.training_loss < 20
    assert not torch.equal(before, trainer.model.get_input_embeddings().weight)
    assert trainer.evaluate()["eval_loss"] > 0


def test_prompt_is_left_out_of_the_loss(data: Path, tmp_path: Path) -> None:
    trainer, rows = trainer_of(data, tmp_path, format="prompt_completion", fenced=False)
    programs = {row["completion"][0]["content"] + "</s>" for row in rows}
    texts = learned(trainer)
    assert texts and set(texts) <= programs
    assert trainer.train().global_step == 1
