"""What reports and cards are rendered with: the package's templates and their filters."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import zip_longest
from typing import Any, TypeVar

import yaml
from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from pad_ray.base.records import gold_answers

__all__ = [
    "clip",
    "code_fence",
    "duration",
    "in_cell",
    "in_turn",
    "million",
    "page_template",
    "shown_value",
    "yaml_text",
]

_LONGEST_TEXT = 2_000
T = TypeVar("T")


def page_template(name: str) -> Template:
    """Return a template of the package; what it is given is escaped where it makes HTML."""
    environment = Environment(
        loader=PackageLoader("pad_ray.base", "templates"),
        autoescape=".html." in name,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "duration": duration,
        "million": million,
        "clip": clip,
        "gold": lambda answer: " or ".join(gold_answers(answer)),
        "yaml": yaml_text,
        "cell": in_cell,
    }
    return environment.get_template(name)


def duration(seconds: float) -> str:
    """Write seconds as people do: 4.2 s, 1 min 28 s, 2 h 5 min."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {seconds} s" if minutes else f"{seconds} s"


def million(number: int) -> str:
    """Write a number of parameters to three figures: 910,000, 7.12 million, 1.54 billion."""
    for size, word in ((1e9, "billion"), (1e6, "million")):
        if number >= size:
            return f"{number / size:.3g} {word}"
    return f"{number:,}"


def clip(text: str, longest: int = _LONGEST_TEXT) -> str:
    """Shorten a text and say by how much."""
    rest = len(text) - longest
    return text if rest <= 0 else f"{text[:longest]} … ({rest:,} more characters)"


def yaml_text(config: Mapping[str, Any]) -> str:
    """Write settings as YAML, in their own order."""
    return str(yaml.safe_dump(config, sort_keys=False, allow_unicode=True))


def in_cell(text: object) -> str:
    """Write a text as plain text of one Markdown line, inside a table's cell or outside."""
    flat = " ".join(str(text).split())
    return re.sub(r"([\\`*_{}\[\]<>|#])", r"\\\1", flat)


def shown_value(value: str | None) -> str | None:
    """Show a value, given as JSON, and a text without the quotes of its JSON."""
    decoded = None if value is None else json.loads(value)
    return decoded if isinstance(decoded, str) else value


def in_turn(groups: Iterable[Sequence[T]]) -> list[T]:
    """Merge groups: the first of each, then the second of each, and so on."""
    turns = zip_longest(*([(item,) for item in group] for group in groups), fillvalue=())
    return [item for turn in turns for place in turn for item in place]


def code_fence(text: str) -> str:
    """Return a Markdown code fence that is longer than any run of backticks in a text."""
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    return "`" * max(3, longest + 1)
