"""Running the program so far: what raises is cut, what repeats itself or makes no sense is marked.

Only whole statements are run: a step closes with the block that it stands in.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence

from pad_ray.programs.canonical import parse_program
from pad_ray.sandbox import Outcome, OutcomeCache
from pad_ray.verifiers.base import Candidate

REPEATED = 0.5
NEGATIVE = 0.5
# As Python counts the lines of a program.
_NEWLINE = re.compile(r"\r\n|\r|\n")
_NOTE = "_noted_by_the_judge_"


class ExecutionScorer:
    """1 for a program that runs so far, 0 for one that does not, less than 1 for a bad sign.

    Bad signs, in what the last step assigns: a new variable of the same calculation and value as an
    older one (`REPEATED`; two quantities may well be given as the same number), and, where the
    search forbids it, a negative number (`NEGATIVE`). A variable's value is the one that it was
    given, whatever becomes of it later. A finished program that returns nothing has failed.
    """

    def __init__(self, outcomes: OutcomeCache) -> None:
        self._outcomes = outcomes

    def score(self, candidates: Sequence[Candidate]) -> list[list[float]]:
        """Return 1 for each step but the last, whose score is the whole prefix's."""
        prefixes = [Prefix(candidate.program, candidate.finished) for candidate in candidates]
        runnable = [prefix.runnable for prefix in prefixes if prefix.runnable is not None]
        outcomes = iter(self._outcomes.run(runnable))
        return [
            [1.0] * (len(candidate.steps) - 1)
            + [_judge(prefix, candidate, None if prefix.runnable is None else next(outcomes))]
            for candidate, prefix in zip(candidates, prefixes, strict=True)
        ]

    def forget(self, search: int) -> None:
        """Do nothing: outcomes serve whoever asks next."""


class Prefix:
    """A program so far: how to run it, and what it has assigned.

    `runnable` is None where there is nothing to run yet; it returns the values that the body's
    assignments gave, in the order of `assigned` (name, calculation, line), unless the program
    returns by itself.
    """

    def __init__(self, program: str, finished: bool = False) -> None:
        self.runnable: str | None = None
        self.assigned: list[tuple[str, str, int]] = []
        tree = parse_program(program)
        # A `def` line alone is a program that goes on, not one that is broken.
        self.broken = tree is None and bool(program.strip())
        function = None if tree is None else _solution(tree)
        if finished:
            self.runnable = program
        elif function is not None and function.body[0].lineno > function.lineno:
            self._record(program, function)

    def _record(self, program: str, function: ast.FunctionDef) -> None:
        """Have the program note each value where it is assigned, and return them all."""
        lines = _NEWLINE.split(program.rstrip())
        first = function.body[0]
        indent = lines[first.lineno - 1][: first.col_offset]
        noted: list[str] = []
        below: dict[int, list[str]] = {}
        for node in function.body:
            if (
                isinstance(node, ast.Assign)
                and len(node.targets) == 1
                and isinstance(node.targets[0], ast.Name)
            ):
                name = node.targets[0].id
                self.assigned.append((name, ast.unparse(node.value), node.lineno))
                noted.append(f"{_NOTE}{len(noted)}")
                below.setdefault(node.end_lineno or 0, []).append(f"{noted[-1]} = {name}")
        kept = []
        for number, line in enumerate(lines, 1):
            kept += [line, *(indent + note for note in below.get(number, ()))]
        self.runnable = "\n".join([*kept, f"{indent}return [{', '.join(noted)}]\n"])

    def fresh(self, values: Sequence[object], lines_before: int) -> list[object]:
        """Return the values that were assigned below line `lines_before`."""
        if len(values) != len(self.assigned):
            return []
        pairs = zip(self.assigned, values, strict=True)
        return [value for (_, _, line), value in pairs if line > lines_before]

    def repeats(self, values: Sequence[object], lines_before: int) -> bool:
        """Tell whether a new variable below line `lines_before` repeats an older one."""
        if len(values) != len(self.assigned):
            return False
        names: set[str] = set()
        seen: list[tuple[str, object]] = []
        for (name, expression, line), value in zip(self.assigned, values, strict=True):
            # One that changes, as in a simulation, is no new quantity.
            if name in names:
                continue
            names.add(name)
            if line > lines_before and (expression, value) in seen:
                return True
            if not expression.lstrip("-").replace(".", "", 1).isdigit():
                seen.append((expression, value))
        return False


def _judge(prefix: Prefix, candidate: Candidate, outcome: Outcome | None) -> float:
    if prefix.broken:
        return 0.0
    if outcome is None:
        return 1.0
    if outcome.status != "ok":
        # A value that cannot leave the sandbox is no fault of the program.
        unreadable = outcome.error_type == "UnsupportedValue"
        return 1.0 if unreadable and not candidate.finished else 0.0
    if candidate.finished and outcome.value is None:
        return 0.0
    values: list[object] = [*outcome.value] if isinstance(outcome.value, list) else [outcome.value]
    fresh, repeats = values, False
    if not candidate.finished:
        before = candidate.before.count("\n")
        fresh, repeats = prefix.fresh(values, before), prefix.repeats(values, before)
    score = REPEATED if repeats else 1.0
    if candidate.forbid_negative and any(_is_negative(value) for value in fresh):
        score *= NEGATIVE
    return score


def _solution(tree: ast.Module) -> ast.FunctionDef | None:
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name == "solution":
            return node
    return None


def _is_negative(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value < 0
