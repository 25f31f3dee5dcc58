"""The generation engine: grows hypotheses of many requests together, from one cache.

Each tick is one forward pass that writes a token, or several that were guessed, to every live row,
whichever request it belongs to. Between ticks, at step borders, rows are forked, dropped and joined
in one copy; a prefix is never read twice. What a row writes depends on its own text and seed alone.
"""

from __future__ import annotations

import copy
import hashlib
import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
import torch

from pad_ray.decoding.drafts import LONGEST_CONTEXT, Drafts
from pad_ray.decoding.hypothesis import Hypothesis, Step
from pad_ray.programs.statements import Scan, scan
from pad_ray.students.inference import Rows, all_logits, next_token_logits
from pad_ray.students.models import Student, tokenise_source
from pad_ray.verifiers.states import StateHead

# Sampling draws from the likeliest tokens only, which is nearly all of the mass.
_TOP_TOKENS = 64
# Guessed tokens that a line hopes for at first, and at most.
_FIRST_GUESSES = 3
_MOST_GUESSES = 7
# Tokens of all rows in one pass, up to which guesses cost little beside the pass itself.
_MOST_AHEAD = {"cpu": 64, "cuda": 1024}
# At a border the rows are packed anew where more of them are free, or more columns empty.
_MOST_FREE = 0.5
_MOST_GAPS = 48


# The tokens that a line may write next, and for each token read the likeliest to follow it.
Guess: TypeAlias = Sequence[int]
Columns: TypeAlias = Sequence[Sequence[tuple[int, float]]]


@dataclass(frozen=True)
class Grow:
    """Write each start on in up to `width` ways, to the end of a step or of the program.

    temperature: None searches for the likeliest ways (a beam within the step); a number samples,
        0 takes the likeliest token each time.
    steps: completed statements a way, where not the whole program is asked for.
    max_tokens: longest program; longest_step: longest step. What reaches one is `truncated`.
    seed: names the random stream, with the start's own text and the way's number.
    keep: hypotheses that will be started from later.
    ways: the ways' numbers where they are not 0, 1, ...
    margin: a beam gives up ways that fall so many nats behind the start's likeliest.
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


@dataclass
class Place:
    """Where a hypothesis that is not being written stands, and its last token."""

    row: int
    last: int


@dataclass(eq=False)
class Line:
    """One row in writing; `last` is the token that its model has not read yet.

    `ends` are the numbers of tokens at which statements ended; `values` what the head says of the
    states that wrote the tokens, and of states beyond them that came of wrong guesses.
    """

    row: int
    last: int
    scan: Scan
    ids: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    values: list[float] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)
    done: bool = False
    finished: bool = False
    truncated: bool = False
    chances: Iterator[float] | None = None
    guesses: int = _FIRST_GUESSES

    @property
    def logprob(self) -> float:
        return sum(self.logprobs)

    def fork(self, row: int) -> Line:
        """Return a copy in another row."""
        twin = copy.copy(self)
        twin.row = row
        twin.ids, twin.logprobs, twin.ends = list(self.ids), list(self.logprobs), list(self.ends)
        twin.values = list(self.values)
        return twin


@dataclass(eq=False)
class Group:
    """The ways in which one start is written on."""

    grow: Grow
    start: Hypothesis
    lines: list[Line]

    @property
    def live(self) -> list[Line]:
        return [line for line in self.lines if not line.done]


@dataclass(eq=False)
class Growth:
    """One request in work: a group a start. `written` counts its tokens."""

    grow: Grow
    groups: list[Group]
    written: int = 0

    @property
    def done(self) -> bool:
        return not any(group.live for group in self.groups)


class Engine:
    """A student that writes for many requests at once; not thread-safe.

    `generated` counts the tokens written, those of dropped hypotheses too, `ticks` the forward
    passes that wrote them. With `guess` several tokens of a line may come of one pass, the same
    ones as without. A `head` reads the student's states as it writes; `StudentError` if it was
    made for another.
    """

    def __init__(self, student: Student, guess: bool = True, head: StateHead | None = None) -> None:
        self.student = student
        self.generated = self.ticks = 0
        self._drafts = Drafts() if guess else None
        tokenizer, model = student.tokenizer, student.model
        self._reader = None if head is None else head.reader(model)
        self._output_ahead = all_logits(model, self._reader)
        self._pad = int(tokenizer.pad_token_id)
        self._eos = _end_tokens(student)
        self._pieces: dict[int, str] = {}
        self._by_lines = student.card.writes_text
        self._output = next_token_logits(model, self._reader)
        self._rows: Rows | None = None
        self._places: dict[int, Place] = {}
        self._growths: list[Growth] = []
        # Rows that hold nothing any more.
        self._free: list[int] = []
        self._prefix: tuple[list[int], Rows] | None = None

    @property
    def rows_in_use(self) -> int:
        return 0 if self._rows is None else len(self._rows)

    @property
    def at_work(self) -> bool:
        """Tell whether there is a token to write."""
        return any(not growth.done for growth in self._growths)

    @property
    def idle_share(self) -> float:
        """The share of rows that write nothing any more."""
        live = sum(len(group.live) for group in self._groups())
        return 1 - live / max(1, self.rows_in_use)

    @property
    def free_share(self) -> float:
        """The share of rows that could be dropped at once."""
        return len(self._free) / max(1, self.rows_in_use)

    def _groups(self) -> list[Group]:
        return [group for growth in self._growths for group in growth.groups]

    def open(self, sources: Sequence[str]) -> list[Hypothesis]:
        """Have the student read prompts; return an empty hypothesis each, to be grown."""
        encodes = self.student.is_encoder_decoder
        ids = [tokenise_source(self.student.tokenizer, s, encodes) for s in sources]
        if encodes:
            start = self.student.model.config.decoder_start_token_id
            new = Rows(self.student.model, self._output, self._pad, len(ids), ids)
            lasts = [int(start)] * len(ids)
        else:
            new = self._read_prompts([one[:-1] for one in ids])
            lasts = [one[-1] for one in ids]
        roots = [Hypothesis() for _ in ids]
        first = self.rows_in_use
        if self._rows is None:
            self._rows = new
        else:
            self._rows.join(new)
        for row, (root, last) in enumerate(zip(roots, lasts, strict=True), first):
            self._places[root.number] = Place(row, last)
        return roots

    def _read_prompts(self, prompts: Sequence[list[int]]) -> Rows:
        """Read prompts; what they all begin with is read once and kept for those that follow."""
        prefix = self._shared_prefix(prompts)
        if prefix is None:
            rows = Rows(self.student.model, self._output, self._pad, len(prompts))
            rows.skim(prompts)
            return rows
        # Rows are read on in place, and the prefix is needed again as it is.
        rows = copy.deepcopy(prefix[1])
        rows.select([0] * len(prompts))
        rows.skim([prompt[len(prefix[0]) :] for prompt in prompts])
        return rows

    def _shared_prefix(self, prompts: Sequence[list[int]]) -> tuple[list[int], Rows] | None:
        text = self.student.card.preamble
        if not text:
            return None
        if self._prefix is None:
            # Its last tokens may merge with what follows.
            ids = tokenise_source(self.student.tokenizer, text, False)[:-2]
            rows = Rows(self.student.model, self._output, self._pad, 1)
            rows.skim([ids])
            self._prefix = (ids, rows)
        ids = self._prefix[0]
        fits = all(len(p) > len(ids) and p[: len(ids)] == ids for p in prompts)
        return self._prefix if fits else None

    def arrange(self, grows: Sequence[Grow], stopped: Sequence[Growth] = ()) -> list[Growth]:
        """At a border: begin growths, and drop all rows that none needs; return the new ones.

        A hypothesis that is neither a start of `grows` nor kept by a growth can grow no more.
        `stopped` are growths whose results nobody wants.
        """
        places = self._places
        self._growths = [g for g in self._growths if not g.done and g not in stopped]
        begun = [_begin(grow, places) for grow in grows]
        self._growths += begun
        groups = self._groups()
        kept = {h.number: places[h.number] for g in self._growths for h in g.grow.keep}
        self._places = {number: Place(place.row, place.last) for number, place in kept.items()}
        lines = [line for group in groups for line in group.lines if not line.finished]
        # Those kept come first: who comes first stays, and the others are given copies.
        self._give_rows([*self._places.values(), *lines])
        return begun

    def _give_rows(self, holders: Sequence[Place | Line]) -> None:
        """Give each holder a row of its own, with what its row holds now; free all others."""
        rows = self._rows
        if not holders or rows is None:
            self._rows, self._free = None, []
            return
        used = {holder.row for holder in holders}
        self._free = [row for row in range(len(rows)) if row not in used]
        gaps = rows.columns > 1.25 * max(rows.lengths[row] for row in used) + _MOST_GAPS
        # Relative positions count columns, so there must be no gaps.
        if gaps or self.student.is_encoder_decoder or self.free_share >= _MOST_FREE:
            rows.select([holder.row for holder in holders])
            for row, holder in enumerate(holders):
                holder.row = row
            self._free = []
            return
        seen: set[int] = set()
        twins = []
        for holder in holders:
            if holder.row in seen:
                twins.append(holder)
            seen.add(holder.row)
        made = self._copies([holder.row for holder in twins], (), 0)
        for holder, row in zip(twins, made, strict=True):
            holder.row = row

    def tick(self) -> None:
        """Write a token to every live line, and more where guesses are right."""
        rows = self._rows
        assert rows is not None
        self.ticks += 1
        groups = [group for group in self._groups() if group.live]
        live = [line for group in groups for line in group.live]
        guesses = self._guesses(groups)
        tokens: list[list[int]] = [[] for _ in range(len(rows))]
        for line, guessed in zip(live, guesses, strict=True):
            tokens[line.row] = [line.last, *guessed]
        ahead = any(guesses)
        found = rows.read_ahead(tokens, self._output_ahead) if ahead else rows.read(tokens)[:, None]
        logits = found[[line.row for line in live]].float()
        if self._reader is not None:
            for line, values in zip(live, logits[..., -1].tolist(), strict=True):
                # Those of guesses that turn out wrong are overwritten in the next pass.
                line.values[len(line.logprobs) :] = values
            logits = logits[..., :-1]
        logprobs = torch.log_softmax(logits, dim=-1)
        most = max(self._choices(group) for group in groups)
        best = logprobs.topk(min(most, logprobs.shape[-1]), dim=-1)
        values, indices = best.values.tolist(), best.indices.tolist()
        options = [
            [list(zip(*pair, strict=True)) for pair in zip(*columns, strict=True)]
            for columns in zip(indices, values, strict=True)
        ]
        kept = self._write_all(iter(zip(guesses, options, strict=True)))
        if ahead:
            rows.keep([len(ids) for ids in tokens], kept)
            # Guesses of one row that are right leave empty columns in all others, and attention
            # pays for an empty column as for a token.
            if rows.columns > 1.25 * max(rows.lengths[line.row] for line in live) + _MOST_GAPS:
                rows.select(range(len(rows)))

    def _write_all(self, columns: Iterator[tuple[Guess, Columns]]) -> list[int]:
        """Write on every live line; return how many of the tokens that each row read stay."""
        assert self._rows is not None
        kept = [0] * len(self._rows)
        for growth in self._growths:
            for group in growth.groups:
                read = [line.row for line in group.live]
                written = self._write(group, list(itertools.islice(columns, len(read))))
                growth.written += sum(written)
                self.generated += sum(written)
                for row, count in zip(read, written, strict=True):
                    kept[row] = count
        return kept

    def _guesses(self, groups: Sequence[Group]) -> list[list[int]]:
        """Return what may be written next on each live line; nothing where a beam is at work.

        All rows are read as far as the longest, so that none hopes for much more than the others.
        """
        rows = self._rows
        assert rows is not None
        lines = [(group, line) for group in groups for line in group.live]
        # A beam changes parents at every token: what is read ahead of one would be dropped with it.
        beams = any(group.grow.temperature is None for group in groups)
        if self._drafts is None or beams or not rows.reads_ahead:
            return [[] for _ in lines]
        hopes = math.ceil(sum(line.guesses for _, line in lines) / len(lines))
        device = self.student.model.device.type
        most = min(hopes, _MOST_AHEAD.get(device, 64) // len(rows) - 1)
        return [
            self._drafts.guess(_written(group, line), min(most, line.guesses))
            for group, line in lines
        ]

    @staticmethod
    def _choices(group: Group) -> int:
        temperature = group.grow.temperature
        if temperature is None:
            return group.grow.width
        return _TOP_TOKENS if temperature > 0 else 1

    def _write(self, group: Group, columns: Sequence[tuple[Guess, Columns]]) -> list[int]:
        """Write on a group's live lines; return the tokens of each."""
        if not columns:
            return []
        if group.grow.temperature is None:
            self._write_beam(group, [options[0] for _, options in columns])
            return [1] * len(columns)
        return [
            self._write_line(group, line, *column)
            for line, column in zip(group.live, columns, strict=True)
        ]

    def _write_line(self, group: Group, line: Line, guessed: Guess, columns: Columns) -> int:
        """Write while it is what was guessed, and the token after that; return how many."""
        for place, choices in enumerate(columns):
            token, logprob = _drawn(line, choices, group.grow.temperature)
            self._push(group, line, token, logprob)
            right = place < len(guessed) and token == guessed[place]
            if line.done or not right:
                break
        if guessed:
            line.guesses = place + 1 if place < len(guessed) else line.guesses + 2
            line.guesses = min(line.guesses, _MOST_GUESSES)
        return place + 1

    def _write_beam(self, group: Group, options: Sequence[Sequence[tuple[int, float]]]) -> None:
        """Keep the likeliest ways; a way that is done keeps its row, and the beam narrows."""
        done = [line for line in group.lines if line.done]
        parents = group.live
        # The whole key decides, so that equal ways are ranked alike in whatever rows they lie.
        ranked = sorted(
            (-(parent.logprob + logprob), number, place, token, logprob)
            for number, (parent, choices) in enumerate(zip(parents, options, strict=True))
            for place, (token, logprob) in enumerate(choices)
        )[: group.grow.width - len(done)]
        # A way that is done may be the likeliest, so that it sets the bar too.
        bar = min([ranked[0][0], *(-line.logprob for line in done)]) + group.grow.margin
        ranked = [way for way in ranked if way[0] <= bar]
        numbers = [number for _, number, *_ in ranked]
        childless = [p.row for n, p in enumerate(parents) if n not in numbers]
        twins = [parents[number].row for at, number in enumerate(numbers) if number in numbers[:at]]
        rows = iter(self._copies(twins, childless, len(parents[0].ids) + 1))
        group.lines = done
        for at, (_, number, _, token, logprob) in enumerate(ranked):
            row = next(rows) if number in numbers[:at] else parents[number].row
            line = parents[number].fork(row)
            self._push(group, line, token, logprob)
            group.lines.append(line)

    def _copies(self, source: Sequence[int], nearby: Sequence[int], written: int) -> list[int]:
        """Return a copy of each source row.

        `nearby` rows differ from the sources in no more than the columns just written, and are
        overwritten first; then those that nobody uses; then there are more rows.
        """
        rows = self._rows
        assert rows is not None
        close = list(zip(nearby, source, strict=False))
        self._free += nearby[len(close) :]
        rest = source[len(close) :]
        idle = [(self._free.pop(), row) for row in rest[: len(self._free)]]
        for pairs, first in ((close, max(0, rows.columns - written)), (idle, 0)):
            if pairs:
                rows.copy([to for to, _ in pairs], [row for _, row in pairs], first)
        fresh = rest[len(idle) :]
        made = rows.fork(fresh) if fresh else []
        return [to for to, _ in (*close, *idle)] + made

    def _push(self, group: Group, line: Line, token: int, logprob: float) -> None:
        self._add(group, line, token, logprob)
        # A line that only its step has ended keeps its row: it may be grown from there.
        if line.finished:
            self._free.append(line.row)

    def _add(self, group: Group, line: Line, token: int, logprob: float) -> None:
        grow = group.grow
        line.logprobs.append(logprob)
        line.last = token
        # Before it is added to the ids: the end is no part of the text, but of its likelihood.
        if token in self._eos:
            line.done = line.finished = True
            return
        if self._drafts is not None:
            self._drafts.learn(_written(group, line), token)
        line.ids.append(token)
        piece = self._piece(token)
        if self._by_lines:
            ended = "\n" in piece
        else:
            line.scan, statements, returned = scan(line.scan, piece)
            ended = statements > 0
            line.done = line.finished = returned
        written = len(line.ids)
        if ended:
            line.ends.append(written)
        if line.done:
            return
        if not grow.whole and len(line.ends) >= grow.steps:
            line.done = True
        elif len(group.start.ids) + written >= grow.max_tokens or (
            not grow.whole and written >= grow.longest_step * grow.steps
        ):
            line.done = line.finished = line.truncated = True

    def results(self, group: Group) -> list[Hypothesis]:
        """Return a group's hypotheses, once its growth is done; those unfinished can be grown."""
        lines = group.lines
        if group.grow.temperature is None:
            lines = sorted(lines, key=lambda line: -line.logprob)
        return [self._hypothesis(group.start, line) for line in lines]

    def _hypothesis(self, start: Hypothesis, line: Line) -> Hypothesis:
        ids = (*start.ids, *line.ids)
        steps = self._steps(start, line)
        grown = Hypothesis(
            (*start.steps, *steps),
            ids,
            line.scan,
            line.finished,
            line.truncated,
            start.number,
            len(steps),
        )
        if not grown.finished:
            self._places[grown.number] = Place(line.row, line.last)
        return grown

    def _steps(self, start: Hypothesis, line: Line) -> list[Step]:
        """Cut what a line wrote into steps; what stands below the last end belongs to it."""
        ends = [*line.ends[:-1], len(line.ids)]
        if line.ends and self._decoded(line.ids[line.ends[-1] :]).strip():
            ends = [*line.ends, len(line.ids)]
        steps = []
        before, first = start.text, 0
        for end in ends:
            text = self._decoded((*start.ids, *line.ids[:end]))
            if end < len(line.ids) or not line.finished:
                # A token may hold the next line's indentation too, which belongs to that line.
                text = text[: len(text.rstrip(" \t"))]
            # The last step has the logarithm of ending too, where the student ended it.
            last = len(line.logprobs) if end == len(line.ids) else end
            logprob = sum(line.logprobs[first:last])
            logit = line.values[last - 1] if line.values else None
            steps.append(Step(text[len(before) :], logprob, last - first, logit=logit))
            before, first = text, last
        return steps

    def _decoded(self, ids: Sequence[int]) -> str:
        return str(self.student.tokenizer.decode(list(ids), skip_special_tokens=True))

    def _piece(self, token: int) -> str:
        piece = self._pieces.get(token)
        if piece is None:
            piece = self._pieces[token] = piece_text(self.student.tokenizer, token)
        return piece


def _written(group: Group, line: Line) -> Sequence[int]:
    """Return the last tokens of a program in writing."""
    if len(line.ids) >= LONGEST_CONTEXT:
        return line.ids
    return (*group.start.ids[-LONGEST_CONTEXT:], *line.ids)


def _begin(grow: Grow, places: dict[int, Place]) -> Growth:
    groups = []
    for start in grow.starts:
        place = places[start.number]
        count = 1 if grow.temperature is None else grow.width
        lines = [Line(place.row, place.last, start.scan) for _ in range(count)]
        if grow.temperature:
            for number, line in zip(grow.ways or range(grow.width), lines, strict=True):
                line.chances = _chances(grow, start, number)
        groups.append(Group(grow, start, lines))
    return Growth(grow, groups)


def _drawn(
    line: Line, choices: Sequence[tuple[int, float]], temperature: float | None
) -> tuple[int, float]:
    if line.chances is None or not temperature:
        return choices[0]
    # One number a token, whatever was drawn before: a line draws alike alone and in a batch.
    logprobs = np.array([logprob for _, logprob in choices])
    weights = np.exp((logprobs - logprobs[0]) / temperature)
    reached = np.cumsum(weights)
    place = int(np.searchsorted(reached, next(line.chances) * reached[-1], side="right"))
    return choices[min(place, len(choices) - 1)]


def _chances(grow: Grow, start: Hypothesis, number: int) -> Iterator[float]:
    """Yield numbers in [0, 1) that depend on the seed, the start's text and the way's number."""
    # Not the engine's own stream: what is drawn must not depend on what else is in work.
    key = f"{grow.seed}\0{start.text}\0{number}".encode()
    seed = int.from_bytes(hashlib.blake2b(key, digest_size=16).digest(), "little")
    random = np.random.Generator(np.random.Philox(key=seed))
    while True:
        yield from random.random(64)


def _end_tokens(student: Student) -> frozenset[int]:
    given = student.model.generation_config.eos_token_id
    listed = given if isinstance(given, list) else [given]
    return frozenset(t for t in (*listed, student.tokenizer.eos_token_id) if t is not None)


def piece_text(tokenizer: object, token: int) -> str:
    """Return what a token adds to the text; a piece of a character may come out as marks."""
    name = tokenizer.convert_ids_to_tokens(token)  # type: ignore[attr-defined]
    if name is None:
        return ""
    if "\u2581" in name:  # SentencePiece's space, which decoding one token would drop
        return str(name.replace("\u2581", " "))
    return str(tokenizer.decode([token]))  # type: ignore[attr-defined]
