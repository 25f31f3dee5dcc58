"""Other names: the people of a question are called otherwise, in question and program alike."""

from __future__ import annotations

import random
import re

from pad_ray.synthesis.augmentation.first_names import WITH
from pad_ray.synthesis.augmentation.rewritten import Rewritten

__all__ = ["other_names", "people_in"]

_CAPITALISED = re.compile(r"\b[A-Z][a-z]+\b")
_WORD = re.compile(r"[A-Za-z]+")


def people_in(question: str) -> list[str]:
    """Return the first names in a question, each once, in their order."""
    return list(dict.fromkeys(name for name in _CAPITALISED.findall(question) if name in WITH))


def other_names(question: str, program: str, rng: random.Random) -> Rewritten | None:
    """Call everyone in the question by another name that neither text has.

    Possessives keep their ending. The program's names and texts follow, also in lower case, in
    capitals and as the possessive without its apostrophe (`toms_apples`). None where nobody has a
    name that is known.
    """
    people = people_in(question)
    taken = {word.lower() for word in _WORD.findall(f"{question} {program}")}
    new: dict[str, str] = {}
    for name in people:
        free = [one for one in WITH[name] if not taken & {one.lower(), f"{one.lower()}s"}]
        if not free:
            return None
        new[name] = rng.choice(free)
        taken.add(new[name].lower())
    if not new:
        return None
    called = re.compile(rf"\b(?:{'|'.join(new)})\b")
    return Rewritten(
        called.sub(lambda match: new[match.group()], question),
        _renamed(program, new),
    )


def _renamed(program: str, new: dict[str, str]) -> str:
    forms: dict[str, str] = {}
    for old, name in new.items():
        for style in (str, str.lower, str.upper):
            forms[style(old)] = style(name)
            forms[style(f"{old}s")] = style(f"{name}s")
    # An underscore parts words too.
    return _WORD.sub(lambda match: forms.get(match.group(), match.group()), program)
