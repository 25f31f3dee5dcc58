"""README.md and docs/: what they link to and name is there, and nothing is said twice."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
import tarfile
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
import yaml
from pages import PAGES, ROOT, USERS_PAGES, fences_of, inlines_of, name_of, section, tokens_of

from pad_ray.base.commands import job_names

FLAGS = {line.split()[1] for line in (ROOT / "tests/jobs/flags.txt").read_text().splitlines()}
# A block of fewer characters may well be the same in two places.
_LONG = 60


def links_of(page: Path) -> Iterator[str]:
    for inline in inlines_of(page):
        for child in inline.children or []:
            target = child.attrGet("href") or child.attrGet("src")
            if target is not None:
                yield str(target)


def relative_links_of(page: Path) -> list[str]:
    return [link for link in links_of(page) if not re.match(r"[a-z]+:", link)]


def anchors_of(page: Path) -> set[str]:
    """Return what a link may name in a page, as GitHub makes it of headings, and explicit ids."""
    found: Counter[str] = Counter()
    anchors = set(re.findall(r'<a id="([^"]+)"></a>', page.read_text()))
    tokens = tokens_of(page)
    for opening, inline in pairwise(tokens):
        if opening.type == "heading_open":
            parts = inline.children or []
            text = "".join(p.content for p in parts if p.type in ("text", "code_inline"))
            slug = re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")
            anchors.add(f"{slug}-{found[slug]}" if found[slug] else slug)
            found[slug] += 1
    return anchors


def broken(page: Path) -> list[str]:
    """Return the relative links of a page that lead nowhere."""
    lost = []
    for link in relative_links_of(page):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in anchors_of(target)):
            lost.append(link)
    return lost


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_relative_link_resolves(page: Path) -> None:
    assert broken(page) == []


def test_links_that_lead_nowhere_are_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        '# A title, `of` two\n\n[a](#a-title-of-two) [b](#none) [c](gone.md) <a id="here"></a>\n\n'
        "# A title, of two\n\n[d](page.md#here) [e](#a-title-of-two-1) [f](https://gone.test/x)\n"
    )
    assert broken(page) == ["#none", "gone.md"]


def test_every_page_is_reached_from_the_readme() -> None:
    linked = {ROOT / link.partition("#")[0] for link in relative_links_of(ROOT / "README.md")}
    assert set(PAGES) - {ROOT / "README.md"} <= linked


def said(page: Path) -> Iterator[str]:
    """Yield a page's blocks, long enough to be noticed when they are read again."""
    blocks = [inline.content for inline in inlines_of(page)]
    blocks += [block for _, _, block in fences_of(page)]
    yield from (text for block in blocks if len(text := " ".join(block.split())) >= _LONG)


def test_no_page_repeats_a_block_of_another_or_of_itself() -> None:
    counted = Counter(text for page in USERS_PAGES for text in said(page))
    assert [text for text, times in counted.items() if times > 1] == []


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= 220


def test_every_job_is_in_the_tables() -> None:
    rows = re.findall(r"^\| `(\w+)` \|", section("docs/jobs.md", "## All jobs"), re.MULTILINE)
    assert sorted(rows) == job_names()
    named = re.findall(r"`(\w+)`", section("README.md", "## The jobs").partition("\n\n| page")[0])
    assert sorted(named) == job_names()


def code_of(page: Path) -> Iterator[str]:
    for inline in inlines_of(page):
        for child in inline.children or []:
            if child.type == "code_inline":
                yield child.content


@pytest.mark.parametrize("page", [*USERS_PAGES, ROOT / "CONTRIBUTING.md"], ids=name_of)
def test_flags_and_paths_in_the_texts_exist(page: Path) -> None:
    for code in code_of(page):
        # Other programs have flags of their own.
        if code.startswith("--") or code.split()[0] in ("pad-ray", *job_names()):
            for flag in re.findall(r"(?:^|\s)(--[a-z][\w-]*)", code):
                assert flag in FLAGS | {"--help"}, (code, flag)
        # Capitals stand for a name of the reader's.
        if re.fullmatch(r"(jobs|cluster|pad_ray|tests|docs)/[a-z\d_./-]*", code):
            assert (ROOT / code).exists(), code


@pytest.mark.parametrize("page", USERS_PAGES, ids=name_of)
def test_blocks_are_what_they_say(page: Path) -> None:
    for _, language, block in fences_of(page):
        if language == "python":
            ast.parse(block)
        elif language == "yaml":
            assert isinstance(yaml.safe_load(block), dict)
        else:
            assert language == "", language


def test_a_source_distribution_holds_what_the_pages_link_to(tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    ignored = shutil.ignore_patterns(".*", "runs", "__pycache__", "*.egg-info", "tests")
    shutil.copytree(ROOT, copy, ignore=ignored)
    build = f"from setuptools.build_meta import build_sdist; build_sdist({str(tmp_path)!r})"
    ran = subprocess.run([sys.executable, "-c", build], cwd=copy, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr[-2000:]
    (archive,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(archive) as file:
        held = {name.partition("/")[2] for name in file.getnames()}
    pages = {name_of(page) for page in PAGES}
    assert pages <= held
    for page in PAGES:
        for link in relative_links_of(page):
            if path := link.partition("#")[0]:
                assert str((page.parent / path).resolve().relative_to(ROOT)) in held, link
    assert {"jobs/configs/demo.yaml", "cluster/serve.yaml", "cluster/Dockerfile"} <= held
