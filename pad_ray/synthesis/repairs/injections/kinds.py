"""Errors put into right programs on purpose: what a student learns to repair its own ones from.

After Program-aided Distillation (Zhu et al., 2024), whose three kinds come first; the others are
errors that small students make.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import TypeAlias

from pad_ray.base.weights import check_kinds, drawn
from pad_ray.programs.canonical import normalise_program
from pad_ray.synthesis.repairs.injections import flow, text, tree
from pad_ray.synthesis.repairs.injections.source import Source, read_source
from pad_ray.synthesis.repairs.injections.steps import off_by_one_step

__all__ = ["INJECTIONS", "Edit", "Injected", "Injection", "check_weights", "inject"]

Edit: TypeAlias = Callable[[str, str, random.Random], str | None]
"""(program, question, rng) -> the broken text, or None where there is no place for the error."""

_SourceEdit: TypeAlias = Callable[[Source, str, random.Random], str | None]


@dataclass(frozen=True)
class Injection:
    """One kind of error.

    shows: how it may show when executed: `error` (raises while running), `invalid` (does not
        compile), `value` (runs; the value may even be the right one by luck). A kind that only
        shows as `error` or `invalid` always does in a program without branches.
    weight: its share by default, in proportion to the others'.
    """

    name: str
    edit: Edit
    shows: frozenset[str]
    weight: float


@dataclass(frozen=True)
class Injected:
    """A broken program and the kinds of error in it, in the order in which they were put in."""

    text: str
    kinds: tuple[str, ...]


def _apply(edit: _SourceEdit, program: str, question: str, rng: random.Random) -> str | None:
    source = read_source(program)
    try:
        return None if source is None else edit(source, question, rng)
    except (ValueError, RecursionError):  # a text in an f-string, or nesting, that has no spelling
        return None


def _injection(edit: _SourceEdit, shows: str, weight: float = 1.0) -> Injection:
    return Injection(edit.__name__, partial(_apply, edit), frozenset(shows.split()), weight)


INJECTIONS: Mapping[str, Injection] = MappingProxyType(
    {
        injection.name: injection
        for injection in (
            _injection(flow.rename_use, "error"),
            _injection(flow.use_before_definition, "error"),
            _injection(text.illegal_return, "invalid"),
            _injection(flow.missing_assignment, "error"),
            _injection(tree.wrong_operator, "value error", 2.0),
            _injection(tree.swapped_operands, "value error"),
            _injection(tree.wrong_constant, "value error", 2.0),
            _injection(off_by_one_step, "value error", 2.0),
            _injection(flow.missing_return, "value", 0.5),
            _injection(flow.wrong_return, "value"),
            _injection(text.indentation, "invalid", 0.5),
            _injection(text.brackets, "invalid", 0.5),
            _injection(tree.call_arity, "error"),
            _injection(tree.int_str, "value error"),
        )
    }
)


def check_weights(weights: Mapping[str, float]) -> None:
    """Raise ConfigError unless the weights are of known kinds, none negative, one above zero."""
    check_kinds(weights, INJECTIONS, "injection")


def inject(
    program: str,
    question: str,
    rng: random.Random,
    weights: Mapping[str, float],
    combine: float = 0.0,
) -> Injected | None:
    """Break a program by one kind of error, drawn by weight, or by two.

    Kinds are drawn until one applies; a kind without a weight has none. With probability
    `combine` one more is put in. None if no kind applies or the program does not parse. Raises
    ConfigError as `check_weights` does.
    """
    check_weights(weights)
    if read_source(program) is None:
        return None
    by_weight = {name: weights[name] for name in INJECTIONS if name in weights}
    kinds = (INJECTIONS[name] for name in drawn(by_weight, rng))
    for kind in kinds:
        broken = kind.edit(program, question, rng)
        if broken is not None:
            once = Injected(broken, (kind.name,))
            if rng.random() >= combine:
                return once
            return _combined(program, question, rng, once, kinds) or once
    return None


def _combined(
    program: str, question: str, rng: random.Random, once: Injected, kinds: Iterator[Injection]
) -> Injected | None:
    first = INJECTIONS[once.kinds[0]]
    for second in kinds:
        # What no longer compiles cannot be edited as a tree: that error goes in last.
        if "invalid" in first.shows and "invalid" not in second.shows:
            start, order = second.edit(program, question, rng), (second, first)
        else:
            start, order = once.text, (first, second)
        broken = None if start is None else order[1].edit(start, question, rng)
        if broken is not None and ("invalid" in order[1].shows or _adds(broken, program, start)):
            return Injected(broken, (order[0].name, order[1].name))
    return None


def _adds(broken: str, program: str, once: str | None) -> bool:
    """Tell whether the second error did not undo the first, as a right return a wrong one."""
    form = normalise_program(broken, rename=False)
    return form not in (normalise_program(text, rename=False) for text in (program, once or ""))
