"""Where the stories of the arithmetic task are set: what there is, who does what with it.

In a telling `{S}` is who acts (`{s}` inside a sentence), `{k}` the number given and `<sells|sell>`
a verb for one and for several; the other slots are a domain's own words.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["DOMAINS", "Change", "Domain", "Noun"]


@dataclass(frozen=True)
class Noun:
    """A thing that is counted, and what a program calls many of it."""

    one: str
    many: str
    variable: str

    @property
    def a(self) -> str:
        return f"{'an' if self.one[0] in 'aeiou' else 'a'} {self.one}"


@dataclass(frozen=True)
class Change:
    """Tellings of what happens to some of the things, and what a program calls those."""

    word: str
    tellings: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Domain:
    """A setting of stories; a relation whose words it lacks is not told in it.

    `verb` is what people do to come by `count` (from, to) things, for one and for several, and
    `again` what they do for more of them. Things come in a `box` of `each`, as `rate` tells it, and
    are put away in a `pack`. `price` is in dollars, of things sold, or bought where the domain
    `pays`, as `sale` tells it. `trait` is true
    of a share of the things, and `spoil` takes a share of them away. `work` is done on things at a
    rate an hour; `unit` is a smaller unit, and how many of it there are in one thing. Things that
    are no `goods` cannot be had, given or put together.
    """

    name: str
    items: tuple[Noun, ...]
    verb: tuple[str, str]
    count: tuple[int, int]
    box: Noun | None = None
    inside: str = "in"
    rate: tuple[str, ...] = ()
    boxes: tuple[int, int] = (3, 9)
    each: tuple[int, int] = (4, 15)
    dozens: bool = False
    loss: tuple[Change, ...] = ()
    trait: tuple[str, str] | None = None
    spoil: tuple[str, str] | None = None
    pack: Noun | None = None
    weight: tuple[str, int, int] = ("kilograms", 2, 12)
    price: tuple[float, ...] = ()
    sale: tuple[str, ...] = ()
    pays: bool = False
    share: Noun | None = None
    work: tuple[str, str] | None = None
    unit: tuple[str, int] | None = None
    goods: bool = True
    again: tuple[str, str] | None = None
    pool: tuple[str, ...] = ("They put all their {items} together.", "They combine their {items}.")
    beside: tuple[tuple[str, int, int], ...] = ()


def _noun(words: str) -> Noun:
    """Read `one|many`, or `one|many|variable` where the variable is not the plural."""
    one, many, *variable = words.split("|")
    return Noun(one, many, variable[0] if variable else many.replace(" ", "_"))


def _nouns(*words: str) -> tuple[Noun, ...]:
    return tuple(map(_noun, words))


_CHEAP = (1, 2, 3, 4, 5, 0.75, 1.25, 2.25)
_FAIR = (3, 4, 5, 6, 8, 9, 12)
_DEAR = (7, 8, 9, 12, 15, 18, 25)

DOMAINS: tuple[Domain, ...] = (
    Domain(
        "orchard", _nouns("apple|apples", "pear|pears", "plum|plums", "lemon|lemons",
                          "peach|peaches", "orange|oranges"),
        ("picks", "pick"), (12, 80), box=_noun("basket|baskets"),
        loss=(Change("rotten", ("{k} of {the} turn out to be rotten.",
                                "{S} <throws|throw> away {k} rotten {items}.")),
              Change("eaten", ("{S} <eats|eat> {k} of the {items}.",))),
        trait=("ripe", "are ripe"), spoil=("rotten", "are rotten and are thrown away"),
        pack=_noun("crate|crates"), price=_CHEAP, share=_noun("neighbor|neighbors"),
        work=("washes", "wash"), beside=(("The orchard has {k} trees.", 15, 90),),
    ),
    Domain(
        "bakery", _nouns("muffin|muffins", "cookie|cookies", "scone|scones", "bagel|bagels",
                         "cupcake|cupcakes", "bread roll|bread rolls|rolls"),
        ("bakes", "bake"), (12, 72), box=_noun("tray|trays"), inside="on", each=(6, 24),
        dozens=True,
        loss=(Change("burnt", ("{k} of {the} are burnt and cannot be sold.",
                               "{S} <throws|throw> away {k} burnt {items}.")),
              Change("tasted", ("{S} <lets|let> customers taste {k} of the {items}.",))),
        trait=("glazed", "are glazed"), spoil=("burnt", "are burnt and are thrown away"),
        pack=_noun("box|boxes"), price=_CHEAP, share=_noun("customer|customers"),
        work=("decorates", "decorate"), beside=(("The oven is set to {k} degrees.", 150, 220),),
    ),
    Domain(
        "chicken farm", _nouns("hen egg|hen eggs", "goose egg|goose eggs", "duck egg|duck eggs"),
        ("collects", "collect"), (15, 90), box=_noun("nest|nests"),
        rate=("{A} empties {a} nests with {b} {items} in each nest.",
              "{A} collects {b} {items} from each of {a} nests.",
              "There are {b} {items} in each nest, and {A} empties {a} nests."),
        each=(2, 8), dozens=True,
        loss=(Change("broken", ("{k} of {the} break on the way home.",
                                "{S} <drops|drop> {k} of the {items}, and they break.")),
              Change("used", ("{S} <uses|use> {k} of the {items} for breakfast.",))),
        trait=("large", "are large"), spoil=("cracked", "are cracked and cannot be used"),
        pack=_noun("carton|cartons"), price=(1, 2, 0.25, 0.75), share=_noun("family|families"),
        work=("cleans", "clean"), beside=(("The farm is {k} years old.", 12, 95),),
    ),
    Domain(
        "book sale", _nouns("book|books", "comic|comics", "magazine|magazines",
                            "map|maps"),
        ("brings", "bring"), (10, 70), box=_noun("bag|bags"), each=(3, 12),
        loss=(Change("damaged", ("{k} of {the} are damaged and are taken away.",)),
              Change("kept", ("{S} <keeps|keep> {k} of the {items} after all.",))),
        trait=("unread", "have never been read"),
        spoil=("torn", "are torn and go to the recycling bin"),
        pack=_noun("carton|cartons"), price=(2, 3, 4, 5, 6, 1.25, 2.75),
        share=_noun("school|schools"), work=("sorts", "sort"),
        beside=(("The sale is open for {k} hours.", 3, 9),),
    ),
    Domain(
        "toys", _nouns("marble|marbles", "sticker|stickers", "toy car|toy cars",
                       "trading card|trading cards", "puzzle|puzzles"),
        ("has", "have"), (10, 90), again=("gets", "get"), box=_noun("bag|bags"),
        rate=("{A} has {a} bags with {b} {items} in each bag.",
              "{A} owns {a} bags of {items}, and every bag holds {b} of them.",
              "There are {b} {items} in a bag, and {A} has {a} bags."),
        loss=(Change("lost", ("{S} <loses|lose> {k} of the {items}.",
                              "{k} of {the} get lost in the park.")),
              Change("given", ("{S} <gives|give> {k} of the {items} to a cousin.",))),
        trait=("shiny", "are shiny"), spoil=("broken", "are broken and are thrown away"),
        pack=_noun("tin|tins"), weight=("grams", 30, 95), price=_CHEAP,
        share=_noun("friend|friends"),
        work=("sorts", "sort"), beside=(("The toy shop is {k} minutes away.", 4, 45),),
    ),
    Domain(
        "flower shop", _nouns("rose|roses", "tulip|tulips", "lily|lilies",
                              "sunflower|sunflowers", "carnation|carnations"),
        ("cuts", "cut"), (12, 96), box=_noun("bucket|buckets"),
        rate=("{A} fills {a} buckets with {b} {items} in each bucket.",
              "{A} fills {a} buckets, and there are {b} {items} in every bucket.",
              "There are {b} {items} in each bucket, and {A} fills {a} buckets."), dozens=True,
        loss=(Change("wilted", ("{k} of {the} wilt and are thrown away.",
                                "{S} <throws|throw> away {k} wilted {items}.")),),
        trait=("yellow", "are yellow"), spoil=("wilted", "are wilted and cannot be sold"),
        pack=_noun("bouquet|bouquets"), weight=("grams", 90, 300), price=_CHEAP,
        share=_noun("teacher|teachers"),
        work=("trims", "trim"), beside=(("The shop opens {k} days a week.", 4, 7),),
    ),
    Domain(
        "jewelry", _nouns("bracelet|bracelets", "necklace|necklaces", "ring|rings",
                          "brooch|brooches"),
        ("makes", "make"), (8, 60), box=_noun("set|sets"), each=(3, 9),
        loss=(Change("broken", ("{k} of {the} break and cannot be repaired.",)),
              Change("given", ("{S} <gives|give> {k} of the {items} to friends.",))),
        trait=("silver", "are made of silver"), spoil=("faulty", "are faulty and are melted down"),
        pack=_noun("gift box|gift boxes"),
        weight=("grams", 40, 99), price=_DEAR, share=_noun("shop|shops"),
        work=("polishes", "polish"), beside=(("The workshop has {k} windows.", 3, 12),),
    ),
    Domain(
        "pottery", _nouns("bowl|bowls", "mug|mugs", "plate|plates", "vase|vases", "jug|jugs"),
        ("makes", "make"), (8, 60), box=_noun("rack|racks"), inside="on",
        rate=("{A} fills {a} racks with {b} {items} on each rack.",
              "{A} fills {a} racks, and there are {b} {items} on every rack.",
              "There are {b} {items} on each rack, and {A} fills {a} racks."),
        loss=(Change("cracked", ("{k} of {the} crack in the kiln.",
                                 "{S} <breaks|break> {k} of the {items} by accident.")),),
        trait=("blue", "are blue"), spoil=("cracked", "are cracked and are thrown away"),
        pack=_noun("crate|crates"), price=_DEAR, share=_noun("cafe|cafes"),
        work=("paints", "paint"), beside=(("The kiln heats up for {k} minutes.", 40, 180),),
    ),
    Domain(
        "beach", _nouns("shell|shells", "pebble|pebbles", "sand dollar|sand dollars",
                        "sea glass piece|sea glass pieces|glass_pieces"),
        ("finds", "find"), (10, 80), box=_noun("bucket|buckets"),
        rate=("{A} fills {a} buckets with {b} {items} in each bucket.",
              "{A} fills {a} buckets, and there are {b} {items} in every bucket.",
              "There are {b} {items} in each bucket, and {A} fills {a} buckets."),
        loss=(Change("chipped", ("{k} of {the} are chipped and go back into the sea.",)),
              Change("lost", ("{S} <loses|lose> {k} of the {items} in the sand.",))),
        trait=("white", "are white"), spoil=("chipped", "are chipped and are left behind"),
        pack=_noun("jar|jars"), weight=("grams", 60, 400), price=(1, 2, 3, 0.25, 0.75),
        share=_noun("child|children"),
        work=("rinses", "rinse"), beside=(("The water is {k} degrees warm.", 14, 27),),
    ),
    Domain(
        "classroom", _nouns("pencil|pencils", "eraser|erasers", "marker|markers",
                            "notebook|notebooks", "crayon|crayons"),
        ("buys", "buy"), (12, 96), box=_noun("pack|packs"), dozens=True,
        loss=(Change("lost", ("{S} <loses|lose> {k} of the {items}.",)),
              Change("lent", ("{S} <lends|lend> {k} of the {items} to a classmate.",
                              "A classmate borrows {k} of {the}."))),
        trait=("red", "are red"), spoil=("broken", "are broken and are thrown away"),
        pack=_noun("box|boxes"), weight=("grams", 50, 200), price=(1, 2, 3, 0.25, 0.75, 1.25),
        pays=True,
        share=_noun("student|students"), work=("labels", "label"),
        beside=(("The classroom has {k} desks.", 12, 34),),
    ),
    Domain(
        "game night", _nouns("point|points"), ("scores", "score"), (10, 95), goods=False,
        box=_noun("game|games"),
        rate=("{A} scores {b} points in each of {a} games.",
              "{A} plays {a} games and scores {b} points in each game.",
              "In every game {A} scores {b} points, and {A} plays {a} games."),
        loss=(Change("penalty", ("{S} <loses|lose> {k} points for a mistake.",
                                 "Then {s} <loses|lose> {k} points in a penalty round.")),),
        trait=("bonus", "are bonus points"),
        spoil=("invalid", "do not count because of a broken rule"),
        pool=("They add up their points.", "They play as a team and add up their points."),
        beside=(("The game lasts {k} minutes.", 20, 90),),
    ),
    Domain(
        "running club", _nouns("kilometer|kilometers"), ("runs", "run"), (4, 40), goods=False,
        box=_noun("day|days"),
        rate=("{A} runs {b} kilometers a day for {a} days.",
              "For {a} days, {A} runs {b} kilometers every day.",
              "{A} runs on {a} days, {b} kilometers each day."),
        sale=("A sponsor pays ${k} for each kilometer.",
              "For every kilometer {s} <gets|get> ${k} from a sponsor.",
              "Each kilometer earns ${k}."),
        each=(2, 12), trait=("uphill", "go uphill"), price=(2, 3, 4, 5, 6, 10),
        unit=("meters", 1000), work=("runs", "run"),
        pool=("They add up their kilometers.", "They run as a team, so their kilometers add up."),
        beside=(("The club has {k} members.", 12, 80),),
    ),
    Domain(
        "reading", _nouns("page|pages"), ("has to read", "have to read"), (30, 240), goods=False,
        box=_noun("chapter|chapters"),
        rate=("{A} has to read {a} chapters of {b} pages each.",
              "{A} has to read {a} chapters, and each chapter has {b} pages.",
              "Each chapter has {b} pages, and {A} has to read {a} chapters."),
        each=(8, 30), trait=("illustrated", "have pictures"),
        loss=(Change("read", ("{S} <reads|read> {k} of the {items} on the first day.",
                              "{S} <has|have> already read {k} of the {items}.")),),
        spoil=("skipped", "are only notes and can be skipped"), work=("reads", "read"),
        pool=("They share the work and add up their pages.",),
        beside=(("The library closes in {k} minutes.", 15, 110),),
    ),
    Domain(
        "well", _nouns("liter of water|liters of water|liters"), ("fetches", "fetch"), (10, 90),
        box=_noun("bucket|buckets"),
        rate=("{A} fetches {a} buckets with {b} liters of water in each bucket.",
              "{A} fills {a} buckets with {b} liters of water each.",
              "A bucket holds {b} liters of water, and {A} fills {a} buckets."),
        loss=(Change("spilled", ("{S} <spills|spill> {k} {items}.",)),
              Change("used", ("{S} <uses|use> {k} {items} for cooking.",
                              "The goats drink {k} {items}."))),
        spoil=("muddy", "are muddy and are poured away"), pack=_noun("can|cans"),
        share=_noun("household|households"), unit=("milliliters of water", 1000),
        trait=("warm", "are heated for washing"),
        pool=("They pour all their water into one tank.", "They put all their water together."),
        beside=(("The well is {k} meters deep.", 6, 40),),
    ),
    Domain(
        "sewing", _nouns("meter of ribbon|meters of ribbon|meters",
                         "meter of fabric|meters of fabric|meters",
                         "meter of lace|meters of lace|meters"),
        ("buys", "buy"), (6, 60), box=_noun("roll|rolls"),
        rate=("{A} buys {a} rolls with {b} {items} on each roll.",
              "{A} buys {a} rolls of {b} {items} each.",
              "A roll has {b} {items}, and {A} buys {a} rolls."),
        loss=(Change("used", ("{S} <uses|use> {k} {items} for a dress.",
                              "{S} <needs|need> {k} {items} for the curtains.")),),
        spoil=("stained", "are stained and are cut off"), trait=("striped", "are striped"),
        price=(2, 3, 4, 5, 6, 8, 1.25), pays=True, share=_noun("costume|costumes"),
        unit=("centimeters", 100), beside=(("The sewing machine is {k} years old.", 3, 40),),
    ),
    Domain(
        "kitchen", _nouns("kilogram of flour|kilograms of flour|kilograms",
                          "kilogram of rice|kilograms of rice|kilograms",
                          "kilogram of sugar|kilograms of sugar|kilograms"),
        ("orders", "order"), (6, 60), box=_noun("sack|sacks"), each=(2, 12),
        rate=("{A} orders {a} sacks with {b} {items} in each sack.",
              "{A} orders {a} sacks, and each sack holds {b} {items}.",
              "One sack holds {b} {items}, and {A} orders {a} sacks."),
        loss=(Change("used", ("{S} <uses|use> {k} {items} for lunch.",
                              "The cook uses up {k} {items}.")),),
        spoil=("damp", "are damp and cannot be used"), trait=("organic", "are organic"),
        pack=_noun("jar|jars"), price=(2, 3, 4, 5, 1.25, 1.75), pays=True,
        share=_noun("kitchen|kitchens"), unit=("grams", 1000),
        beside=(("The kitchen feeds {k} guests.", 20, 150),),
    ),
    Domain(
        "savings", _nouns("dollar|dollars"), ("saves", "save"), (10, 90), box=_noun("week|weeks"),
        rate=("{A} saves {b} dollars a week for {a} weeks.",
              "For {a} weeks, {A} saves {b} dollars every week.",
              "{A} saves {b} dollars every week for {a} weeks."),
        boxes=(3, 12), each=(4, 25),
        loss=(Change("spent", ("{S} <spends|spend> {k} of the {items} on a game.",
                               "{S} <pays|pay> {k} dollars for a haircut.")),),
        trait=("paper", "are kept in a piggy bank"), spoil=("donated", "go to a charity"),
        share=_noun("cousin|cousins"), unit=("cents", 100),
        beside=(("The bank is {k} blocks away.", 2, 14),),
    ),
    Domain(
        "summer job", _nouns("hour|hours"), ("works", "work"), (4, 40), goods=False,
        box=_noun("day|days"),
        rate=("{A} works {b} hours a day for {a} days.",
              "{A} works on {a} days, {b} hours each day.",
              "For {a} days, {A} works {b} hours every day."),
        sale=("The pay is ${k} an hour.", "For every hour {s} <gets|get> ${k}.",
              "Each hour is paid with ${k}."),
        each=(2, 8), price=_DEAR, unit=("minutes", 60), trait=("night", "are at night"),
        spoil=("unpaid", "are for training and do not count"),
        pool=("They add up their hours.", "They share one job, so their hours add up."),
        beside=(("The boss is {k} years old.", 30, 65),),
    ),
    Domain(
        "music lessons", _nouns("minute|minutes"),
        ("practices the violin for", "practice the violin for"), (15, 90), goods=False,
        box=_noun("day|days"),
        rate=("{A} practices the violin for {b} minutes a day on {a} days.",
              "On each of {a} days, {A} practices the violin for {b} minutes.",
              "{A} practices the violin on {a} days, for {b} minutes each day."),
        each=(10, 45), trait=("scale", "are spent on scales"),
        spoil=("tuning", "are spent on tuning and do not count"),
        unit=("seconds", 60), pool=("They add up their minutes.",),
        beside=(("The violin cost ${k}.", 90, 400),),
    ),
    Domain(
        "vegetable garden", _nouns("tomato|tomatoes", "carrot|carrots", "cucumber|cucumbers",
                                   "onion|onions", "pumpkin|pumpkins", "pepper|peppers"),
        ("grows", "grow"), (12, 80), box=_noun("garden bed|garden beds|beds"),
        loss=(Change("nibbled", ("Rabbits eat {k} of {the}.",
                                 "{k} of {the} are eaten by snails.")),
              Change("cooked", ("{S} <cooks|cook> {k} of the {items} for dinner.",))),
        trait=("organic", "are sold with a label"),
        spoil=("spoiled", "are spoiled and go to the compost"),
        pack=_noun("sack|sacks"), price=_CHEAP, share=_noun("restaurant|restaurants"),
        work=("peels", "peel"), beside=(("The garden is {k} meters long.", 8, 60),),
    ),
    Domain(
        "bird watching", _nouns("heron|herons", "sparrow|sparrows", "duck|ducks", "swan|swans",
                                "owl|owls", "eagle|eagles"),
        ("counts", "count"), (8, 70), goods=False, box=_noun("pond|ponds"), inside="at",
        rate=("{A} visits {a} ponds and counts {b} {items} at each pond.",
              "At each of {a} ponds, {A} counts {b} {items}.",
              "There are {b} {items} at each of {a} ponds, and {A} counts all of them."),
        loss=(Change("doubled", ("{k} of {the} were counted twice and are taken off.",)),
              Change("flown", ("{k} of {the} fly away.",))),
        trait=("young", "are young"), spoil=("doubtful", "are doubtful and do not count"),
        pool=("They add up their {items} in one list.",),
        beside=(("The lake is {k} meters deep.", 4, 60),),
    ),
    Domain(
        "theater", _nouns("ticket|tickets"), ("sells", "sell"), (12, 90), goods=False,
        box=_noun("day|days"),
        rate=("{A} sells {b} tickets a day for {a} days.",
              "On each of {a} days, {A} sells {b} tickets.",
              "For {a} days, {A} sells {b} tickets every day."),
        loss=(Change("returned", ("{k} of {the} are returned.",
                                  "Visitors give back {k} of {the}.")),),
        trait=("child", "are for children"), spoil=("unpaid", "are never paid for"),
        price=_FAIR, pool=("They add up their tickets.",),
        sale=("Each ticket costs ${k}.", "A ticket costs ${k}.", "The tickets cost ${k} each."),
        beside=(("The play lasts {k} minutes.", 60, 180),),
    ),
    Domain(
        "photo album", _nouns("photo|photos"), ("takes", "take"), (12, 96),
        box=_noun("day|days"),
        rate=("{A} takes {b} {items} a day for {a} days.",
              "On each of {a} days, {A} takes {b} {items}.",
              "For {a} days, {A} takes {b} {items} every day."),
        loss=(Change("blurred", ("{S} <deletes|delete> {k} blurred {items}.",
                                 "{k} of {the} are blurred and are deleted.")),),
        trait=("color", "are in color"), spoil=("dark", "are too dark and are deleted"),
        pack=_noun("album|albums"), price=(1, 2, 3, 0.25, 0.75), pays=True,
        sale=("It costs ${k} to print each {item}.", "Every print of {a_item} costs ${k}.",
              "A print shop charges ${k} for each {item}."),
        share=_noun("relative|relatives"), work=("edits", "edit"),
        beside=(("The camera weighs {k} grams.", 250, 900),),
    ),
    Domain(
        "building site", _nouns("brick|bricks", "tile|tiles", "plank|planks", "stone|stones"),
        ("carries", "carry"), (20, 120), box=_noun("load|loads"), each=(5, 20),
        loss=(Change("broken", ("{k} of {the} break.",
                                "{S} <drops|drop> {k} of the {items}, and they break.")),
              Change("used", ("{S} <uses|use> {k} of the {items} for a wall.",))),
        trait=("gray", "are gray"), spoil=("damaged", "are damaged and are sent back"),
        pack=_noun("cart|carts"), weight=("kilograms", 20, 90),
        price=(1, 2, 3, 4, 0.75, 1.25), pays=True,
        share=_noun("mason|masons"), work=("lays", "lay"),
        beside=(("The house will be {k} meters high.", 6, 30),),
    ),
    Domain(
        "post office", _nouns("letter|letters", "postcard|postcards", "invitation|invitations",
                              "parcel|parcels"),
        ("sends", "send"), (8, 70), box=_noun("bundle|bundles"), goods=False,
        loss=(Change("returned", ("{k} of {the} come back.",)),
              Change("unstamped", ("{k} of {the} have no stamp and are sent back.",))),
        trait=("foreign", "go to other countries"),
        spoil=("misprinted", "have a wrong address and are sent back"),
        pack=_noun("mailbag|mailbags"), price=(1, 2, 3, 0.75, 1.25), pays=True,
        sale=("The postage is ${k} for each {item}.", "Sending {a_item} costs ${k}.",
              "Each {item} needs a stamp for ${k}."),
        share=_noun("carrier|carriers"), work=("stamps", "stamp"),
        pool=("They take all the {items} to the post office together.",),
        beside=(("The post office has {k} counters.", 3, 11),),
    ),
)  # fmt: skip
