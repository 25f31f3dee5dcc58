"""Weights: all are loaded, or what is missing or too much is named."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from families import FAMILIES, REFUSED, family
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM

from pad_ray.base.errors import StudentError
from pad_ray.students.card import StudentCard
from pad_ray.students.models import Student, load_student, make_scratch_student, save_student
from pad_ray.students.weights import load_pretrained, load_weights
from pad_ray.verifiers.value import (
    HEAD_FILE,
    Verifier,
    load_value_model,
    make_value_model,
    save_value_model,
)

Weights = dict[str, torch.Tensor]


@pytest.fixture(scope="module")
def student() -> Student:
    card = StudentCard("program", "scratch:tiny")
    return make_scratch_student("scratch:tiny", ["return 1 + 2"], card=card, seed=0)


def edited(folder: Path, change: Callable[[Weights], Any], name: str = "model.safetensors") -> Path:
    weights = load_file(folder / name)
    change(weights)
    save_file(weights, folder / name, {"format": "pt"})
    return folder


def of_layer(weights: Weights, layer: int) -> list[str]:
    found = sorted(name for name in weights if f"layers.{layer}." in name)
    assert len(found) > 3
    return found


def drop_layer(weights: Weights) -> None:
    for name in of_layer(weights, 1):
        del weights[name]


@pytest.mark.parametrize("name", [*FAMILIES, *REFUSED])
def test_saved_models_of_all_families_are_whole(tmp_path: Path, name: str) -> None:
    model = family(name, 64)
    model.save_pretrained(tmp_path)
    auto = AutoModelForSeq2SeqLM if model.config.is_encoder_decoder else AutoModelForCausalLM
    loaded = load_pretrained(auto, str(tmp_path), "it")
    assert all(torch.equal(w, loaded.state_dict()[key]) for key, w in model.state_dict().items())
    load_weights(loaded, model.state_dict(), "it")


def modes(folder: Path) -> set[str]:
    return {oct(file.stat().st_mode) for file in folder.iterdir()}


def new_file(folder: Path) -> Path:
    (folder / "new").mkdir()
    (folder / "new" / "file").write_text("")
    return folder / "new"


def test_saved_files_are_as_readable_as_any(student: Student, tmp_path: Path) -> None:
    save_student(student, tmp_path / "student")
    assert modes(tmp_path / "student") == modes(new_file(tmp_path))


def test_student_with_missing_weights_is_refused(student: Student, tmp_path: Path) -> None:
    save_student(student, tmp_path)
    names = of_layer(edited(tmp_path, drop_layer) and student.model.state_dict(), 1)
    with pytest.raises(StudentError, match=rf"^student: {tmp_path}: weights are missing: ") as said:
        load_student(tmp_path)
    assert f"{', '.join(names[:3])} and {len(names) - 3} others" in str(said.value)


def test_student_with_weights_too_many_is_refused(student: Student, tmp_path: Path) -> None:
    save_student(student, tmp_path)
    # As a folder whose configuration has fewer layers than its weights.
    edited(tmp_path, lambda weights: weights.update({"model.layers.7.mlp.w9": torch.ones(2)}))
    with pytest.raises(StudentError, match=r"weights have no place in it: model\.layers\.7\.mlp\."):
        load_student(tmp_path)


def test_masks_of_older_files_are_no_weights(tmp_path: Path) -> None:
    family("gpt2", 64).save_pretrained(tmp_path)
    masks = [f"transformer.h.0.attn.{name}" for name in ("bias", "masked_bias")]
    edited(tmp_path, lambda weights: weights.update({mask: torch.ones(2) for mask in masks}))
    load_pretrained(AutoModelForCausalLM, str(tmp_path), "it")
    edited(
        tmp_path, lambda weights: weights.update({"transformer.h.0.attn.c_attn.w": torch.ones(2)})
    )
    with pytest.raises(StudentError, match=r"no place in it: transformer\.h\.0\.attn\.c_attn\.w$"):
        load_pretrained(AutoModelForCausalLM, str(tmp_path), "it")


def test_of_tied_weights_one_is_enough(student: Student) -> None:
    weights = student.model.state_dict()
    head, embedding = "lm_head.weight", "model.embed_tokens.weight"
    assert weights[head].data_ptr() == weights[embedding].data_ptr()
    for name in (head, embedding):
        fewer = {key: tensor for key, tensor in weights.items() if key != name}
        load_weights(student.model, fewer, "it")
    neither = {key: w for key, w in weights.items() if key not in (head, embedding)}
    with pytest.raises(StudentError, match=rf"^it: weights are missing: {head}, {embedding}$"):
        load_weights(student.model, neither, "it")
    with pytest.raises(StudentError, match="^it: weights have no place in it: module.lm_head"):
        load_weights(student.model, {**weights, "module.lm_head": torch.ones(1)}, "it")


def test_verifier_lacks_only_what_writes(tmp_path: Path) -> None:
    model = family("llama", 300)
    assert not model.config.tie_word_embeddings
    model.save_pretrained(tmp_path / "lm")
    card = StudentCard("program", "x")
    tokenizer = make_scratch_student("scratch:tiny", ["1"], card=card, seed=0).tokenizer
    tokenizer.save_pretrained(tmp_path / "lm")
    made = make_value_model(tmp_path / "lm")
    folder = tmp_path / "verifier"
    save_value_model(Verifier(made.model, made.tokenizer, made.card), folder)
    assert modes(folder) == modes(new_file(tmp_path))
    load_value_model(folder)
    head = load_file(folder / HEAD_FILE)
    edited(folder, lambda weights: weights.update({"odd": torch.ones(1)}), HEAD_FILE)
    with pytest.raises(StudentError, match=r"^scorers.value: .*head\.safetensors: .*odd") as said:
        load_value_model(folder)
    assert "\n" not in str(said.value)
    save_file(head, folder / HEAD_FILE)
    edited(folder, lambda weights: weights.update({"lm_head.weight": torch.ones(1)}))
    with pytest.raises(StudentError, match="no place in it: lm_head.weight"):
        load_value_model(folder)
    edited(tmp_path / "lm", drop_layer)
    with pytest.raises(StudentError, match=r"^verifier: .*: weights are missing: layers\.1\."):
        make_value_model(tmp_path / "lm")
