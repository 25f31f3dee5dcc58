"""What each reason of a rejected row means, in words for reports and cards."""

from __future__ import annotations

__all__ = ["REASONS"]

REASONS = {
    "teacher_error": "the teacher gave no answer",
    "no_program": "the text holds no program",
    "no_answer": "the text states no answer",
    "error": "the program raised an exception, or its result is no plain value",
    "timeout": "the program ran over the time limit",
    "memory": "the program ran over the memory limit",
    "forbidden": "the program did something that the sandbox does not allow",
    "crashed": "the program ended without a result",
    "invalid": "the text is no Python, or defines no solution()",
    "wrong_answer": "the program ran, but its result is not the gold answer",
    "duplicate": "right, but the problem has the same program already",
    "near_duplicate": "right, but the problem has a program that differs in no calculation",
}
