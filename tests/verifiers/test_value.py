"""The learned verifier reads on from its cache as if it had read all anew."""

from __future__ import annotations

import copy
import json
import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small_students import llama_like

from pad_ray.base.errors import StudentError
from pad_ray.programs.statements import split_steps
from pad_ray.students.card import StudentCard
from pad_ray.students.models import make_scratch_student, save_student
from pad_ray.training.calibration import (
    auc,
    auc_within,
    calibration_error,
    measure_values,
    platt,
)
from pad_ray.verifiers.base import Candidate
from pad_ray.verifiers.value import (
    ValueScorer,
    Verifier,
    load_value_model,
    make_value_model,
    question_tokens,
    save_value_model,
    step_tokens,
)

PROGRAMS = [
    "def solution():\n    pens = 3\n    total = pens + 4\n    return total\n",
    "def solution():\n    cups = 12\n    return cups\n",
    "def solution():\n    a = 1\n    b = a * 2\n    c = b - a\n    for i in range(3):\n"
    "        c += i\n    return c\n",
]
QUESTIONS = ["Tom has 3 pens and 4 more. How many?", "How many cups?", "What is it?"]


def folder_of(kind: str, path: Path) -> Path:
    card = StudentCard("program", "test")
    student = make_scratch_student("scratch:tiny", PROGRAMS + QUESTIONS, card=card, seed=0)
    if kind == "llama":
        student = llama_like(student)
    save_student(student, path)
    return path


@pytest.fixture(scope="module", params=["llama", "lfm2"])
def verifier(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Verifier:
    made = make_value_model(folder_of(request.param, tmp_path_factory.mktemp("v") / "model"))
    torch.manual_seed(1)
    torch.nn.init.normal_(made.model.head.weight)
    made.model.eval()
    return made


def whole(verifier: Verifier, question: str, program: str) -> list[float]:
    """Return the value at each step's end from one pass over the whole text."""
    tokenizer = verifier.tokenizer
    ids = question_tokens(tokenizer, question)
    ends = []
    for step in step_tokens(tokenizer, program):
        ids = ids + step
        ends.append(len(ids) - 1)
    with torch.inference_mode():
        logits = verifier.model(input_ids=torch.tensor([ids]))[0]
    return torch.sigmoid(logits[ends]).tolist()


def test_steps_of_unlike_lengths_leave_few_empty_columns(verifier: Verifier) -> None:
    scorer = ValueScorer(verifier)
    short, long = "    a = 1\n", "    some_name = " + " + ".join(["1"] * 20) + "\n"
    texts, numbers = ["def solution():\n    x = 0\n"] * 2, [0, 1]
    scorer.score([Candidate(0, -1, n, QUESTIONS[0], "", (texts[n],)) for n in (0, 1)])
    for step in range(16):
        # In turns one is ahead of the other.
        steps = (long, short) if step % 2 else (short, long)
        new = [number + 2 for number in numbers]
        scores = scorer.score(
            [Candidate(0, numbers[n], new[n], QUESTIONS[0], texts[n], (steps[n],)) for n in (0, 1)]
        )
        texts, numbers = [texts[n] + steps[n] for n in (0, 1)], new
        rows = scorer._places[0][new[0]].rows
        fresh = max(len(ids) for text in steps for ids in step_tokens(verifier.tokenizer, text))
        assert rows.columns <= 1.25 * max(rows.lengths) + 48 + fresh
    for n in (0, 1):
        assert scores[n][-1] == pytest.approx(whole(verifier, QUESTIONS[0], texts[n])[-1], abs=1e-4)


@given(seed=st.integers(0, 10**6))
@settings(max_examples=15, deadline=None)
def test_searches_that_fork_join_and_end_get_the_values_of_a_whole_pass(
    verifier: Verifier, seed: int
) -> None:
    rng = random.Random(seed)
    scorer = ValueScorer(verifier)
    # search -> (question, steps of the program, steps read, number of its last candidate)
    live = {
        search: [QUESTIONS[search], split_steps(PROGRAMS[search]), 0, 1000 + search]
        for search in range(3)
    }
    numbers = iter(range(2000, 9000))
    while live:
        asking = rng.sample(sorted(live), rng.randint(1, len(live)))
        candidates, wanted = [], []
        for search in asking:
            question, steps, read, parent = live[search]
            before = "".join(steps[:read])
            take = rng.randint(1, 2)
            for _ in range(rng.randint(1, 3)):  # forks of one parent
                number = next(numbers)
                part = tuple(steps[read : read + take])
                candidates.append(Candidate(search, parent, number, question, before, part))
                wanted.append(whole(verifier, question, before + "".join(part))[read:])
            live[search] = [question, steps, read + take, number]
        scores = scorer.score(candidates)
        for got, expected in zip(scores, wanted, strict=True):
            assert got == pytest.approx(expected, abs=1e-5)
        for search in list(live):
            if live[search][2] >= len(live[search][1]):
                scorer.forget(search)
                del live[search]
    assert scorer._places == {}


def test_what_does_not_fit_keeps_the_value_of_what_did(verifier: Verifier) -> None:
    tokenizer, question = verifier.tokenizer, QUESTIONS[0]
    steps = split_steps(PROGRAMS[2])
    lengths = [len(ids) for ids in step_tokens(tokenizer, PROGRAMS[2])]
    asked = len(question_tokens(tokenizer, question))
    expected = whole(verifier, question, PROGRAMS[2])
    small = copy.deepcopy(verifier)
    for fit in range(len(steps) + 1):
        # A shorter step behind one that is too long must not be read alone.
        small.model.backbone.config.max_position_embeddings = asked + sum(lengths[:fit])
        wanted = [*expected[:fit], *[expected[fit - 1] if fit else 0.5] * (len(steps) - fit)]
        at_once = ValueScorer(small).score([Candidate(0, -1, 1, question, "", tuple(steps))])
        assert at_once[0] == pytest.approx(wanted, abs=1e-5)
        one_by_one, anew = ValueScorer(small), []
        for number, step in enumerate(steps):
            before = "".join(steps[:number])
            (told,) = one_by_one.score(
                [Candidate(0, number, number + 1, question, before, (step,))]
            )
            assert told == pytest.approx(wanted[number : number + 1], abs=1e-5)
            anew += ValueScorer(small).score([Candidate(0, -1, 1, question, before, (step,))])[0]
        assert anew == pytest.approx(wanted, abs=1e-5)
    small.model.backbone.config.max_position_embeddings = asked - 1
    (told,) = ValueScorer(small).score([Candidate(0, -1, 1, question, "", tuple(steps))])
    assert told == [0.5] * len(steps)


def test_a_saved_verifier_comes_back_the_same(verifier: Verifier, tmp_path: Path) -> None:
    card = replace(verifier.card, scale=2.0, shift=-0.5)
    save_value_model(Verifier(verifier.model, verifier.tokenizer, card), tmp_path / "out")
    loaded = load_value_model(tmp_path / "out")
    assert loaded.card == card
    assert whole(loaded, QUESTIONS[0], PROGRAMS[0]) == pytest.approx(
        whole(verifier, QUESTIONS[0], PROGRAMS[0]), abs=1e-6
    )
    candidate = Candidate(0, 1, 2, QUESTIONS[0], "", tuple(split_steps(PROGRAMS[0])))
    ((plain,), (calibrated,)) = (ValueScorer(v).score([candidate]) for v in (verifier, loaded))
    logits = np.log(np.array(plain) / (1 - np.array(plain)))
    assert calibrated == pytest.approx(list(1 / (1 + np.exp(-(2 * logits - 0.5)))), abs=1e-5)


@pytest.mark.parametrize("text", [None, "{", '{"nope": 1}'])
def test_a_folder_that_is_no_verifier_is_named(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "pad_ray_verifier.json").write_text(text)
    with pytest.raises(StudentError, match="scorers.value"):
        load_value_model(tmp_path)


def test_auc_counts_pairs_in_the_right_order() -> None:
    right = np.array([1, 0, 1, 0], dtype=bool)
    assert auc(np.array([4.0, 1.0, 3.0, 2.0]), right) == 1.0
    assert auc(np.array([1.0, 4.0, 2.0, 3.0]), right) == 0.0
    assert auc(np.array([1.0, 1.0, 1.0, 1.0]), right) == 0.5
    assert auc(np.array([3.0, 2.0, 1.0, 0.0]), right) == 0.75
    assert auc(np.array([1.0, 2.0]), np.array([True, True])) is None


@given(st.lists(st.tuples(st.integers(-5, 5), st.booleans()), min_size=2, max_size=40))
def test_auc_is_the_share_of_pairs(pairs: list[tuple[int, bool]]) -> None:
    scores = np.array([float(s) for s, _ in pairs])
    right = np.array([r for _, r in pairs])
    both = [(a > b) + 0.5 * (a == b) for a, x in pairs if x for b, y in pairs if not y]
    area = auc(scores, right)
    assert area is None if not both else area == pytest.approx(sum(both) / len(both))


def test_platt_scaling_mends_overconfidence() -> None:
    rng = np.random.default_rng(0)
    truth = rng.normal(0, 1.5, 4000)
    right = rng.random(4000) < 1 / (1 + np.exp(-truth))
    logits = 3 * truth + 1
    scale, shift = platt(logits, right.astype(float))
    assert (scale, shift) == pytest.approx((1 / 3, -1 / 3), abs=0.06)
    raw = calibration_error(1 / (1 + np.exp(-logits)), right)
    mended = calibration_error(1 / (1 + np.exp(-(scale * logits + shift))), right)
    assert mended < 0.03 < raw


def test_quality_is_measured_by_step_position() -> None:
    judged = [([0.0, 1.0], True), ([0.0, -1.0], False), ([2.0], True)]
    measured = measure_values(judged, 1.0, 0.0)
    assert measured["auc"] == 1.0
    assert [(row["step"], row["programs"]) for row in measured["by_step"]] == [(1, 3), (2, 2)]
    assert json.dumps(measured)


def test_a_verifier_saved_in_bf16_reads_in_bf16(verifier: Verifier, tmp_path: Path) -> None:
    model = copy.deepcopy(verifier.model).to(torch.bfloat16)
    save_value_model(Verifier(model, verifier.tokenizer, verifier.card), tmp_path / "out")
    loaded = load_value_model(tmp_path / "out")
    assert {p.dtype for p in loaded.model.parameters()} == {torch.bfloat16}
    candidate = Candidate(0, 1, 2, QUESTIONS[0], "", tuple(split_steps(PROGRAMS[0])))
    (half,), (full,) = (ValueScorer(v).score([candidate]) for v in (loaded, verifier))
    assert half == pytest.approx(full, abs=0.05)


def test_knowing_the_question_is_not_knowing_the_program() -> None:
    """A judge of questions alone has a good AUC over all, and none among a question's programs."""
    questions = ["easy"] * 4 + ["hard"] * 4 + ["solved"] * 2
    right = np.array([1, 1, 1, 0, 1, 0, 0, 0, 1, 1], dtype=float)
    of_question = np.array([2.0] * 4 + [-2.0] * 4 + [3.0] * 2)
    over_all = auc(of_question, right)
    assert over_all is not None and over_all > 0.7
    assert auc_within(of_question, right, questions) == {"auc": 0.5, "questions": 2}
    assert auc_within(right, right, questions) == {"auc": 1.0, "questions": 2}
    assert auc_within(right[8:], right[8:], questions[8:]) == {"auc": None, "questions": 0}
