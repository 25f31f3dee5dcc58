"""The clues, read as a reader would, leave one order of the objects."""

from __future__ import annotations

import re
from itertools import permutations

import pytest

from pad_ray.tasks.deduction import DEDUCTION, deduced
from pad_ray.tasks.deduction_domains import DOMAINS, Domain


def holds(clue: str, order: tuple[str, ...], domain: Domain) -> bool:
    """Read one plainly worded clue and tell whether an order agrees with it."""
    found = re.fullmatch(
        rf"(?:the )?(.+?) is ({domain.before}|{domain.after}) (?:the )?(.+?)"
        r"(, with nothing between them)?",
        clue,
        re.IGNORECASE,
    )
    places = {name.casefold(): place for place, name in enumerate(order)}
    if found:
        first, second = places[found[1].casefold()], places[found[3].casefold()]
        if found[2] == domain.after:
            first, second = second, first
        return second - first == 1 if found[4] else first < second
    name, place = re.split(r" is (?=the )", re.sub(r"^[Tt]he ", "", clue))
    if place in domain.from_start:
        return places[name.casefold()] == domain.from_start.index(place)
    return places[name.casefold()] == len(order) - 1 - domain.from_end.index(place)


@pytest.mark.parametrize("domain", DOMAINS, ids=lambda domain: domain.plural)
def test_clues_leave_one_order_and_the_answer_is_in_its_place(domain: Domain) -> None:
    assert DEDUCTION.generate is not None
    split = "held_out" if domain.held_out else "train"
    checked = 0
    for problem in DEDUCTION.generate(300, split, 11, 4):
        if problem.template != f"{domain.plural}/plain":
            continue
        _, rest = problem.question.split(": ", 1)
        listed, *clues, asked = re.split(r"\. ", rest)
        names = re.split(r", | and ", listed)
        bare = [re.sub(r"^(the|an?) ", "", name) for name in names]
        left = [o for o in permutations(bare) if all(holds(clue, o, domain) for clue in clues)]
        assert len(left) == 1, problem.question
        words = re.fullmatch(r"(?:Which \w+|Who) (?:is|was) (.+)\?", asked)
        assert words is not None
        if words[1] in domain.from_start:
            assert problem.answer == left[0][domain.from_start.index(words[1])]
        else:
            assert problem.answer == left[0][-1 - domain.from_end.index(words[1])]
        checked += 1
    assert checked >= 5


@pytest.mark.parametrize("size", [3, 5, 7])
def test_size_is_the_number_of_objects(size: int) -> None:
    assert DEDUCTION.generate is not None
    for problem in DEDUCTION.generate(20, "train", 2, size):
        line = (problem.program or "").split("\n")[2]
        assert line.count(",") == size - 1


def test_no_article_is_asked_for() -> None:
    assert deduced("The red book", "red book")
    assert deduced("ada", "Ada")
    assert not deduced("blue book", "red book")
    assert not deduced(None, "red book")
