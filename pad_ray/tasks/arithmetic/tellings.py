"""The ways to tell each relation and to ask for what comes out of it; see `domains` for the slots.

`{A}` is the person compared with and `{B}` the one compared; `{does}` and `{do}` are the domain's
verb. What stands before a `|||` is a standing fact, which may be told before everything else.
"""

from __future__ import annotations

__all__ = [
    "FACTS",
    "GIVERS",
    "GOALS",
    "INVERTED",
    "OPENINGS",
    "PURCHASES",
    "QUESTIONS",
    "SHARERS",
    "TELLINGS",
    "TREATS",
]

OPENINGS = (
    "On Monday, ", "On Friday, ", "On Saturday, ", "This week, ", "Today, ", "In spring, ",
    "In the holidays, ",
)  # fmt: skip

TELLINGS: dict[str, tuple[str, ...]] = {
    "count": ("{A} {does} {k} {items}.",),
    "rate": (
        "{A} {does} {a} {boxes} of {items} with {b} {items} {inside} each {box}.",
        "{A} {does} {a} {boxes} of {items}, and there are {b} {items} {inside} every {box}.",
        "There are {b} {items} {inside} each {box}, and {A} {does} {a} {boxes} of {items}.",
    ),
    "dozens": (
        "{A} {does} {k} dozen {items}.",
        "{A} {does} {items} by the dozen: {k} dozen in all.",
        "{A} {does} {items}, {k} dozen of them.",
    ),
    "also": ("{B} {does} {k} {items}.", "{B} {does} {k} {items} too."),
    "more": (
        "{B} {does} {k} more {items} than {A}.",
        "{B} {does} {k} {items} more than {A}.",
        "Compared with {A}, {B} {does} {k} more {items}.",
    ),
    "fewer": (
        "{B} {does} {k} fewer {items} than {A}.",
        "{B} {does} {k} {items} fewer than {A}.",
        "Compared with {A}, {B} {does} {k} fewer {items}.",
    ),
    "times": (
        "{B} {does} {k} times as many {items} as {A}.",
        "Compared with {A}, {B} {does} {k} times as many {items}.",
        "The number of {items} for {B} is {k} times the number for {A}.",
    ),
    "twice": (
        "{B} {does} twice as many {items} as {A}.",
        "{A} {does} half as many {items} as {B}.",
        "Compared with {A}, {B} {does} twice as many {items}.",
    ),
    "half": (
        "{B} {does} half as many {items} as {A}.",
        "{A} {does} twice as many {items} as {B}.",
        "Compared with {A}, {B} {does} half as many {items}.",
    ),
    "third": (
        "{B} {does} a third as many {items} as {A}.",
        "{A} {does} three times as many {items} as {B}.",
        "Compared with {A}, {B} {does} a third as many {items}.",
    ),
    "gain": (
        "Then {s} <does_again> {k} more {items}.",
        "Later {s} <does_again> another {k} {items}.",
        "On top of that, {s} <does_again> {k} {items}.",
    ),
    "part": (
        "{k} percent of {the} {trait}.",
        "Of {the}, {k} percent {trait}.",
        "It turns out that {k} percent of {the} {trait}.",
    ),
    "rest": (
        "{k} percent of {the} {spoil}.",
        "Of {the}, {k} percent {spoil}.",
        "It turns out that {k} percent of {the} {spoil}.",
    ),
    "sell": (
        "{S} <sells|sell> {all_the} for ${k} each.",
        "Each {item} sells for ${k}.|||{S} <sells|sell> {all_the}.",
        "A customer buys {all} and pays ${k} for each {item}.",
    ),
    "pay": (
        "Each {item} costs ${k}.",
        "The price of {a_item} is ${k}.",
        "{S} <pays|pay> ${k} for each {item}.",
    ),
    "pack": (
        "{S} <puts|put> {k} {items} into each {pack}.",
        "Each {pack} holds {k} {items}.|||{S} <puts|put> {all_the} into {packs}.",
        "{All} go into {packs} of {k} each.",
    ),
    "left_over": (
        "{S} <fills|fill> as many {packs} as possible with {k} {items} each.",
        "Each {pack} holds {k} {items}.|||{S} <fills|fill> as many {packs} as possible.",
        "{The} go into {packs} of {k}, until there are too few for another {pack}.",
    ),
    "share": (
        "{S} <shares|share> {all_the} equally among {k} {sharers}.",
        "{k} {sharers} get equal shares of {the}.",
        "{The} are divided equally among {k} {sharers}.",
    ),
    "pace": (
        "{S} <{works}|{work}> {k} {items} an hour.",
        "In one hour {s} <{works}|{work}> {k} {items}.",
        "It takes {o} one hour to {work} {k} {items}.",
    ),
    "pack_loss": (
        "{k} of the {packs} are given away.",
        "{S} <gives|give> {k} of the {packs} to a school.",
        "A shop takes {k} of the {packs}.",
    ),
    "pack_sell": (
        "{S} <sells|sell> the {packs} for ${k} each.",
        "Each {pack} sells for ${k}.|||{S} <sells|sell> all of these {packs}.",
        "A customer pays ${k} for each {pack}.",
    ),
    "vans": (
        "{k} vans take the {packs} away, the same number in each van.",
        "The {packs} are loaded into {k} vans, the same number into each.",
        "{S} <loads|load> the {packs} evenly into {k} vans.",
    ),
    "weight": (
        "Each {pack} weighs {k} {unit}.",
        "The weight of one {pack} is {k} {unit}.",
        "Every {pack} has a weight of {k} {unit}.",
    ),
    "income_gain": (
        "{S} also <gets|get> ${k} from {giver}.",
        "On top of that, {giver} gives ${k}.",
        "Then {giver} adds ${k} to {money}.",
    ),
    "income_loss": (
        "{S} <spends|spend> ${k} of {money} on {treat}.",
        "{S} <uses|use> ${k} of {money} for {treat}.",
        "Then {treat} takes ${k} of {money}.",
    ),
    "income_part": (
        "{S} <saves|save> {k} percent of {money}.",
        "{k} percent of {money} is saved.",
        "Of {money}, {k} percent goes into the savings.",
    ),
    "income_rest": (
        "{S} <gives|give> {k} percent of {money} to a charity.",
        "{k} percent of {money} goes to a charity.",
        "Of {money}, {k} percent goes to a charity.",
    ),
    "income_share": (
        "{S} <divides|divide> {money} equally among {k} {receivers}.",
        "All {money} is shared equally by {k} {receivers}.",
        "{k} {receivers} get equal parts of {money}.",
    ),
    "spend": (
        "{S} <spends|spend> all {money} on {goods} that cost ${k} each.",
        "With all {money} {s} <buys|buy> {goods} for ${k} each.",
        "All {money} goes on {goods} at ${k} each.",
    ),
    "goal": (
        "{S} <wants|want> to buy {goal} for ${k}.",
        "{S} <hopes|hope> to buy {goal} that costs ${k}.",
        "{S} <needs|need> ${k} for {goal}.",
    ),
    "cost_gain": ("Delivery costs ${k} more.", "There is also a fee of ${k}.", "A tip adds ${k}."),
    "cost_loss": (
        "{S} <has|have> a coupon for ${k} off.",
        "The shop takes ${k} off the bill.",
        "A gift card pays ${k} of the bill.",
    ),
    "cost_rest": (
        "The shop gives a discount of {k} percent.",
        "A sale takes {k} percent off the bill.",
        "{S} <gets|get> {k} percent off the bill.",
    ),
    "cost_share": (
        "{k} {receivers} share the bill equally.",
        "The bill is divided equally among {k} {receivers}.",
        "{k} {receivers} pay equal parts of the bill.",
    ),
    "change": (
        "{S} <pays|pay> with ${k}.",
        "{S} <gives|give> the cashier ${k}.",
        "To pay, {s} <hands|hand> over ${k}.",
    ),
}  # fmt: skip

# Who is compared with whom is turned round: "Ana picks 3 fewer than Ben" where Ben's are asked for.
INVERTED: dict[str, str] = {
    "more": "{A} {does} {k} fewer {items} than {B}.",
    "fewer": "{A} {does} {k} more {items} than {B}.",
}

QUESTIONS: dict[str, tuple[str, ...]] = {
    "person": ("How many {items} does {s} {do}?",),
    "people": (
        "How many {items} do they {do} together?",
        "How many {items} do they {do} in total?",
        "How many {items} do they {do} in all?",
    ),
    "compared": ("How many more {items} does {more} {do} than {less}?",),
    "now": (
        "How many {items} <does|do> {s} have now?",
        "How many {items} <does|do> {s} have in the end?",
    ),
    "in_all": ("How many {items} <does|do> {s} {do} in all?",
               "How many {items} <does|do> {s} {do} altogether?"),
    "left": ("How many of {of} are left?", "How many of {of} are left in the end?"),
    "units_left": (
        "How many {items} are left for {o}?",
        "How many {items} are left for {o} in the end?",
    ),
    "part": ("How many of {of} {trait}?",),
    "packs": ("How many {packs} are there?", "How many {packs} <does|do> {s} need?"),
    "packs_left": ("How many {packs} are left?", "How many {packs} are left in the end?"),
    "left_over": ("How many {items} are left over?", "How many {items} do not go into {a_pack}?"),
    "share": (
        "How many {items} does each {sharer} get?",
        "How many {items} are there for each {sharer}?",
    ),
    "hours": (
        "How many hours <does|do> {s} need to {work} {all_the}?",
        "How many hours does it take {o} to {work} {all_the}?",
    ),
    "minutes": (
        "How many minutes <does|do> {s} need to {work} {all_the}?",
        "How many minutes does it take {o} to {work} {all_the}?",
    ),
    "vans": ("How many {packs} are in each van?", "How many {packs} does each van take?"),
    "weight": (
        "How many {unit} do the {packs} weigh together?",
        "What is the weight of all the {packs} in {unit}?",
    ),
    "income": ("How many dollars <does|do> {s} get?", "How many dollars come in?"),
    "income_now": (
        "How many dollars <does|do> {s} have now?",
        "How many dollars <does|do> {s} have in the end?",
    ),
    "income_left": (
        "How many dollars <does|do> {s} have left?",
        "How many dollars of the money are left?",
    ),
    "income_part": ("How many dollars are saved?", "How many dollars is that?"),
    "income_share": (
        "How many dollars does each {receiver} get?",
        "How many dollars are there for each {receiver}?",
    ),
    "spend": ("How many {goods} <does|do> {s} buy?", "How many {goods} does the money buy?"),
    "goal": ("How many more dollars <does|do> {s} need?", "How many dollars are still missing?"),
    "cost": (
        "How many dollars <does|do> {s} pay?",
        "How many dollars <does|do> {s} have to pay in total?",
    ),
    "cost_share": (
        "How many dollars does each {receiver} pay?",
        "How many dollars is that for each {receiver}?",
    ),
    "change": (
        "How many dollars of change <does|do> {s} get?",
        "How many dollars <does|do> {s} get back?",
    ),
}  # fmt: skip

# Irrelevant facts of any story, each with the numbers that it may have.
FACTS: tuple[tuple[str, int, int], ...] = (
    ("{A} is {k} years old.", 8, 70),
    ("{A} lives {k} kilometers away.", 2, 30),
    ("It is {k} degrees outside.", 5, 33),
    ("{A} has {k} cousins.", 2, 12),
    ("{A} got up {k} minutes late.", 5, 55),
)

TREATS = ("lunch", "a new coat", "a lamp", "a concert", "a haircut", "a radio", "a trip")
GIVERS = ("an aunt", "a neighbor", "a friend", "a sponsor", "an uncle")
GOALS = ("a tent", "a bicycle", "a guitar", "a telescope", "a camera", "a desk")
PURCHASES = ("kites", "scarves", "board games", "lanterns", "caps", "balls")
SHARERS = ("helper|helpers", "sister|sisters", "club|clubs", "brother|brothers")
