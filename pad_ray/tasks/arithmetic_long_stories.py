"""Story templates of four to six steps; `arithmetic_stories` says how to read them."""

from __future__ import annotations

from pad_ray.tasks.arithmetic_stories import Story

FOUR_STEPS = (
    Story(
        "lemonade_stand",
        "{name} sells {small_cups:10-40} small cups of {drink} at ${small_price:2-4} each and "
        "{large_cups:5-30} large cups at ${large_price:5-8} each. The ingredients cost "
        "${ingredients:10-50}. How many dollars of profit does {name} make?",
        (
            "small_income = small_cups * small_price",
            "large_income = large_cups * large_price",
            "total_income = small_income + large_income",
            "profit = total_income - ingredients",
        ),
    ),
    Story(
        "farm_feed",
        "A farm has {animals:4-30} {animal}, and each one eats {morning_hay:2-6} kilograms of hay "
        "in the morning and {evening_hay:2-6} kilograms in the evening. The barn holds "
        "{stored_hay:100-900/50} kilograms, and a neighbor brings {delivered_hay:50-400/10} "
        "kilograms more. For how many days is there enough hay?",
        (
            "hay_per_animal = morning_hay + evening_hay",
            "hay_per_day = animals * hay_per_animal",
            "total_hay = stored_hay + delivered_hay",
            "days = total_hay / hay_per_day",
        ),
        where="days > 1",
    ),
    Story(
        "three_siblings",
        "{name} has {first_coins:6-40} coins. {name2} has {times:2-5} times as many coins as "
        "{name}, and {name3} has {fewer_coins:2-12} coins fewer than {name2}. They share all "
        "their coins equally between the three of them. How many coins does each one get?",
        (
            "second_coins = first_coins * times",
            "third_coins = second_coins - fewer_coins",
            "total_coins = first_coins + second_coins + third_coins",
            "coins_per_person = total_coins / 3",
        ),
    ),
    Story(
        "fence_paint",
        "A garden is {length:8-40} meters long and {width:5-25} meters wide. {name} paints the "
        "fence around it at {meters_per_hour:4-12} meters an hour and has already worked for "
        "{hours_worked:2-6} hours. How many more hours does {name} need?",
        (
            "half_fence = length + width",
            "fence_length = half_fence * 2",
            "total_hours = fence_length / meters_per_hour",
            "hours_left = total_hours - hours_worked",
        ),
    ),
    Story(
        "school_trip",
        "A class of {students:15-35} students and {teachers:2-5} teachers goes to the zoo. A "
        "ticket costs ${ticket_price:5-15} and the bus costs ${bus_cost:60-200/10} for "
        "everyone. The school pays ${school_share:50-150/10}. How many dollars are left to pay?",
        (
            "people = students + teachers",
            "ticket_cost = people * ticket_price",
            "total_cost = ticket_cost + bus_cost",
            "cost_left = total_cost - school_share",
        ),
    ),
    Story(
        "cookie_batches",
        "{name} bakes {batches:3-9} batches of {batch_size:12-36} {pastry}. The family eats "
        "{eaten:5-20} of them, and {name} packs the rest into boxes of {box_size:4-12}. Each box "
        "sells for ${box_price:3-9}. How many dollars does {name} take in?",
        (
            "baked = batches * batch_size",
            "packed = baked - eaten",
            "boxes = packed / box_size",
            "income = boxes * box_price",
        ),
    ),
    Story(
        "road_trip",
        "{name} drives {first_hours:2-6} hours at {first_speed:40-90/5} kilometers per hour and "
        "then {second_hours:2-6} hours at {second_speed:50-110/5} kilometers per hour. The whole "
        "way is {total_distance:500-1200/50} kilometers. How many kilometers are left?",
        (
            "first_distance = first_hours * first_speed",
            "second_distance = second_hours * second_speed",
            "distance_driven = first_distance + second_distance",
            "distance_left = total_distance - distance_driven",
        ),
    ),
    Story(
        "theater_seats",
        "A theater has {rows:10-30} rows of {seats_per_row:12-30} seats. On {day}, "
        "{empty_seats:10-90} seats stay empty, and each guest pays ${ticket_price:5-20}. The "
        "theater gives ${charity:50-300/10} of the money to charity. How many dollars does it "
        "keep?",
        (
            "seats = rows * seats_per_row",
            "guests = seats - empty_seats",
            "income = guests * ticket_price",
            "money_kept = income - charity",
        ),
        held_out=True,
    ),
    Story(
        "flower_bouquets",
        "A florist gets {buckets:4-12} buckets of {flower} with {flowers_per_bucket:15-40} in "
        "each, and {wilted:3-20} of the flowers are wilted. Another shop sends "
        "{extra_flowers:10-60} fresh ones. How many bouquets of {bouquet_size:5-12} flowers can "
        "the florist make?",
        (
            "flowers = buckets * flowers_per_bucket",
            "fresh_flowers = flowers - wilted",
            "total_flowers = fresh_flowers + extra_flowers",
            "bouquets = total_flowers / bouquet_size",
        ),
        held_out=True,
    ),
)

FIVE_STEPS = (
    Story(
        "party_budget",
        "{name} plans a party for {guests:8-30} guests. Food costs ${food_per_guest:5-15} for "
        "each guest and drinks cost ${drinks_per_guest:2-6} for each guest. The room costs "
        "${room_cost:50-200/10}, and {name} has saved ${savings:60-150/10}. How many dollars are "
        "missing?",
        (
            "food_cost = guests * food_per_guest",
            "drinks_cost = guests * drinks_per_guest",
            "catering_cost = food_cost + drinks_cost",
            "total_cost = catering_cost + room_cost",
            "missing_money = total_cost - savings",
        ),
    ),
    Story(
        "phone_plan",
        "A phone plan costs ${monthly_fee:10-30} a month and ${price_per_gigabyte:2-6} for each "
        "gigabyte. {name} uses {gigabytes:3-15} gigabytes a month for {months:3-12} months, pays "
        "${setup_fee:10-40} once at the start and gets ${refund:5-30} back at the end. How many "
        "dollars does {name} spend?",
        (
            "data_cost = price_per_gigabyte * gigabytes",
            "cost_per_month = monthly_fee + data_cost",
            "monthly_total = cost_per_month * months",
            "total_with_setup = monthly_total + setup_fee",
            "total_spent = total_with_setup - refund",
        ),
    ),
    Story(
        "orchard_harvest",
        "An orchard has {trees:10-40} trees, and each tree gives {fruit_per_tree:20-60} {fruit}. "
        "The owner keeps {kept_fruit:20-90} {fruit}, packs the rest into bags of {bag_size:5-20}, "
        "sells each bag for ${bag_price:3-9} and pays the pickers ${wages:50-200/10}. How many "
        "dollars does the owner have in the end?",
        (
            "harvest = trees * fruit_per_tree",
            "fruit_for_sale = harvest - kept_fruit",
            "bags = fruit_for_sale / bag_size",
            "income = bags * bag_price",
            "profit = income - wages",
        ),
    ),
    Story(
        "tiled_floor",
        "A hall is {hall_length:6-25} meters long and {hall_width:4-15} meters wide. A stage of "
        "{stage_area:8-24} square meters gets no tiles. Each square meter needs "
        "{tiles_per_square_meter:4-16/2} tiles, and {name} orders {spare_tiles:10-60} spare ones. "
        "A box holds {box_size:5-20/5} tiles. How many boxes does {name} order?",
        (
            "hall_area = hall_length * hall_width",
            "tiled_area = hall_area - stage_area",
            "needed_tiles = tiled_area * tiles_per_square_meter",
            "total_tiles = needed_tiles + spare_tiles",
            "boxes = total_tiles / box_size",
        ),
    ),
    Story(
        "charity_run",
        "In a charity run, {adults:10-50} adults run {adult_laps:4-10} laps each and "
        "{children:10-50} children run {child_laps:2-6} laps each. A sponsor gives "
        "${dollars_per_lap:2-5} for each lap, and the prizes cost ${prize_cost:30-150/10}. How "
        "many dollars are left for charity?",
        (
            "laps_by_adults = adults * adult_laps",
            "laps_by_children = children * child_laps",
            "total_laps = laps_by_adults + laps_by_children",
            "sponsor_money = total_laps * dollars_per_lap",
            "charity_money = sponsor_money - prize_cost",
        ),
    ),
    Story(
        "printing_shop",
        "A shop has {packs:5-20} packs of {sheets_per_pack:50-200/50} sheets of {color} paper. It "
        "prints {posters:20-90} posters on one sheet each and {booklets:10-60} booklets of "
        "{sheets_per_booklet:3-12} sheets each. The {classes:2-8} classes of a school get the "
        "other sheets in equal shares. How many sheets does each class get?",
        (
            "sheets = packs * sheets_per_pack",
            "booklet_sheets = booklets * sheets_per_booklet",
            "used_sheets = posters + booklet_sheets",
            "sheets_left = sheets - used_sheets",
            "sheets_per_class = sheets_left / classes",
        ),
    ),
    Story(
        "hiking_club",
        "A hiking club of {members:6-20} members walks {morning_walk:4-12} kilometers in the "
        "morning and {afternoon_walk:3-9} kilometers in the afternoon of each day for {days:2-7} "
        "days. Each member drinks {liters_per_day:2-4} liters of water a day, and the club brings "
        "one liter more for each kilometer walked. How many liters does the club bring?",
        (
            "walk_per_day = morning_walk + afternoon_walk",
            "total_walk = walk_per_day * days",
            "water_per_day = members * liters_per_day",
            "member_water = water_per_day * days",
            "total_water = member_water + total_walk",
        ),
    ),
    Story(
        "bike_rental",
        "A shop rents out {bikes:5-20} bikes at ${bike_fee:6-15} an hour and {scooters:4-15} "
        "scooters at ${scooter_fee:5-12} an hour. On {day}, all of them are out for {hours:2-8} "
        "hours, and repairs cost ${repairs:20-120/10}. How many dollars does the shop make?",
        (
            "bike_income = bikes * bike_fee",
            "scooter_income = scooters * scooter_fee",
            "income_per_hour = bike_income + scooter_income",
            "total_income = income_per_hour * hours",
            "profit = total_income - repairs",
        ),
        held_out=True,
    ),
    Story(
        "honey_jars",
        "A beekeeper has {hives:4-15} hives that give {honey_per_hive:10-30} kilograms of honey "
        "each. The bees need {bee_share:10-50} kilograms for the winter. The rest goes into jars "
        "of {kilograms_per_jar:2-4} kilograms, and {gift_jars:3-12} jars are given away. Each of "
        "the others sells for ${jar_price:8-20}. How many dollars does the beekeeper take in?",
        (
            "honey = hives * honey_per_hive",
            "honey_for_jars = honey - bee_share",
            "jars = honey_for_jars / kilograms_per_jar",
            "jars_sold = jars - gift_jars",
            "income = jars_sold * jar_price",
        ),
        held_out=True,
    ),
)

SIX_STEPS = (
    Story(
        "shop_two_goods",
        "A shop sells {garments:5-25} {clothing} at ${garment_price:10-30} each and {shoes:4-15} "
        "pairs of shoes at ${shoe_price:30-80} each. It pays ${rent:50-200/10} of rent and "
        "${wages:60-180/10} of wages. The {owners:2-5} owners share the profit equally. How many "
        "dollars does each owner get?",
        (
            "clothing_income = garments * garment_price",
            "shoe_income = shoes * shoe_price",
            "total_income = clothing_income + shoe_income",
            "total_cost = rent + wages",
            "profit = total_income - total_cost",
            "profit_per_owner = profit / owners",
        ),
    ),
    Story(
        "monthly_budget",
        "{name} works {hours_per_day:4-9} hours a day on {work_days:10-24} days of the month at "
        "${wage:12-30} an hour. The rent is ${rent:200-700/50}, food costs "
        "${food_per_week:30-90/5} a week for {weeks:2-4} weeks, and {name} puts the rest into "
        "{accounts:2-6} accounts in equal parts. How many dollars go into each account?",
        (
            "hours = hours_per_day * work_days",
            "income = hours * wage",
            "food_cost = food_per_week * weeks",
            "total_cost = rent + food_cost",
            "money_left = income - total_cost",
            "money_per_account = money_left / accounts",
        ),
    ),
    Story(
        "library_move",
        "A library moves {shelves:10-30} shelves of {books_per_shelf:20-40} books and "
        "{boxes:5-15} boxes of {magazines_per_box:10-40} magazines. It gives away "
        "{given_away:20-90} items. A cart carries {cart_size:10-40/10} items, and one trip with "
        "the cart takes {minutes_per_trip:3-9} minutes. How many minutes does the move take?",
        (
            "books = shelves * books_per_shelf",
            "magazines = boxes * magazines_per_box",
            "items = books + magazines",
            "items_to_move = items - given_away",
            "trips = items_to_move / cart_size",
            "total_minutes = trips * minutes_per_trip",
        ),
    ),
    Story(
        "dairy_delivery",
        "A dairy has {cows:8-30} cows that give {liters_per_cow:10-25} liters of milk a day. The "
        "calves drink {calf_milk:10-60} liters, and the rest is put into bottles of "
        "{bottle_size:2-4} liters. Each bottle sells for ${bottle_price:3-7}, the fuel costs "
        "${fuel:20-80/5} a day, and the dairy works {days:3-7} days. How many dollars does it "
        "make?",
        (
            "milk = cows * liters_per_cow",
            "milk_for_sale = milk - calf_milk",
            "bottles = milk_for_sale / bottle_size",
            "income = bottles * bottle_price",
            "profit_per_day = income - fuel",
            "total_profit = profit_per_day * days",
        ),
    ),
    Story(
        "sports_day",
        "On sports day, {classes:4-12} classes of {students_per_class:15-30} students meet, and "
        "{absent:4-20} students are absent. The others form teams of {team_size:4-10}. Each team "
        "plays {games_per_team:2-6} games, each game takes {minutes_per_game:5-20/5} minutes for "
        "a team, and each team adds {break_minutes:5-30/5} minutes of breaks. How many minutes do "
        "all the teams need together?",
        (
            "students = classes * students_per_class",
            "players = students - absent",
            "teams = players / team_size",
            "game_minutes = games_per_team * minutes_per_game",
            "minutes_per_team = game_minutes + break_minutes",
            "total_minutes = teams * minutes_per_team",
        ),
    ),
    Story(
        "garden_beds",
        "{name} has {beds:3-10} garden beds that are {bed_length:3-9} meters long and "
        "{bed_width:2-4} meters wide. Each square meter gives {kilograms_per_square_meter:2-6} "
        "kilograms of {vegetable}. The family eats {eaten:10-60} kilograms, and {name} sells the "
        "rest at ${price_per_kilogram:2-5} a kilogram after paying ${stall_cost:10-40} for a "
        "stall. How many dollars does {name} earn?",
        (
            "bed_area = bed_length * bed_width",
            "total_area = beds * bed_area",
            "harvest = total_area * kilograms_per_square_meter",
            "kilograms_sold = harvest - eaten",
            "income = kilograms_sold * price_per_kilogram",
            "profit = income - stall_cost",
        ),
    ),
    Story(
        "film_festival",
        "A film festival shows {short_films:4-15} short films of {short_minutes:10-30/5} minutes "
        "and {long_films:2-8} long films of {long_minutes:80-120/10} minutes. Between the films "
        "there are {breaks:5-20} breaks of {break_minutes:5-15/5} minutes. The program is split "
        "evenly over {days:2-6} days. How many minutes long is each day?",
        (
            "short_total = short_films * short_minutes",
            "long_total = long_films * long_minutes",
            "film_minutes = short_total + long_total",
            "break_total = breaks * break_minutes",
            "total_minutes = film_minutes + break_total",
            "minutes_per_day = total_minutes / days",
        ),
    ),
    Story(
        "toy_factory",
        "A factory has {old_machines:3-10} old machines that make {old_rate:10-30} toys an hour "
        "and {new_machines:2-8} new machines that make {new_rate:30-60} toys an hour. They run "
        "for {hours:4-9} hours, and {faulty_toys:10-90} toys are faulty. The good toys are packed "
        "in boxes of {box_size:4-12/2}. How many boxes are packed?",
        (
            "old_toys = old_machines * old_rate",
            "new_toys = new_machines * new_rate",
            "toys_per_hour = old_toys + new_toys",
            "total_toys = toys_per_hour * hours",
            "good_toys = total_toys - faulty_toys",
            "boxes = good_toys / box_size",
        ),
        held_out=True,
    ),
    Story(
        "boat_tour",
        "A boat makes {tours_per_day:2-6} tours a day with {passengers:15-40} passengers on each. "
        "A ticket costs ${ticket_price:8-20}, and the crew and fuel cost ${daily_cost:60-200/10} "
        "a day. After {days:3-10} days the owner pays ${repairs:50-300/10} for repairs, and the "
        "{partners:2-4} partners of the owner each get the same share of the rest as the owner. "
        "How many dollars is one share?",
        (
            "passengers_per_day = tours_per_day * passengers",
            "income_per_day = passengers_per_day * ticket_price",
            "profit_per_day = income_per_day - daily_cost",
            "total_profit = profit_per_day * days",
            "profit_left = total_profit - repairs",
            "share = profit_left / (partners + 1)",
        ),
        held_out=True,
    ),
)

LONG_STORIES: tuple[Story, ...] = (*FOUR_STEPS, *FIVE_STEPS, *SIX_STEPS)
