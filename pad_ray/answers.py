"""Reading the answer that a chain-of-thought text states."""

from __future__ import annotations

import re

_STATED = re.compile(r".*answer is:?\s*(\S.*?)\s*$", re.IGNORECASE | re.MULTILINE)
_NUMBER = re.compile(r"([-+]?)[$€£]?(\d[\d,]*(?:\.\d+)?)")


def stated_answer(text: str) -> float | str | None:
    """Return the answer after the last "answer is": a number where one stands there, else text.

    None where the text states no answer.
    """
    stated: list[str] = _STATED.findall(text)
    if not stated:
        return None
    number = _NUMBER.search(stated[-1])
    if number is None:
        return stated[-1].rstrip(".").strip()
    return float(number[1] + number[2].replace(",", ""))
