"""Let the student see the interpreter's error and write the program again."""

from __future__ import annotations

from pad_ray.decoding.hypothesis import Hypothesis
from pad_ray.decoding.search import Open, Search, Trail, grow
from pad_ray.decoding.strategies.vote import run
from pad_ray.sandbox import Outcome
from pad_ray.students import format_repair


def repair(trail: Trail, root: Hypothesis) -> Search:
    """Write greedily; while the program fails to run, ask for a repair, `n` times at most."""
    ((written,),) = yield grow(trail.settings, [root], 1, whole=True, temperature=0.0)
    (outcome,) = yield from run([written])
    trail.offer(written, outcome)
    trail.note(root, [written], [_fate(outcome)])
    for _ in range(trail.settings.n):
        if outcome.status == "ok":
            return
        prompt = yield Open(format_repair(trail.question, written.text, error_text(outcome)))
        ((written,),) = yield grow(trail.settings, [prompt], 1, whole=True, temperature=0.0)
        again = outcome
        (outcome,) = yield from run([written])
        trail.note(root, [written], [_fate(outcome)])
        trail.offer(written, outcome)
        if outcome == again:  # greedy repairs of one error repeat themselves
            return


def error_text(outcome: Outcome) -> str:
    """Return the interpreter's message as a repair prompt shows it."""
    kind = outcome.error_type or outcome.status
    line = f" (line {outcome.error_line})" if outcome.error_line else ""
    return f"{kind}: {outcome.message or outcome.status}{line}"


def _fate(outcome: Outcome) -> str:
    return "" if outcome.status == "ok" else f"failed: {error_text(outcome)}"
