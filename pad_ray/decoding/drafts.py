"""Guesses at the next tokens, from what was written before.

Programs of one student are much alike, so that what followed the same few tokens last time often
follows again. The student reads several guesses in one forward pass and keeps those that it would
have written (speculative decoding without a second model: prompt lookup, Saxena 2023; REST, arXiv
2311.08252; SuffixDecoding, arXiv 2411.04975): what is written stays the same, passes get fewer.
"""

from __future__ import annotations

from collections.abc import Sequence

# The longest context that has been seen decides.
_SIZES = (8, 4, 2)
LONGEST_CONTEXT = max(_SIZES)
_NONE = -1


class Drafts:
    """Remembers which token followed which contexts; `most` contexts, the newer half at least."""

    def __init__(self, most: int = 200_000) -> None:
        self._most = most
        self._new: dict[tuple[int, ...], int] = {}
        self._old: dict[tuple[int, ...], int] = {}

    def learn(self, before: Sequence[int], token: int) -> None:
        """Note that a token was written after a text's tokens."""
        for size in _SIZES:
            self._new[_context(before, size)] = token
        if len(self._new) > self._most // 2:
            self._old, self._new = self._new, {}

    def guess(self, before: Sequence[int], most: int) -> list[int]:
        """Return so many tokens at most that may come next."""
        text = list(before[-LONGEST_CONTEXT:])
        first = len(text)
        for _ in range(most):
            token = self._next(text)
            if token is None:
                break
            text.append(token)
        return text[first:]

    def _next(self, text: Sequence[int]) -> int | None:
        for size in _SIZES:
            context = _context(text, size)
            token = self._new.get(context)
            if token is None:
                token = self._old.get(context)
            if token is not None:
                return token
        return None


def _context(before: Sequence[int], size: int) -> tuple[int, ...]:
    """Return the last tokens; what is missing at a text's beginning is part of the context."""
    last = before[-size:]
    return (*(_NONE,) * (size - len(last)), *last)
