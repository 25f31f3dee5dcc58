"""Each command of the pages is run by the tests of clusters, or says why not."""

from __future__ import annotations

from pathlib import Path

import pytest
from printed_commands import commands, commands_of, has_a_way, unused


def test_each_printed_command_is_run_or_says_why_not() -> None:
    """By `tests/cluster/test_printed_commands.py`, which takes minutes."""
    texts = [command.text for command in commands()]
    assert [text for text in texts if not has_a_way(text)] == []
    assert unused(texts) == []
    kinds = (
        "make ",
        "pad-ray ",
        "pad-ray submit ",
        "serve ",
        "curl ",
        "kubectl ",
        "ray job submit",
    )
    for kind in kinds:
        assert any(kind in text for text in texts), kind


@pytest.mark.parametrize(
    ("block", "found"),
    [
        ("pad-ray solve --student a \\\n  'b'   # asks\n# a word\nray up x\n", 2),
        ("$ pad-ray solve\nanswer: 1\n$ ray up x\n", 2),
        ("pad-ray solve\ndef solution():\n    a = 1\nanswer: 1\nray up x\n", 2),
        ("synthesize: kept 3 of 4\n  timeout  1\n", 0),
        ('{"id": 1,\n "answer": 2}\n', 0),
        ("problems ──▶ samples\n", 0),
        ("(cd a && b c)\nRAY_AUTH_MODE=token ray up x\nexport A=b\nnew-tool run\n", 4),
    ],
)
def test_commands_are_told_from_what_they_print(tmp_path: Path, block: str, found: int) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"Run `pad-ray doctor` and `ray start`:\n```\n{block}```\n")
    texts = list(commands_of(page))
    assert len(texts) == found + 1 and texts[-1] == "pad-ray doctor"
    assert not any("#" in text or "\n" in text for text in texts)
