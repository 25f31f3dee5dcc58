"""Questions on small tables, in the manner of BIG-bench's penguins: a program over rows."""

from __future__ import annotations

import random
from collections.abc import Iterator

from pad_ray.base.records import Problem
from pad_ray.tasks.answers import equal
from pad_ray.tasks.base import Exemplar, Size, Split, Task
from pad_ray.tasks.generation import answer_program, choose_pair, draw_templates
from pad_ray.tasks.tables_domains import DOMAINS, Domain, Row, draw_rows, written
from pad_ray.tasks.tables_questions import QUESTIONS

__all__ = ["TABLES"]

SIZES = range(2, 9)
MIXTURE = (3, 4, 5)
_CHANGED_SHARE = 0.2


def _row_code(row: Row) -> str:
    pairs = (
        f'"{name}": "{value}"' if isinstance(value, str) else f'"{name}": {value}'
        for name, value in row.items()
    )
    return "{" + ", ".join(pairs) + "}"


def _table_code(domain: Domain, rows: list[Row]) -> list[str]:
    """Return statements that build the table, a row each, so that each is a step."""
    names = [f"{domain.singular}_{place}" for place in range(1, len(rows) + 1)]
    made = [f"{name} = {_row_code(row)}" for name, row in zip(names, rows, strict=True)]
    return [*made, f"{domain.plural} = [{', '.join(names)}]"]


def _changed(rng: random.Random, domain: Domain, rows: list[Row]) -> tuple[str, str, list[Row]]:
    """Take a row away or add one: what is said of it, the statement, and the rows then."""
    if rng.random() < 0.5 and len(rows) > 2:
        gone = rng.choice(rows)[domain.key]
        line = (
            f'{domain.plural} = [row for row in {domain.plural} if row["{domain.key}"] != "{gone}"]'
        )
        left = [row for row in rows if row[domain.key] != gone]
        return f"We then remove {gone} from the table.", line, left
    new = rows[-1]
    values = ", ".join(str(value) for value in new.values())
    text = f"We then add a row to the table: {values}."
    return text, f"{domain.plural} = {domain.plural} + [{_row_code(new)}]", rows


def _draw(rng: random.Random, held_out: bool, size: int) -> Problem | None:
    domain, question = choose_pair(rng, DOMAINS, QUESTIONS, held_out)
    rows = final = draw_rows(rng, domain, size)
    change, line = "", []
    if size < max(SIZES) and rng.random() < _CHANGED_SHARE:
        more = draw_rows(rng, domain, size + 1)
        text, statement, final = _changed(rng, domain, more)
        rows = more if len(final) < len(more) else more[:-1]
        change, line = f"{text} ", [statement]
    asked = question.ask(rng, domain, final)
    if asked is None:
        return None
    return Problem.make(
        "tables",
        f"{written(rng, domain, rows)}\n{change}{asked.text}",
        asked.answer,
        program=answer_program([*_table_code(domain, rows), *line, *asked.lines]),
        template=f"{domain.plural}/{question.name}",
    )


def generate_tables(count: int, split: Split, seed: int, size: Size) -> Iterator[Problem]:
    """Make questions on tables of about `size` rows (2 to 8; None mixes 3 to 5).

    "held_out" has a kind of table or a kind of question that is never trained on.
    """
    return draw_templates("tables", _draw, SIZES, MIXTURE, "rows", count, split, seed, size)


_EXEMPLARS = (
    Exemplar(
        "Here is a table of the lighthouses, with their height in meters and the year they were "
        "built:\nname, height, year\nSkerry, 48, 1871\nNorth Foreland, 26, 1790\nDovrefjord, 31, "
        "1904\nHow many lighthouses are higher than 30 meters?",
        "def solution():\n"
        '    lighthouse_1 = {"name": "Skerry", "height": 48, "year": 1871}\n'
        '    lighthouse_2 = {"name": "North Foreland", "height": 26, "year": 1790}\n'
        '    lighthouse_3 = {"name": "Dovrefjord", "height": 31, "year": 1904}\n'
        "    lighthouses = [lighthouse_1, lighthouse_2, lighthouse_3]\n"
        '    high = [row for row in lighthouses if row["height"] > 30]\n'
        "    result = len(high)\n"
        "    return result",
        "Skerry is 48 meters high, which is more than 30.\n"
        "North Foreland is 26 meters high, which is not.\n"
        "Dovrefjord is 31 meters high, which is more than 30.\n"
        "That makes 1 + 1 = 2 lighthouses.\n"
        "The answer is 2.",
    ),
    Exemplar(
        "| violin | maker | year |\n| Messiah | Stradivari | 1716 |\n| Cannon | Guarneri | 1743 |"
        "\n| Lipinski | Stradivari | 1715 |\nWhich violin is the oldest?",
        "def solution():\n"
        '    violin_1 = {"violin": "Messiah", "maker": "Stradivari", "year": 1716}\n'
        '    violin_2 = {"violin": "Cannon", "maker": "Guarneri", "year": 1743}\n'
        '    violin_3 = {"violin": "Lipinski", "maker": "Stradivari", "year": 1715}\n'
        "    violins = [violin_1, violin_2, violin_3]\n"
        '    oldest = min(violins, key=lambda row: row["year"])\n'
        '    result = oldest["violin"]\n'
        "    return result",
        "The Messiah was made in 1716, the Cannon in 1743 and the Lipinski in 1715.\n"
        "The earliest of these years is 1715, that of the Lipinski.\n"
        "The answer is Lipinski.",
    ),
    Exemplar(
        "Three goats live on the farm. Thistle weighs 40 kg and gives 3 liters of milk a day, "
        "Bramble weighs 52 kg and gives 5 liters, Sorrel weighs 46 kg and gives 4 liters. What is "
        "the average milk of the goats that weigh more than 45 kg, in liters?",
        "def solution():\n"
        '    goat_1 = {"name": "Thistle", "weight": 40, "milk": 3}\n'
        '    goat_2 = {"name": "Bramble", "weight": 52, "milk": 5}\n'
        '    goat_3 = {"name": "Sorrel", "weight": 46, "milk": 4}\n'
        "    goats = [goat_1, goat_2, goat_3]\n"
        '    heavy = [row for row in goats if row["weight"] > 45]\n'
        '    result = sum(row["milk"] for row in heavy) / len(heavy)\n'
        "    return result",
        "Thistle weighs 40 kg, which is not more than 45 kg.\n"
        "Bramble with 52 kg and Sorrel with 46 kg weigh more.\n"
        "Bramble gives 5 liters and Sorrel 4 liters: 5 + 4 = 9 liters.\n"
        "The average of the two is 9 / 2 = 4.5 liters.\n"
        "The answer is 4.5.",
    ),
)

TABLES = Task("tables", equal, _EXEMPLARS, generate=generate_tables)
