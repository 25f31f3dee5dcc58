"""Tokens as text: where statements end in what is written, and the steps that it is cut into."""

from __future__ import annotations

from collections.abc import Sequence

from pad_ray.decoding.growth import Grow, Line
from pad_ray.decoding.hypothesis import Hypothesis, Step
from pad_ray.programs.statements import scan
from pad_ray.students.models import Student
from pad_ray.students.pieces import Pieces


class Speller:
    """Adds tokens to lines, and cuts into steps what a line has written."""

    def __init__(self, student: Student) -> None:
        self._tokenizer = student.tokenizer
        self._ends = _end_tokens(student)
        self._by_lines = student.card.writes_text
        self._pieces = Pieces(student.tokenizer)

    def ends(self, token: int) -> bool:
        """Tell whether a token ends a text and is no part of it."""
        return token in self._ends

    def add(self, grow: Grow, start: Hypothesis, line: Line, token: int, logprob: float) -> None:
        """Write a token on a line."""
        line.logprobs.append(logprob)
        line.logprob += logprob
        line.last = token
        # Before it is added to the ids: the end is no part of the text, but of its likelihood.
        if token in self._ends:
            line.done = line.finished = True
            return
        if line.reading is None:
            line.reading = self._pieces.begin(start.ids)
        line.ids.append(token)
        piece, line.reading = self._pieces.added(start.ids, line.ids, line.reading)
        if self._by_lines:
            ended = "\n" in piece
        else:
            line.scan, statements, returned = scan(line.scan, piece)
            ended = statements > 0
            line.done = line.finished = returned
        if ended:
            line.ends.append(len(line.ids))
        if not line.done:
            if not grow.whole and len(line.ends) >= grow.steps:
                line.done = True
            elif left_of(grow, start, line) <= 0:
                line.done = line.finished = line.truncated = True

    def hypothesis(self, start: Hypothesis, line: Line, cut: bool = False) -> Hypothesis:
        """Return what a line has written; `cut`: it may write no more, done or not."""
        steps = self._steps(start, line)
        cut = cut and not line.done
        return Hypothesis(
            (*start.steps, *steps),
            (*start.ids, *line.ids),
            line.scan,
            line.finished or cut,
            line.truncated or cut,
            start.number,
            len(steps),
            start.source,
            start.room,
        )

    def stable(self, start: Hypothesis, line: Line) -> Hypothesis:
        """Return what a line has written up to the last end but one, which will not change."""
        ends = line.ends[:-1]
        steps = self._cut(start, line, ends, whole=False)
        return Hypothesis((*start.steps, *steps), parent=start.number, fresh=len(steps))

    def _steps(self, start: Hypothesis, line: Line) -> list[Step]:
        """Cut what a line wrote into steps; what stands below the last end belongs to it."""
        ends = [*line.ends[:-1], len(line.ids)]
        if line.ends and self._decoded(line.ids[line.ends[-1] :]).strip():
            ends = [*line.ends, len(line.ids)]
        return self._cut(start, line, ends, whole=True)

    def _cut(self, start: Hypothesis, line: Line, ends: Sequence[int], whole: bool) -> list[Step]:
        steps = []
        before, first = start.text, 0
        for end in ends:
            text = self._decoded((*start.ids, *line.ids[:end]))
            is_last = whole and end == len(line.ids)
            if not is_last or not line.finished:
                # A token may hold the next line's indentation too, which belongs to that line.
                text = text[: len(text.rstrip(" \t"))]
            # The last step has the logarithm of ending too, where the student ended it.
            last = len(line.logprobs) if is_last else end
            logprob = sum(line.logprobs[first:last])
            logit = line.values[last - 1] if line.values else None
            steps.append(Step(text[len(before) :], logprob, last - first, logit=logit))
            before, first = text, last
        return steps

    def _decoded(self, ids: Sequence[int]) -> str:
        return str(self._tokenizer.decode(list(ids), skip_special_tokens=True))


def left_of(grow: Grow, start: Hypothesis, line: Line) -> int:
    """Return how many tokens a line may still write."""
    written = len(line.ids)
    left = [grow.max_tokens - len(start.ids) - written]
    if start.room is not None:
        left.append(start.room - len(start.ids) - written)
    if not grow.whole:
        left.append(grow.longest_step * grow.steps - written)
    return min(left)


def _end_tokens(student: Student) -> frozenset[int]:
    given = student.model.generation_config.eos_token_id
    listed = given if isinstance(given, list) else [given]
    return frozenset(t for t in (*listed, student.tokenizer.eos_token_id) if t is not None)
