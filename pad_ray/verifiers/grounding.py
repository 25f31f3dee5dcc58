"""Whether a program's numbers and names are the question's: one that was copied wrongly shows.

No model is asked: what small students err in most, a wrong digit, a garbled name or a forgotten
quantity, can be read off the two texts.
"""

from __future__ import annotations

import calendar
import io
import re
import tokenize
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

from pad_ray.tasks.quantities.mentions import numbers_in
from pad_ray.verifiers.base import Candidate

# On GSM8K a small model's programs without such a fault were right five times as often as those
# with one; on generated stories none with one was.
UNSTATED = 0.2
UNUSED = 0.2

_FREE = frozenset(Fraction(number) for number in (0, 1, 2, 100))
# What a word lets a program write that the question does not state in figures.
_KNOWN: dict[str, tuple[int | Fraction, ...]] = {
    "half|halves": (Fraction(1, 2),),
    "third|triple|thrice|yard|foot|feet": (3,),
    "quarter|fourth": (4, Fraction(1, 4), 25),
    "fifth": (5, Fraction(1, 5)),
    "sixth": (6,),
    "eighth": (8,),
    "tenth|decade|dime": (10, Fraction(1, 10)),
    "nickel": (5,),
    "dozen|inch|inche|foot|feet": (12,),
    "week|weekly|weekday": (7, 5, 4, 52),
    "weekend": (2,),
    "day|daily": (7, 24, 30, 31, 365),
    "month|monthly": (12, 30, 4),
    "year|yearly|annual|annually": (12, 52, 365),
    "hour|hourly|minute|second": (60, 24, 3600),
    "pound|ounce": (16,),
    "gallon|quart|pint": (4, 8, 16),
    "meter|metre|gram|liter|litre|kilo\\w+|km|kg|ton|tonne": (1000, 10),
    "mile": (5280,),
    "angle|degree|circle|triangle": (90, 180, 360),
}
_KNOWN_WORDS = [
    (re.compile(rf"\b(?:{words})s?\b", re.I), frozenset(Fraction(value) for value in values))
    for words, values in _KNOWN.items()
] + [
    (re.compile(rf"\b{month}\b"), frozenset({Fraction(number)}))
    for number, month in enumerate(calendar.month_name)
    if month
]
_RATIO = re.compile(r"([0-9]{1,9})\s?/\s?([0-9]{1,9})")
_LABEL = re.compile(r"(?:st|nd|rd|th)\b|\s?[:/]\s?[0-9]", re.I)
_LABELLED = re.compile(r"[0-9]\s?[:/]\s?\Z")
_AFTER = re.compile(r"\s?(%|percent\b|cents?\b|thousand\b|million\b|billion\b)", re.I)
_LARGE = {"thousand": 10**3, "million": 10**6, "billion": 10**9}
_WORD = re.compile(r"[^\W\d_][^\W_]*")
_NAME = re.compile(r"(?<!%)\b[^\W\d_a-z][^\W_]*")
_QUOTED = re.compile(r"[\"“]([^\"“”]+)[\"”]")
_STARTS = (tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT)
_WRITTEN = re.compile(r"[0-9][0-9_]*\.?[0-9_]*|\.[0-9][0-9_]*")
_LONGEST_NUMBER = 30


class GroundingScorer:
    """1 for a step of numbers and names that the question states, `UNSTATED` for each other one.

    Names are the words with a capital in a program's texts, but for docstrings. What is stated is
    stated as often as the question says it; 20% may be written 20, 0.2, 0.8 or 1.2, and what the
    question's words imply (60 of hours, 12 of a dozen), 0, 1, 2 and 100 may always be. Of a
    finished program the last step is also charged `UNUSED` for each number of the question that it
    never writes, and for each quoted word, if it writes others.
    """

    def score(self, candidates: Sequence[Candidate]) -> list[list[float]]:
        """Return each step's score, from 0 to 1."""
        return [_score(candidate) for candidate in candidates]

    def forget(self, search: int) -> None:
        """Do nothing: what is kept serves whoever asks next."""


# A number, or a word in small letters.
Item = Fraction | str


@dataclass(frozen=True)
class _Stated:
    """A number or word of a question in the forms that a program may write."""

    forms: frozenset[Item]
    wanted: bool
    quoted: bool = False


def _score(candidate: Candidate) -> list[float]:
    stated, known = _stated(candidate.question)
    left = list(stated)
    for item in _written(candidate.before):
        _take(left, item)
    scores = []
    for step in candidate.steps:
        score = 1.0
        for item in _written(step):
            if not _take(left, item) and item not in known:
                score *= UNSTATED
        scores.append(score)
    if candidate.finished:
        scores[-1] *= UNUSED ** _unused(stated, left)
    return scores


def _take(left: list[_Stated], item: Item) -> bool:
    """Take an item from those that are left to write; return whether it was among them."""
    for place, one in enumerate(left):
        if item in one.forms:
            del left[place]
            return True
    return False


def _unused(stated: Sequence[_Stated], left: Sequence[_Stated]) -> int:
    quoted = sum(one.quoted for one in left)
    if quoted == sum(one.quoted for one in stated):
        quoted = 0
    return quoted + sum(one.wanted for one in left)


@lru_cache(maxsize=1024)
def _stated(question: str) -> tuple[tuple[_Stated, ...], frozenset[Item]]:
    """Return what a question states, and the numbers that may be written anyway."""
    numbers, known = _numbers_stated(question)
    quotes = [match.span(1) for match in _QUOTED.finditer(question)]
    words = [
        _Stated(
            frozenset({match.group().casefold()}),
            wanted=False,
            quoted=any(start <= match.start() < end for start, end in quotes),
        )
        for match in _WORD.finditer(question)
    ]
    return (*numbers, *words), frozenset(known)


def _numbers_stated(question: str) -> tuple[list[_Stated], set[Fraction]]:
    known = set(_FREE)
    for words, values in _KNOWN_WORDS:
        if words.search(question):
            known |= values
    parts = set()
    for match in _RATIO.finditer(question):
        parts |= {match.start(1), match.start(2)}
        if int(match[2]):
            known.add(Fraction(int(match[1]), int(match[2])))
    stated = []
    for start, end, value in sorted(numbers_in(question)):
        after = _AFTER.match(question, end)
        forms = frozenset[Item]({value, *_other_forms(value, after[1].lower() if after else "")})
        before = question[max(0, start - 3) : start]
        label = start in parts or _LABEL.match(question, end) or _LABELLED.search(before)
        stated.append(_Stated(forms, not label and value not in _FREE))
    return stated, known


def _other_forms(value: Fraction, after: str) -> tuple[Fraction, ...]:
    if after in ("%", "percent"):
        return value / 100, 1 - value / 100, 1 + value / 100, 100 - value, 100 + value
    if after in ("cent", "cents"):
        return (value / 100,)
    return (value * _LARGE[after],) if after in _LARGE else ()


@lru_cache(maxsize=1 << 14)
def _written(code: str) -> tuple[Item, ...]:
    return tuple(_items(code))


def _items(code: str) -> Iterator[Item]:
    """Yield the numbers, but no exponents, and the names in a piece of code that can be read."""
    last, starts = "", True
    try:
        for token in tokenize.generate_tokens(io.StringIO(code).readline):
            text = token.string
            if token.type == tokenize.NUMBER and last != "**" and len(text) <= _LONGEST_NUMBER:
                match = _WRITTEN.fullmatch(text)
                if match is not None:
                    yield Fraction(text.replace("_", ""))
            elif token.type == tokenize.STRING and not starts:
                quote = min(at for mark in "'\"" if (at := text.find(mark)) >= 0)
                yield from (name.casefold() for name in _NAME.findall(text[quote:]))
            last, starts = text, token.type in _STARTS or (starts and not text.strip())
    except (tokenize.TokenError, SyntaxError):
        return
