"""Run one program inside its jailed child, and put what happened into a JSON report."""

from __future__ import annotations

import json
import sys
from types import ModuleType
from typing import Any

from pad_ray.sandbox.values import UnsupportedValue, to_wire

FILE_NAME = "<program>"
MAX_MESSAGE = 500
_RESERVE_BYTES = 1 << 20


class ForbiddenImport(ModuleNotFoundError):
    """Import of a standard-library module that the sandbox does not offer."""


class NoMoreImports:
    """The only finder left: everything that may be imported is loaded already."""

    @staticmethod
    def find_spec(name: str, path: object = None, target: object = None) -> None:
        """Raise for every name: ForbiddenImport for the standard library, else not found."""
        if name.partition(".")[0] in sys.stdlib_module_names:
            raise ForbiddenImport(f"the sandbox does not offer the module {name!r}", name=name)
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)


def evaluate(source: bytes, max_value_bytes: int) -> bytes:
    """Execute the program text, call its `solution()`, and return the report as JSON bytes."""
    reserve = bytearray(_RESERVE_BYTES)
    try:
        value = _run(source.decode("utf-8", "surrogatepass"))
        text = json.dumps(to_wire(value, max_value_bytes), allow_nan=False)
        if len(text) > max_value_bytes:
            raise UnsupportedValue("the result is too large")
        return f'{{"status": "ok", "value": {text}}}'.encode()
    except UnsupportedValue as error:
        report = {"status": "invalid", "message": f"{error} (output_kb={max_value_bytes >> 10})"}
    except BaseException as error:  # whatever a program raises, SystemExit too, is its outcome
        del reserve
        report = _describe(error)
    return json.dumps(report).encode()


def _run(text: str) -> object:
    code = compile(text, FILE_NAME, "exec", dont_inherit=True)
    # A real module, because dataclass-like library code looks its class's module up.
    module = ModuleType("program")
    sys.modules["program"] = module
    exec(code, module.__dict__)
    solution = module.__dict__.get("solution")
    if not callable(solution):
        raise UnsupportedValue("the program defines no function solution()")
    return solution()


def _describe(error: BaseException) -> dict[str, Any]:
    status = "error"
    if isinstance(error, MemoryError):
        status = "memory"
    elif isinstance(error, PermissionError | ForbiddenImport):
        status = "forbidden"
    kind = "ModuleNotFoundError" if isinstance(error, ForbiddenImport) else type(error).__name__
    return {
        "status": status,
        "error_type": _clean(kind),
        "error_line": _line(error),
        "message": _message(error),
    }


def _message(error: BaseException) -> str:
    try:
        return _clean(str(error.msg if isinstance(error, SyntaxError) else error))
    except BaseException:  # __str__ is the program's own code
        return ""


def _clean(text: str) -> str:
    return text[:MAX_MESSAGE].encode("utf-8", "backslashreplace").decode()


def _line(error: BaseException) -> int | None:
    line = None
    if isinstance(error, SyntaxError) and error.filename == FILE_NAME:
        line = error.lineno
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == FILE_NAME:
            line = trace.tb_lineno
        trace = trace.tb_next
    return line if type(line) is int else None
