"""What each reason of a rejected row means, in words for reports and cards."""

from __future__ import annotations

import re

from pad_ray.flow.failures import FAILED

__all__ = ["CUT_SHORT", "REASONS", "REPEATED", "UNJUDGED", "is_cut", "reason_of", "remedy"]

REASONS = {
    "teacher_error": "the teacher gave no answer",
    "student_error": "the student could not be asked",
    "too_long": "the question is longer than the student can read",
    "judge_error": "the task's own rule could not judge the answer",
    "truncated": (
        "the text was cut short: its tokens, its time or the context ran out; a student writes on "
        "with a higher --max_new_tokens, an endpoint with a higher --endpoint.max_tokens"
    ),
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

# Of right programs that the problem has already.
REPEATED = frozenset({"duplicate", "near_duplicate"})
# Of rows whose program, if they have one, is not known to be wrong.
UNJUDGED = FAILED | {"truncated"}

_NAMED = frozenset({"truncated", "too_long", "student_error"})

_WHOLE_BLOCK = re.compile(r"^[ \t]*```\w*[ \t]*\n.+?\n[ \t]*```", re.DOTALL | re.MULTILINE)

CUT_SHORT = "truncated: its tokens, its time or the context ran out"

_LIMITS = {
    "endpoint": "--endpoint.max_tokens",
    "vllm": "--vllm.max_tokens",
    "student": "--student.max_new_tokens",
}


def remedy(teacher: str | None) -> str:
    """Return what to do about texts that were cut short."""
    flag = _LIMITS.get(teacher or "")
    return (
        f"{flag} higher, with --retry_errors true, asks for them again"
        if flag
        else "ask for them again with a higher limit of tokens"
    )


def is_cut(text: str, finish_reason: str | None) -> bool:
    """Tell whether a text was cut at its limit of tokens before it had a whole block of code.

    What a cut program returns is an accident, even if it is right.
    """
    if finish_reason != "length":
        return False
    answer = text.rpartition("</think>")[2]
    return "<think>" in answer or _WHOLE_BLOCK.search(answer) is None


def reason_of(error: str) -> str:
    """Return the reason of a row that has an error in place of a text to judge.

    An error may begin with its reason, as "too_long: 4409 tokens" does.
    """
    named = error.partition(":")[0]
    return named if named in _NAMED else "teacher_error"
