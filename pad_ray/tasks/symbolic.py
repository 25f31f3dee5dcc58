"""Coin flip and last letters: the symbolic tasks of Wei et al. 2022 (arXiv 2201.11903)."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

from pad_ray.base.errors import ConfigError
from pad_ray.base.records import Problem
from pad_ray.tasks.answers import answer_sentence, equal
from pad_ray.tasks.base import Exemplar, Size, Split, Task, texts_equal
from pad_ray.tasks.generation import asked_sizes, draw_distinct, split_of
from pad_ray.tasks.names import FIRST_NAMES, LAST_NAMES

__all__ = ["COIN_FLIP", "LAST_LETTERS", "SYMBOLIC_TASKS"]

DEFAULT_SIZE = 4
SIZES = range(2, 33)


def _coin_flip_program(people: list[tuple[str, bool]]) -> str:
    flips = ", ".join(f'"{name}": {int(flipped)}' for name, flipped in people)
    return (
        "def solution():\n"
        f"    flips = {{{flips}}}\n"
        "    total_flips = sum(flips.values())\n"
        '    result = "yes" if total_flips % 2 == 0 else "no"\n'
        "    return result"
    )


def _coin_flip_question(people: list[tuple[str, bool]]) -> str:
    acts = " ".join(
        f"{name} {'flips' if did else 'does not flip'} the coin." for name, did in people
    )
    return f"A coin is heads up. {acts} Is the coin still heads up?"


def _coin_flip_told(people: list[tuple[str, bool]]) -> str:
    lines, heads = ["The coin is heads up."], True
    for name, flipped in people:
        heads ^= flipped
        side = "heads" if heads else "tails"
        did = "flips it: it is" if flipped else "does not flip it: it stays"
        lines.append(f"{name} {did} {side} up.")
    return "\n".join([*lines, answer_sentence("yes" if heads else "no")])


def _coin_flip(rng: random.Random, size: int) -> Problem:
    people = [(name, rng.random() < 0.5) for name in rng.sample(FIRST_NAMES, size)]
    answer = "no" if sum(did for _, did in people) % 2 else "yes"
    return Problem.make(
        "coin_flip", _coin_flip_question(people), answer, program=_coin_flip_program(people)
    )


def _last_letters_program(words: list[str]) -> str:
    return (
        "def solution():\n"
        f'    words = "{" ".join(words)}".split()\n'
        "    last_letters = [word[-1] for word in words]\n"
        '    result = "".join(last_letters)\n'
        "    return result"
    )


def _last_letters_question(words: list[str]) -> str:
    return f'Take the last letters of the words in "{" ".join(words)}" and concatenate them.'


def _last_letters_told(words: list[str]) -> str:
    lines = [f'The last letter of "{word}" is "{word[-1]}".' for word in words]
    return "\n".join([*lines, answer_sentence("".join(word[-1] for word in words))])


def _last_letters(rng: random.Random, size: int) -> Problem:
    words = [rng.choice(LAST_NAMES if place % 2 else FIRST_NAMES) for place in range(size)]
    answer = "".join(word[-1] for word in words)
    return Problem.make(
        "last_letters", _last_letters_question(words), answer, program=_last_letters_program(words)
    )


def _generate(
    task: str,
    make: Callable[[random.Random, int], Problem],
    count: int,
    split: Split,
    seed: int,
    size: Size,
) -> Iterator[Problem]:
    if split not in ("train", "test"):
        raise ConfigError(f"split is {split!r}: {task} has train, test")
    sizes = asked_sizes(task, size, SIZES, "names a question", [DEFAULT_SIZE])
    rng = random.Random(f"{task}|{split}|{seed}|{DEFAULT_SIZE if size is None else size}")
    return draw_distinct(
        count,
        lambda: make(rng, sizes[0] if len(sizes) == 1 else rng.choice(sizes)),
        lambda problem: split_of(problem.question) == split,
    )


def generate_coin_flip(count: int, split: Split, seed: int, size: Size) -> Iterator[Problem]:
    """Make coin-flip problems of `size` different people (2 to 32, default 4)."""
    return _generate("coin_flip", _coin_flip, count, split, seed, size)


def generate_last_letters(count: int, split: Split, seed: int, size: Size) -> Iterator[Problem]:
    """Make last-letter problems of `size` words (2 to 32, default 4), first and last names."""
    return _generate("last_letters", _last_letters, count, split, seed, size)


# The people and words below are in neither name list, so no split can hold these questions.
_COINS = (
    [("Orsolya", True), ("Thaddeus", False)],
    [("Wilhelmina", True), ("Bartholomew", False), ("Xiomara", True)],
    [("Ludovic", False), ("Perpetua", True), ("Ignatius", True), ("Saoirse", True)],
)
_WORDS = (
    ["Thaddeus", "Quimby"],
    ["Xiomara", "Zapata", "Ludovic"],
    ["Saoirse", "Ashby", "Otto", "Dvorak"],
)

COIN_FLIP = Task(
    "coin_flip",
    equal,
    tuple(
        Exemplar(_coin_flip_question(c), _coin_flip_program(c), _coin_flip_told(c)) for c in _COINS
    ),
    generate=generate_coin_flip,
)
LAST_LETTERS = Task(
    "last_letters",
    texts_equal,
    tuple(
        Exemplar(_last_letters_question(w), _last_letters_program(w), _last_letters_told(w))
        for w in _WORDS
    ),
    generate=generate_last_letters,
)
SYMBOLIC_TASKS = (COIN_FLIP, LAST_LETTERS)
