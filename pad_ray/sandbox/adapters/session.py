"""Code that goes on from the code before it, as in a notebook, though each program runs afresh."""

from __future__ import annotations

import keyword
import math
from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

from pad_ray.sandbox.executor import Sandbox
from pad_ray.sandbox.outcome import Outcome

# Runs in the sandbox: CODE after all of STEPS, in one namespace. 0x400 is PyCF_ONLY_AST; the
# module `ast` is loaded only in zygotes of their own.
_NOTEBOOK = """
def solution():
    import io, json, sys

    class Nowhere(io.TextIOBase):
        def write(self, text):
            return len(text)

    class FinalAnswer(BaseException):
        pass

    module = sys.modules["__main__"] = type(sys)("__main__")
    module.FinalAnswer = FinalAnswer

    def run(code, file):
        tree = compile(code, file, "exec", 0x400, dont_inherit=True)
        last = None
        if tree.body and type(tree.body[-1]).__name__ == "Expr":
            last = compile("0", file, "eval", 0x400)
            last.body = tree.body.pop().value
        exec(compile(tree, file, "exec", dont_inherit=True), module.__dict__)
        if last is not None:
            return eval(compile(last, file, "eval", dont_inherit=True), module.__dict__)

    stdout, sys.stdout = sys.stdout, Nowhere()
    for number, step in enumerate(STEPS, 1):
        try:
            run(step, f"<step {number}>")
        except BaseException:
            pass
    sys.stdout = stdout
    try:
        compile(CODE, "<program>", "exec", dont_inherit=True)
    except SyntaxError as error:
        return {"invalid": [type(error).__name__, error.msg, error.lineno, error.offset]}
    try:
        value = run(CODE, "<program>")
    except FinalAnswer as error:
        return {"final": True, "value": error.args[0]}
    try:
        json.dumps(value)
    except (TypeError, ValueError, RecursionError):
        value = repr(value)
    return {"final": False, "value": value}
"""


class ProgramFailed(RuntimeError):
    """A program did not end well; `outcome` says how, the message is one line for a model."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(describe(outcome))
        self.outcome = outcome


class Ran(NamedTuple):
    """What became of one step; `final` tells that it raised `FinalAnswer(value)`."""

    outcome: Outcome
    final: bool = False


class Session:
    """Steps of code, each of which finds the names that those before it left.

    Nothing lives on in the sandbox: with each step all steps before it run again, without their
    output, and in the limits of one program. So they find the same `random` numbers, and another
    time. A step that raised an exception is gone through up to there; one that ended otherwise
    (out of time or memory, forbidden, killed, invalid) is left out.
    """

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._steps: list[str] = []

    def run(self, code: str) -> Ran:
        """Run one more step; an outcome's value is that of its last line, if an expression.

        A value that is not plain is there as its `repr`. Raises SandboxError.
        """
        program = f"STEPS = {self._steps!r}\nCODE = {code!r}\n{_NOTEBOOK}"
        (outcome,) = self._sandbox.run([program])
        if outcome.status in ("ok", "error"):
            ran = _ran(outcome)
            if ran.outcome.status != "invalid":
                self._steps.append(code)
            return ran
        return Ran(outcome)


def _ran(outcome: Outcome) -> Ran:
    if outcome.status == "error":
        return Ran(outcome)
    match outcome.value:
        case {"final": bool() as final, "value": value}:
            return Ran(replace(outcome, value=value), final)
        case {"invalid": [str() as kind, str() as message, line, column]}:
            at, offset = (n if isinstance(n, int) else None for n in (line, column))
            return Ran(Outcome("invalid", None, kind, at, offset, message))
    # The program reached around `solution`, which it may: the result is its own.
    return Ran(Outcome("crashed", message="the program sent a malformed result"))


def describe(outcome: Outcome) -> str:
    """Say in one line, for a model to read, why a program has no value."""
    kind = outcome.error_type or outcome.status
    text = f"{kind}: {outcome.message}" if outcome.message else kind
    return f"{text} (line {outcome.error_line})" if outcome.error_line is not None else text


def assignments(variables: Mapping[str, object]) -> str:
    """Return code that gives plain values their names.

    Raises TypeError for other values and ValueError for what is no name, saying which.
    """
    lines = []
    for name, value in variables.items():
        if not name.isidentifier() or keyword.iskeyword(name):
            raise ValueError(f"{name!r} is no name for a variable")
        lines.append(f"{name} = {_literal(name, value)}\n")
    return "".join(lines)


def _literal(name: str, value: object) -> str:
    kind = type(value)
    if kind is float and not math.isfinite(value):  # type: ignore[arg-type]
        return f"float({str(value)!r})"
    if value is None or kind in (bool, int, float, str, bytes):
        return repr(value)
    if isinstance(value, dict) and kind is dict:
        pairs = (f"{_literal(name, k)}: {_literal(name, v)}, " for k, v in value.items())
        return f"{{{''.join(pairs)}}}"
    if isinstance(value, list | tuple) and kind in (list, tuple):
        inner = "".join(f"{_literal(name, item)}, " for item in value)
        return f"[{inner}]" if kind is list else f"({inner})"
    raise TypeError(
        f"the variable {name!r} is or holds a {kind.__name__}: the sandbox takes plain values only"
    )
