"""Whether the answer to a problem with other numbers makes as much sense as the old one did."""

from __future__ import annotations

import ast
import json
import math
from collections.abc import Sequence

from pad_ray.programs.canonical import parse_program
from pad_ray.tasks.answers import number_text
from pad_ray.tasks.base import is_number
from pad_ray.verifiers.execution import Prefix

__all__ = ["answer_text", "fault_of_answer", "is_ambiguous", "steps_lost_sense", "traced"]

_DECIMALS = 9
_ABSURD = 10**15


def answer_text(value: object) -> str:
    """Return a program's value as the gold answer of its problem."""
    if isinstance(value, str):
        return value
    if is_number(value) and abs(value) <= _ABSURD:
        return number_text(round(value, _DECIMALS))
    return json.dumps(value, ensure_ascii=False)


def fault_of_answer(old: object, new: object) -> str | None:
    """Return why a value cannot be the answer of a problem made from one with another, or None.

    `not_positive`: zero or less where it was more; `other_kind`: a fraction where it was whole,
    more than two decimals where it had no more, or a value of another type; `same_answer`.
    """
    if is_number(old) and is_number(new):
        if old > 0 and not new > 0:
            return "not_positive"
        # Too large to count anything, infinite, or no number at all.
        if not max(abs(old), abs(new)) <= _ABSURD or _decimals(new) > _decimals(old):
            return "other_kind"
        return "same_answer" if math.isclose(old, new) else None
    if type(old) is not type(new):
        return "other_kind"
    return "same_answer" if old == new else None


def is_ambiguous(changed: Sequence[float], steps: object) -> bool:
    """Tell whether one of the numbers is the value of several variables of the program.

    Where two quantities happened to be equal a program may take either, and its answer was right
    all the same. `steps` is a list of the variables' values, as a `traced` program returns it.
    """
    values = [v for v in steps if is_number(v)] if isinstance(steps, list) else []
    return any(sum(value == number for value in values) > 1 for number in changed)


def steps_lost_sense(old: object, new: object) -> bool:
    """Tell whether a variable of the program became a fraction, zero or negative and was none.

    Both are lists of the variables' values, as `traced` programs return them.
    """
    if not isinstance(old, list) or not isinstance(new, list) or len(old) != len(new):
        return False
    return any(
        fault_of_answer(before, after) in ("not_positive", "other_kind")
        for before, after in zip(old, new, strict=True)
        if is_number(before)
    )


def traced(program: str) -> str | None:
    """Return a program of the values that `solution` assigns on its way, or None."""
    tree = parse_program(program)
    last = tree.body[-1] if tree is not None and tree.body else None
    if not isinstance(last, ast.FunctionDef) or not isinstance(last.body[-1], ast.Return):
        return None
    return Prefix("\n".join(program.split("\n")[: last.body[-1].lineno - 1])).runnable


def _decimals(value: float) -> int:
    """Return the class of a number: whole, of at most two decimals, or of more."""
    near: Sequence[int] = [
        places for places in (0, 2) if math.isclose(round(value, places), value, abs_tol=1e-12)
    ]
    return near[0] if near else _DECIMALS
