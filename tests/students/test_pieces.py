"""What tokens add is what the whole decodes to, whatever becomes of spaces and bytes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_students import llama_like
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from pad_ray.decoding.growth import Grow, Line
from pad_ray.decoding.hypothesis import Hypothesis
from pad_ray.decoding.spelling import Speller
from pad_ray.programs.statements import Scan, split_steps
from pad_ray.students.card import StudentCard
from pad_ray.students.models import Student, make_scratch_student
from pad_ray.students.pieces import Pieces

PROGRAM = """import math
def solution():
    # All of them, in a list.
    pens = [3,  # first
            4]
    text = 'naïve – 5 %'
    total = math.prod(pens)
    return total
"""


def sentencepiece(prepend: str) -> PreTrainedTokenizerFast:
    """Return a tokenizer as Llama 2 and Mistral have them: metaspaces, and bytes where need be."""
    tokenizer = Tokenizer(models.BPE(byte_fallback=True, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme=prepend, split=False)
    tokenizer.decoder = decoders.Sequence(
        [
            decoders.Replace("\u2581", " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            *([decoders.Strip(" ", 1, 0)] if prepend == "always" else []),
        ]
    )
    bytes_ = [f"<0x{byte:02X}>" for byte in range(256)]
    special = ["<unk>", "<s>", "</s>", *bytes_]
    ascii_ = [chr(code) for code in range(32, 127)]
    trainer = trainers.BpeTrainer(vocab_size=500, special_tokens=special, initial_alphabet=ascii_)
    tokenizer.train_from_iterator([PROGRAM.replace("\n", " ")] * 4, trainer)
    # Bytes are tokens of the model and of texts, not special ones.
    made = Tokenizer.from_str(_with_plain_bytes(tokenizer.to_str()))
    names = {"eos_token": "</s>", "bos_token": "<s>", "unk_token": "<unk>", "pad_token": "</s>"}
    return PreTrainedTokenizerFast(tokenizer_object=made, **names)


def _with_plain_bytes(text: str) -> str:
    saved = json.loads(text)
    saved["added_tokens"] = [t for t in saved["added_tokens"] if not t["content"].startswith("<0x")]
    return json.dumps(saved)


def byte_level() -> Any:
    card = StudentCard("program", "test")
    return make_scratch_student("scratch:tiny", [PROGRAM], card=card, seed=0).tokenizer


TOKENIZERS = {
    "bytes": byte_level(),
    "prepended": sentencepiece("always"),
    "not prepended": sentencepiece("never"),
}


def joined(tokenizer: Any, text: str) -> str:
    return "".join(Pieces(tokenizer).each(tokenizer(text, add_special_tokens=False).input_ids))


def test_a_space_that_goes_away_is_noticed() -> None:
    assert {name: Pieces(t)._by_token for name, t in TOKENIZERS.items()} == {
        "bytes": True,
        "prepended": False,
        "not prepended": True,
    }


ANY = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\ufffd\u2581"))


@settings(max_examples=150)
@given(text=ANY)
def test_pieces_joined_are_the_text(text: str) -> None:
    tokenizer = TOKENIZERS["prepended"]
    ids = tokenizer(text, add_special_tokens=False).input_ids
    assert joined(tokenizer, text) == tokenizer.decode(ids, skip_special_tokens=True)


@pytest.mark.parametrize("name", TOKENIZERS)
@given(text=st.text(st.characters(max_codepoint=126, min_codepoint=10)))
def test_pieces_of_plain_text_are_the_text(name: str, text: str) -> None:
    tokenizer = TOKENIZERS[name]
    ids = tokenizer(text, add_special_tokens=False).input_ids
    assert joined(tokenizer, text) == tokenizer.decode(ids, skip_special_tokens=True)


@pytest.mark.parametrize("name", TOKENIZERS)
def test_a_program_comes_cut_into_its_steps(name: str) -> None:
    tokenizer = TOKENIZERS[name]
    card = StudentCard("program", "test")
    made = make_scratch_student("scratch:tiny", [PROGRAM], card=card, seed=0)
    student = llama_like(Student(made.model, tokenizer, card))
    speller, line = Speller(student), Line(0, 0, Scan())
    grow = Grow((), 1, True, 0.0, 500)
    ids = tokenizer(PROGRAM, add_special_tokens=False).input_ids
    for token in ids:
        assert not line.done
        speller.add(grow, Hypothesis(), line, token, -0.5)
    assert line.finished and not line.truncated
    written = speller.hypothesis(Hypothesis(), line)
    assert written.text == PROGRAM
    assert [step.code for step in written.steps] == split_steps(PROGRAM)
    assert sum(step.tokens for step in written.steps) == len(ids)


@pytest.mark.parametrize("name", TOKENIZERS)
def test_a_program_may_be_written_on_from_any_step(name: str) -> None:
    tokenizer = TOKENIZERS[name]
    card = StudentCard("program", "test")
    made = make_scratch_student("scratch:tiny", [PROGRAM], card=card, seed=0)
    speller = Speller(llama_like(Student(made.model, tokenizer, card)))
    grow = Grow((), 1, False, 0.0, 500)
    start, line = Hypothesis(), Line(0, 0, Scan())
    codes = []
    for token in tokenizer(PROGRAM, add_special_tokens=False).input_ids:
        speller.add(grow, start, line, token, -0.5)
        if line.done:
            start = speller.hypothesis(start, line)
            codes.append(start.steps[-1].code)
            line = Line(0, 0, start.scan)
    assert start.finished
    assert codes == split_steps(PROGRAM)
