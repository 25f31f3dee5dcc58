"""Reading a GSM8K rationale as text: the calculator marks, sentences, and tokens.

What follows `####`, the dataset's final answer, is cut off here and reaches nothing behind.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

MAX_TOKENS = 80  # keeps recursion and the written line short on hostile input
_MARK = re.compile(r"<<([^<>\n]*)>>")
_TOKEN = re.compile(
    r"(?P<number>[0-9]{1,3}(?:[, ][0-9]{3})+(?![0-9])(?:\.[0-9]+)?|[0-9]+(?:\.[0-9]+)?|\.[0-9]+)"
    r"|(?P<equals>=|\bequals\b)|(?P<spoken>\b(?:divided|multiplied) by\b)"
    r"|(?P<word>[A-Za-z]+(?:['’][A-Za-z]+)?)"
    r"|(?P<operator>\*\*|//|[-+*/^×÷·−–—⁄])"
    r"|(?P<open>[(\[{])|(?P<close>[)\]}])|(?P<percent>%)"
    r"|(?P<stop>[^\s$£€'\"“”\\_])"
)
_MIXED = re.compile(r"(?<=[0-9] )and [0-9]+/[0-9]")
_OPERATORS = {"^": "**", "×": "*", "·": "*", "÷": "/", "⁄": "/", "−": "-", "–": "-", "—": "-"}
_OPERATORS |= {"divided by": "/", "multiplied by": "*"}
_SPOKEN = {"times": "*", "plus": "+", "minus": "-", "x": "*", "X": "*"}
_SENTENCE_END = re.compile(r"\n+|(?<=[.?!])(?<!Mr\.)(?<!Ms\.)(?<!Mrs\.)(?<!Dr\.)\s+")


class Token(NamedTuple):
    """`kind`: number, word, operator, open, close, percent, equals or stop (punctuation)."""

    kind: str
    text: str
    start: int
    end: int


class Mark(NamedTuple):
    """A calculator mark's inside, and its place in the plain text."""

    inside: str
    place: int


def read_marks(rationale: str) -> tuple[str, list[Mark]]:
    """The rationale before its #### line without its marks, and the marks."""
    body = rationale.partition("####")[0].strip()
    marks: list[Mark] = []
    removed = 0
    for match in _MARK.finditer(body):
        marks.append(Mark(match.group(1), match.start() - removed))
        removed += len(match.group())
    return _MARK.sub("", body), marks


def tokenize(text: str, offset: int = 0) -> list[Token]:
    """Words, numbers, operators and punctuation; currency signs and quotes are left out.

    "x" between two operands, "times", "plus", "divided by" and so on are operators.
    """
    tokens: list[Token] = []
    for match in _TOKEN.finditer(text):
        kind, word = match.lastgroup or "stop", match.group()
        kind = "operator" if kind == "spoken" else kind
        start, end = match.start() + offset, match.end() + offset
        if word == "and" and _MIXED.match(text, match.start()):
            continue
        tokens.append(Token(kind, _OPERATORS.get(word, word), start, end))
    return [_spoken(tokens, index) for index in range(len(tokens))]


def _spoken(tokens: Sequence[Token], index: int) -> Token:
    token = tokens[index]
    operator = _SPOKEN.get(token.text)
    if token.kind != "word" or operator is None or not 0 < index < len(tokens) - 1:
        return token
    before, after = tokens[index - 1], tokens[index + 1]
    if after.kind not in ("number", "open"):
        return token
    operand_before = before.kind in ("number", "close", "percent", "word")
    glued_letter = token.text in "xX" and (before.end == token.start) != (token.end == after.start)
    if not operand_before or glued_letter:
        return token
    return token._replace(kind="operator", text=operator)


def sentence_spans(text: str) -> list[tuple[int, int]]:
    """Where the sentences (lines end them too) of a text lie."""
    spans: list[tuple[int, int]] = []
    start = 0
    for match in _SENTENCE_END.finditer(text):
        spans.append((start, match.start()))
        start = match.end()
    return [*spans, (start, len(text))]


def sentence_around(spans: Sequence[tuple[int, int]], at: int) -> tuple[int, int]:
    """The span that holds a position."""
    return next((span for span in reversed(spans) if span[0] <= at), spans[0])
