"""Run one program inside a jailed child, and put what happened into a JSON report."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from mmap import MAP_ANONYMOUS, MAP_PRIVATE, mmap
from types import CodeType, ModuleType
from typing import Any, NamedTuple

from pad_ray.sandbox.harmless import NAMESPACE_BUILTINS, is_harmless
from pad_ray.sandbox.values import UnsupportedValue, to_wire

FILE_NAME = "<program>"
MAX_MESSAGE = 500
_RESERVE_BYTES = 1 << 20
RECURSION_LIMIT = 1000  # Python's own
# `evaluate` and `_executed`.
EVALUATE_FRAMES = 2
# Called by a frame of its own, so that a program finds as many above `solution` as when it calls
# that itself at its end.
_CALL = compile("solution()", "<call>", "eval")
# Read past what a program's own classes answer.
_TYPE_NAME = type.__dict__["__name__"].__get__
_TRACEBACK = BaseException.__dict__["__traceback__"].__get__
_SYNTAX = {
    name: SyntaxError.__dict__[name].__get__ for name in "filename lineno offset msg".split()
}
_UNSAID = ("without exception set", "without setting an exception")


class ForbiddenImport(ModuleNotFoundError):
    """Import of a standard-library module that the sandbox does not offer."""


class NoSolution(Exception):
    """The program defines no function solution()."""


class NoMoreImports:
    """The only finder left: everything that may be imported is loaded already.

    `parts` are the names of what lies in the standard library's loaded packages.
    """

    parts: frozenset[str] = frozenset()

    @classmethod
    def find_spec(cls, name: str, path: object = None, target: object = None) -> None:
        """Raise for every name: ForbiddenImport for the standard library, else not found."""
        if name in sys.stdlib_module_names or name in cls.parts:
            raise ForbiddenImport(f"the sandbox does not offer the module {name!r}", name=name)
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)


class Failure(NamedTuple):
    """Why there is no value: an outcome's status, and what was raised."""

    status: str
    error: BaseException


class BoundedOutput(io.RawIOBase):
    """What a program prints: the first `limit` bytes are kept, the rest is dropped."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.kept = bytearray()

    def writable(self) -> bool:
        """Return True."""
        return True

    def write(self, data: Any) -> int:
        """Keep what there is room for; say that all was written."""
        self.kept += data[: self._limit - len(self.kept)]
        return len(data)


class Bench(NamedTuple):
    """What one lone program works with, made before it is forked: each new page costs it.

    The recursion limit is to be set then as well. `reserve` is address space to give back where a
    program used up all of its memory, so that its report can be made. The module is real, because
    dataclass-like code looks its own up.
    """

    module: ModuleType
    stdout: io.TextIOWrapper
    printed: BoundedOutput
    reserve: mmap


def make_bench(max_bytes: int) -> Bench:
    """Return a bench for a program that may print `max_bytes` bytes."""
    stdout, printed = _captured(max_bytes)
    # Private: one child must find there nothing that another wrote.
    reserve = mmap(-1, _RESERVE_BYTES, flags=MAP_PRIVATE | MAP_ANONYMOUS)
    return Bench(ModuleType("program"), stdout, printed, reserve)


def lay_out(bench: Bench) -> None:
    """Make a bench this process's own, for the programs that `evaluate` runs."""
    sys.modules["program"] = bench.module
    sys.stdout = bench.stdout


def evaluate(source: bytes, max_bytes: int, bench: Bench) -> bytes:
    """Execute the program text, call its `solution()`, and return the report as JSON bytes.

    The bench must be laid out. The value, as JSON, and the printed text may each have `max_bytes`
    bytes.
    """
    code, printed = _compiled(source), None
    if isinstance(code, CodeType):
        printed = bench.printed
        try:
            outcome = _executed(code, bench.module.__dict__, max_bytes)
        except MemoryError as error:
            # Before anything is made: there may be no room for an object of another size.
            bench.reserve.close()
            outcome = Failure("memory", error)
    else:
        outcome = code
    if isinstance(outcome, Failure):
        bench.reserve.close()
    return _report(outcome, printed)


def evaluate_if_harmless(source: bytes, max_bytes: int) -> bytes | None:
    """Do as `evaluate`, in a process that goes on to other programs.

    None means that the program must be run alone: it is not proved harmless, or its end may
    depend on the stack that its neighbours left it. MemoryError means the same of memory, which
    may still be full.
    """
    code, printed = _compiled(source), None
    if isinstance(code, CodeType):
        if not is_harmless(code):
            return None
        namespace = ModuleType("program").__dict__
        namespace["__builtins__"] = NAMESPACE_BUILTINS
        # Making room for prints costs as much as a small program; a name may be spelled
        # in other letters than ASCII's.
        if b"print" in source or not source.isascii():
            sys.stdout, printed = _captured(max_bytes)
        try:
            outcome = _executed(code, namespace, max_bytes)
        finally:
            # Functions and their globals are a cycle: broken, its memory serves the next program.
            namespace.clear()
    else:
        outcome = code
    if isinstance(outcome, Failure) and isinstance(outcome.error, MemoryError | RecursionError):
        return None
    return _report(outcome, printed, crowded=True)


def _compiled(source: bytes) -> CodeType | Failure:
    try:
        text = source.decode("utf-8", "surrogatepass").removeprefix("\ufeff")
        return compile(text, FILE_NAME, "exec", dont_inherit=True)
    except Exception as error:  # MemoryError too: the parser's word for nesting too deep for it
        return Failure("invalid", error)


def _captured(max_bytes: int) -> tuple[io.TextIOWrapper, BoundedOutput]:
    kept = BoundedOutput(max_bytes)
    return io.TextIOWrapper(io.BufferedWriter(kept), "utf-8", "backslashreplace"), kept


def _executed(code: CodeType, namespace: dict[str, Any], max_bytes: int) -> str | Failure:
    """Return the value's JSON text, or what the program raised; raise MemoryError where it did."""
    try:
        exec(code, namespace)
        solution = namespace.get("solution")
        if not callable(solution):
            return Failure("invalid", NoSolution("the program defines no function solution()"))
        text = _as_json(to_wire(eval(_CALL, {"solution": solution}), max_bytes))
        if len(text) > max_bytes:
            raise UnsupportedValue(f"the result is over {max_bytes >> 10} kB (output_kb)")
        return text
    except MemoryError:
        raise
    except SystemError as error:
        # Some places of the interpreter forget to say that memory ran out; by now it may be free.
        if str(error).endswith(_UNSAID):
            raise MemoryError from error
        return Failure("error", error)
    except (PermissionError, ForbiddenImport) as error:
        return Failure("forbidden", error)
    except BaseException as error:  # whatever a program raises, SystemExit too, is its outcome
        return Failure("error", error)


def _as_json(wire: object) -> str:
    """Return what `json.dumps` does; most values are one number, which needs little of it."""
    if type(wire) is int or (type(wire) is float and wire - wire == 0):
        return repr(wire)
    return json.dumps(wire)


def _report(outcome: str | Failure, printed: BoundedOutput | None, crowded: bool = False) -> bytes:
    """Return the report's JSON; with `crowded`, raise what may be the neighbours' MemoryError."""
    if isinstance(outcome, Failure):
        head = json.dumps(_describe(outcome, crowded))[1:-1]
    else:
        head = f'"status": "ok", "value": {outcome}'
    if printed is not None:
        _attempted(sys.stdout.flush, crowded)  # the program may have closed its output
        if printed.kept:
            text = json.dumps(printed.kept.decode("utf-8", "replace"))
            return f'{{{head}, "stdout": {text}}}'.encode()
    return f"{{{head}}}".encode()


def _attempted(call: Callable[[], Any], crowded: bool) -> Any:
    """Return what a call returns, which may run the program's code; None where it raises."""
    try:
        return call()
    except MemoryError:
        if crowded:
            raise
    except BaseException:  # the program's own
        pass
    return None


def _describe(failure: Failure, crowded: bool) -> dict[str, Any]:
    error = failure.error
    kind = type(error) if type(error) is not ForbiddenImport else ModuleNotFoundError
    shown = _SYNTAX["msg"](error) if issubclass(type(error), SyntaxError) else error
    message = _attempted(lambda: _clean(str(shown)), crowded)
    return {
        "status": failure.status,
        "error_type": _clean(_TYPE_NAME(kind)),
        "error_line": _line(error),
        "error_offset": _whole(_SYNTAX["offset"](error)) if _is_of_program(error) else None,
        "message": "<exception str() failed>" if message is None else message,
    }


def _clean(text: str) -> str:
    return text[:MAX_MESSAGE].encode("utf-8", "backslashreplace").decode()[:MAX_MESSAGE]


def _is_of_program(error: BaseException) -> bool:
    if not issubclass(type(error), SyntaxError):
        return False
    name = _SYNTAX["filename"](error)
    return type(name) is str and name == FILE_NAME


def _line(error: BaseException) -> int | None:
    line = _SYNTAX["lineno"](error) if _is_of_program(error) else None
    trace = _TRACEBACK(error)
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == FILE_NAME:
            line = trace.tb_lineno
        trace = trace.tb_next
    return _whole(line)


def _whole(number: object) -> int | None:
    return number if type(number) is int else None
