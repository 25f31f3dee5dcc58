"""A student's folder tells which questions it was trained on, and those of the one before it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pad_ray.base.errors import StudentError
from pad_ray.students.card import format_source, question_in
from pad_ray.students.trained_questions import (
    QUESTIONS_FILE,
    count_trained,
    save_trained_questions,
)


def test_questions_are_known_by_their_words(tmp_path: Path) -> None:
    trained = [f"What is {i} + {i}?" for i in range(300)]
    save_trained_questions(tmp_path / QUESTIONS_FILE, trained * 2, "scratch:tiny")
    assert (tmp_path / QUESTIONS_FILE).stat().st_size < 300 * 8 + 200
    asked = ["what  is 7 + 7", "What is 299 + 299?", "What is 300 + 300?", "What is 7?"]
    assert count_trained(str(tmp_path), asked) == 2
    assert count_trained(str(tmp_path), trained) == 300


def test_a_student_of_a_student_was_trained_on_both(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    save_trained_questions(first / QUESTIONS_FILE, ["one", "two"], "scratch:tiny")
    save_trained_questions(second / QUESTIONS_FILE, ["two", "three"], str(first))
    assert count_trained(str(second), ["one", "two", "three", "four"]) == 3
    assert count_trained(str(first), ["one", "two", "three", "four"]) == 2


@pytest.mark.parametrize("student", ["scratch:tiny", "owner/model", "folder"])
def test_a_student_that_does_not_tell_is_not_counted(tmp_path: Path, student: str) -> None:
    assert count_trained(str(tmp_path / student), ["one"]) is None


def test_a_broken_list_is_one_line(tmp_path: Path) -> None:
    (tmp_path / QUESTIONS_FILE).write_bytes(b"no numbers")
    with pytest.raises(StudentError, match=rf"{QUESTIONS_FILE}: cannot be read"):
        count_trained(str(tmp_path), ["one"])
    np.save(tmp_path / QUESTIONS_FILE, np.zeros(3))
    with pytest.raises(StudentError, match=rf"{QUESTIONS_FILE}: is no list of questions"):
        count_trained(str(tmp_path), ["one"])


def test_a_question_is_found_again_in_what_a_student_reads() -> None:
    for question in ("How many?", "Question: two\nProgram: none"):
        assert question_in(format_source(question, "program")) == question
