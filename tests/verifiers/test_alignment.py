"""PaD's ψ against its formula, and with a real sentence model."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from package_models import minilm
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import StaticEmbedding

from pad_ray.base.errors import StudentError
from pad_ray.students.card import StudentCard
from pad_ray.students.models import make_scratch_student
from pad_ray.verifiers.alignment import AlignmentScorer, sentences
from pad_ray.verifiers.base import Candidate
from pad_ray.verifiers.settings import ScorerSettings

QUESTION = "Tom has 3 pens. He buys 5 more pens! How many pens has Tom in all?"
CPU = torch.device("cpu")


def candidate(*steps: str) -> Candidate:
    return Candidate(0, -1, 0, QUESTION, "", steps)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sentence-transformers folder of random word vectors."""
    torch.manual_seed(0)
    card = StudentCard("program", "test")
    student = make_scratch_student("scratch:tiny", [QUESTION, "pens = 3"], card=card, seed=0)
    embedding = StaticEmbedding(student.tokenizer.backend_tokenizer, embedding_dim=16)
    path = tmp_path_factory.mktemp("sentences") / "model"
    SentenceTransformer(modules=[embedding]).save(str(path))
    return path


def test_questions_are_cut_into_sentences() -> None:
    assert sentences(QUESTION) == QUESTION.replace(". ", ".|").replace("! ", "!|").split("|")
    assert sentences("3.5 kg at 2.50 each\nHow much?") == ["3.5 kg at 2.50 each", "How much?"]
    assert sentences("...") == ["..."]


def test_alignment_is_the_best_sentences_shifted_cosine(folder: Path) -> None:
    model = SentenceTransformer(str(folder), device="cpu")
    steps = ["    pens = 3\n", "    total = pens + 5\n"]
    (scores,) = AlignmentScorer(str(folder), CPU).score([candidate(*steps)])
    asked = model.encode(sentences(QUESTION), convert_to_tensor=True)
    for step, score in zip(steps, scores, strict=True):
        vector = model.encode([step.strip()], convert_to_tensor=True)
        cosines = torch.nn.functional.cosine_similarity(vector, asked)
        assert score == pytest.approx((1 + float(cosines.max())) / 2, abs=1e-5)
        assert 0 <= score <= 1


def test_each_text_is_embedded_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scorer = AlignmentScorer(str(folder), CPU)
    asked: list[str] = []
    encode = scorer._model.encode
    monkeypatch.setattr(
        scorer._model, "encode", lambda texts, **more: asked.extend(texts) or encode(texts, **more)
    )
    first = scorer.score([candidate("a = 1\n"), candidate("a = 1\n", "b = 2\n")])
    assert sorted(asked) == sorted([*sentences(QUESTION), "a = 1", "b = 2"])
    scorer.forget(0)
    assert scorer.score([candidate("b = 2\n"), candidate("a = 1\n")]) == [[first[1][1]], first[0]]
    assert len(asked) == 5


def test_a_model_that_is_not_there_is_named() -> None:
    with pytest.raises(StudentError, match="scorers.alignment: cannot load './gone'"):
        AlignmentScorer("./gone", CPU)


@pytest.mark.slow
def test_a_real_sentence_model_prefers_steps_of_the_question(tmp_path: Path) -> None:
    scorer = AlignmentScorer(str(minilm(tmp_path)), CPU)
    (scores,) = scorer.score([candidate("pens = 3", "more_pens = 5", "import os", "q = 17")])
    assert min(scores[:2]) > max(scores[2:]) + 0.1


def test_a_folder_is_found_from_any_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "matcher").mkdir()
    monkeypatch.chdir(tmp_path)
    given = ScorerSettings(alignment="matcher", value=Path("verifier"))
    found = given.located()
    assert (found.alignment, found.value) == (str(tmp_path / "matcher"), tmp_path / "verifier")
    hub = ScorerSettings(alignment="facebook/roscoe-512-roberta-base")
    assert hub.located() == hub
