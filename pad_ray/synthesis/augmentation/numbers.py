"""Other numbers: those of the question that the program has as literals, changed in both."""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from fractions import Fraction

from pad_ray.synthesis.augmentation.literals import Literal, read_numbers, restyled
from pad_ray.synthesis.augmentation.rewritten import Rewritten
from pad_ray.synthesis.repairs.injections.source import read_source
from pad_ray.tasks.quantities.mentions import Mention, numbers_in, question_mentions
from pad_ray.tasks.quantities.names import stems, words_of
from pad_ray.teachers.rationale.links import MULTIPLIERS, UNITS

__all__ = ["other_numbers"]

_TRIES = 40
_LARGEST = 10**15
# What a number may be without being told: counts of hands, halves, percent.
_PLAIN = frozenset(map(Fraction, ("0", "1", "2", "100", "1000", "0.5", "0.25", "0.75")))
_CLOCK = re.compile(r"\s?(?:[ap]m\b|[ap]\.m|o['’]clock)", re.I)
_YEARS = range(1900, 2100)
# How many there can be of one unit in another one.
_CAPS = {
    re.compile(r"\s*(?:school|work|working)?\s*days?\s+(?:a|per|each|every|of the|in a)\s+week"): 7,
    re.compile(r"\s*hours?\s+(?:a|per|each|every|of the|in a)\s+(?:day|night)"): 24,
    re.compile(r"\s*months?\s+(?:a|per|each|every|in a)\s+year"): 12,
    re.compile(r"\s*weeks?\s+(?:a|per|each|every|in a)\s+year"): 52,
    re.compile(r"\s*(?:minutes?|seconds?)\s+(?:an?|per|each|every)\s+(?:hour|minute)"): 60,
}


def other_numbers(question: str, program: str, rng: random.Random) -> Rewritten | None:
    """Put other numbers of like size and kind in the place of some, in question and program alike.

    A number is changed where its value stands once in the question, in digits, and in the program
    as a literal and nowhere else but in remarks; all its literals change together. Whole numbers
    stay whole, decimals keep their places, percents stay in 1 to 99, and the numbers of a question
    keep their order by size. None where no number can be changed, or where the program holds one
    that neither the question nor a common unit explains: it may be reckoned from the others.
    """
    source = read_source(program)
    if source is None:
        return None
    numbers = read_numbers(source)
    mentions = question_mentions(question)
    stated = Counter(value for _, _, value in numbers_in(question))
    by_unit = _by_unit(question)
    if not all(_is_explained(one, mentions, stated, by_unit) for one in numbers.literals):
        return None
    shares = Counter(share for mention in mentions if (share := _share(mention)))
    written = Counter(one.value for one in numbers.literals)
    unclear = {
        *(value for value, count in (stated + shares).items() if count > 1),
        # One of several 2s is the quantity, another one a factor.
        *(value for value, count in written.items() if count > 1 and value in _PLAIN),
        *(numbers.fixed | by_unit),
    }
    linked = [
        mention
        for mention in mentions
        if _may_change(mention, question)
        and not unclear & {mention.value, _share(mention)}
        and (written[mention.value] or _share(mention) in written)
    ]
    changes = _draw(linked, mentions, question, frozenset(stated), rng)
    if changes is None:
        return None
    values = {old.value: new for old, new in changes.items()}
    values |= {share: new / 100 for old, new in changes.items() if (share := _share(old))}
    text = question
    for mention in sorted(changes, key=lambda one: -one.start):
        new = restyled(changes[mention], question[mention.start : mention.end])
        text = text[: mention.start] + new + text[mention.end :]
    changed = tuple(float(mention.value) for mention in changes)
    return Rewritten(text, numbers.written(values.get), changed)


def _share(mention: Mention) -> Fraction | None:
    """20 percent as 0.2, as which programs have it too."""
    return mention.value / 100 if mention.percent else None


def _may_change(mention: Mention, question: str) -> bool:
    text, value = question[mention.start : mention.end], mention.value
    if not text[-1].isdigit() or value in (0, 1) or value > _LARGEST:
        return False
    if mention.percent:
        return 1 <= value <= 99
    if value in _YEARS and len(text) == 4 and not mention.money:
        return False
    return not _CLOCK.match(mention.after)


def _by_unit(question: str) -> frozenset[Fraction]:
    """The numbers that two units, or a word such as `dozen`, in the question bring with them."""
    words = stems(words_of(question))
    units = {n for n, pairs in UNITS.items() if any(stems(p.split()) & words for p in pairs)}
    spelled = {n for n, forms in MULTIPLIERS.items() if stems(forms.split()) & words}
    return frozenset(map(Fraction, units | spelled))


def _is_explained(
    literal: Literal,
    mentions: Sequence[Mention],
    stated: Mapping[Fraction, int],
    by_unit: frozenset[Fraction],
) -> bool:
    value = literal.value
    if value in _PLAIN or value in by_unit or stated.get(value):
        return True
    return any(value == _share(mention) for mention in mentions)


def _draw(
    linked: Sequence[Mention],
    mentions: Sequence[Mention],
    question: str,
    stated: frozenset[Fraction],
    rng: random.Random,
) -> dict[Mention, Fraction] | None:
    """Draw which numbers change and what they become; None if that never comes out well."""
    for _ in range(_TRIES if linked else 0):
        chosen = rng.sample(linked, rng.randint(1, len(linked)))
        new = {one: _other(one, question[one.start : one.end], rng) for one in chosen}
        values = list(new.values())
        fresh = len(set(values)) == len(values) and not set(values) & (stated | {0, 1})
        if fresh and _in_order(mentions, new):
            return new
    return None


def _other(mention: Mention, text: str, rng: random.Random) -> Fraction:
    """Draw a number between a half and the double that is as round; it may be the same one."""
    unit = Fraction(1, 10 ** len(text.partition(".")[2]))
    count = int(mention.value / unit)
    step = _roundness(count)
    most = min([2 * mention.value, *_caps(mention)])
    low, high = -(-count // (2 * step)), int(most / unit) // step
    return max(low, rng.randint(low, max(low, high))) * step * unit


def _caps(mention: Mention) -> list[Fraction]:
    if mention.percent:
        return [Fraction(99)]
    return [Fraction(cap) for unit, cap in _CAPS.items() if unit.match(mention.after)]


def _roundness(count: int) -> int:
    """Return the step that keeps a number as round: of tens, of fives, even, or any."""
    step = 1
    while count % (10 * step) == 0:
        step *= 10
    if step > 1:
        return step if count >= 5 * step else step // 2
    return next((s for s in (5, 2) if count % s == 0 and count > s), 1)


def _in_order(mentions: Sequence[Mention], new: Mapping[Mention, Fraction]) -> bool:
    """Tell whether the numbers still compare as they did: nobody eats more than there was."""
    for percent in (False, True):
        alike = sorted((m for m in mentions if m.percent == percent), key=lambda m: m.value)
        values = [new.get(mention, mention.value) for mention in alike]
        if values != sorted(values):
            return False
    return True
