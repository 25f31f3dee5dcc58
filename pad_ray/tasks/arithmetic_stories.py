"""Story templates of one to three steps. The text's `{quantity:low-high/step}` slots are numbers.

The other slots are people (`name`, `name2`, `name3`) and words from `WORDS`. A step is
"quantity = expression". The ranges keep every story sensible; what is left is for `where`.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Story:
    """One hand-written story.

    Every quantity must come out above zero and whole, or with `decimals` in at most two decimal
    places; `where` is one more condition on the quantities. A `held_out` story is never trained on.
    """

    template: str
    text: str
    steps: tuple[str, ...]
    where: str = ""
    decimals: bool = False
    held_out: bool = False


WORDS: dict[str, tuple[str, ...]] = {
    "fruit": ("apples", "oranges", "pears", "lemons", "peaches", "plums", "mangoes"),
    "vegetable": ("carrots", "onions", "tomatoes", "potatoes", "peppers", "cabbages"),
    "pastry": ("muffins", "cookies", "scones", "cupcakes", "croissants", "rolls"),
    "toy": ("marbles", "stickers", "toy cars", "trading cards", "puzzles", "building blocks"),
    "flower": ("roses", "tulips", "daisies", "lilies", "daffodils", "sunflowers"),
    "drink": ("lemonade", "orange juice", "apple juice", "iced tea", "milk"),
    "stationery": ("pencils", "pens", "notebooks", "erasers", "markers", "rulers"),
    "clothing": ("shirts", "hats", "scarves", "jackets", "sweaters"),
    "animal": ("sheep", "goats", "cows", "horses", "alpacas"),
    "place": ("the library", "the museum", "the town hall", "the community center", "the school"),
    "day": ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"),
    "color": ("red", "blue", "green", "yellow", "purple", "orange"),
}

ONE_STEP = (
    Story(
        "bakery_trays",
        "{name} bakes {trays:3-15} trays of {pastry} with {pastries_per_tray:4-24} {pastry} on "
        "each tray. How many {pastry} does {name} bake?",
        ("total_pastries = trays * pastries_per_tray",),
    ),
    Story(
        "bus_first_stop",
        "A bus leaves {place} with {passengers:20-70} passengers. At the first stop "
        "{passengers_off:3-19} of them get off. How many passengers are still on the bus?",
        ("passengers_left = passengers - passengers_off",),
    ),
    Story(
        "shared_toys",
        "{name} shares {toys:12-96} {toy} equally among {friends:3-9} friends. How many {toy} "
        "does each friend get?",
        ("toys_per_friend = toys / friends",),
        where="toys_per_friend > 1",
    ),
    Story(
        "two_orchards",
        "{name} picks {morning_fruit:12-95} {fruit} before lunch and {afternoon_fruit:12-95} "
        "{fruit} after lunch. How many {fruit} does {name} pick that day?",
        ("total_fruit = morning_fruit + afternoon_fruit",),
    ),
    Story(
        "rope_pieces",
        "{name} cuts a rope that is {rope_length:5-45} meters long into {pieces:2-8} equal "
        "pieces. How long is each piece in meters?",
        ("piece_length = rope_length / pieces",),
        decimals=True,
    ),
    Story(
        "train_distance",
        "{name} takes a train that travels at {speed:40-120/5} kilometers per hour for {hours:2-9} "
        "hours. How many kilometers does the train travel?",
        ("distance = speed * hours",),
    ),
    Story(
        "market_purchase",
        "{name} buys {pounds:2-12} pounds of {vegetable} at ${price_per_pound:1.25-4.75/0.5} a "
        "pound. How many dollars does {name} pay?",
        ("total_cost = pounds * price_per_pound",),
        decimals=True,
    ),
    Story(
        "lent_books",
        "A school library owns {books:60-300} books about history, and {lent_books:5-59} of them "
        "are lent out. How many of the history books are on the shelves?",
        ("books_on_shelves = books - lent_books",),
        held_out=True,
    ),
    Story(
        "bulb_rows",
        "{name} plants {bulbs:24-160} {flower} in {rows:3-12} equal rows. How many {flower} "
        "are in one row?",
        ("bulbs_per_row = bulbs / rows",),
        where="bulbs_per_row > 1",
        held_out=True,
    ),
)

TWO_STEPS = (
    Story(
        "savings_goal",
        "{name} saves ${weekly_savings:5-25} every week for {weeks:3-12} weeks and then buys a "
        "game for ${game_price:10-60}. How many dollars are left?",
        ("savings = weekly_savings * weeks", "money_left = savings - game_price"),
    ),
    Story(
        "classroom_boxes",
        "A teacher has {boxes:3-12} boxes with {items_per_box:8-24} {stationery} each and "
        "shares all the {stationery} equally among {students:4-30} students. How many "
        "{stationery} does each student get?",
        ("total_items = boxes * items_per_box", "items_per_student = total_items / students"),
        where="items_per_student > 1",
    ),
    Story(
        "half_as_many",
        "{name} has {first_toys:12-80/2} {toy}. {name2} has half as many {toy} as {name}. How "
        "many {toy} do they have together?",
        ("second_toys = first_toys / 2", "total_toys = first_toys + second_toys"),
    ),
    Story(
        "aquarium_fish",
        "An aquarium has {fish:20-90} fish. The keeper moves {moved_fish:3-19} fish to another "
        "tank and then buys {new_fish:4-30} new fish. How many fish are in the aquarium now?",
        ("fish_left = fish - moved_fish", "total_fish = fish_left + new_fish"),
    ),
    Story(
        "concert_income",
        "For a concert, {adults:10-60} adults pay ${adult_price:6-20} each, and a sponsor gives "
        "${donation:50-200/10} more. How many dollars come in?",
        ("ticket_income = adults * adult_price", "total_income = ticket_income + donation"),
    ),
    Story(
        "juice_glasses",
        "{name} mixes {juice:1.5-6.5} liters of {drink} with {water:1.5-4.5} liters of water and "
        "pours it all into {jugs:2-8} jugs equally. How many liters are in each jug?",
        ("total_liters = juice + water", "liters_per_jug = total_liters / jugs"),
        decimals=True,
    ),
    Story(
        "reading_pages",
        "{name} is reading a book of {pages:120-400} pages and has already read "
        "{pages_read:20-110} pages. At {pages_per_day:5-30} pages a day, how many days does "
        "{name} need for the rest?",
        ("pages_left = pages - pages_read", "days = pages_left / pages_per_day"),
        where="days > 1",
    ),
    Story(
        "egg_cartons",
        "{name} collects {eggs:40-160} eggs and drops {broken_eggs:2-15} of them. The others go "
        "into cartons of {eggs_per_carton:6-12/2} eggs. How many cartons are filled?",
        ("whole_eggs = eggs - broken_eggs", "cartons = whole_eggs / eggs_per_carton"),
        where="cartons > 1",
        held_out=True,
    ),
    Story(
        "cyclist_loops",
        "{name} rides around a lake {loops:2-9} times. One loop is {loop_length:3-14} kilometers "
        "long, and the way to the lake and back adds {extra_distance:4-30} kilometers. How many "
        "kilometers does {name} ride?",
        ("lake_distance = loops * loop_length", "total_distance = lake_distance + extra_distance"),
        held_out=True,
    ),
)

THREE_STEPS = (
    Story(
        "shopping_change",
        "{name} buys {garments:2-6} {clothing} for ${garment_price:8-25} each and a belt for "
        "${belt_price:5-20}. {name} pays with ${money:50-200/10}. How many dollars of change does "
        "{name} get?",
        (
            "clothing_cost = garments * garment_price",
            "total_cost = clothing_cost + belt_price",
            "change = money - total_cost",
        ),
    ),
    Story(
        "class_teams",
        "A summer camp has {girls:12-60} girls and {boys:12-60} boys. On {day}, {sick:2-9} "
        "children are sick, and the others form teams of {team_size:4-9}. How many teams are "
        "there?",
        (
            "children = girls + boys",
            "players = children - sick",
            "teams = players / team_size",
        ),
    ),
    Story(
        "two_earners",
        "{name} works {first_hours:3-9} hours at ${first_wage:9-25} an hour. {name2} works "
        "{second_hours:3-9} hours at ${second_wage:9-25} an hour. How many dollars do they earn "
        "together?",
        (
            "first_pay = first_hours * first_wage",
            "second_pay = second_hours * second_wage",
            "total_pay = first_pay + second_pay",
        ),
    ),
    Story(
        "warehouse_pallets",
        "A warehouse has {pallets:3-12} pallets with {crates_per_pallet:4-15} crates each. A "
        "truck takes {crates_taken:5-40} crates away, and {vans:2-6} vans share the rest "
        "equally. How many crates does each van carry?",
        (
            "crates = pallets * crates_per_pallet",
            "crates_left = crates - crates_taken",
            "crates_per_van = crates_left / vans",
        ),
    ),
    Story(
        "percent_discount",
        "{name} orders a jacket that costs ${price:40-200/20} and is sold with "
        "{discount_percent:5-50/5} percent off. Shipping costs ${shipping:3-12}. How many dollars "
        "does {name} pay?",
        (
            "discount = price * discount_percent / 100",
            "sale_price = price - discount",
            "total_price = sale_price + shipping",
        ),
    ),
    Story(
        "average_score",
        "{name} scores {first_score:10-99} points in the first game, {second_score:10-99} points "
        "in the second game and {third_score:10-99} points in the third game. What is the average "
        "score of the three games?",
        (
            "first_two_scores = first_score + second_score",
            "total_score = first_two_scores + third_score",
            "average_score = total_score / 3",
        ),
    ),
    Story(
        "water_tank",
        "A tank holds {tank:100-300/10} liters of water. A pump takes out {pump_rate:2-9} liters "
        "a minute for {minutes:5-20} minutes, and then rain adds {rain:5-40} liters. How many "
        "liters are in the tank now?",
        (
            "pumped = pump_rate * minutes",
            "water_left = tank - pumped",
            "total_water = water_left + rain",
        ),
    ),
    Story(
        "wedding_tables",
        "For a wedding, {name} sets up {round_tables:4-12} round tables with {round_seats:5-10} "
        "seats each and {long_tables:2-6} long tables with {long_seats:10-20} seats each. How "
        "many guests can sit down?",
        (
            "round_table_guests = round_tables * round_seats",
            "long_table_guests = long_tables * long_seats",
            "total_guests = round_table_guests + long_table_guests",
        ),
        held_out=True,
    ),
    Story(
        "candle_profit",
        "{name} makes {candles:12-60} candles and sells all of them at ${candle_price:5-15} each. "
        "The wax costs ${wax_cost:20-90}, and the jars cost ${jar_cost:10-60}. How many dollars of "
        "profit does {name} make?",
        (
            "income = candles * candle_price",
            "total_cost = wax_cost + jar_cost",
            "profit = income - total_cost",
        ),
        held_out=True,
    ),
)

SHORT_STORIES: tuple[Story, ...] = (*ONE_STEP, *TWO_STEPS, *THREE_STEPS)
