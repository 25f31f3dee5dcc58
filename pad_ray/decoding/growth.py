"""What is in writing: the ways in which hypotheses are written on, line by line."""

from __future__ import annotations

import copy
import hashlib
import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from pad_ray.decoding.hypothesis import Hypothesis
from pad_ray.programs.statements import Scan
from pad_ray.students.pieces import Reading

# Guessed tokens that a line hopes for at first, and at most.
_FIRST_GUESSES = 3
_MOST_GUESSES = 7


@dataclass(frozen=True)
class Grow:
    """Write each start on in up to `width` ways, to the end of a step or of the program.

    temperature: None searches for the likeliest ways (a beam within the step, at most as wide as
        the engine has rows); a number samples, 0 takes the likeliest token each time.
    steps: completed statements a way, where not the whole program is asked for.
    max_tokens: longest program; longest_step: longest step. What reaches one, or the end of the
        student's context, is `truncated`.
    seed: names the random stream, with the start's own text and the way's number.
    keep: hypotheses that will be started from later: their rows are kept while there is room.
    ways: the ways' numbers where they are not 0, 1, ...
    margin: a beam gives up ways that fall so many nats behind the start's likeliest.
    guess: write several tokens at once where they can be guessed.
    stands: what is written will stand, whatever comes.
    """

    starts: tuple[Hypothesis, ...]
    width: int
    whole: bool
    temperature: float | None
    max_tokens: int
    steps: int = 1
    longest_step: int = 160
    seed: str = ""
    keep: tuple[Hypothesis, ...] = ()
    ways: tuple[int, ...] = ()
    margin: float = math.inf
    guess: bool = True
    stands: bool = False


@dataclass(eq=False)
class Line:
    """One row in writing; `last` is the token that its model has not read yet.

    `place` is its way's among the group's, `logprob` the sum of its `logprobs`. `ends` are the
    numbers of tokens at which statements ended; `values` what the head says of the states that
    wrote the tokens, and of states beyond them that came of wrong guesses; `seed` of the noise by
    which a sampled line draws.
    """

    row: int
    last: int
    scan: Scan
    place: int = 0
    ids: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    logprob: float = 0.0
    values: list[float] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)
    done: bool = False
    finished: bool = False
    truncated: bool = False
    seed: int | None = None
    guesses: int = _FIRST_GUESSES
    reading: Reading | None = None

    def fork(self, row: int) -> Line:
        """Return a copy in another row."""
        twin = copy.copy(self)
        twin.row = row
        twin.ids, twin.logprobs, twin.ends = list(self.ids), list(self.logprobs), list(self.ends)
        twin.values = list(self.values)
        return twin

    def guessed(self, written: int, guesses: int) -> None:
        """Hope for more where all guesses were right, else for as many as were."""
        hopes = written if written <= guesses else self.guesses + 2
        self.guesses = min(hopes, _MOST_GUESSES)


def drawn(
    logprobs_L_T_K: np.ndarray,
    tokens_L_T_K: np.ndarray,
    temperatures: Sequence[float],
    seeds: Sequence[int],
    written: Sequence[int],
) -> np.ndarray:
    """Return which of its K choices each of L lines draws at each of T places, [L, T].

    `written` are the tokens that lines have before the first place; `seeds` have 64 bits. A token
    has noise of its own by seed, place and number (Gumbel-max), whatever was drawn before. Sums are
    rounded otherwise in another batch, and by a chance that runs through the tokens by likelihood
    a draw would turn on the order of any two of them; here it turns on that of the two that lead.
    """
    places_L_T = np.array(written, np.uint64)[:, None] + np.arange(
        logprobs_L_T_K.shape[1], dtype=np.uint64
    )
    chances_L_T = _mixed(np.array(seeds, np.uint64)[:, None] + places_L_T * _ODD)
    keys_L_T_K = tokens_L_T_K.astype(np.uint64) * _ODD + chances_L_T[..., None]
    # In (0, 1), so that no logarithm is infinite.
    evenly_L_T_K = ((_mixed(keys_L_T_K) >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53
    heat = np.array(temperatures)[:, None, None]
    noisy_L_T_K = logprobs_L_T_K / heat - np.log(-np.log(evenly_L_T_K))
    found: np.ndarray = noisy_L_T_K.argmax(axis=-1)
    return found


_ODD = np.uint64(0x9E3779B97F4A7C15)


def _mixed(keys: np.ndarray) -> np.ndarray:
    """Return numbers that look random, one a key (the finaliser of SplitMix64, Steele 2014)."""
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        keys = (keys ^ (keys >> np.uint64(shift))) * np.uint64(factor)
    mixed: np.ndarray = keys ^ (keys >> np.uint64(31))
    return mixed


@dataclass(eq=False)
class Group:
    """The ways in which one start is written on.

    `queue` holds the places of ways that have no row yet, `lines` are in writing, `found` has what
    is done by place. A beam is one way until it is done, of `most` lines and `written` tokens so
    far; its rows differ in no more than the last `columns`.
    """

    grow: Grow
    start: Hypothesis
    queue: deque[int]
    lines: list[Line] = field(default_factory=list)
    found: dict[int, Hypothesis] = field(default_factory=dict)
    most: int = 1
    written: int = 0
    columns: int = 0

    @classmethod
    def of(cls, grow: Grow, start: Hypothesis) -> Group:
        """Return the ways of a start, none of them begun."""
        return cls(grow, start, deque(range(1 if grow.temperature is None else grow.width)))

    @property
    def is_beam(self) -> bool:
        return self.grow.temperature is None

    @property
    def live(self) -> list[Line]:
        return [line for line in self.lines if not line.done]

    @property
    def done(self) -> bool:
        return not self.queue and not self.lines

    def begin(self, row: int, last: int) -> Line:
        """Begin the next way in a row that holds the start."""
        place = self.queue.popleft()
        line = Line(row, last, self.start.scan, place)
        if self.grow.temperature:
            way = self.grow.ways[place] if self.grow.ways else place
            line.seed = _seed(self.grow, self.start, way)
        self.lines.append(line)
        return line

    def put_back(self) -> int:
        """Give up what is in writing, to begin it again later; return its tokens."""
        self.queue.extendleft(sorted({line.place for line in self.lines}, reverse=True))
        # Lines of a beam share what their common parents wrote.
        lost = self.written if self.is_beam else sum(len(line.logprobs) for line in self.lines)
        self.lines, self.written, self.columns = [], 0, 0
        return lost


@dataclass(eq=False)
class Growth:
    """One request in work: a group a start. `written` counts its tokens."""

    grow: Grow
    groups: list[Group]
    written: int = 0

    @classmethod
    def of(cls, grow: Grow) -> Growth:
        """Return a request none of whose ways has begun."""
        return cls(grow, [Group.of(grow, start) for start in grow.starts])

    @property
    def done(self) -> bool:
        return all(group.done for group in self.groups)

    @property
    def lines(self) -> list[Line]:
        return [line for group in self.groups for line in group.lines]


def _seed(grow: Grow, start: Hypothesis, way: int) -> int:
    """Return 64 bits that depend on the seed, the start's text and the way's number."""
    # Not the engine's own stream: what is drawn must not depend on what else is in work.
    key = f"{grow.seed}\0{start.text}\0{way}".encode()
    return int.from_bytes(hashlib.blake2b(key, digest_size=8).digest(), "little")
