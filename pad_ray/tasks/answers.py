"""One grammar of answers: for gold ones, those that programs return, texts state and votes count.

What is read is in `numerals.py` (numbers) and `moments.py` (dates and times), and when two are one
in `readings.py`. Here: the answer that a text states, an answer written down, and which of many
answers are one.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from fractions import Fraction
from itertools import combinations
from typing import TypeAlias

from pad_ray.base.records import gold_answers
from pad_ray.sandbox import Value
from pad_ray.tasks.numerals import (
    Number,
    are_one,
    boxes,
    number_alone,
    numbers_in,
    plain_text,
    read_number,
)
from pad_ray.tasks.readings import Answer, equal, numbers_equal, read, read_words

__all__ = [
    "Check",
    "agreed",
    "answer_key",
    "answer_sentence",
    "equal",
    "gold_text",
    "judged_answer",
    "marked_number",
    "number_text",
    "numbers_equal",
    "plain_number",
    "stated_answer",
]

# A task's own check of a value against a gold answer.
Check: TypeAlias = Callable[[object, str], bool]

# A heading that says no more than "Final answer", a tag, and what stands within a line.
_STATES = re.compile(
    r"^[#*_ \t]*(?:the +)?(?:final +)?answer[*_]*[ \t\r]*$(?:\n[-=]{3,}[ \t\r]*$)?"
    r"|<(?:final_)?answer>|\banswer\b[*_]*\s*(?:is\b:?|[:=])|####",
    re.IGNORECASE | re.MULTILINE,
)
_CLOSING = re.compile(r"</\w+>|<\|")
# "Yes, because 3 > 2", but no "No. 5".
_TRUTH = re.compile(
    r"(yes|no)\b[*_]*(?:\s*[,;:\u2013\u2014]| +(?:because|since|as)\b)", re.IGNORECASE
)
_MARK = "####"
_WORDS = re.compile(r"[^\W\d_]{2}|[=:]")
_LONGEST_STATEMENT = 1000
_FEW_WORDS = 4
_MOST_MARKS = 64
_MOST_PLACES = 12
_LARGEST = 10**300
_CURRENCIES = frozenset({"", "dollar", "euro", "pound", "rupee", "yen"})
# The end of a sentence, but of no abbreviation or number.
_SENTENCE_END = re.compile(r"(?<=[^\W_][^\W_]|[\W\d][\d)\]*$%])[.!?]\s+(?=[^\d\s])")


def number_text(value: float | Fraction) -> str:
    """Return a number as gold answers have it: a whole one without a decimal point."""
    if value == int(value):
        return str(int(value))
    return _exact_text(value) if isinstance(value, Fraction) else repr(value)


def _exact_text(value: Fraction) -> str:
    """Return a fraction as a decimal number where it is a short one, else as `a/b`."""
    for places in range(1, _MOST_PLACES + 1):
        shifted = value * 10**places
        if shifted.denominator == 1:
            digits = str(abs(shifted.numerator)).zfill(places + 1)
            return f"{'-' if value < 0 else ''}{digits[:-places]}.{digits[-places:]}"
    return str(value)


def plain_number(text: str) -> str | None:
    """Return the number that a text is, such as "$1,250.50", in plain digits; None if it is none.

    Units are left out, and a percentage keeps its sign. What has no short decimals is `a/b`.
    """
    number = read_number(text)
    return None if number is None else _digits(number, text)


def gold_text(answer: str) -> str:
    """Return a gold answer: a number without words in plain digits, any other text as it is."""
    number = read_number(answer)
    if number is None or number.unit not in _CURRENCIES or _WORDS.search(plain_text(answer)):
        return answer.strip()
    return _digits(number, answer)


def marked_number(worked: str) -> str | None:
    """Return the plain number on the line of the last `####`; None without one, or of several."""
    line = next((line for line in worked.rpartition(_MARK)[2].splitlines() if line.strip()), "")
    number = read_number(line) or number_alone(line)
    return None if number is None else _digits(number, line)


def _digits(number: Number, spelled: str) -> str:
    if isinstance(number.value, float):
        return repr(number.value)
    value = number.value
    # Trailing zeros stay as they are written.
    written = re.search(r"\d*\.\d+", spelled.replace(",", ""))
    digits = written[0] if written and Fraction(written[0]) == abs(value) else None
    text = f"{'-' if value < 0 else ''}{digits}" if digits else number_text(value)
    return f"{text}%" if number.percent else text


def answer_sentence(answer: str) -> str:
    """Return the sentence that states a gold answer, of several the first: a text's last one."""
    return f"The answer is {gold_answers(answer)[0].strip()}."


def stated_answer(text: str) -> int | float | str | None:
    """Return the answer after the last "answer is" or "####", or in the last LaTeX box.

    It is a number where one stands, else text. None where the text states no answer.
    """
    return next(iter(_readings(text)), None)


def judged_answer(text: str, answer: str, equal: Check) -> tuple[int | float | str | None, bool]:
    """Return the stated answer and whether it is right by a task's own equality.

    Where a number stands inside a longer text both readings are tried: "room 5" may be the answer.
    """
    readings = _readings(text)
    right = next((reading for reading in readings if equal(reading, answer)), None)
    return (right, True) if right is not None else (readings[0] if readings else None, False)


def _readings(text: str) -> list[int | float | str]:
    """Return what the last statement of an answer can be read as, the likeliest first."""
    stated = _last_statement(text)
    return [] if stated is None else list(_readings_of(stated))


def _readings_of(stated: str) -> Iterator[int | float | str]:
    words = _words(stated)
    sentence = _words(_SENTENCE_END.split(words, maxsplit=1)[0])
    if truth := _TRUTH.match(sentence):
        yield truth[1]
    number = next(filter(None, map(read_number, (words, sentence))), None)
    if number is None and not _is_other(read(sentence)):
        numbers = numbers_in(sentence)
        if numbers and (numbers[0][0] == 0 or are_one([one for _, one in numbers])):
            number = numbers[0][1]
    if number is not None:
        yield _value_of(number)
    # A unit, or a number's place in a name, may be what is asked for.
    yield from (one for one in (sentence, words) if one)


def _is_other(answer: Answer) -> bool:
    """Tell a date, a time or a list, whose numbers are no answers."""
    if answer.items is not None:
        return all(item.number and not item.number.unit for item in answer.items)
    readings = (answer.moment, answer.hour, answer.span, answer.fields)
    return any(one is not None for one in readings)


def _words(text: str) -> str:
    text = plain_text(text) if "\\" in text else text
    return text.strip("*$ \t").rstrip(".").strip("*$ \t")


def _value_of(number: Number) -> int | float | str:
    """Return a number as a program would: a percentage, which is meant either way, as text."""
    if number.percent:
        return f"{number_text(number.value)}%"
    value = number.value
    if isinstance(value, Fraction):
        return float(value) if abs(value) < _LARGEST else str(value)
    return value


def _last_statement(text: str) -> str | None:
    marks = deque(_STATES.finditer(text), maxlen=_MOST_MARKS)
    said = next((mark for mark in reversed(marks) if _is_said(mark)), None)
    for start, inside, end in boxes(text)[-1:]:
        if said is None or start > said.end():
            return text[inside : min(end, inside + _LONGEST_STATEMENT)]
    return None if said is None else _stated_after(said)


def _stated_after(mark: re.Match[str]) -> str:
    after = mark.string[mark.end() : mark.end() + _LONGEST_STATEMENT]
    return _CLOSING.split(after.lstrip("*_ \t\r\n").partition("\n")[0], maxsplit=1)[0].rstrip()


def _is_said(mark: re.Match[str]) -> bool:
    """Tell a statement from a heading: after `####` there is a number, after "Answer:" little."""
    stated = _stated_after(mark)
    kind = mark[0].splitlines()[0].lower().rstrip("*_ \t")
    if not stated or kind.rstrip(":").endswith(("is", ">")):
        return bool(stated)
    if read_number(stated) is not None or any(not at for at, _ in numbers_in(stated)):
        return True
    # A text may begin below a heading.
    few = 1 if kind.endswith("answer") else _FEW_WORDS
    return kind != _MARK and len(stated.split()) <= few


def agreed(answers: Sequence[Value], same: Check | None = None) -> list[str]:
    """Return a label for each of some answers, equal for those that count as one.

    `same` is a task's own check of a value against a gold answer, the grammar's without one; what
    it takes for no answer at all, even against itself, is one with what is spelled alike. Answers
    are one as well where a third is one with both, so that it does not matter which comes first.
    """
    check = _guarded(same or equal)
    spelled = [_spelling(one, check) if same else answer_key(one) for one in answers]
    known: dict[str, dict[str, Value]] = {}
    for spelling, answer in zip(spelled, answers, strict=True):
        known.setdefault(spelling, {})[repr(answer)] = answer
    group = {spelling: spelling for spelling in known}
    for one, other in combinations(known, 2):
        if group[one] != group[other] and _any_same(known[one], other, known[other], one, check):
            merged, into = group[other], group[one]
            group = {name: into if root == merged else root for name, root in group.items()}
    counts = Counter(spelled)
    members: dict[str, list[str]] = {}
    for spelling, root in group.items():
        members.setdefault(root, []).append(spelling)
    # A group is called as most spell it.
    label = {
        root: min(names, key=lambda name: (-counts[name], len(name), name))
        for root, names in members.items()
    }
    return [label[group[spelling]] for spelling in spelled]


def _guarded(same: Check) -> Check:
    def check(value: object, gold: str) -> bool:
        try:
            return same(value, gold)
        except Exception:
            # A check that fails over a value is told when that value is judged.
            return False

    return check


def _any_same(
    ones: Mapping[str, Value], one: str, others: Mapping[str, Value], other: str, same: Check
) -> bool:
    return any(same(value, one) for value in ones.values()) or any(
        same(value, other) for value in others.values()
    )


def _spelling(answer: Value, same: Check) -> str:
    """Return an answer as its gold one would be written, if the task takes that for it."""
    if isinstance(answer, str):
        gold = answer
    elif isinstance(answer, float) and math.isfinite(answer):
        gold = number_text(answer)
    else:
        gold = str(answer) if isinstance(answer, bool | int) else answer_key(answer)
    return gold if same(answer, gold) else answer_key(answer)


def answer_key(value: Value) -> str:
    """Return how an answer is called where it is counted, for any value of the sandbox.

    Numbers have nine digits, whole ones all of theirs, and so have texts that are numbers; lists
    and dicts are JSON, in one order.
    """
    if isinstance(value, list):
        return f"[{', '.join(_as_json(one) for one in value)}]"
    if isinstance(value, dict):
        pairs = sorted((json.dumps(answer_key(k)), _as_json(v)) for k, v in value.items())
        return f"{{{', '.join(f'{key}: {one}' for key, one in pairs)}}}"
    if isinstance(value, str):
        number = read_number(value)
        plain = number is not None and not number.percent and number.unit in _CURRENCIES
        return answer_key(_value_of(number)) if plain and number else read_words(value)
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, float):
        # -0.0 is 0.
        return number_text(value) if value.is_integer() and abs(value) < 1e15 else f"{value:.9g}"
    return str(value)


def _as_json(value: Value) -> str:
    """Return a value's key as it stands inside another's: JSON, a text as it is."""
    return json.dumps(value.strip()) if isinstance(value, str) else answer_key(value)
