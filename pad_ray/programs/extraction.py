"""Reading a program out of what a language model wrote.

Text is parsed before it is cut. What parses as a whole is a script; else fences and prose divide
it into blocks. A block that needs names of the blocks above goes on from them. Of several whole
programs a later one supersedes, for it corrects; an example of use, and what belongs to the next
question of the prompt, do not. The program keeps the model's own layout and comments, and returns
what running the script would print last.
"""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from pad_ray.programs.canonical import parse_program
from pad_ray.programs.chunks import (
    Chunk,
    chunk_of,
    chunks_of,
    code_or_prose,
    free,
    is_code,
)
from pad_ray.programs.documents import (
    Part,
    answer_text,
    is_python,
    parts_of,
    repl_code,
    turn_text,
    unnumbered,
)
from pad_ray.programs.returns import returns_value, with_return
from pad_ray.programs.scripts import ENTRY, Program, assembled, entry_of, in_function

__all__ = ["extract_program"]

MAX_COMPLETION_CHARS = 100_000
# Each block is read with those above it, so that the work grows by the square.
_MAX_BLOCKS = 32
_LEAD_CHARS = 300

_DEF = re.compile(rf"^[ \t]*def[ \t]+{ENTRY}[ \t]*\(", re.MULTILINE)
_NEXT_QUESTION = re.compile(
    r"^[ \t]*(?:[#*]+[ \t]*)?(?:(?:next|another|new|follow-?up)[ \t]+)?"
    r"(?:question|problem|exercise|example(?=[^\n]*[:.][ \t]*[^\s*])"
    r"|q|user|human|instruction|task)[ \t]*"
    r"(?:\d+|\(\w+\))?[ \t]*[*]*[:.]",
    re.MULTILINE | re.IGNORECASE,
)
_CORRECTS = re.compile(
    r"\b(?:correct(?:ed|ion|ing|ly)?|fix(?:ed|es|ing)?|actually|wait|oops|instead|improved?|revised"
    r"|updated?|rewritten|final|better|mistake|wrong|sorry|apolog\w+|should (?:be|have))\b",
    re.IGNORECASE,
)
_SAYS_CODE = re.compile(r"\bdef |\bprint\(|=")
_JSON = json.JSONDecoder(strict=False)
_IN_LINE = re.compile(
    r"(?<!`)(?:`([^`\n]+)`|```[ \t]*(?:(?:python3?|py)\b)?([^`\n]+)```)(?!`)", re.IGNORECASE
)
_QUOTES = re.compile(r"[ \t]*('''|\"\"\")[ \t]*(?:python3?|py)[ \t]*", re.IGNORECASE)
_IS_RIGHT = re.compile(r"\b(?:correct(?:ed|ly)?|fixed|right)\b", re.IGNORECASE)
_USES = re.compile(
    r"\b(?:us(?:e|ing|age)|example|test(?:s|ed|ing)?|verify|check"
    r"|(?:call(?:ing)?|run(?:ning)?|try) (?:it|the)|output|print(?:s|ed)?)\b",
    re.IGNORECASE,
)
_CONTRASTS = re.compile(
    r"\b(?:common|typical|frequent|classic) (?:mistake|error|pitfall)"
    r"|\bwould be (?:wrong|incorrect)"
    r"|\b(?:wrong|incorrect) (?:way|approach|version|answer)s? (?:would|is|might|could)"
    r"|\b(?:do not|don't|never) (?:write|do) (?:this|it)",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class _Block:
    """Statements that stand together, and the prose above them."""

    chunks: tuple[Chunk, ...]
    lead: str
    fenced: bool

    @property
    def is_use(self) -> bool:
        """Whether the line above says so, or a heading right above that line."""
        *above, last = [line for line in self.lead.split("\n") if line.strip()][-2:] or [""]
        heading = above and re.match(r"[ \t]*(?:#|\*\*)|.*:[*]*[ \t]*$", above[0])
        return _USES.search(f"{above[0]}\n{last}" if heading else last) is not None


@dataclass
class _Reading:
    """The program so far: the statements that it is made of, and whether a question ended it."""

    chunks: list[Chunk] = field(default_factory=list)
    above: list[Chunk] = field(default_factory=list)
    program: Program | None = None
    seen_code: bool = False

    def add(self, block: _Block) -> None:
        """Take a block for a new program, for more of the one above, or for neither."""
        alone = assembled(block.chunks)
        wanted = free(block.chunks)
        if wanted & _offered(self.above) - _offered(self.chunks):
            # A notebook whose cells each print something: all of it is one script.
            self._set([*self.above, *block.chunks], assembled([*self.above, *block.chunks]))
            return
        known = _offered(self.chunks)
        asked = wanted & known
        if (self.program is None and not self.chunks) or (
            alone is not None and not asked and self._supersedes(alone, block)
        ):
            self._set(list(block.chunks), alone)
        elif self._goes_on(block, asked, alone):
            joined = [*self.chunks, *block.chunks]
            self._set(joined, assembled(joined))

    def needs(self, block: _Block) -> bool:
        """Tell code that goes on from values above: a "Question 2" is then the same problem's."""
        if any(entry_of(chunk) for chunk in block.chunks):
            return False
        values = [chunk for chunk in (*self.above, *self.chunks) if not chunk.is_definition]
        return bool(free(block.chunks) & _offered(values))

    def _set(self, chunks: list[Chunk], program: Program | None) -> None:
        known = set(map(id, self.above))
        self.above += [chunk for chunk in chunks if id(chunk) not in known]
        self.chunks, self.program = chunks, program or self.program

    def _supersedes(self, later: Program, block: _Block) -> bool:
        now = self.program
        if now is None:
            return not any(chunk.is_definition for chunk in self.chunks) or later.own_entry
        if now.clarity < 3 and not (now.own_entry or later.own_entry):
            # Lines of mathematics may stand above a script; a notebook's cells need each other.
            return (now.clarity, later.clarity) == (1, 3) and not block.is_use
        if _CONTRASTS.search(block.lead) and not _IS_RIGHT.search(block.lead):
            return False
        if _CORRECTS.search(block.lead) and later.clarity >= 2:
            return True
        if later.clarity < now.clarity:
            return False
        if later.own_entry:
            return True
        return not now.own_entry and not block.is_use

    def _goes_on(self, block: _Block, asked: set[str], alone: Program | None) -> bool:
        now = self.program
        if now is None:
            return True
        if any(entry_of(chunk) for chunk in block.chunks):
            return bool(asked)
        if now.own_entry:
            # What defines a helper of `solution` anew corrects it.
            names = {name for chunk in block.chunks for name in chunk.offers}
            mends = all(chunk.is_definition for chunk in block.chunks) and bool(
                names & _offered(self.chunks)
            )
            missing = names & free(self.chunks)
            # A `solution` that wants arguments is called below.
            return mends or bool(missing) or (now.clarity < 3 and bool(asked))
        if now.clarity < 3:
            return bool(asked) or alone is None or not block.fenced or alone.clarity < 2
        variables = {
            name for chunk in self.chunks if not chunk.is_definition for name in chunk.offers
        }
        return bool(asked & variables) and not block.is_use


def _offered(chunks: Sequence[Chunk]) -> set[str]:
    return {name for chunk in chunks for name in chunk.offers}


def extract_program(completion: str) -> str | None:
    """Return a program that defines `solution()`, or None if there is none to be read.

    A broken `def solution` block is returned as it stands, since it can be repaired. Never
    raises; reads the first 100,000 characters.
    """
    text = _tidy(completion[:MAX_COMPLETION_CHARS])
    if (plain := _plain(text)) is not None:
        return plain
    text = text if parse_program(text) is not None else _called(turn_text(answer_text(text)))
    parts = parts_of(text) if chunks_of(text) is None else [Part(text)]
    for chosen in _choices(parts):
        reading = _read(chosen)
        if reading.program is not None:
            return reading.program.text
    return _broken(parts) or _in_line(parts)


def _tidy(text: str) -> str:
    text = text.replace("\r\n", "\n").replace("\r", "\n").lstrip("\ufeff")
    text = _fenced(_called(text))
    if "\n" not in text.strip() and "\\n" in text and parse_program(text) is None:
        # Escaped once too often.
        text = text.replace("\\n", "\n").replace("\\t", "\t").replace('\\"', '"')
    return text


def _fenced(text: str) -> str:
    """Return the text with fences where code stands between quotes in their place."""
    lines = text.split("\n") if "'''" in text or '"""' in text else []
    opening: tuple[int, str] | None = None
    for at, line in enumerate(lines):
        if opening is None and (found := _QUOTES.fullmatch(line)) is not None:
            opening = at, found[1]
        elif opening is not None and line.strip() == opening[1]:
            lines[opening[0]], lines[at] = "```python", "```"
            opening = None
    return "\n".join(lines) or text


def _called(text: str) -> str:
    """Return the code of a text that is JSON, an object or a text in quotes, or the text."""
    return (_in_json(text) if text.lstrip().startswith(("{", '"')) else None) or text


def _in_json(text: str) -> str | None:
    """Return the code of an answer or a tool's call in JSON, as `{"code": "..."}`, at any depth."""
    waiting: list[object] = [_text_in_json(text)]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict | list):
            inner = list(value.values()) if isinstance(value, dict) else value
            waiting += reversed(inner)
        elif isinstance(value, str) and (found := _parsed(value)) is not None:
            waiting.append(found)
        elif isinstance(value, str) and value is not text and _SAYS_CODE.search(value):
            return value
    return None


def _text_in_json(text: str) -> str:
    """Return what a text that is nothing but one in JSON's quotes says, or the text."""
    try:
        said = _JSON.decode(text) if text.lstrip().startswith('"') else text
    except (ValueError, RecursionError):
        return text
    return said if isinstance(said, str) else text


def _parsed(text: str) -> object:
    """Return the object or list in JSON that a text begins with, or None."""
    try:
        return _JSON.raw_decode(text.lstrip())[0] if text.lstrip()[:1] in ("{", "[") else None
    except (ValueError, RecursionError):
        return None


def _plain(text: str) -> str | None:
    """Return a text that is one `solution` with a result and nothing else, the usual case."""
    tree = parse_program(text) if text.startswith(f"def {ENTRY}():") else None
    if tree is None or len(tree.body) != 1:
        return None
    function = entry_of(Chunk(text, tuple(tree.body)))
    return text.strip() if function is not None and returns_value(function) else None


def _choices(parts: list[Part]) -> Iterator[list[Part]]:
    """Yield what to read, the first that gives a program: all of it, else the other languages."""
    fenced = [part for part in parts if part.fenced and not is_python(part)]
    yield [part for part in parts if part not in fenced]
    if fenced:
        yield [Part(_called(part.text), True, "python") if part.fenced else part for part in parts]


def _read(parts: list[Part]) -> _Reading:
    reading = _Reading()
    lead, blocks, asked_again = "", 0, False
    for number, part in enumerate(parts):
        for item in _items(part, number == 0, reading):
            if isinstance(item, str):
                asked_again |= reading.seen_code and _NEXT_QUESTION.search(item) is not None
                reading.seen_code = reading.seen_code or _DEF.search(item) is not None
                lead = (lead + "\n" + item)[-_LEAD_CHARS:]
            else:
                block = _Block(tuple(item), lead, part.fenced)
                if asked_again and not reading.needs(block):
                    return reading
                reading.add(block)
                asked_again = False
                reading.seen_code, lead, blocks = True, "", blocks + 1
                if blocks == _MAX_BLOCKS:
                    return reading
    return reading


def _items(part: Part, first: bool, reading: _Reading) -> Iterator[list[Chunk] | str]:
    """Yield the blocks of a part and the prose between them, in order."""
    code = _unindented(part.text.strip("\n"))
    # Prompts inside a docstring are examples.
    example = ">>>" in code and chunk_of(code) is not None
    typed = None if example else repl_code(part.text)
    code = code if typed is None else typed
    whole = chunks_of(code)
    if whole is None and (plain := unnumbered(code)) is not None:
        code, whole = plain, chunks_of(plain)
    if whole is not None and not part.fenced and typed is None:
        yield from _unfenced(whole)
        return
    if whole is not None:
        yield whole
        return
    text = part.text
    if first or part.fenced:
        lead, rest = _split_lead(text)
        body = _body(lead) or (_body(_first_block(text)) if part.fenced or first else None)
        if body is not None:
            yield [body]
            text = rest if _body(lead) else ""
        elif lead.strip() and re.match(r"(?:def|import|from|class)\b|[@#]", _unindented(lead)):
            text = f"{_unindented(lead)}\n{rest}"
    yield from _mixed(text, part.fenced)


def _mixed(text: str, fenced: bool) -> Iterator[list[Chunk] | str]:
    """Yield code and prose of text that does not parse as a whole."""
    block: list[Chunk] = []
    for item in code_or_prose(text):
        if isinstance(item, Chunk):
            if not fenced and _begins_again(block, item):
                yield block
                yield "Question: the next"
                block = []
            block.append(item)
        elif item.strip():
            if block and not fenced:
                yield block
                block = []
            if not fenced or _DEF.search(item):
                yield item
    if block:
        yield block


def _unfenced(chunks: list[Chunk]) -> Iterator[list[Chunk] | str]:
    """Yield bare code that parses as a whole, cut where the model ran on to the next question."""
    names: set[str] = set()
    block: list[Chunk] = []
    for chunk in chunks:
        heading = chunk.text[: chunk.text.find("\n")] if chunk.text.startswith("#") else ""
        if block and _runs_on(block, chunk, heading):
            yield block
            yield "Question: the next"
            return
        if all(is_code(node, names) for node in chunk.nodes):
            names |= chunk.binds
            block.append(chunk)
        else:
            yield chunk.text
    if block:
        yield block


def _begins_again(block: list[Chunk], chunk: Chunk) -> bool:
    """Tell a second `solution` that nothing announces: bare text runs on to the next question."""
    if entry_of(chunk) is None or not any(entry_of(one) for one in block):
        return False
    comments = "\n".join(line for line in chunk.text.split("\n") if line.startswith("#"))
    return not _CORRECTS.search(comments)


def _runs_on(block: list[Chunk], chunk: Chunk, heading: str) -> bool:
    if _begins_again(block, chunk):
        return True
    comments = [line for line in chunk.text.split("\n") if line.startswith("#")]
    if not any(map(_NEXT_QUESTION.match, comments)):
        return False
    program = assembled(block)
    return program is not None and program.clarity == 3


def _split_lead(text: str) -> tuple[str, str]:
    """Split off an indented beginning: it goes on from a prompt that ended in the header."""
    lines = text.lstrip("\n").split("\n")
    end = next((i for i, line in enumerate(lines) if line and not line[0].isspace()), len(lines))
    return "\n".join(lines[:end]), "\n".join(lines[end:])


def _unindented(block: str) -> str:
    first, newline, others = block.partition("\n")
    stray_space = len(first) - len(first.lstrip()) < 4
    if stray_space and all(line[:4].isspace() for line in others.split("\n") if line.strip()):
        return first.lstrip() + newline + others
    return textwrap.dedent(block)


def _first_block(text: str) -> str:
    """Return a stripped function body: its first line has lost the indent of the others."""
    first, _, others = text.strip().partition("\n")
    lead, _ = _split_lead(others)
    indent = re.match(r"[ \t]*", lead)
    return f"{indent.group()}{first}\n{lead}" if indent and indent.group() else ""


def _body(lines: str) -> Chunk | None:
    """Return a bare function body under the header, if it is one."""
    if not lines.strip():
        return None
    program = in_function(textwrap.indent(textwrap.dedent(lines), "    "))
    return chunk_of(program) if program else None


def _broken(parts: list[Part]) -> str | None:
    """Return the first `def solution` that does not parse, fenced ones before others."""
    for part in sorted(parts, key=lambda part: not part.fenced):
        if found := _DEF.search(part.text):
            return _block(part.text[found.start() :])
    return None


def _in_line(parts: list[Part]) -> str | None:
    """Return the program that code inside sentences is, where it shows a result."""
    found = [one for part in parts if not part.fenced for one in _IN_LINE.findall(part.text)]
    spans = ["".join(groups).strip() for groups in found[:_MAX_BLOCKS]]
    chunks = [chunk for span in spans if (chunk := chunk_of(span))]
    chunks = [chunk for chunk in chunks if chunk.nodes]
    program = None if free(chunks) else assembled(chunks)
    return program.text if program is not None and program.clarity == 3 else None


def _block(text: str) -> str:
    """Return the indented block that the text begins with, moved to the margin."""
    first, *others = text.split("\n")
    margin = len(first) - len(first.lstrip())
    block = [first]
    for line in others:
        if line.strip() and len(line) - len(line.lstrip()) <= margin:
            break
        block.append(line)
    program = textwrap.dedent("\n".join(block)).strip()
    chunk = chunk_of(program)
    function = entry_of(chunk) if chunk else None
    return with_return(program, function) if chunk and function else program
