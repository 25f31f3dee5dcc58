"""Reading the answer that a text states, and writing one down."""

from __future__ import annotations

import re
from collections.abc import Callable

_STATED = re.compile(
    r".*(?:answer is:?|####(?=\s*[-+$€£]*\d))\s*(\S.*?)\s*$", re.IGNORECASE | re.MULTILINE
)
# As models write mathematics: the braces may hold one more pair.
_BOXED = re.compile(r"\\boxed\s*\{((?:[^{}]|\{[^{}]*\})+)\}")
_LATEX = (
    (re.compile(r"\\[dt]?frac\s*\{([^{}]*)\}\s*\{([^{}]*)\}"), r"\1/\2"),
    (re.compile(r"\\(?:text|mathrm|textbf|mathbf)\s*\{([^{}]*)\}"), r"\1"),
    # Thin spaces, braces around the comma of thousands, and escaped signs.
    (re.compile(r"\\[,!; ]|[{}]"), ""),
    (re.compile(r"\\([$%#&_])"), r"\1"),
)
_NUMBER = re.compile(r"([-+]?)[$€£]?(\d[\d,]*(?:\.\d+)?)(?:/(\d+))?")


def number_text(value: float) -> str:
    """Return a number as gold answers have it: a whole one without a decimal point."""
    return str(int(value)) if value == int(value) else repr(value)


def answer_sentence(answer: str) -> str:
    """Return the sentence that states an answer: the last of a chain of thought."""
    return f"The answer is {answer.strip()}."


def stated_answer(text: str) -> float | str | None:
    """Return the answer after the last "answer is" or "####", or in the last LaTeX box.

    It is a number where one stands, else text. None where the text states no answer.
    """
    found = _readings(text)
    return found[0] if found else None


def judged_answer(
    text: str, answer: str, equal: Callable[[object, str], bool]
) -> tuple[float | str | None, bool]:
    """Return the stated answer and whether it is right by a task's own equality.

    Where a number stands inside a longer text both readings are tried: "room 5" may be the answer.
    """
    readings = _readings(text)
    right = next((reading for reading in readings if equal(reading, answer)), None)
    return (right, True) if right is not None else (readings[0] if readings else None, False)


def _readings(text: str) -> list[float | str]:
    """Return what the last statement of an answer can be read as, the number first."""
    stated = _last_statement(text)
    if stated is None:
        return []
    words = stated.strip("*$ ").rstrip(".").strip("* ")
    number = _NUMBER.search(stated)
    if number is None:
        return [words] if words else []
    value = float(number[1] + number[2].replace(",", ""))
    return [value / (float(number[3] or 1) or 1.0), words]


def _last_statement(text: str) -> str | None:
    said = [(found.start(1), found[1]) for found in _STATED.finditer(text)]
    boxed = [(found.start(1), _plain(found[1])) for found in _BOXED.finditer(text)]
    last = max(said[-1:] + boxed[-1:], default=None)
    return None if last is None else last[1]


def _plain(latex: str) -> str:
    for pattern, put in _LATEX:
        latex = pattern.sub(put, latex)
    return latex.strip()
