"""Python as it comes out of word processors and web pages: spaces, signs and quotes put right."""

from __future__ import annotations

import html
import re

__all__ = ["INVISIBLE", "MINUS_SIGNS", "SPACES", "mended_spellings", "without_texts"]

SPACES = "\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f"
SPACES += "\u205f\u3000"
# Zero-width characters and soft hyphens are no part of a word.
INVISIBLE = "\u200b\u200c\u200d\u2060\ufeff\u00ad"
MINUS_SIGNS = "\u2212\u2010\u2011\u2012\u2013\u2014\ufe63\uff0d"
_SIGNS = str.maketrans(
    {
        **dict.fromkeys(SPACES, " "),
        **dict.fromkeys(INVISIBLE, ""),
        **dict.fromkeys(MINUS_SIGNS, "-"),
        **dict.fromkeys("×⋅∙·✕✖∗＊", "*"),
        **dict.fromkeys("÷∕⁄／", "/"),
        **dict.fromkeys("‘’‚′＇", "'"),
        **dict.fromkeys("“”„″＂", '"'),
        **{"≤": "<=", "≥": ">=", "≠": "!=", "＝": "=", "＋": "+", "＜": "<", "＞": ">", "％": "%"},
        **{"（": "(", "）": ")", "［": "[", "］": "]", "｛": "{", "｝": "}"},
        **{"，": ",", "：": ":", "；": ";", "．": ".", "＃": "#"},
        **{"²": "**2", "³": "**3"},
    }
)
_KEPT = re.compile(
    r"'''[\s\S]*?'''|\"\"\"[\s\S]*?\"\"\"|'(?:\\.|[^'\\\n])*'|\"(?:\\.|[^\"\\\n])*\"|#[^\n]*"
)
_INDENT = re.compile(rf"^[ \t{SPACES}]+", re.MULTILINE)


def mended_spellings(text: str) -> list[str]:
    """Return spellings of text that is no Python, the most careful first.

    Texts in quotes and comments are left alone but in the last, where the quotes themselves may be
    what is wrong.
    """
    if text.isascii() and "\t" not in text and "&" not in text:
        return []
    indented = _INDENT.sub(lambda found: found[0].translate(_SIGNS).expandtabs(4), text)
    outside = _outside_quotes(indented)
    spellings = [indented, outside, indented.translate(_SIGNS)]
    if "\t" in text:
        spellings.append(_INDENT.sub(lambda found: found[0].translate(_SIGNS).expandtabs(8), text))
    if "&" in text:
        spellings.append(html.unescape(outside))
    return list(dict.fromkeys(spelling for spelling in spellings if spelling != text))


def without_texts(code: str) -> str:
    """Return code without the texts in quotes and the comments that end in it."""
    return _KEPT.sub("", code)


def _outside_quotes(text: str) -> str:
    parts: list[str] = []
    end = 0
    for kept in _KEPT.finditer(text):
        parts += [text[end : kept.start()].translate(_SIGNS), kept[0]]
        end = kept.end()
    return "".join([*parts, text[end:].translate(_SIGNS)])
