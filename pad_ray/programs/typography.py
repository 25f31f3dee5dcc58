"""Python as it comes out of word processors and web pages: spaces, signs and quotes put right."""

from __future__ import annotations

import html
import re

__all__ = ["mended_spellings", "without_texts"]

_SPACES = "\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f"
_SPACES += "\u205f\u3000"
_SIGNS = str.maketrans(
    {
        **dict.fromkeys(_SPACES, " "),
        # Zero-width characters and soft hyphens are no part of a word.
        **dict.fromkeys("\u200b\u200c\u200d\u2060\ufeff\u00ad", ""),
        **dict.fromkeys("\u2212\u2010\u2011\u2012\u2013\u2014\ufe63\uff0d", "-"),
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
_INDENT = re.compile(rf"^[ \t{_SPACES}]+", re.MULTILINE)


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
