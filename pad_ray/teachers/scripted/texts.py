"""Chains of thought of the scripted teacher: a gold program told in words, with faults.

Every fault of a program has a counterpart at the same rate. A wrong operator is told as it stands;
a wrong number becomes a slip of the arithmetic, which half of the time the later steps do not
follow, so that the answer is right all the same; an undefined name becomes a misread quantity; a
syntax error a text that is cut off, an endless loop one that repeats itself; a forbidden call, like
no code, a text without a calculation.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import Final

from pad_ray.tasks.answers import answer_sentence
from pad_ray.teachers.scripted.edits import change_number, change_operator
from pad_ray.teachers.scripted.telling import Slip, style_of, tell

__all__ = ["write_text"]

_EDITS: Final[Mapping[str, Callable[[str, random.Random], str]]] = {
    "wrong_operator": change_operator,
    "undefined_name": change_number,
}
_CARRIED_SHARE = 0.5
_REPEATS = 12
_OPENINGS = (
    "Let's work through the problem step by step.",
    "First look at what is given and what is asked for.",
)
_CLOSINGS = ("I hope this helps!", "Each line follows one sentence of the question.")
_REFUSALS = (
    "I am not sure how to solve this.",
    "The answer follows directly from the question.",
    "First add up what is given, then compare it with what is asked for.",
)


def write_text(program: str, fault: str | None, varied: bool, rng: random.Random) -> str:
    """Return the program's steps in words and its answer, with at most one fault.

    Raises `NotTold` for a program that there are no words for.
    """
    if fault in ("no_code", "forbidden_call"):
        return rng.choice(_REFUSALS)
    if fault is not None and fault in _EDITS:
        program = _EDITS[fault](program, rng)
    style = style_of(rng) if varied else 0
    steps = tell(program, random.Random(0)).steps
    slip = None
    if fault == "wrong_number" and steps:
        slip = Slip(rng.randrange(steps), rng.random() < _CARRIED_SHARE)
    telling = tell(program, rng, style, slip)
    lines = list(telling.lines)
    if fault == "endless_loop":
        return "\n".join([*lines, *([lines[-1]] * _REPEATS if lines else [])])
    if fault == "syntax_error":
        text = "\n".join(lines)
        return text[: rng.randint(len(text) // 4, max(1, len(text) - 1))]
    if telling.answer is not None:
        lines.append(answer_sentence(telling.answer))
    if fault == "prose":
        lines = [rng.choice(_OPENINGS), *lines, rng.choice(_CLOSINGS)]
    return "\n".join(lines)
