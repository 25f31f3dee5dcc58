"""The relations that stories are made of: each tells something and adds a step to the program."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pad_ray.tasks.arithmetic import numbers
from pad_ray.tasks.arithmetic.domains import Domain, Noun
from pad_ray.tasks.arithmetic.draft import Draft, Quantity, mark
from pad_ray.tasks.arithmetic.tellings import (
    GIVERS,
    GOALS,
    INVERTED,
    PURCHASES,
    SHARERS,
    TELLINGS,
    TREATS,
)

__all__ = ["COMPARISONS", "RELATIONS", "Relation"]

_ORDINALS = ("first", "second", "third")


@dataclass(frozen=True)
class Relation:
    """A relation: how many steps it takes, what stories it can go on from, and where it leads.

    Stories go from "open" by what "one" person has, by comparisons with further people ("chain",
    or "loose" where somebody's number does not come from another's), to the "items", "packs",
    "hours" or "money" that are made of them, and to their "end".
    """

    name: str
    steps: int
    after: frozenset[str]
    leads_to: str
    tell: Callable[[Draft], None]
    suits: Callable[[Domain], bool] = lambda domain: True


def _person(draft: Draft) -> Quantity:
    """Return the number that a further person has."""
    return draft.quantity(f"{_ORDINALS[len(draft.people)]}_{draft.item.variable}")


def _opening(draft: Draft, telling: str, made: Quantity, **slots: str) -> None:
    draft.told.append(draft.say(telling, A=mark(0), **slots))
    draft.people.append(made)
    draft.current = made


def _count(draft: Draft) -> None:
    made = draft.given(f"first_{draft.item.variable}")
    draft.draws.append(numbers.within(made.slot, *draft.domain.count))
    _opening(draft, draft.pick(TELLINGS["count"]), made, k=mark(made.slot))


def _rate(draft: Draft) -> None:
    domain = draft.domain
    assert domain.box is not None
    boxes = draft.given(domain.box.variable)
    each = draft.given(f"{draft.item.variable}_per_{domain.box.one.replace(' ', '_')}")
    made = _person(draft)
    draft.draws += [
        numbers.within(boxes.slot, *domain.boxes),
        numbers.within(each.slot, *domain.each),
    ]
    draft.step(made, "{} * {}", numbers.times(made.slot, boxes.slot, each.slot), boxes, each)
    telling = draft.pick(domain.rate or TELLINGS["rate"])
    _opening(draft, telling, made, a=mark(boxes.slot), b=mark(each.slot))


def _dozens(draft: Draft) -> None:
    dozens, twelve = draft.given("dozens"), draft.constant(12)
    made = _person(draft)
    draft.draws.append(numbers.within(dozens.slot, 2, 9))
    draft.step(made, "{} * {}", numbers.times(made.slot, dozens.slot, twelve.slot), dozens, twelve)
    _opening(draft, draft.pick(TELLINGS["dozens"]), made, k=mark(dozens.slot))


def _joins(draft: Draft, made: Quantity, telling: str, number: Quantity | None) -> None:
    """Tell of a further person, compared with the one before."""
    place = len(draft.people)
    words = {"A": mark(place - 1), "B": mark(place)}
    if number is not None:
        words["k"] = mark(number.slot)
    draft.told.append(draft.say(telling, **words))
    draft.people.append(made)
    draft.current, draft.owner = made, place


def _also(draft: Draft) -> None:
    made = draft.given(f"{_ORDINALS[len(draft.people)]}_{draft.item.variable}")
    draft.draws.append(numbers.within(made.slot, *draft.domain.count))
    _joins(draft, made, draft.pick(TELLINGS["also"]), made)


def _more(draft: Draft) -> None:
    _differs(draft, "more", "{} + {}")


def _fewer(draft: Draft) -> None:
    _differs(draft, "fewer", "{} - {}")


def _differs(draft: Draft, relation: str, written: str) -> None:
    draft.trend += 1 if relation == "more" else -1
    base, most = draft.current, max(4, draft.domain.count[1] // 2)
    inverted = draft.rng.random() < 0.25
    variable = draft.item.variable
    number = draft.given(*(("difference", "gap") if inverted else (f"{relation}_{variable}",)))
    made = _person(draft)
    if relation == "more":
        draft.draws.append(numbers.within(number.slot, 2, most))
        draw = numbers.plus(made.slot, base.slot, number.slot)
    else:
        draft.draws.append(numbers.below(number.slot, base.slot, 2, most))
        draw = numbers.minus(made.slot, base.slot, number.slot)
    draft.step(made, written, draw, base, number)
    telling = INVERTED[relation] if inverted else draft.pick(TELLINGS[relation])
    _joins(draft, made, telling, number)


def _times(draft: Draft) -> None:
    draft.trend += 2
    base, number = draft.current, draft.given("times")
    made = _person(draft)
    draft.draws.append(numbers.within(number.slot, 3, 6))
    draft.step(made, "{} * {}", numbers.times(made.slot, base.slot, number.slot), base, number)
    _joins(draft, made, draft.pick(TELLINGS["times"]), number)


def _twice(draft: Draft) -> None:
    draft.trend += 2
    base, two = draft.current, draft.constant(2)
    made = _person(draft)
    draft.step(made, "{} * {}", numbers.times(made.slot, base.slot, two.slot), base, two)
    _joins(draft, made, draft.pick(TELLINGS["twice"]), None)


def _fraction(draft: Draft, relation: str, parts: int) -> None:
    draft.trend -= 2
    base, by = draft.current, draft.constant(parts)
    made = _person(draft)
    draft.step(made, "{} / {}", numbers.divided(made.slot, base.slot, by.slot), base, by)
    _joins(draft, made, draft.pick(TELLINGS[relation]), None)


def _half(draft: Draft) -> None:
    _fraction(draft, "half", 2)


def _third(draft: Draft) -> None:
    _fraction(draft, "third", 3)


def _total(draft: Draft) -> None:
    made = draft.quantity(f"total_{draft.item.variable}")
    slots = [person.slot for person in draft.people]
    written = " + ".join(["{}"] * len(slots))
    draft.step(made, written, numbers.plus(made.slot, *slots), *draft.people)
    draft.owner, draft.asked = None, "people"


def _compare(draft: Draft) -> None:
    """Ask for the difference of the first and the last; whoever should have more does."""
    last = len(draft.people) - 1
    rises = draft.trend > 0 or (draft.trend == 0 and draft.rng.random() < 0.5)
    less, more = (0, last) if rises else (last, 0)
    one, two = draft.people[more], draft.people[less]
    made = draft.quantity("difference", "gap", "distance")
    draft.step(made, "{} - {}", numbers.minus(made.slot, one.slot, two.slot), one, two)
    draft.words |= {"more": mark(more), "less": mark(less)}
    draft.asked = "compared"


def _pool(draft: Draft) -> None:
    """Put together what several people have before anything happens to it."""
    if draft.asked == "people":
        draft.happens(draft.pick(draft.domain.pool))


def _gain(draft: Draft) -> None:
    _pool(draft)
    old, variable = draft.current, draft.item.variable
    number = draft.given(f"new_{variable}")
    made = draft.quantity(f"{variable}_now", f"all_{variable}")
    draft.draws.append(numbers.within(number.slot, 2, max(4, draft.domain.count[1] // 2)))
    draft.tell("gain", number)
    draft.step(made, "{} + {}", numbers.plus(made.slot, old.slot, number.slot), old, number)
    if draft.domain.goods:
        draft.asked = "now"
    else:
        draft.asked = "units_left" if draft.gone else "in_all"


def _loss(draft: Draft) -> None:
    _pool(draft)
    old, variable = draft.current, draft.item.variable
    spoil = draft.domain.spoil
    changes = [one for one in draft.domain.loss if spoil is None or one.word != spoil[0]]
    change = draft.pick(changes or draft.domain.loss)
    number = draft.given(f"{change.word}_{variable}", f"lost_{variable}")
    made = draft.quantity(f"{variable}_left")
    draft.draws.append(numbers.below(number.slot, old.slot, 2, max(4, draft.domain.count[1] // 2)))
    draft.tell("loss", number, change.tellings)
    draft.step(made, "{} - {}", numbers.minus(made.slot, old.slot, number.slot), old, number)
    draft.asked, draft.gone = "left", True


def _percent(draft: Draft, share: str, *part: str) -> tuple[Quantity, Quantity]:
    """Take a percentage; return its number and the part."""
    old, number = draft.current, draft.given(share)
    hundred = draft.constant(100)
    made = draft.quantity(*part)
    draft.draws.append(numbers.percent(number.slot, old.slot))
    draw = numbers.percent_of(made.slot, old.slot, number.slot)
    draft.step(made, "{} * {} / {}", draw, old, number, hundred)
    return number, made


def _rest_of(draft: Draft, old: Quantity, part: Quantity, *names: str) -> None:
    rest = draft.quantity(*names)
    draft.step(rest, "{} - {}", numbers.minus(rest.slot, old.slot, part.slot), old, part)


def _part(draft: Draft) -> None:
    _pool(draft)
    assert draft.domain.trait is not None
    word = draft.domain.trait[0]
    number, _ = _percent(draft, f"{word}_percent", f"{word}_{draft.item.variable}", f"{word}_part")
    draft.tell("part", number)
    draft.asked = "part"


def _rest(draft: Draft) -> None:
    _pool(draft)
    assert draft.domain.spoil is not None
    old, word, variable = draft.current, draft.domain.spoil[0], draft.item.variable
    number, part = _percent(draft, f"{word}_percent", f"{word}_{variable}", f"{word}_part")
    _rest_of(draft, old, part, f"good_{variable}")
    draft.tell("rest", number)
    draft.asked, draft.gone = "left", True


def _sell(draft: Draft) -> None:
    _pool(draft)
    domain, old = draft.domain, draft.current
    price = draft.given("price")
    made = draft.quantity("cost" if domain.pays else "income")
    draft.draws.append(numbers.among(price.slot, domain.price))
    draft.tell("pay" if domain.pays else "sell", price, domain.sale)
    draft.step(made, "{} * {}", numbers.times(made.slot, old.slot, price.slot), old, price)
    draft.asked = "cost" if domain.pays else "income"


def _pack_size(draft: Draft, draw: Callable[[int, int, int, int], numbers.Draw]) -> Quantity:
    pack = draft.domain.pack
    assert pack is not None
    number = draft.given(f"{draft.item.variable}_per_{pack.one.replace(' ', '_')}")
    draft.draws.append(draw(number.slot, draft.current.slot, 3, 12))
    return number


def _pack(draft: Draft) -> None:
    _pool(draft)
    assert draft.domain.pack is not None
    old, number = draft.current, _pack_size(draft, numbers.divisor)
    made = draft.quantity(draft.domain.pack.variable)
    draft.tell("pack", number)
    draft.step(made, "{} / {}", numbers.divided(made.slot, old.slot, number.slot), old, number)
    draft.asked = "packs"


def _left_over(draft: Draft) -> None:
    _pool(draft)
    old, number = draft.current, _pack_size(draft, numbers.undivided)
    made = draft.quantity(f"{draft.item.variable}_left_over")
    draft.tell("left_over", number)
    draft.step(made, "{} % {}", numbers.left_over(made.slot, old.slot, number.slot), old, number)
    draft.asked = "left_over"


def _divide(draft: Draft, relation: str, among: Noun, made: str, high: int = 8) -> None:
    """Divide the current quantity equally among several."""
    old, number = draft.current, draft.given(among.variable)
    part = draft.quantity(f"{made}_per_{among.one.replace(' ', '_')}")
    draft.draws.append(numbers.divisor(number.slot, old.slot, 2, high))
    draft.tell(relation, number)
    draft.step(part, "{} / {}", numbers.divided(part.slot, old.slot, number.slot), old, number)
    draft.asked = relation


def _share(draft: Draft) -> None:
    _pool(draft)
    assert draft.domain.share is not None
    _divide(draft, "share", draft.domain.share, draft.item.variable)


def _pace(draft: Draft) -> None:
    _pool(draft)
    old, number = draft.current, draft.given(f"{draft.item.variable}_per_hour")
    made = draft.quantity("hours")
    draft.draws.append(numbers.divisor(number.slot, old.slot, 3, 30))
    draft.tell("pace", number)
    draft.step(made, "{} / {}", numbers.divided(made.slot, old.slot, number.slot), old, number)
    draft.asked = "hours"


def _minutes(draft: Draft) -> None:
    old, sixty = draft.current, draft.constant(60)
    made = draft.quantity("minutes")
    draft.step(made, "{} * {}", numbers.times(made.slot, old.slot, sixty.slot), old, sixty)
    draft.asked = "minutes"


def _unit(draft: Draft) -> None:
    """Ask for the same in a smaller unit."""
    assert draft.domain.unit is not None
    name, each = draft.domain.unit
    old, many = draft.current, draft.constant(each)
    made = draft.quantity(name.split()[0])
    draft.step(made, "{} * {}", numbers.converted(made.slot, old.slot, each), old, many)
    draft.words["items"] = name
    draft.asked = "units_left" if draft.asked == "left" else draft.asked


def _pack_loss(draft: Draft) -> None:
    assert draft.domain.pack is not None
    old, variable = draft.current, draft.domain.pack.variable
    number = draft.given(f"given_{variable}")
    made = draft.quantity(f"{variable}_left")
    draft.draws.append(numbers.below(number.slot, old.slot, 2, 20))
    draft.tell("pack_loss", number)
    draft.step(made, "{} - {}", numbers.minus(made.slot, old.slot, number.slot), old, number)
    draft.asked = "packs_left"


def _pack_sell(draft: Draft) -> None:
    old, price = draft.current, draft.given("price")
    made = draft.quantity("income")
    draft.draws.append(numbers.within(price.slot, 4, 30))
    draft.tell("pack_sell", price)
    draft.step(made, "{} * {}", numbers.times(made.slot, old.slot, price.slot), old, price)
    draft.asked = "income"


def _vans(draft: Draft) -> None:
    assert draft.domain.pack is not None
    old, number = draft.current, draft.given("vans")
    made = draft.quantity(f"{draft.domain.pack.variable}_per_van")
    draft.draws.append(numbers.divisor(number.slot, old.slot, 2, 6))
    draft.tell("vans", number)
    draft.step(made, "{} / {}", numbers.divided(made.slot, old.slot, number.slot), old, number)
    draft.asked = "vans"


def _weight(draft: Draft) -> None:
    assert draft.domain.pack is not None
    unit, low, high = draft.domain.weight
    old, number = draft.current, draft.given("weight")
    made = draft.quantity("total_weight")
    draft.words["unit"] = unit
    draft.draws.append(numbers.within(number.slot, low, high))
    draft.tell("weight", number)
    draft.step(made, "{} * {}", numbers.times(made.slot, old.slot, number.slot), old, number)
    draft.asked = "weight"


def _kind(draft: Draft) -> str:
    """Tell money that comes in from money that is paid, which every question follows from."""
    return "cost" if draft.asked.startswith("cost") else "income"


def _money_gain(draft: Draft) -> None:
    kind, old = _kind(draft), draft.current
    number = draft.given("fee" if kind == "cost" else "gift")
    made = draft.quantity(f"total_{kind}")
    draft.words["giver"] = draft.pick(GIVERS)
    draft.draws.append(numbers.within(number.slot, 3, 40 if kind == "income" else 15))
    draft.tell(f"{kind}_gain", number)
    draft.step(made, "{} + {}", numbers.plus(made.slot, old.slot, number.slot), old, number)
    draft.asked = "cost" if kind == "cost" else "income_now"


def _money_loss(draft: Draft) -> None:
    kind, old = _kind(draft), draft.current
    number = draft.given("coupon" if kind == "cost" else "expenses")
    made = draft.quantity("reduced_cost" if kind == "cost" else "money_left")
    draft.words["treat"] = draft.pick(TREATS)
    draft.draws.append(numbers.below(number.slot, old.slot, 3, 40 if kind == "income" else 15))
    draft.tell(f"{kind}_loss", number)
    draft.step(made, "{} - {}", numbers.minus(made.slot, old.slot, number.slot), old, number)
    draft.asked = "cost" if kind == "cost" else "income_left"
    draft.words["money"] = "the remaining money"


def _money_part(draft: Draft) -> None:
    number, _ = _percent(draft, "saved_percent", "saved_money")
    draft.tell("income_part", number)
    draft.asked = "income_part"


def _money_rest(draft: Draft) -> None:
    kind, old = _kind(draft), draft.current
    percent, part, rest = (
        ("discount_percent", "discount", "discounted_cost")
        if kind == "cost"
        else ("given_percent", "given_money", "money_kept")
    )
    number, taken = _percent(draft, percent, part)
    _rest_of(draft, old, taken, rest)
    draft.tell(f"{kind}_rest", number)
    draft.asked = "cost" if kind == "cost" else "income_left"
    draft.words["money"] = "the remaining money"


def _money_share(draft: Draft) -> None:
    kind = _kind(draft)
    one, many = draft.pick(SHARERS).split("|")
    draft.set_word("receiver", Noun(one, many, many))
    _divide(draft, f"{kind}_share", Noun(one, many, many), "dollars")


def _spend(draft: Draft) -> None:
    goods = draft.pick(PURCHASES)
    draft.words["goods"] = goods
    old, number = draft.current, draft.given("price_each")
    made = draft.quantity(goods.replace(" ", "_"))
    draft.draws.append(numbers.divisor(number.slot, old.slot, 2, 25))
    draft.tell("spend", number)
    draft.step(made, "{} / {}", numbers.divided(made.slot, old.slot, number.slot), old, number)
    draft.asked = "spend"


def _goal(draft: Draft) -> None:
    draft.words["goal"] = draft.pick(GOALS)
    _up_to(draft, "goal", "goal_price", "missing_money")


def _change(draft: Draft) -> None:
    _up_to(draft, "change", "money_paid", "change")


def _up_to(draft: Draft, relation: str, name: str, made_name: str) -> None:
    old, number = draft.current, draft.given(name)
    made = draft.quantity(made_name)
    draft.draws.append(numbers.above(number.slot, old.slot))
    draft.tell(relation, number)
    draft.step(made, "{} - {}", numbers.minus(made.slot, number.slot, old.slot), number, old)
    draft.asked = relation


_ONE, _MANY = frozenset({"one"}), frozenset({"chain", "loose"})
_ANYBODY = _ONE | _MANY
_THINGS = frozenset({"one", "chain", "items"})
_PACKS, _INCOME, _COST = frozenset({"packs"}), frozenset({"income"}), frozenset({"cost"})
_MONEY = _INCOME | _COST
_OPEN = frozenset({"open"})


def _packs_up(domain: Domain) -> bool:
    return domain.pack is not None


def _sells(domain: Domain) -> bool:
    return bool(domain.price) and not domain.pays


def _pays(domain: Domain) -> bool:
    return bool(domain.price) and domain.pays


def _packs_to_sell(domain: Domain) -> bool:
    return _packs_up(domain) and not domain.pays and domain.goods


COMPARISONS = ("more", "fewer", "times", "twice", "half", "third")
RELATIONS: dict[str, Relation] = {
    relation.name: relation
    for relation in (
        Relation("count", 0, _OPEN, "one", _count),
        Relation("rate", 1, _OPEN, "one", _rate, lambda domain: domain.box is not None),
        Relation("dozens", 1, _OPEN, "one", _dozens, lambda domain: domain.dozens),
        Relation("also", 0, _ANYBODY, "loose", _also),
        Relation("more", 1, _ANYBODY, "chain", _more),
        Relation("fewer", 1, _ANYBODY, "chain", _fewer),
        Relation("times", 1, _ANYBODY, "chain", _times),
        Relation("twice", 1, _ANYBODY, "chain", _twice),
        Relation("half", 1, _ANYBODY, "chain", _half),
        Relation("third", 1, _ANYBODY, "chain", _third),
        Relation("total", 1, _MANY, "items", _total),
        Relation("compare", 1, _MANY, "end", _compare),
        Relation("gain", 1, _THINGS, "items", _gain),
        Relation("loss", 1, _THINGS, "items", _loss, lambda domain: bool(domain.loss)),
        Relation("part", 1, _THINGS, "end", _part, lambda domain: domain.trait is not None),
        Relation("rest", 2, _THINGS, "items", _rest, lambda domain: domain.spoil is not None),
        Relation("sell", 1, _THINGS, "income", _sell, _sells),
        Relation("pay", 1, _THINGS, "cost", _sell, _pays),
        Relation("pack", 1, _THINGS, "packs", _pack, _packs_up),
        Relation("left_over", 1, _THINGS, "end", _left_over, _packs_up),
        Relation("share", 1, _THINGS, "end", _share, lambda domain: domain.share is not None),
        Relation("pace", 1, _THINGS, "hours", _pace, lambda domain: domain.work is not None),
        Relation("unit", 1, _THINGS, "end", _unit, lambda domain: domain.unit is not None),
        Relation("minutes", 1, frozenset({"hours"}), "end", _minutes),
        Relation("pack_loss", 1, _PACKS, "packs", _pack_loss),
        Relation("pack_sell", 1, _PACKS, "income", _pack_sell, _packs_to_sell),
        Relation("vans", 1, _PACKS, "end", _vans),
        Relation("weight", 1, _PACKS, "end", _weight),
        Relation("money_gain", 1, _INCOME, "income", _money_gain),
        Relation("money_loss", 1, _INCOME, "income", _money_loss),
        Relation("money_part", 1, _INCOME, "end", _money_part),
        Relation("money_rest", 2, _INCOME, "income", _money_rest),
        Relation("fee", 1, _COST, "cost", _money_gain),
        Relation("coupon", 1, _COST, "cost", _money_loss),
        Relation("discount", 2, _COST, "cost", _money_rest),
        Relation("money_share", 1, _MONEY, "end", _money_share),
        Relation("spend", 1, _INCOME, "end", _spend),
        Relation("goal", 1, _INCOME, "end", _goal),
        Relation("change", 1, _COST, "end", _change),
    )
}
