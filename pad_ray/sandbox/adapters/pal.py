"""Answers of programs as texts, and the interface of PAL's runtime (Gao et al. 2022)."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence

from pad_ray.sandbox.adapters.session import ProgramFailed, Session, assignments, describe
from pad_ray.sandbox.executor import Sandbox
from pad_ray.sandbox.outcome import Outcome
from pad_ray.sandbox.values import Value

_SOLUTION = "solution()"


class PythonInterpreter:
    """Programs' answers as texts.

    The answer is what was printed (`answer_from_stdout`), the value of a variable
    (`answer_symbol`), or of an expression (`answer_expr`); where all are none, the value of the
    program's last line. Programs run together, and each by itself.
    """

    def __init__(
        self,
        sandbox: Sandbox,
        answer_symbol: str | None = None,
        answer_expr: str | None = _SOLUTION,
        answer_from_stdout: bool = False,
    ) -> None:
        self._sandbox = sandbox
        self._printed = answer_from_stdout
        self._expression = "None" if answer_from_stdout else answer_symbol or answer_expr

    def apply(self, code: str) -> tuple[str, str]:
        """Return the answer of one program, and `Done`; or an empty text, and the error."""
        return self.batch_apply([code])[0]

    def batch_apply(self, batch_code: Sequence[str]) -> list[tuple[str, str]]:
        """Return what `apply` does of each program, in order."""
        outcomes = self._sandbox.run([self._program(code) for code in batch_code])
        return [self._told(outcome) for outcome in outcomes]

    def _program(self, code: str) -> str:
        expression = self._expression
        if expression is None:
            code, _, expression = code.rstrip().rpartition("\n")
        return code if expression == _SOLUTION else _answering(code, expression)

    def _told(self, outcome: Outcome) -> tuple[str, str]:
        if outcome.status != "ok":
            return "", describe(outcome)
        return (outcome.stdout if self._printed else str(outcome.value)).strip(), "Done"


class Runtime:
    """Does what PAL's `GenericRuntime` does; tried by Qwen-Agent's copy of what calls that.

    Each `exec_code` starts afresh, with what was injected; `eval_code` runs the code again. Both
    raise ProgramFailed.
    """

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._injected: dict[str, object] = {}
        self._session = Session(sandbox)

    def exec_code(self, code_piece: str) -> None:
        """Run a program; what it prints is printed."""
        self._session = Session(self._sandbox)
        self._run(assignments(self._injected))
        sys.stdout.write(self._run(code_piece).stdout)

    def eval_code(self, expr: str) -> Value:
        """Return the value of an expression after the program."""
        return self._run(expr).value

    def inject(self, var_dict: Mapping[str, object]) -> None:
        """Give the programs to come variables of plain values; TypeError for others."""
        assignments(var_dict)
        self._injected |= var_dict

    @property
    def answer(self) -> Value:
        """The program's variable `answer`."""
        return self["answer"]

    @property
    def _global_vars(self) -> Runtime:
        """What PAL's interface looks a variable up in."""
        return self

    def __getitem__(self, name: str) -> Value:
        """Return the value of a variable after the program."""
        return self.eval_code(name)

    def _run(self, code: str) -> Outcome:
        outcome = self._session.run(code).outcome
        if outcome.status != "ok":
            raise ProgramFailed(outcome)
        return outcome


def _answering(code: str, expression: str) -> str:
    """Return a program whose `solution()` has the value of an expression in `code`."""
    # The code's own `solution` is another's name from here on.
    own = "solution=solution" if re.search(r"\bsolution\b", expression) else ""
    return f"{code}\n\ndef solution({own}):\n    return ({expression}\n    )\n"
