"""What decides a stage's rows: marked fields at any depth do not, and neither do defaults."""

from __future__ import annotations

from typing import Annotated, Any

import pytest
from pydantic import Field

from pad_ray.base.config import Settings
from pad_ray.base.fields import Input, Runtime, differences, inputs_of, sparse


def counted(name: str, value: str) -> dict[str, str]:
    return {name: f"what is in {value}"}


class Oven(Settings):
    """Where it bakes."""

    degrees: int = 200
    """Heat."""
    racks: Annotated[int, Runtime] = Field(1, ge=1)
    """Loaves side by side."""
    stone: Annotated[str | None, Input(counted)] = None
    """File of the stone."""


class Baking(Settings):
    """What is baked."""

    flour: str
    """Kind of flour."""
    oven: Oven = Oven(degrees=250)
    """The first oven."""
    second: Oven | None = None
    """Another one."""
    more: list[Oven] = Field(default_factory=list)
    """Further ones."""
    named: dict[str, Oven] = Field(default_factory=dict)
    """Ones with names."""
    recipe: Annotated[str | None, Input(counted, "book", is_saved=True)] = None
    """File of the recipe."""
    shares: dict[str, float] = Field(default_factory=lambda: {"salt": 0.02})
    """Of what else is in it."""


def baking(**values: Any) -> Baking:
    return Baking.model_validate({"flour": "rye", **values})


def decisive(settings: Settings) -> dict[str, Any]:
    return sparse(type(settings), settings.model_dump(mode="json"))


PLACES: list[tuple[Any, ...]] = [("oven",), ("second",), ("more", 0), ("named", "old")]


def at(place: tuple[Any, ...], oven: dict[str, Any]) -> dict[str, Any]:
    """Return settings with an oven in one of the places."""
    match place:
        case (name,):
            return {name: oven}
        case (name, 0):
            return {name: [oven]}
        case (name, key):
            return {name: {key: oven}}
    raise AssertionError


@pytest.mark.parametrize("place", PLACES)
def test_marked_fields_do_not_decide_rows_wherever_they_are(place: tuple[Any, ...]) -> None:
    plain, fast, hot = (
        baking(**at(place, {"degrees": 300, **values}))
        for values in ({}, {"racks": 9, "stone": "granite"}, {"degrees": 301})
    )
    assert decisive(plain) == decisive(fast) != decisive(hot)
    assert plain.row_settings() == fast.row_settings() != hot.row_settings()
    told = differences(Baking, plain.row_settings(), hot.row_settings())
    assert [one.key.split(".")[0] for one in told] == [place[0]]


def test_only_what_is_no_default_is_decisive() -> None:
    assert decisive(baking()) == {"flour": "rye"}
    assert decisive(baking(oven={"degrees": 250})) == {"flour": "rye"}
    # 200 is the model's default, but not this field's.
    assert decisive(baking(oven={"degrees": 200})) == {"flour": "rye", "oven": {"degrees": 200}}
    # An option that is taken is another thing than none, with all defaults too.
    assert decisive(baking(second={})) == {"flour": "rye", "second": {}}
    assert decisive(baking(shares={"salt": 0.02})) == {"flour": "rye"}


def test_a_difference_is_told_by_its_whole_name_with_both_values() -> None:
    one, other = baking(second={"degrees": 220}), baking(second={"degrees": 230})
    (told,) = differences(Baking, one.row_settings(), other.row_settings())
    assert str(told) == "second.degrees (220 there, 230 now)"


@pytest.mark.parametrize(
    "lacking", [["oven"], ["second"], ["oven", "degrees"], ["second", "degrees"]]
)
def test_a_setting_that_was_not_there_yet_had_its_default(lacking: list[str]) -> None:
    usual = {"degrees": 250 if lacking[0] == "oven" else 200}
    now = baking(**{lacking[0]: usual} if lacking != ["second"] else {}).row_settings()
    changed = baking(**{lacking[0]: {"degrees": 99}}).row_settings()
    old = baking(**{lacking[0]: usual} if lacking != ["second"] else {}).row_settings()
    inner = old
    for name in lacking[:-1]:
        inner = inner[name]
    del inner[lacking[-1]]
    assert not differences(Baking, old, now)
    assert differences(Baking, old, changed)


def test_what_an_older_version_counted_and_this_one_does_not_is_passed_over() -> None:
    now = baking().row_settings()
    old = {**now, "oven": {**now["oven"], "racks": 4}, "recipe": "elsewhere"}
    assert not differences(Baking, old, now)


def test_a_setting_that_is_gone_is_told() -> None:
    now = baking().row_settings()
    (told,) = differences(Baking, {**now, "yeast": 3}, now)
    assert str(told) == "yeast (3 there, None now)"


def test_inputs_are_read_at_any_depth_by_their_names() -> None:
    given = baking(oven={"stone": "granite"}, second={}, recipe="grandmother's")
    assert given.inputs() == inputs_of(given)
    assert given.inputs() == {
        "oven.stone": "what is in granite",
        "book": "what is in grandmother's",
    }
    saved = given.row_settings()
    assert saved["recipe"] == "grandmother's"
    assert "stone" not in saved["oven"]
