"""Numbers as data sets, programs and models write them: one grammar, by whole texts.

Read are signs (U+2212 and other dashes; accounting's parentheses), groups (1,000, 1,00,000, 1 000
with any space, 1'000, 1_000), currency and units at either end, percent, fractions (3/4, 3 3/4, ½,
LaTeX's), powers of ten (1e5, 1.5 × 10^5), "2 million", what an approximation or a label stands
before ("about 12", "x = 5") and, of a calculation, what its last equals sign leads to.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import TypeAlias

from pad_ray.programs.typography import INVISIBLE, MINUS_SIGNS, SPACES

__all__ = [
    "KEPT_TEXT",
    "RELATIVE",
    "Number",
    "Real",
    "are_one",
    "boxes",
    "close",
    "number_alone",
    "numbers_agree",
    "numbers_in",
    "plain_text",
    "read_number",
]

Real: TypeAlias = int | float | Fraction

RELATIVE = 1e-6
# Below it a float beside an exact zero is what rounding left of it.
_ZERO = 1e-9
# Floats count singly up to here.
_LAST_WHOLE = 2.0**53
# Python's own limit of an int that is read from digits.
_MOST_DIGITS = 4300
# Longer texts are read each time anew: what was read is kept in memory.
KEPT_TEXT = 300

_MONEY = (
    r"(?:(?:US|A|AU|C|CA|HK|NZ|S|R)?\$|[€£¥₹₩₽₺₫₪₱₦¢₴₡₵฿]"
    r"|(?:USD|EUR|GBP|INR|JPY|CNY|CAD|AUD|CHF)\b|Rs\b\.?)"
)
_INTEGER = (
    r"(?:\d{1,3}(?:,\d{3})+|\d{1,2}(?:,\d{2})+,\d{3}|\d{1,3}(?:[ ']\d{3})+(?!\d)|\d+(?:_\d+)*)"
)
_DECIMAL = rf"(?:{_INTEGER}(?:\.\d*)?|\.\d+)"
_RAISED = r"10\s*(?:\^|\*\*)\s*\(?\s*(?P<{}>[-+]?\s*\d+)\s*\)?"
_NUMBER = re.compile(
    rf"(?:(?P<sign>[-+])\s*)?(?:(?P<money>{_MONEY})\s*(?:(?P<inner>[-+])\s*)?)?"
    r"(?:(?P<whole>\d+)\s+(?:and\s+)?(?P<part>[1-9]\d*)\s*/\s*(?P<of>\d+)"
    rf"|(?P<top>{_DECIMAL})\s*/\s*(?P<bottom>[-+]?{_DECIMAL})"
    rf"|{_RAISED.format('power')}"
    rf"|(?P<decimal>{_DECIMAL})(?:[eE](?P<exponent>[-+]?\d+)|\s*[*xX]\s*{_RAISED.format('times')})?)"
    r"(?:\s*(?P<scale>hundred|thousand|million|billion|trillion)\b|(?P<letter>[kmb]n?)\b)?"
    r"(?P<percent>\s*(?:%|per\s?cent\b|pct\b\.?))?",
    re.I,
)
# Where a number stands in a text, apart from words, dates, ranges and calculations.
_INSIDE = re.compile(
    rf"(?<![\w/:.,^-])(?<!\d[- ])(?<![-+*/x] ){_NUMBER.pattern}(?!\d|[:.,]\d|\s?[-+*/^x:]\s?\d)",
    re.I,
)
_SCALES = {"hundred": 2, "thousand": 3, "million": 6, "billion": 9, "trillion": 12}
_LETTERS = {"k": 3, "m": 6, "mn": 6, "b": 9, "bn": 9}
_UNIT = re.compile(r"\s*-?\s*(?:[^\W\d_]|[°'\"/($€£¥₹¢])(?:[^\d=<>|]|\^-?\d|(?<=[^\W\d_])[23]\b)*")
_LONGEST_UNIT = 60
# "3 and a half" is no 3.
_MORE = re.compile(
    r"\b(?:and|or|to|plus|minus|point)\s+(?:an?|one|two|three|four|five|six|seven|eight|nine|ten|half)\b",
    re.I,
)
_ACCOUNTING = re.compile(rf"(?P<money>{_MONEY})?\s*\((?P<inside>[^()]*)\)(?P<after>[^()]*)")
_ABOUT = re.compile(
    r"\A(?:(?:about|approximately|approx\.?|around|roughly|exactly|only|just)\s+|[~≈]\s*"
    r"|[^\W\d_]+(?: [^\W\d_]+){0,3}\s*:\s*)+",
    re.I,
)
_EQUALS = re.compile(r"(?<![<>!=≤≥])[=≈](?!=)")
_UNITS = {
    **dict.fromkeys(("$", "us$", "usd", "bucks", "buck"), "dollar"),
    **dict.fromkeys(("€", "eur"), "euro"),
    **dict.fromkeys(("£", "gbp", "lb", "lbs"), "pound"),
    **dict.fromkeys(("₹", "inr", "rs"), "rupee"),
    **dict.fromkeys(("¥", "jpy"), "yen"),
    **dict.fromkeys(("¢", "c"), "cent"),
    **dict.fromkeys(("°", "deg"), "degree"),
    **dict.fromkeys(("'",), "feet"),
    **dict.fromkeys(('"',), "inche"),
    **dict.fromkeys(("st", "nd", "rd", "th"), ""),
}
_UNIT_WORD = re.compile(r"[^\W\d_]*\$|[^\W\d_]+|[€£¥₹¢°'\"/]|\^?-?\d")


@dataclass(frozen=True, slots=True)
class Number:
    """A number that is exact where it was read from a text, its percent sign, and its unit."""

    value: Real
    percent: bool = False
    unit: str = ""


def close(one: Real, other: Real) -> bool:
    """Tell whether two numbers are one: exactly where both are whole, else within 1e-6 relative."""
    if one == other:
        return True
    # Most numbers are plain ones, which take the short ways.
    if type(one) is int and type(other) is int:
        return False
    if type(one) is float and type(other) is float and one % 1 and other % 1:
        return math.isclose(one, other, rel_tol=RELATIVE)
    if _is_whole(one) and _is_whole(other):
        return False
    if isinstance(one, float) or isinstance(other, float):
        try:
            near = math.isclose(one, other, rel_tol=RELATIVE)
        except OverflowError:
            return False
        return near or _is_left_of_zero(one, other) or _is_left_of_zero(other, one)
    # Exact ones, which a float may be too small for.
    first, second = Fraction(one), Fraction(other)
    return abs(first - second) <= max(abs(first), abs(second)) / 10**6


def _is_whole(value: Real) -> bool:
    if isinstance(value, float):
        return value.is_integer() and -_LAST_WHOLE <= value <= _LAST_WHOLE
    return value.denominator == 1


def _is_left_of_zero(value: Real, zero: Real) -> bool:
    return zero == 0 and isinstance(value, float) and abs(value) <= _ZERO


def numbers_agree(one: Number, other: Number) -> bool:
    """Compare numbers: 40% is 40%, 40 and 0.4; of two units one may be the other's abbreviation."""
    if one.unit and other.unit and not _same_unit(one.unit, other.unit):
        return False
    if close(one.value, other.value):
        return True
    if one.percent is other.percent:
        return False
    share, number = (one, other) if one.percent else (other, one)
    return close(Fraction(share.value) / 100, number.value)


def _same_unit(one: str, other: str) -> bool:
    """Tell whether one unit is the other, or its first letter and some more of it in order."""
    short, long = sorted((one, other), key=len)
    letters = iter(long)
    return short[0] == long[0] and all(letter in letters for letter in short)


def read_number(text: str) -> Number | None:
    """Return the number that a text is, None where it is none or more than that."""
    return _kept_number(text) if len(text) <= KEPT_TEXT else _number_in_all(text)


def _number_in_all(text: str) -> Number | None:
    if len(text) > _MOST_DIGITS:
        return None
    if text.isascii() and text.isdigit():
        return Number(int(text))
    plain = _told(text)
    found = _NUMBER.match(plain)
    if found is not None:
        unit = plain[found.end() :]
        return _number_of(found, unit) if _is_unit(unit) else None
    found = _ACCOUNTING.fullmatch(plain)
    return None if found is None else _accounted(found)


def _told(text: str) -> str:
    """Return what a plain text says after labels and calculations."""
    return _ABOUT.sub("", _EQUALS.split(plain_text(text))[-1].strip())


_kept_number = lru_cache(1 << 14)(_number_in_all)


def _accounted(found: re.Match[str]) -> Number | None:
    inside = _NUMBER.fullmatch(found["inside"].strip())
    after = found["after"]
    percent = after.strip() == "%"
    if inside is None or not (percent or _is_unit(after)):
        return None
    number = _number_of(inside, "" if percent else after, found["money"] or "")
    if number is None:
        return None
    signed = inside["sign"] or inside["inner"]
    value = number.value if signed else -number.value
    return Number(value, number.percent or percent, number.unit)


def numbers_in(text: str) -> list[tuple[int, Number]]:
    """Return the numbers in a text with their places in it; after a calculation, of its end.

    Digits inside words, dates, times and ranges are no numbers.
    """
    return list(_numbers_told(_told(text[:_MOST_DIGITS])))


def number_alone(text: str) -> Number | None:
    """Return the one number in a text, however often it is said; None where other digits stand."""
    told = _told(text[:_MOST_DIGITS])
    numbers = [number for _, number in _numbers_told(told)]
    alone = are_one(numbers) and not any(map(str.isdigit, _INSIDE.sub("", told)))
    return numbers[0] if alone else None


def _numbers_told(told: str) -> Iterator[tuple[int, Number]]:
    for match in _INSIDE.finditer(told):
        number = _number_of(match, "")
        if number is not None:
            yield match.start(), number


def are_one(numbers: Sequence[Number]) -> bool:
    """Tell whether all of some numbers, of which there must be one, are of one value."""
    return len({number.value for number in numbers}) == 1


def _is_unit(text: str) -> bool:
    if not text.strip(" .!"):
        return True
    if len(text) > _LONGEST_UNIT or _MORE.search(text):
        return False
    return _UNIT.fullmatch(text) is not None


def _number_of(found: re.Match[str], unit: str, money: str = "") -> Number | None:
    value = _value_of(found)
    if value is None or (found["sign"] and found["inner"]):
        return None
    if found["letter"] and not found["money"]:
        # Without a currency "5k" and "5m" are lengths as well.
        unit = f"{found['letter']}{unit}"
    if "-" in (found["sign"], found["inner"]):
        value = -value
    exact: Real = value.numerator if value.denominator == 1 else value
    if (found["exponent"] or found["times"]) and abs(value) > _LAST_WHOLE:
        # What is written by a power of ten is as exact as its digits.
        exact = _nearest(value)
    name = _unit_name(f"{money}{found['money'] or ''} {unit}")
    return Number(exact, found["percent"] is not None, name)


def _nearest(value: Fraction) -> Real:
    try:
        return float(value)
    except OverflowError:
        return value.numerator


def _value_of(found: re.Match[str]) -> Fraction | None:
    if found["whole"]:
        below = int(found["of"])
        part = int(found["part"])
        # 10 500/3 is no mixed number.
        return int(found["whole"]) + Fraction(part, below) if part < below else None
    if found["top"]:
        divisor = _decimal(found["bottom"])
        return _decimal(found["top"]) / divisor if divisor else None
    exponent = int((found["exponent"] or found["times"] or found["power"] or "0").replace(" ", ""))
    exponent += _SCALES.get((found["scale"] or "").lower(), 0)
    if found["money"]:
        exponent += _LETTERS.get((found["letter"] or "").lower(), 0)
    digits = found["decimal"] or "1"
    if abs(exponent) + len(digits) > _MOST_DIGITS:
        return None
    return _decimal(digits) * Fraction(10) ** exponent


def _decimal(digits: str) -> Fraction:
    return Fraction(re.sub("[, '_]", "", digits))


def _unit_name(text: str) -> str:
    words = (word for word in _UNIT_WORD.findall(text.casefold().replace(" per ", "/")))
    names = (_UNITS.get(word, word.removesuffix("s") if len(word) > 2 else word) for word in words)
    return " ".join(name for name in names if name)


class _Signs(dict[int, str]):
    """What stands for a sign in ASCII; made when the sign is met."""

    def __missing__(self, code: int) -> str:
        sign = chr(code)
        kind = unicodedata.decomposition(sign).partition(" ")[0]
        if unicodedata.category(sign) == "Nd":
            put = str(unicodedata.digit(sign))
        elif kind == "<fraction>":
            put = " " + unicodedata.normalize("NFKC", sign).replace("\u2044", "/")
        elif kind == "<wide>":
            put = unicodedata.normalize("NFKC", sign)
        else:
            put = sign
        self[code] = put
        return put


_SIGNS = _Signs(
    str.maketrans(
        {
            **dict.fromkeys(SPACES, " "),
            **dict.fromkeys(INVISIBLE, ""),
            **dict.fromkeys(MINUS_SIGNS, "-"),
            **dict.fromkeys("×⋅∙·✕✖∗", "*"),
            **dict.fromkeys("÷∕⁄", "/"),
            **dict.fromkeys("‘’‚′`´", "'"),
            **dict.fromkeys("“”„″", '"'),
            **{"٬": ",", "٫": ".", "٪": "%", "\u2248": "≈"},
        }
    )
)
_SUPERSCRIPTS = re.compile("[⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻]+")
_SUPERSCRIPT = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻", "0123456789+-")
_OPERAND = r"\s*(?:\{{([^{{}}]*)\}}|(\d))"
_LATEX = (
    (re.compile(r"\\(?:left|right|displaystyle|[bB]ig[lr]?|limits)(?![a-zA-Z])"), ""),
    # Thin spaces, and braces around the comma of thousands.
    (re.compile(r"\\[!,:;]"), ""),
    (re.compile(r"\{([,.])\}"), r"\1"),
    (re.compile(r"\\(?:q?quad|space)(?![a-zA-Z])|\\ |~"), " "),
    (
        re.compile(
            r"\\(?:text(?:bf|rm|it|tt|normal)?|math(?:rm|bf|it|sf|tt)|mbox|operatorname|emph)\s*"
            r"\{([^{}]*)\}"
        ),
        r"\1",
    ),
    (re.compile(r"\^\s*\{?\s*\\circ\s*\}?|\\degree(?![a-zA-Z])"), "°"),
    (re.compile(r"\\(?:times|cdot)(?![a-zA-Z])"), "*"),
    (re.compile(r"\\approx(?![a-zA-Z])"), "≈"),
    (re.compile(rf"\\[dtc]?frac{_OPERAND.format()}{_OPERAND.format()}"), r" \1\2/\3\4 "),
    (re.compile(r"\\([$%#&_])"), r"\1"),
    (re.compile(r"\\[()\[\]{}]|[{}]"), ""),
)
_MATHS = re.compile(r"(\$\$?)((?:\\.|[^$\\])+)\1")
_MARKED = re.compile(r"(\*\*|__|[*_'\"])(?P<inside>.+)\1", re.DOTALL)


def plain_text(text: str) -> str:
    """Return a text with the signs of word processors and LaTeX in ASCII, and no markup around."""
    if not text.isascii():
        text = _SUPERSCRIPTS.sub(lambda found: "^" + found[0].translate(_SUPERSCRIPT), text)
        text = text.translate(_SIGNS)
    text = text.replace("`", "'").strip()
    if "$" in text:
        text = _MATHS.sub(r"\2", text)
    if "\\" in text or "{" in text:
        text = _without_latex(text)
    return _without_marks(text)


def _without_latex(text: str) -> str:
    first, last = 0, len(text)
    for start, inside, end in boxes(text):
        if not text[first:start].strip("\\([ $") and not text[end + 1 : last].strip("\\)] $."):
            first, last = inside, end
    text = text[first:last]
    for pattern, put in _LATEX:
        text = pattern.sub(put, text)
    return text.strip()


def _without_marks(text: str) -> str:
    bare = text.rstrip(".").rstrip()
    while (found := _MARKED.fullmatch(bare)) is not None:
        bare = found["inside"].strip().rstrip(".").rstrip()
    return bare


_BRACE = re.compile(r"\\(?:boxed|fbox)\s*\{|\\.|[{}]", re.DOTALL)


def boxes(text: str) -> list[tuple[int, int, int]]:
    r"""Return where each `\boxed{...}` of a text starts, and from where to where it holds what."""
    found, opened = [], []
    for brace in _BRACE.finditer(text) if "boxed" in text or "fbox" in text else ():
        if brace[0].endswith("{") and brace[0] != r"\{":
            opened.append(brace)
        elif brace[0] == "}" and opened:
            opening = opened.pop()
            if len(opening[0]) > 1:
                found.append((opening.start(), opening.end(), brace.start()))
    return sorted(found)
