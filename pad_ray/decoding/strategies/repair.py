"""Let the student see the interpreter's error and write the program again."""

from __future__ import annotations

import json
from typing import Any

from pad_ray.decoding.hypothesis import Hypothesis
from pad_ray.decoding.search import Open, Search, Trail, write
from pad_ray.decoding.strategies.vote import run
from pad_ray.programs.extraction import extract_program
from pad_ray.sandbox import Outcome
from pad_ray.students.card import describe_error, format_repair


def repair(trail: Trail, root: Hypothesis) -> Search:
    """Write greedily; while the program fails to run, show its error, `n` times at most.

    It ends early at a fixed point: a program that was tried before would fail again. `notes` keep
    every attempt.
    """
    attempts: list[dict[str, Any]] = trail.notes.setdefault("attempts", [])
    tried: set[str] = set()
    start: Hypothesis | None = root
    while start is not None:
        written = yield from write(trail, start)
        if written is None:
            return
        (outcome,) = yield from run(trail, [written])
        program = extract_program(written.text) or written.text
        attempts.append(_attempt(program, outcome, written.tokens))
        # A whole program that failed says more than a part of the next one.
        if trail.best is None or not written.truncated:
            trail.offer(written, outcome)
        trail.note(root, [written], [_fate(outcome)])
        done = outcome.status == "ok" or written.truncated
        if done or program in tried or len(attempts) > trail.settings.n:
            return
        tried.add(program)
        start = yield Open(format_repair(trail.question, program, error_text(outcome)))


def error_text(outcome: Outcome) -> str:
    """Return what went wrong, as a repair prompt shows it."""
    value = json.dumps(outcome.value, ensure_ascii=False)
    kind, line = outcome.error_type, outcome.error_line
    return describe_error(outcome.status, kind, line, outcome.message, value)


def _attempt(program: str, outcome: Outcome, tokens: int) -> dict[str, Any]:
    return {
        "program": program,
        "status": outcome.status,
        "error_type": outcome.error_type,
        "error": None if outcome.status == "ok" else error_text(outcome),
        "value": outcome.value,
        "tokens": tokens,
    }


def _fate(outcome: Outcome) -> str:
    return "" if outcome.status == "ok" else f"failed: {error_text(outcome)}"
