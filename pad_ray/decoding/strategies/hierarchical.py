"""Ask for sub-questions, answer each by a small program, and compose those into one."""

from __future__ import annotations

from collections.abc import Sequence

from pad_ray.decoding.hypothesis import Hypothesis, Step
from pad_ray.decoding.search import Open, Part, Search, Trail, grow, write
from pad_ray.decoding.strategies.vote import run
from pad_ray.programs.extraction import extract_program
from pad_ray.programs.hierarchy import compose, plan_names
from pad_ray.students.card import format_part, format_plan


def hierarchical(trail: Trail, root: Hypothesis) -> Search:
    """Plan, write the programs of all sub-questions side by side, run what they come to.

    Where there is no plan, or the composed program does not run, the student writes plainly.
    `notes` keep the `plan`, the `parts` and whether they were `composed`.
    """
    names = yield from _plan(trail, root)
    trail.notes.update(plan=list(names or ()), parts=[], composed=False)
    if names:
        written = yield from _parts(trail, root, names)
        composed = _composed(names, written)
        trail.notes["parts"] = [program.text for program in written]
        if composed is not None:
            (outcome,) = yield from run(trail, [composed])
            trail.offer(composed, outcome)
            trail.note(root, [composed], ["" if outcome.status == "ok" else "failed"])
            if outcome.status == "ok":
                trail.notes["composed"] = True
                return
    plain = yield from write(trail, root)
    if plain is not None:
        trail.offer(plain)


def _plan(trail: Trail, root: Hypothesis) -> Part[tuple[str, ...] | None]:
    start = yield Open(format_plan(trail.question))
    if start is None:
        return None
    plan = yield from write(trail, start, keep=[root])
    if plan is None:
        return None
    (outcome,) = yield from run(trail, [plan])
    return plan_names(outcome.value) if outcome.status == "ok" else None


def _parts(trail: Trail, root: Hypothesis, names: Sequence[str]) -> Part[list[Hypothesis]]:
    """Write the program of each sub-question; a part knows the others by name alone."""
    starts = []
    for place, name in enumerate(names):
        starts.append((yield Open(format_part(trail.question, names[:place], name))))
    if any(start is None for start in starts):
        return []
    groups = yield grow(trail.settings, starts, 1, whole=True, temperature=0.0, keep=[root])
    return [group[0] for group in groups] if all(groups) else []


def _composed(names: Sequence[str], written: Sequence[Hypothesis]) -> Hypothesis | None:
    """Return the whole program, each sub-question's a step of it; None where one cannot be read."""
    if any(program.truncated for program in written):
        return None
    programs = [extract_program(program.text) for program in written]
    readable = [program for program in programs if program is not None]
    if not written or len(readable) < len(written):
        return None
    *pieces, last = compose(names, readable)
    steps = [
        Step(piece, program.logprob, program.tokens)
        for piece, program in zip(pieces, written, strict=True)
    ]
    end = Step(last, 0.0, 0)
    return Hypothesis((*steps, end), finished=True, fresh=len(steps) + 1)
