"""The text that each token adds, so that a program can be read while it is written."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

_SAMPLE = "def solution():\n    pens = [1, 2]\n    return pens[0]\n"


class Reading(NamedTuple):
    """How many tokens have been read as whole characters, and had been before the last of them."""

    before: int = 0
    read: int = 0


class Pieces:
    """Tells what the last of some tokens adds to what a tokenizer decodes.

    A byte-level tokenizer's tokens say that by themselves. SentencePiece's do not: its space stands
    before words, and the first of a text goes away; what several bytes make comes with the last of
    them. (As text-generation-inference streams texts: what was read last is decoded again with it.)
    """

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self._known: dict[int, str] = {}
        ids = tokenizer(_SAMPLE, add_special_tokens=False).input_ids
        alone = "".join(self._decoded([token]) for token in ids)
        self._by_token = alone == self._decoded(ids)

    def begin(self, ids: Sequence[int]) -> Reading:
        """Return the reading of tokens that end with a whole character."""
        return Reading(max(0, len(ids) - 1), len(ids))

    def each(self, ids: Sequence[int]) -> Iterator[str]:
        """Yield what each token adds."""
        reading = Reading()
        for count in range(1, len(ids) + 1):
            piece, reading = self.added((), ids[:count], reading)
            yield piece

    def added(
        self, ids: Sequence[int], more: Sequence[int], reading: Reading
    ) -> tuple[str, Reading]:
        """Return what the last token of `ids` and `more` together adds, and the reading then."""
        if self._by_token:
            token = more[-1]
            piece = self._known.get(token)
            if piece is None:
                piece = self._known[token] = self._decoded([token])
            return piece, reading
        first = min(reading.before, len(ids))
        fresh = [*ids[first:], *more[max(0, reading.before - len(ids)) :]]
        old = self._decoded(fresh[: reading.read - reading.before])
        new = self._decoded(fresh)
        # What is not yet a character is decoded as a mark.
        if new.endswith("\ufffd") or len(new) <= len(old):
            return "", reading
        return new[len(old) :], Reading(reading.read, len(ids) + len(more))

    def _decoded(self, ids: Sequence[int]) -> str:
        return str(self._tokenizer.decode(list(ids), skip_special_tokens=True))
