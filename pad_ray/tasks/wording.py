"""Questions by their words, by which the same one is known in another file or form."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable

__all__ = ["question_key", "words_key", "words_of"]

_WORD = re.compile(r"\w+")


def words_of(question: str) -> list[str]:
    """Return a question's words and numbers; case and punctuation do not count."""
    return _WORD.findall(question.casefold())


def words_key(words: Iterable[str]) -> bytes:
    """Return 8 bytes that are equal for equal words."""
    return hashlib.blake2b(" ".join(words).encode(), digest_size=8).digest()


def question_key(question: str) -> bytes:
    """Return 8 bytes that are equal for questions of the same words."""
    return words_key(words_of(question))
