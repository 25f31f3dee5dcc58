"""The numbers of a question, in digits and in words, with what stands around them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

from pad_ray.tasks.quantities.arithmetic import NotArithmetic, number_value
from pad_ray.tasks.quantities.names import stems, words_of
from pad_ray.tasks.quantities.text import sentence_around, sentence_spans

NUMBER = re.compile(r"[0-9]{1,3}(?:,[0-9]{3})+(?:\.[0-9]+)?|[0-9]+(?:\.[0-9]+)?|\.[0-9]+")
_ONES = [
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"),
    *("eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen"),
    *("eighteen", "nineteen"),
]
_TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
_NUMBER_WORDS = {word: value for value, word in enumerate(_ONES)} | {
    word: 10 * value for value, word in enumerate(_TENS, start=2)
}
_SPELLED = re.compile(
    rf"\b(?:(?P<tens>{'|'.join(_TENS)})(?:[- ](?P<unit>{'|'.join(_ONES[1:10])}))?"
    rf"|(?P<ones>{'|'.join(_ONES)}))(?P<hundred>[- ]hundred)?\b(?!-?(?:third|fourth|fifth|sixth"
    r"|seventh|eighth|ninth|tenth|quarter|half|hal|hundred|thousand|million)s?)",
    re.I,
)
_TIMES = re.compile(r"[- ]*(?:times|fold)\b")


@dataclass(frozen=True)
class Mention:
    """A number of the question with the text before and after it in its sentence.

    `start` and `end` are its place in the question.
    """

    value: Fraction
    before: str
    after: str
    money: bool
    percent: bool
    start: int
    end: int


def question_mentions(question: str) -> list[Mention]:
    """The numbers of a question that are quantities: digits or words, no fractions, clock times,
    ordinals, multipliers ("3 times as many") or ones."""
    spans = sentence_spans(question)
    mentions: list[Mention] = []
    for start, end, value in sorted(numbers_in(question)):
        first, last = sentence_around(spans, start)
        before, after = question[first:start], question[end:last]
        multiplier = bool(_TIMES.match(after))
        glued = re.match(r"(?:st|nd|rd|th|:[0-9]|\s?[/-]\s?[0-9])", after)
        if (
            multiplier
            or glued
            or re.search(r"[0-9]\s?[:/-]\s?$|[A-Za-z]$", before)
            or value in (0, 1)
        ):
            continue
        percent = bool(re.match(r"\s?%|\s?percent\b", after))
        after = re.sub(r"^\s?(?:%|percent\b)", "", after) if percent else after
        money = bool(re.search(r"[$£€]\s?$", before)) or bool(
            re.match(r"\s(?:dollars|cents)", after)
        )
        mentions.append(Mention(value, before, after, money, percent, start, end))
    return mentions


def numbers_in(text: str) -> Iterator[tuple[int, int, Fraction]]:
    """Start, end and value of the numbers of a text, in digits and then in words."""
    for match in NUMBER.finditer(text):
        try:
            yield match.start(), match.end(), number_value(match.group())
        except NotArithmetic:
            continue
    for match in _SPELLED.finditer(text):
        value = sum(
            _NUMBER_WORDS[word.lower()] for word in match.group("tens", "unit", "ones") if word
        )
        hundred = 100 if match["hundred"] else 1
        yield match.start(), match.end(), Fraction(value * hundred)


def near_words(before: str, after: str) -> frozenset[str]:
    """Stems of up to three words before and four after a number, as far as the next number."""
    left = words_of(re.split(r"[0-9=.;:!?]", before)[-1])[-3:]
    right = words_of(re.split(r"[0-9=.;:!?]", after, maxsplit=1)[0])[:4]
    money = ["dollar"] if before.rstrip().endswith("$") else []
    percent = ["percent"] if after.lstrip().startswith("%") else []
    return stems([*left, *right, *money, *percent])
