"""The pages that users read, and their parts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).parents[1]
# Those with commands, and all that are written by hand.
USERS_PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
PAGES = [*USERS_PAGES, ROOT / "CONTRIBUTING.md", ROOT / "RESULTS.md"]


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def section(page: str, heading: str) -> str:
    """Return what stands below a heading, up to the next one of its level or above."""
    text = (ROOT / page).read_text()
    marks = heading.partition(" ")[0]
    (_, below) = text.split(f"\n{heading}\n")
    return re.split(rf"^#{{1,{len(marks)}}} ", below, maxsplit=1, flags=re.MULTILINE)[0]


def tokens_of(page: Path) -> list[Token]:
    return MarkdownIt("commonmark").enable("table").parse(page.read_text())


def inlines_of(page: Path) -> Iterator[Token]:
    """Yield the texts of a page: paragraphs, items, headings and cells of tables."""
    yield from (token for token in tokens_of(page) if token.type == "inline")


def fences_of(page: Path) -> Iterator[tuple[str, str, str]]:
    """Yield a page's blocks of code: the line of text before each, its language, and the block."""
    before = ""
    for token in tokens_of(page):
        if token.type == "inline":
            before = token.content.rpartition("\n")[2]
        if token.type == "fence":
            yield before, token.info, token.content
