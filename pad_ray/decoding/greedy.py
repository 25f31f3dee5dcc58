"""Greedy decoding: at every position the likeliest token."""

from __future__ import annotations

from collections.abc import Sequence

from pad_ray.students import Student, format_source, generate


def greedy(student: Student, questions: Sequence[str], *, max_new_tokens: int) -> list[str]:
    """Write one text a question, all questions in one batch."""
    sources = [format_source(question, student.card.format) for question in questions]
    return generate(student, sources, max_new_tokens=max_new_tokens)
