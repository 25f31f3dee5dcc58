"""The parts of what a model wrote: reasoning that is no answer, fenced code, and prose."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass

from pad_ray.programs.canonical import parse_program
from pad_ray.programs.typography import without_texts

__all__ = ["Part", "answer_text", "is_python", "parts_of", "repl_code", "turn_text", "unnumbered"]

# (what opens, what closes) a reasoning draft: DeepSeek, Qwen and most others, Magistral, Kimi,
# Seed, OpenThoughts, Cohere, and gpt-oss, whose channels end in a message of another.
_DRAFTS = (
    *(
        (rf"<\s*{tag}(?:\s[^<>]*)?>", rf"<\s*/\s*{tag}\s*>")
        for tag in (
            *("think", "thinking", "thought", "thoughts", "reasoning", "reflection", "scratchpad"),
            *("analysis", "seed:think", "longcat_think", "ant_?thinking", "inner_monologue"),
        )
    ),
    (r"\[THINK\]", r"\[/THINK\]"),
    (r"◁think▷", r"◁/think▷"),
    (r"<\|begin_of_thought\|>", r"<\|end_of_thought\|>"),
    (r"<\|START_THINKING\|>", r"<\|END_THINKING\|>"),
    (r"<\|inner_prefix\|>", r"<\|inner_suffix\|>"),
    (
        r"(?:<\|start\|>assistant)?<\|channel\|>(?:analysis|commentary)[^<]*<\|message\|>",
        r"<\|end\|>|<\|call\|>|(?=<\|start\|>)|(?=<\|channel\|>final)",
    ),
)
_DRAFT = [(re.compile(a, re.IGNORECASE), re.compile(b, re.IGNORECASE)) for a, b in _DRAFTS]
_TAG_SIGNS = ("<", "[THINK]", "[/THINK]", "◁")
_FINAL = re.compile(r"\[BEGIN FINAL RESPONSE\]|<\|begin_of_solution\|>|<\|START_RESPONSE\|>")
# Where a model's turn ends: what follows is another's.
_END = re.compile(
    r"<\|(?:im_end|eot_id|end_of_text|endoftext|end_of_turn|eom_id|return|user|end_of_solution"
    r"|END_RESPONSE)\|>|</s>|<end_of_turn>|<\uff5cend\u2581of\u2581sentence\uff5c>|\[/?INST\]"
    r"|\[END FINAL RESPONSE\]"
)
# What stands around code and is no part of it.
_MARKS = re.compile(
    r"<\|python_(?:tag|start|end)\|>|<!\[CDATA\[|\]\]>(?=\s*</)"
    r"|</?(?:code|python|answer|solution|response|program|output|execute|result"
    r"|final|final_answer|tool_code)>|<(?:code|pre)(?:\s+[\w-]+=[\"'][^\"'<>\n]*[\"'])+>|\[/?PYTHON\]|<\|(?:im_start|assistant|message|start|channel)"
    r"\|>(?:assistant|final)?|</?(?:tool_call|function_call|(?:execute|run)_\w+|ipython|py)>"
    r"|<\|start_header_id\|>\w*<\|end_header_id\|>",
    re.IGNORECASE,
)
_QUOTES = "\"'`"

_FENCE = re.compile(
    r"^(?P<lead>[ \t]*(?:(?:[-*+]|\d+[.)])[ \t]+|>[ \t]?)?)(?P<mark>`{3,}|~{3,})"
    r"[ \t]*(?P<info>[^`\n]*?)[ \t]*$"
)
_INFO = re.compile(r"\{?[ \t]*\.?(?P<language>[\w+#.-]*)\}?(?P<rest>.*)")
_CODE = re.compile(
    r"(?:def|class|import|from|for|if|while|with|print|@|#|\w+[ \t]*=)\b|@|#|\w+[ \t]*="
)
_PYTHON = frozenset(
    {
        "",
        "python",
        "python3",
        "python2",
        "py",
        "py3",
        "ipython",
        "ipython3",
        "pycon",
        "pyi",
        "repl",
        "tool_code",
        "code",
        "sage",
        "program",
        "starlark",
    }
)
_PROMPT = re.compile(r"^[ \t]*(?:>>>|\.\.\.|In \[\d*\]:|\.{3,}:)(?: |$)", re.MULTILINE)
_NUMBERED = re.compile(r"[ \t]*(\d{1,4})(?:[ \t]*[.:|)]|[ \t]|$)(.*)")
_FAILED = re.compile(r"[ \t]*(?:Traceback \(most recent call last\)|\w*(?:Error|Exception)\b)")
_REPL = re.compile(r"^[ \t]*(?:>>> |In \[\d*\]: )", re.MULTILINE)


@dataclass(frozen=True)
class Part:
    """A fenced block, dedented, with its language in lower case, or a stretch of text outside."""

    text: str
    fenced: bool = False
    language: str = ""


def answer_text(text: str) -> str:
    """Return what is left without reasoning drafts, closed, cut off, or opened in the prompt.

    A tag inside quotes is a mention of one. What follows the end of the model's turn is left out.
    """
    if any(sign in text for sign in _TAG_SIGNS):
        for opening, closing in _DRAFT:
            text = _without_drafts(text, opening, closing)
    final = _real(_FINAL, text)
    if final:
        text = text[final[-1].end() :]
    return text


def turn_text(text: str) -> str:
    """Return the answer up to the end of its turn, without the marks around code."""
    ends = _real(_END, text)
    if ends:
        start = next((end for end in ends if text[: end.start()].strip()), None)
        text = text[: start.start()] if start else text[ends[-1].end() :]
    parts: list[str] = []
    last = 0
    for mark in _real(_MARKS, text):
        # Code keeps its column.
        above = text[last : mark.start()]
        column = above[above.rfind("\n") + 1 :]
        parts += [above, "\n", "" if column.strip() else column]
        last = mark.end()
    return "".join([*parts, text[last:]])


def _real(pattern: re.Pattern[str], text: str) -> list[re.Match[str]]:
    """Return the tags that are none of a text in quotes."""
    return [
        found
        for found in pattern.finditer(text)
        if (
            text[found.start() - 1 : found.start()] not in tuple(_QUOTES)
            and text[found.end() : found.end() + 1] not in tuple(_QUOTES)
        )
        or text[found.end() : found.end() + 3] == "```"
    ]


def _without_drafts(text: str, opening: re.Pattern[str], closing: re.Pattern[str]) -> str:
    tags = sorted(
        [
            *((found, True) for found in _real(opening, text)),
            *((found, False) for found in _real(closing, text)),
        ],
        key=lambda tag: (tag[0].start(), tag[1]),
    )
    kept: list[str] = []
    start: int | None = 0
    closes = max((found.start() for found, opens in tags if not opens), default=-1)
    for found, opens in tags:
        above = text[text.rfind("\n", 0, found.start()) + 1 : found.start()].rstrip()
        if opens and found.start() > closes and above and above[-1] not in ">]▷":
            # In the middle of a line, and never closed: it is only mentioned.
            continue
        if opens and start is not None:
            kept.append(text[start : found.start()])
            start = None
        elif not opens and found[0]:
            # Closed without being opened: it was opened in the prompt.
            kept = kept if start is None else []
            start = found.end()
        elif not opens and start is None:
            start = found.end()
    return "\n".join([*kept, "" if start is None else text[start:]])


def parts_of(text: str) -> list[Part]:
    """Cut a text at its fences, as Markdown has them and as models get them wrong.

    A fence inside a text in triple quotes is none. One that is not closed ends where the next
    opens, or with the text; one at the end of a line of code closes it.
    """
    parts: list[Part] = []
    lines = text.split("\n")
    outside: list[str] = []
    at = 0
    while at < len(lines):
        found = _FENCE.match(lines[at])
        if found is not None and _in_triple_quotes(outside, lines, at):
            outside.append(lines[at])
            at += 1
            continue
        if found is None:
            code = _before_fence(lines[at])
            if code is not None:
                outside.append(code)
                parts.append(Part("\n".join(outside)))
                outside = []
            else:
                outside.append(lines[at])
            at += 1
            continue
        language, first = _opened_by(found)
        end, after, last = _closing(lines, at + 1, found, first)
        parts.append(Part("\n".join(outside)))
        outside = []
        body = [*first, *lines[at + 1 : end], *last]
        if end == after and not language and not first:
            # Nothing closes it and nothing opens it: it ends what stands above it.
            outside = body
        else:
            parts.append(Part(_dedented(body, found["lead"]), True, language))
        at = after
    parts.append(Part("\n".join(outside)))
    return [part for part in parts if part.text.strip()]


def _in_triple_quotes(above: list[str], lines: list[str], at: int) -> bool:
    """Tell whether a fence stands inside a text of the code above it, which ends below."""
    code = "\n".join(above)
    return any(
        code.count(quotes) % 2 and any(quotes in line for line in lines[at:])
        for quotes in ('"""', "'''")
    )


def _opened_by(fence: re.Match[str]) -> tuple[str, list[str]]:
    """Return the language of a fence, and the code that stands on its own line."""
    found = _INFO.match(fence["info"])
    assert found is not None
    language, rest = found["language"].lower(), found["rest"].strip()
    if language in _PYTHON and rest and _CODE.match(rest):
        return language or "python", [rest]
    return language, []


def _closing(
    lines: list[str], start: int, fence: re.Match[str], first: list[str]
) -> tuple[int, int, list[str]]:
    """Return where a block's lines end, where to go on, and code on the closing line itself."""
    mark = fence["mark"]
    waiting: tuple[int, int, list[str]] | None = None
    for at in range(start, len(lines)):
        found = _FENCE.match(lines[at])
        ending = None if found or mark[0] != "`" else _before_fence(lines[at])
        if found is None and ending is None:
            continue
        if found is not None and (found["mark"][0] != mark[0] or len(found["mark"]) < len(mark)):
            continue
        last = [] if ending is None else [ending]
        info = "" if found is None else found["info"]
        reopened = bool(info) and len(info.split()) == 1
        end = (at, at if reopened else at + 1, last)
        code = "\n".join([*first, *lines[start:at], *last])
        if any(code.count(quotes) % 2 for quotes in ('"""', "'''")):
            # It may stand inside a text; then the block parses with a later one.
            waiting = waiting or end
            continue
        if waiting is not None and parse_program(_dedented(code.split("\n"), "")) is None:
            return waiting
        return end
    if waiting is not None and parse_program(_dedented([*first, *lines[start:]], "")) is None:
        return waiting
    return len(lines), len(lines), []


def _before_fence(line: str) -> str | None:
    """Return the code of a line that a fence ends, or None if none does."""
    line = line.rstrip()
    code = line.rstrip("`")
    if len(line) - len(code) < 3 or not code.strip() or "```" in code:
        return None
    # Behind an open quote the marks stand inside a text.
    return None if re.search("[\"']", without_texts(code)) else code.rstrip()


def _dedented(lines: list[str], lead: str) -> str:
    if ">" in lead and all(line.lstrip().startswith(">") for line in lines if line.strip()):
        lines = [re.sub(r"^[ \t]*> ?", "", line) for line in lines]
    return textwrap.dedent("\n".join(lines))


def is_python(part: Part) -> bool:
    """Tell code in a fence that says so, or says nothing."""
    return part.fenced and (part.language in _PYTHON or _REPL.search(part.text) is not None)


def unnumbered(code: str) -> str | None:
    """Return code without the numbers that count its lines; None where they do not."""
    lines = [line for line in code.split("\n") if line.strip()]
    found = [_NUMBERED.match(line) for line in lines]
    counted = [int(one[1]) for one in found if one is not None]
    if len(counted) < 2 or counted != list(range(counted[0], counted[0] + len(lines))):
        return None
    return textwrap.dedent("\n".join(one[2] for one in found if one is not None))


def repl_code(text: str) -> str | None:
    """Return what was typed at a Python prompt, without its output; None if nothing was."""
    if not _REPL.search(text):
        return None
    return "\n".join(_typed(text))


def _typed(text: str) -> Iterator[str]:
    command: list[str] = []
    for line in text.split("\n"):
        found = _PROMPT.match(line)
        if found is None:
            if _FAILED.match(line):
                # What failed left nothing behind; it is typed again below.
                command = []
            continue
        if _REPL.match(line):
            yield from command
            command = []
        command.append(line[found.end() :])
    yield from command
