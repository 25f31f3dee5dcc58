"""The generation engine: grows hypotheses of many requests together, from one cache.

Each tick is one forward pass that writes a token, or several that were guessed, to every live row,
whichever request it belongs to. Between ticks rows are forked, dropped and joined in one copy. What
a row writes depends on its own text and seed alone, so that ways may begin whenever there is a row
for them, and what had to give up its row may be read or written again.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import torch

from pad_ray.decoding.drafts import LONGEST_CONTEXT, Drafts
from pad_ray.decoding.growth import Group, Grow, Growth, Line, drawn
from pad_ray.decoding.hypothesis import Hypothesis
from pad_ray.decoding.spelling import Speller, left_of
from pad_ray.students.inference import Rows, all_logits, check_understood, next_token_logits
from pad_ray.students.models import Student, room_beside, tokenise_source
from pad_ray.verifiers.states import StateHead

# Sampling draws from the likeliest tokens only, which is nearly all of the mass.
_TOP_TOKENS = 64
# Tokens of all rows in one pass, up to which guesses cost little beside the pass itself.
_MOST_AHEAD = {"cpu": 64, "cuda": 1024}
# At a border the rows are packed anew where more of them are free, or more columns empty.
_MOST_FREE = 0.5
_MOST_GAPS = 48
# How much of its width a beam is expected to need, and what one beam says of the next: most ways
# fall out of a narrow margin at once, and none out of a wide one.
_FIRST_SHARE = 0.5
_LEARNED = 0.1
# Tokens of a prompt that are read at once, so that the states of long ones fit.
_CHUNK = 1024


# The tokens that a line may write next.
Guess: TypeAlias = Sequence[int]
# A way of a beam: minus its log-probability, its parent's number, its token, and that one's own.
Ranked: TypeAlias = tuple[float, int, int, float]


@dataclass(frozen=True)
class Choices:
    """The likeliest tokens to follow each that a line has read, the likeliest first.

    L lines, T tokens that were read, K choices.
    """

    logprobs_L_T_K: np.ndarray
    tokens_L_T_K: np.ndarray

    def of(self, lines: range) -> Choices:
        """Return those of some lines."""
        part = slice(lines.start, lines.stop)
        return Choices(self.logprobs_L_T_K[part], self.tokens_L_T_K[part])

    def take(self, line: int, read: int, place: int) -> tuple[int, float]:
        """Return a choice: the token, and its log-probability."""
        at = line, read, place
        return int(self.tokens_L_T_K[at]), float(self.logprobs_L_T_K[at])


@dataclass(frozen=True)
class Work:
    """A group in a tick; the ways in which a beam goes on, `ranked`."""

    growth: Growth
    group: Group
    ranked: list[Ranked]

    @property
    def more_rows(self) -> int:
        return max(0, len(self.ranked) - len(self.group.live))


@dataclass
class Place:
    """Where a hypothesis that is not being written stands, and its last token."""

    row: int
    last: int


class Engine:
    """A student that writes for many requests at once, in `max_rows` rows; not thread-safe.

    `generated` counts the tokens written, those of dropped hypotheses too, `ticks` the forward
    passes that wrote them. With `guess` several tokens of a line may come of one pass, the same
    ones as without. A `head` reads the student's states as it writes. Raises `StudentError` for a
    head of another student, and for a student whose family is not read rightly in a batch.
    """

    def __init__(
        self,
        student: Student,
        guess: bool = True,
        head: StateHead | None = None,
        max_rows: int | None = None,
    ) -> None:
        self.student = student
        self.max_rows = max_rows
        self.generated = self.ticks = 0
        self._drafts = Drafts() if guess else None
        self._speller = Speller(student)
        model = student.model
        check_understood(model)
        self._reader = None if head is None else head.reader(model)
        self._output_ahead = all_logits(model, self._reader)
        self._pad = int(student.tokenizer.pad_token_id)
        self._output = next_token_logits(model, self._reader)
        self._rows: Rows | None = None
        # What rows hold besides lines: a cache, for a hypothesis without a place is read again.
        self._places: dict[int, Place] = {}
        self._growths: list[Growth] = []
        # Rows that hold nothing any more.
        self._free: list[int] = []
        self._prefix: tuple[list[int], Rows] | None = None
        self._beam_share = _FIRST_SHARE

    @property
    def rows_in_use(self) -> int:
        return 0 if self._rows is None else len(self._rows)

    @property
    def at_work(self) -> bool:
        """Tell whether there is a token to write."""
        return any(group.live for group in self._groups())

    @property
    def may_begin(self) -> bool:
        """Tell whether ways wait that there is a row for now."""
        groups = self._groups()
        return any(group.queue for group in groups) and bool(
            self._chosen(sum(len(group.lines) for group in groups))
        )

    @property
    def idle_share(self) -> float:
        """The share of rows that write nothing any more."""
        live = sum(len(group.live) for group in self._groups())
        return 1 - live / max(1, self.rows_in_use)

    @property
    def is_sparse(self) -> bool:
        """Tell whether so many rows hold nothing that packing the others pays."""
        return self._free_share >= _MOST_FREE

    @property
    def _free_share(self) -> float:
        return len(self._free) / max(1, self.rows_in_use)

    @property
    def _limit(self) -> float:
        return math.inf if self.max_rows is None else self.max_rows

    def _groups(self) -> list[Group]:
        return [group for growth in self._growths for group in growth.groups]

    def open(self, sources: Sequence[str]) -> list[Hypothesis]:
        """Return an empty hypothesis a prompt, to be grown; prompts are read when that begins."""
        roots = []
        for source in sources:
            encodes = self.student.is_encoder_decoder
            ids = tokenise_source(self.student.tokenizer, source, encodes)
            room = room_beside(self.student, len(ids))
            roots.append(Hypothesis(source=tuple(ids), room=room))
        return roots

    def arrange(
        self,
        grows: Sequence[Grow],
        stopped: Sequence[Growth] = (),
        held: Sequence[Hypothesis] = (),
    ) -> list[Growth]:
        """Between ticks: take up growths, begin what there are rows for; return the new ones.

        `stopped` are growths whose results nobody wants any more. What is neither a start, nor
        kept by a growth, nor `held`, gives up its row.
        """
        self._growths = [g for g in self._growths if not g.done and g not in stopped]
        begun = [Growth.of(grow) for grow in grows]
        self._growths += begun
        lines = [line for group in self._groups() for line in group.lines]
        chosen = self._chosen(len(lines))
        starts = {group.start.number: group.start for group, _ in chosen}
        kept = self._kept(held, chosen, len(lines) + sum(count for _, count in chosen))
        stay = kept | set(starts)
        self._places = {n: place for n, place in self._places.items() if n in stay}
        self._read([start for n, start in starts.items() if n not in self._places], lines)
        for group, count in chosen:
            place = self._places[group.start.number]
            lines += [group.begin(place.row, place.last) for _ in range(count)]
        self._places = {n: place for n, place in self._places.items() if n in kept}
        # Those kept come first: who comes first stays, and the others are given copies.
        self._give_rows([*self._places.values(), *lines])
        return begun

    def _chosen(self, used: int) -> list[tuple[Group, int]]:
        """Choose which groups begin how many ways, beside `used` rows; one at least if none does.

        Growths with fewer rows come first, so that none waits for all of another.
        """
        waiting = [growth for growth in self._growths if any(g.queue for g in growth.groups)]
        waiting.sort(key=lambda growth: len(growth.lines))
        groups = [group for growth in waiting for group in growth.groups if group.queue]
        # The start of a group that has more ways to begin keeps its row for them.
        room = self._limit - used - sum(bool(group.lines) for group in groups)
        chosen: list[tuple[Group, int]] = []
        for group in groups:
            is_first = not used and not chosen
            count, have = len(group.queue), room + bool(group.lines)
            cost: float = count
            if group.is_beam:
                cost = math.ceil(min(group.grow.width, self._limit) * self._beam_share)
                fits = have >= cost
            else:
                count = int(count if count <= have else max(1, have - 1))
                # The others begin from the start's row later.
                cost = count + (count < len(group.queue))
                fits = have >= 1
            if not fits and not is_first:
                break
            chosen.append((group, count))
            room = have - cost
        return chosen

    def _kept(
        self, held: Sequence[Hypothesis], chosen: Sequence[tuple[Group, int]], used: int
    ) -> set[int]:
        """Return the numbers of what keeps its row beside `used` others, the most needed first."""
        groups = self._groups()
        begins = {id(group): count for group, count in chosen}
        wanted = [g.start.number for g in groups if len(g.queue) > begins.get(id(g), 0)]
        wanted += [h.number for group in groups for h in group.found.values()]
        wanted += [h.number for growth in self._growths for h in growth.grow.keep]
        wanted += [h.number for h in held]
        have = self._places.keys() | {group.start.number for group, _ in chosen}
        found = list(dict.fromkeys(number for number in wanted if number in have))
        return set(found if math.isinf(self._limit) else found[: max(0, int(self._limit) - used)])

    def _read(self, starts: Sequence[Hypothesis], lines: Sequence[Line]) -> None:
        """Read hypotheses that have no row, each into one of its own."""
        if not starts:
            return
        new, lasts = self._read_rows(starts)
        if self._rows is not None and self.rows_in_use + len(starts) > self._limit:
            self._pack([*self._places.values(), *lines])
        first = self.rows_in_use
        if self._rows is None:
            self._rows = new
        else:
            self._rows.join(new)
        for row, (start, last) in enumerate(zip(starts, lasts, strict=True), first):
            self._places[start.number] = Place(row, last)

    def _read_rows(self, starts: Sequence[Hypothesis]) -> tuple[Rows, list[int]]:
        """Return rows that have read hypotheses but for their last tokens, and those."""
        model = self.student.model
        if not self.student.is_encoder_decoder:
            texts = [[*start.source, *start.ids] for start in starts]
            return self._read_prompts([ids[:-1] for ids in texts]), [ids[-1] for ids in texts]
        begin = int(model.config.decoder_start_token_id)
        sources = [list(start.source) for start in starts]
        rows = Rows(model, self._output, self._pad, len(starts), sources)
        texts = [[begin, *start.ids] for start in starts]
        _skim(rows, [ids[:-1] for ids in texts])
        return rows, [ids[-1] for ids in texts]

    def _read_prompts(self, prompts: Sequence[list[int]]) -> Rows:
        """Read prompts; what they all begin with is read once and kept for those that follow."""
        prefix = self._shared_prefix(prompts)
        if prefix is None:
            rows = Rows(self.student.model, self._output, self._pad, len(prompts))
            _skim(rows, prompts)
            return rows
        # Rows are read on in place, and the prefix is needed again as it is.
        rows = prefix[1].taken([0] * len(prompts))
        _skim(rows, [prompt[len(prefix[0]) :] for prompt in prompts])
        return rows

    def _shared_prefix(self, prompts: Sequence[list[int]]) -> tuple[list[int], Rows] | None:
        text = self.student.card.preamble
        if not text:
            return None
        if self._prefix is None:
            # Its last tokens may merge with what follows.
            ids = tokenise_source(self.student.tokenizer, text, False)[:-2]
            rows = Rows(self.student.model, self._output, self._pad, 1)
            _skim(rows, [ids])
            self._prefix = (ids, rows)
        ids = self._prefix[0]
        fits = all(len(p) > len(ids) and p[: len(ids)] == ids for p in prompts)
        return self._prefix if fits else None

    def _pack(self, holders: Sequence[Place | Line]) -> None:
        """Drop all rows but those of the holders, each of which has one of its own then."""
        assert self._rows is not None
        self._free = []
        if not holders:
            self._rows = None
            return
        self._rows.select([holder.row for holder in holders])
        for row, holder in enumerate(holders):
            holder.row = row

    def _give_rows(self, holders: Sequence[Place | Line]) -> None:
        """Give each holder a row of its own, with what its row holds now; free all others."""
        rows = self._rows
        if not holders or rows is None:
            self._rows, self._free = None, []
            return
        used = {holder.row for holder in holders}
        self._free = [row for row in range(len(rows)) if row not in used]
        gaps = rows.columns > 1.25 * max(rows.lengths[row] for row in used) + _MOST_GAPS
        if gaps or self.is_sparse:
            self._pack(holders)
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
        at = [line.row for line in live]
        logits = (found if at == list(range(len(rows))) else found[at]).float()
        most = max(self._choices(group) for group in groups)
        choices, values_L_T_1 = _likeliest(logits, most, self._reader is not None)
        if self._reader is not None:
            for line, values in zip(live, values_L_T_1[..., 0].tolist(), strict=True):
                # Those of guesses that turn out wrong are overwritten in the next pass.
                line.values[len(line.logprobs) :] = values
        kept, work = self._write_lines(groups, guesses, choices)
        if ahead:
            rows.keep([len(ids) for ids in tokens], kept)
        for group in groups:
            group.columns += max(kept)
        self._write_beams(work)
        # Guesses of one row that are right leave empty columns in all others, and attention
        # pays for an empty column as for a token.
        if ahead and rows.columns > 1.25 * max(rows.lengths[x.row] for x in live) + _MOST_GAPS:
            rows.select(range(len(rows)))
        for group in groups:
            self._harvest(group)

    def _write_lines(
        self, groups: Sequence[Group], guesses: Sequence[Guess], choices: Choices
    ) -> tuple[list[int], list[Work]]:
        """Write on lines that go one way; return how many tokens of each row stay.

        Of a beam the ways that it goes next are ranked, and nothing is copied yet.
        """
        assert self._rows is not None
        kept = [0] * len(self._rows)
        lines = [(group, line) for group in groups for line in group.live]
        chosen = _chosen_places(lines, choices)
        owners = {id(group): growth for growth in self._growths for group in growth.groups}
        work = []
        at = 0
        for group in groups:
            live = group.live
            here = range(at, at + len(live))
            at = here.stop
            ranked: list[Ranked] = []
            if group.is_beam:
                ranked, count = self._follow(group, guesses[here.start], choices.of(here))
                written = [count] * len(live)
            else:
                written = [
                    self._write_line(group, line, guesses[number], choices, number, chosen[number])
                    for number, line in zip(here, live, strict=True)
                ]
            work.append(Work(owners[id(group)], group, ranked))
            owners[id(group)].written += sum(written)
            group.written += sum(written)
            self.generated += sum(written)
            for line, count in zip(live, written, strict=True):
                kept[line.row] = count
        return kept, work

    def _write_beams(self, work: Sequence[Work]) -> None:
        """Write beams on; where that takes more rows than there are others give up theirs."""
        self._make_room(work)
        for part in work:
            # None where it has just given up its rows, or was written on as it was guessed.
            if part.group.is_beam and part.group.live:
                self._write_beam(part.group, part.ranked)

    def _make_room(self, work: Sequence[Work]) -> None:
        """See to it that beams can have as many more rows as they need.

        Hypotheses that wait give up theirs first; then the groups that came last begin again later.
        """
        more = sum(part.more_rows for part in work)
        spare = len(self._free) + self._limit - self.rows_in_use
        while spare < more and self._places:
            _, place = self._places.popitem()
            self._free.append(place.row)
            spare += 1
        for part in reversed(work[1:]):
            if spare >= more:
                return
            more -= part.more_rows
            # The rows of finished ones are free already.
            rows = [line.row for line in part.group.lines if not line.finished]
            part.growth.written -= part.group.put_back()
            self._free += rows
            spare += len(rows)

    def _guesses(self, groups: Sequence[Group]) -> list[list[int]]:
        """Return what may be written next on each live line.

        All rows are read as far as the longest, so that none hopes for much more than the others.
        """
        rows = self._rows
        assert rows is not None
        lines = [(group, line) for group in groups for line in group.live]
        if self._drafts is None or not rows.reads_ahead:
            return [[] for _ in lines]
        # A beam of several lines changes parents at every token: what is read ahead of one would be
        # dropped with it.
        may = [g.grow.guess and not (g.is_beam and len(g.live) > 1) for g, _ in lines]
        hopes = math.ceil(
            sum(line.guesses for (_, line), able in zip(lines, may, strict=True) if able)
            / len(lines)
        )
        device = self.student.model.device.type
        most = min(hopes, _MOST_AHEAD.get(device, 64) // len(rows) - 1)
        guesses: list[list[int]] = []
        for (group, line), able in zip(lines, may, strict=True):
            # What is read ahead needs a position of its own.
            left = left_of(group.grow, group.start, line) - 1
            count = min(most, line.guesses, left) if able else 0
            guesses.append(self._drafts.guess(_written(group, line), count))
        return guesses

    @staticmethod
    def _choices(group: Group) -> int:
        if group.is_beam:
            return group.grow.width
        return _TOP_TOKENS if group.grow.temperature else 1

    def _write_line(
        self,
        group: Group,
        line: Line,
        guessed: Guess,
        choices: Choices,
        number: int,
        chosen: Sequence[int],
    ) -> int:
        """Write while it is what was guessed, and the token after that; return how many.

        `number` is the line's among the choices, `chosen` which of them comes at each place.
        """
        place = 0
        while True:
            token, logprob = choices.take(number, place, chosen[place])
            self._push(group, line, token, logprob)
            right = place < len(guessed) and token == guessed[place]
            if line.done or not right:
                break
            place += 1
        if guessed:
            line.guessed(place + 1, len(guessed))
        return place + 1

    def _follow(self, group: Group, guessed: Guess, choices: Choices) -> tuple[list[Ranked], int]:
        """Write a beam's only line on while it goes one way, and that is what was guessed.

        Returns the ways from there, ranked, and how many tokens each of its rows keeps.
        """
        ranked = self._ranked(group, choices, 0)
        written = 1
        for place, token in enumerate(guessed, 1):
            if len(ranked) != 1 or ranked[0][2] != token:
                break
            (line,) = group.live
            self._push(group, line, *ranked[0][2:])
            if line.done:
                ranked = []
                break
            ranked = self._ranked(group, choices, place)
            written += 1
        for line in group.live if guessed else []:
            line.guessed(written, len(guessed))
        return ranked, written

    def _ranked(self, group: Group, choices: Choices, read: int) -> list[Ranked]:
        """Return the likeliest ways to write a beam's live lines on, within its margin.

        `read` is the place in what the lines have just read that they are written on from.
        """
        done = [line for line in group.lines if line.done]
        width = int(min(group.grow.width, self._limit))
        before = np.array([line.logprob for line in group.live])
        costs_L_K = -(before[:, None] + choices.logprobs_L_T_K[:, read])
        # Stable, so that equal ways are ranked alike in whatever rows they lie.
        order = np.argsort(costs_L_K, axis=None, kind="stable")[: width - len(done)]
        ranked = []
        for number, place in zip(*np.unravel_index(order, costs_L_K.shape), strict=True):
            token, logprob = choices.take(number, read, place)
            ranked.append((float(costs_L_K[number, place]), int(number), token, logprob))
        # A way that is done may be the likeliest, so that it sets the bar too.
        bar = min([ranked[0][0], *(-line.logprob for line in done)]) + group.grow.margin
        return [way for way in ranked if way[0] <= bar]

    def _write_beam(self, group: Group, ranked: Sequence[Ranked]) -> None:
        """Write the ranked ways; a way that is done keeps its row, and the beam narrows."""
        parents = group.live
        numbers = [number for _, number, *_ in ranked]
        childless = [p.row for n, p in enumerate(parents) if n not in numbers]
        twins = [parents[number].row for at, number in enumerate(numbers) if number in numbers[:at]]
        rows = iter(self._copies(twins, childless, group.columns))
        group.lines = [line for line in group.lines if line.done]
        for at, (_, number, token, logprob) in enumerate(ranked):
            is_likeliest = number not in numbers[:at]
            line = parents[number].fork(parents[number].row if is_likeliest else next(rows))
            self._push(group, line, token, logprob, learns=is_likeliest)
            group.lines.append(line)
        group.most = max(group.most, len(group.lines))

    def _copies(self, source: Sequence[int], nearby: Sequence[int], written: int) -> list[int]:
        """Return a copy of each source row.

        `nearby` rows differ from the sources in no more than the last `written` columns, and are
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

    def _push(
        self, group: Group, line: Line, token: int, logprob: float, learns: bool = True
    ) -> None:
        if learns and self._drafts is not None and not self._speller.ends(token):
            self._drafts.learn(_written(group, line), token)
        self._speller.add(group.grow, group.start, line, token, logprob)
        # A line that only its step has ended keeps its row: it may be grown from there.
        if line.finished:
            self._free.append(line.row)

    def _harvest(self, group: Group) -> None:
        """Make hypotheses of lines that are done, and of a beam that is; they keep their rows."""
        done = [line for line in group.lines if line.done]
        if group.is_beam and group.grow.whole:
            self._pool(group, done)
            return
        if not done or (group.is_beam and len(done) < len(group.lines)):
            return
        if group.is_beam:
            done.sort(key=lambda line: -line.logprob)
            share = group.most / group.grow.width
            self._beam_share += _LEARNED * (share - self._beam_share)
        for place, line in enumerate(done):
            found = self._speller.hypothesis(group.start, line)
            group.found[place if group.is_beam else line.place] = found
            if not found.finished:
                self._places[found.number] = Place(line.row, line.last)
        group.lines = group.live

    def _pool(self, group: Group, done: Sequence[Line]) -> None:
        """Put programs that a beam has finished aside, so that it stays as wide as it was.

        It ends where as many are finished as it is wide, and none that is written now is likelier
        (by the mean of its tokens) than the least likely of them.
        """
        width = int(min(group.grow.width, self._limit))
        found = [*group.found.values(), *(self._speller.hypothesis(group.start, x) for x in done)]
        found.sort(key=lambda way: (way.truncated, -way.logprob / way.tokens))
        group.found = dict(enumerate(found[:width]))
        group.lines = group.live
        whole = [way for way in group.found.values() if not way.truncated]
        if len(whole) == width and group.lines:
            least = min(way.logprob / way.tokens for way in whole)
            if all(line.logprob / len(line.logprobs) <= least for line in group.lines):
                self._free += [line.row for line in group.lines]
                group.lines = []

    def results(self, group: Group) -> list[Hypothesis]:
        """Return a group's hypotheses by way, or the likeliest first; all, once it is done."""
        return [group.found[place] for place in sorted(group.found)]

    def cut(self, group: Group) -> list[Hypothesis]:
        """Return what a group has written so far: what is done, and the rest as `truncated`."""
        lines = [line for line in group.lines if line.logprobs]
        if group.is_beam:
            lines.sort(key=lambda line: -line.logprob)
        made = [self._speller.hypothesis(group.start, line, cut=True) for line in lines]
        if group.is_beam:
            return [*self.results(group), *made]
        found = group.found | {line.place: way for line, way in zip(lines, made, strict=True)}
        return [found[place] for place in sorted(found)]

    def stable(self, group: Group) -> Hypothesis | None:
        """Return the statements of a group's only way that will stand as they are."""
        lines = group.lines
        return self._speller.stable(group.start, lines[0]) if len(lines) == 1 else None


def _likeliest(
    logits_L_T_V: torch.Tensor, most: int, reads_values: bool
) -> tuple[Choices, np.ndarray]:
    """Return the `most` likeliest tokens, and the values that stand behind the vocabulary.

    They come from the device in one transfer: each makes a GPU wait.
    """
    words = logits_L_T_V.shape[-1] - reads_values
    logprobs = torch.log_softmax(logits_L_T_V[..., :words], dim=-1)
    best = logprobs.topk(min(most, words), dim=-1)
    parts = [best.values.double(), best.indices.double(), logits_L_T_V[..., words:].double()]
    packed = torch.cat(parts, dim=-1).cpu().numpy()
    found = best.values.shape[-1]
    tokens = packed[..., found : 2 * found].astype(np.int64)
    return Choices(packed[..., :found], tokens), packed[..., 2 * found :]


def _chosen_places(lines: Sequence[tuple[Group, Line]], choices: Choices) -> list[list[int]]:
    """Return which of its choices each line writes at each place, for all lines at once."""
    chosen: np.ndarray = np.zeros(choices.tokens_L_T_K.shape[:2], np.int64)
    # Of sampled lines each has its own noise; at temperature 0, and in beams, none.
    drawing = [n for n, (_, line) in enumerate(lines) if line.seed is not None]
    if drawing:
        drawers = [lines[n] for n in drawing]
        chosen[drawing] = drawn(
            choices.logprobs_L_T_K[drawing],
            choices.tokens_L_T_K[drawing],
            [group.grow.temperature or 0.0 for group, _ in drawers],
            [line.seed or 0 for _, line in drawers],
            [len(line.logprobs) for _, line in drawers],
        )
    found: list[list[int]] = chosen.tolist()
    return found


def _skim(rows: Rows, texts: Sequence[Sequence[int]]) -> None:
    """Read texts in chunks, all ending together, so that most rows have no gaps."""
    for back in range(max(map(len, texts), default=0), 0, -_CHUNK):
        ends = [max(0, len(text) - back + _CHUNK) for text in texts]
        rows.skim([t[max(0, len(t) - back) : end] for t, end in zip(texts, ends, strict=True)])


def _written(group: Group, line: Line) -> Sequence[int]:
    """Return the last tokens of a program in writing."""
    if len(line.ids) >= LONGEST_CONTEXT:
        return line.ids
    return (*group.start.ids[-LONGEST_CONTEXT:], *line.ids)
