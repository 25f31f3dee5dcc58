"""Students: saved ones come back the same, and a batch never changes an answer."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pad_ray.base.errors import ConfigError, PadError, StudentError
from pad_ray.decoding.engine import Engine
from pad_ray.decoding.growth import Grow
from pad_ray.students.card import CARD_FILE, StudentCard, format_source, read_card
from pad_ray.students.models import (
    Student,
    load_student,
    make_scratch_student,
    save_student,
    tokenise_source,
    tokenise_target,
)
from pad_ray.students.sizes import SCRATCH_SIZES, scratch_size
from pad_ray.tasks import get_task

KINDS = ["scratch:tiny", "scratch:t5-tiny"]
QUESTIONS = [
    "How many?",
    "A very long question about seventeen crates of plums, each with 240 plums in it, of which "
    "some are eaten on the way to the market and others are given to the neighbours. How many?",
    "Tom has 3 pens and buys 14 more. How many pens has he?",
]


def texts() -> list[str]:
    generate_problems = get_task("arithmetic").generate
    assert generate_problems is not None
    problems = list(generate_problems(40, "train", 0, None))
    return [f"{problem.question}\n{problem.program}" for problem in problems]


@pytest.fixture(scope="module", params=KINDS)
def student(request: pytest.FixtureRequest) -> Student:
    """An untrained student of each kind, made lively: wider weights vary what it writes."""
    card = StudentCard("program", request.param)
    made = make_scratch_student(request.param, texts(), card=card, seed=3)
    torch.manual_seed(7)
    with torch.no_grad():
        for weight in made.model.parameters():
            weight.add_(torch.randn_like(weight) * 0.2)
    made.model.eval()
    return made


def sources() -> list[str]:
    return [format_source(question, "program") for question in QUESTIONS]


def test_a_tokenizer_without_an_end_is_refused_by_name(student: Student, tmp_path: Path) -> None:
    save_student(student, tmp_path)
    for name in ("tokenizer_config.json", "special_tokens_map.json"):
        if (file := tmp_path / name).exists():
            names = json.loads(file.read_text())
            file.write_text(json.dumps({k: v for k, v in names.items() if "_token" not in k}))
    with pytest.raises(StudentError, match=rf"student: {tmp_path}: .* no end-of-sequence token"):
        load_student(tmp_path)


def generate(student: Student, prompts: list[str], max_new_tokens: int) -> list[str]:
    """Return what the student writes greedily for each prompt."""
    engine = Engine(student)
    roots = engine.open(prompts)
    (growth,) = engine.arrange([Grow(tuple(roots), 1, True, 0.0, max_new_tokens)])
    while engine.at_work:
        engine.tick()
    return [engine.results(group)[0].text for group in growth.groups]


def test_saved_student_comes_back_the_same(student: Student, tmp_path: Path) -> None:
    save_student(student, tmp_path / "student")
    loaded = load_student(tmp_path / "student")
    assert loaded.card == student.card
    assert loaded.is_encoder_decoder == student.is_encoder_decoder
    for name, weight in student.model.state_dict().items():
        assert torch.equal(weight, loaded.model.state_dict()[name]), name
    written = [generate(each, sources(), max_new_tokens=12) for each in (student, loaded)]
    assert written[0] == written[1]
    assert not loaded.model.training


def test_same_text_alone_and_in_a_batch(student: Student) -> None:
    together = generate(student, sources(), max_new_tokens=24)
    alone = [generate(student, [source], max_new_tokens=24)[0] for source in sources()]
    assert together == alone
    assert len(set(alone)) == len(alone), "three equal texts would prove nothing"


def test_max_new_tokens_bounds_the_text(student: Student) -> None:
    for text in generate(student, sources(), max_new_tokens=3):
        # A byte that is no character alone is shown as one, which has three bytes itself.
        bytes_alone = text.count("\ufffd")
        read = student.tokenizer(text.replace("\ufffd", ""), add_special_tokens=False).input_ids
        assert bytes_alone + len(read) <= 6


@given(text=st.text(st.characters(exclude_categories=["Cs"]), max_size=60))
@settings(max_examples=60)
def test_any_text_survives_tokenising(student: Student, text: str) -> None:
    ids = tokenise_target(student.tokenizer, text)
    assert ids[-1] == student.tokenizer.eos_token_id
    assert student.tokenizer.decode(ids[:-1]) == text
    source = tokenise_source(student.tokenizer, text, student.is_encoder_decoder)
    assert student.tokenizer.decode(source) == text


@given(number=st.integers(0, 10**18))
@settings(max_examples=30)
def test_each_digit_is_a_token(student: Student, number: int) -> None:
    ids = student.tokenizer(str(number), add_special_tokens=False).input_ids
    assert len(ids) == len(str(number))


def next_logprobs(student: Student, source: str, before: list[int]) -> torch.Tensor:
    """Return log p of every next token, by a forward pass of its own."""
    given_ids = tokenise_source(student.tokenizer, source, student.is_encoder_decoder)
    with torch.inference_mode():
        if student.is_encoder_decoder:
            started = torch.tensor([[student.model.config.decoder_start_token_id, *before]])
            ids = torch.tensor([given_ids])
            output = student.model(input_ids=ids, decoder_input_ids=started)
        else:
            output = student.model(input_ids=torch.tensor([[*given_ids, *before]]))
    return torch.log_softmax(output.logits[0, -1], dim=-1)


def test_greedy_takes_the_likeliest_token(student: Student) -> None:
    source = sources()[0]
    ids: list[int] = []
    for _ in range(6):
        ids.append(int(next_logprobs(student, source, ids).argmax()))
    text = generate(student, [source], max_new_tokens=6)[0]
    assert text == student.tokenizer.decode(ids, skip_special_tokens=True)


def test_a_seed_gives_the_same_weights() -> None:
    card = StudentCard("program", "test")
    first, second, other = (
        make_scratch_student("scratch:tiny", texts(), card=card, seed=seed) for seed in (0, 0, 1)
    )
    pairs = zip(first.model.parameters(), second.model.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)
    assert not torch.equal(
        first.model.get_input_embeddings().weight, other.model.get_input_embeddings().weight
    )


def test_vocabulary_stays_within_its_size() -> None:
    card = StudentCard("program", "test")
    for size in ("tiny", "t5-tiny"):
        made = make_scratch_student(f"scratch:{size}", texts(), card=card, seed=0)
        assert 258 <= len(made.tokenizer) <= SCRATCH_SIZES[size].vocabulary


def test_formats_ask_for_different_things() -> None:
    program, cot = format_source(" Why? ", "program"), format_source("Why?", "cot")
    assert program != cot
    assert "Question: Why?\n" in program
    assert "Question: Why?\n" in cot


def test_unknown_size_names_those_there_are() -> None:
    with pytest.raises(
        ConfigError, match="scratch:huge.*tiny, mini, small, medium, t5-tiny, t5-small"
    ):
        scratch_size("scratch:huge")


@pytest.mark.parametrize(
    "source", ["scratch:tiny", "./gone", "gone/model", "gone.gguf", "{tmp}", "{tmp}/empty.gguf", ""]
)
def test_student_that_is_not_there_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty.gguf").write_text("")
    with pytest.raises(PadError, match="^student: ") as caught:
        load_student(source.format(tmp=tmp_path))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("broken", ["config.json", "model.safetensors", "tokenizer.json"])
def test_folder_with_a_broken_file_is_one_line(
    student: Student, tmp_path: Path, broken: str
) -> None:
    save_student(student, tmp_path)
    (tmp_path / broken).write_text("{")
    with pytest.raises(StudentError) as caught:
        load_student(tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["{", "[]", '{"format": "program"}', '{"colour": 1}'])
def test_malformed_card_is_one_line(tmp_path: Path, text: str) -> None:
    (tmp_path / CARD_FILE).write_text(text)
    with pytest.raises(StudentError, match=CARD_FILE):
        read_card(tmp_path, "somewhere")


def test_folder_without_a_card_is_asked_for_programs(tmp_path: Path) -> None:
    assert read_card(tmp_path, "org/model") == StudentCard("program", "org/model")
    (tmp_path / CARD_FILE).write_text(json.dumps({"format": "cot", "origin": "x"}))
    assert read_card(tmp_path, "org/model") == StudentCard("cot", "x")
