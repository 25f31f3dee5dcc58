"""Programs as models write them, and what plain Python makes of each.

`plain.py [EACH]` compares the sandbox of the Python that runs it with `python3 -I` on each EACHth
program, prints the differences, and needs nothing but the interpreter's own library.

In `plain_programs.txt` a program begins below a line of `%%`. Where texts follow on that line,
parted by `¦`, it is as many programs, with one of them in the place of `§` (`¶` is a new line).
"""

from __future__ import annotations

import random
import re
import resource
import signal
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path
from typing import NamedTuple

from pad_ray.sandbox import Limits, Outcome, Sandbox

_TEXT = Path(__file__).with_name("plain_programs.txt").read_text(encoding="utf-8")
_GOOD = "def solution():\n    total = 3\n    return total * 2\n"
_LAYOUTS = (
    "\ufeff" + _GOOD,
    "\ufeff" + _GOOD.replace("total * 2", "totl"),
    "\ufeff\ufeff" + _GOOD,
    "# -*- coding: utf-8 -*-\n" + _GOOD,
    "#!/usr/bin/env python3\n" + _GOOD,
    _GOOD.replace("\n", "\r\n"),
    _GOOD.replace("\n", "\r\n").replace("total * 2", "1 / 0"),
    _GOOD.replace("\n", "\r"),
    _GOOD.replace("    ", "\t"),
    _GOOD.replace("    ", "\t", 1),
    _GOOD.replace("    ", "  "),
    _GOOD.rstrip("\n"),
    _GOOD.rstrip("\n") + " # the end",
    _GOOD.rstrip("\n") + "\n    ",
    "\n\n\f\n" + _GOOD.replace("3", "größe"),
    _GOOD.replace(" ", "\u00a0"),
    _GOOD.replace("3", "'a\\\r\nb'").replace("* 2", "+ 2"),
    "def solution():\n    text = '''a\r\nb'''\n    return text\n",
    "def solution():\n    return 'caf\u00e9 \u4f60 \U0001f600'\n",
    "def solution():\n    \u5408\u8ba1 = 5\n    return \u5408\u8ba1 + \ufb01n\n",
)
_PLAIN_BYTES = 1 << 30
_UNIT = "\x1e"  # parts what the footer prints from what the program did
# Below the program, in its own module: the plain way to ask for its answer.
_FOOTER = """
if not callable(globals().get('solution')): print('{unit}none')
else:
    __plain_answer = solution()
    __import__('sys').path.append({folder!r})
    __import__('plain_rule').tell(__plain_answer)
"""


class Told(NamedTuple):
    """What became of a program: `kind` as an Outcome's status, and the others as its fields."""

    kind: str
    value: str | None = None
    error_type: str | None = None
    message: str | None = None
    line: int | None = None


def programs() -> list[str]:
    """Return all programs, in an order that mixes their kinds."""
    found = list(_LAYOUTS)
    for block in re.split(r"^%%", _TEXT, flags=re.MULTILINE)[1:]:
        head, body = block.split("\n", 1)
        for choice in head.split("¦"):
            found.append(body.replace("§", choice.strip(" ").replace("¶", "\n")))
    random.Random(0).shuffle(found)
    return found


def plain(program: str, folder: Path) -> Told:
    """Run a program by `python3 -I`, as a file with a line at its end that asks for its answer."""
    path = folder / "program.py"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            compile(program.removeprefix("\ufeff"), "", "exec", dont_inherit=True)
        footer = _FOOTER.format(unit=_UNIT, folder=str(Path(__file__).parent))
    except (SyntaxError, ValueError):
        footer = ""
    path.write_bytes((program + footer).encode("utf-8", "surrogatepass"))
    ran = subprocess.run(
        [sys.executable, "-I", "-W", "ignore", path],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        errors="backslashreplace",
        preexec_fn=_bound,
    )
    # After a KeyboardInterrupt, which is told as others are, Python ends itself by a SIGINT.
    if ran.returncode < 0 and ran.returncode != -signal.SIGINT:
        name = signal.Signals(-ran.returncode).name
        return Told("crashed", None, name, f"the program's process died of {name}")
    _, unit, answer = ran.stdout.rpartition(_UNIT)
    if unit:
        return _answered(answer.removesuffix("\n"))
    lines = program.count("\n") + program.replace("\r\n", "").count("\r") + 1
    return _failed(ran, str(path), lines if footer else None)


def _bound() -> None:
    # CPython 3.13.0 counts no calls of some functions, and lets them recur through all memory.
    resource.setrlimit(resource.RLIMIT_AS, (_PLAIN_BYTES, _PLAIN_BYTES))


def _answered(answer: str) -> Told:
    kind, _, text = answer.partition(" ")
    if kind == "none":
        return Told("invalid", error_type="NoSolution")
    if kind == "unsupported":
        return Told("error", error_type="UnsupportedValue")
    return Told("ok", text)


def _failed(ran: subprocess.CompletedProcess[str], path: str, lines: int | None) -> Told:
    """Read what Python printed of an exception; a program of `lines` lines, None of no Python."""
    _, found, trace = ran.stderr.rpartition("Traceback (most recent call last):\n")
    if not found and lines is not None:
        # Text is printed, another code is the process's own.
        return Told("error", None, "SystemExit", ran.stderr.strip() or str(ran.returncode))
    numbers = re.findall(rf'^  File "{re.escape(path)}", line (\d+)', trace, re.MULTILINE)
    line = int(numbers[-1]) if numbers else None
    if lines is not None and line is not None and line > lines:
        line = None
    last = re.search(r"^[^ \n:]+(?:: [\s\S]*)?\Z", trace.strip("\n"), re.MULTILINE)
    name, _, message = (last[0] if last else trace).partition(": ")
    kind = "invalid" if lines is None else "error"
    return Told(kind, None, name.rpartition(".")[2], message, line)


def sandboxed(outcome: Outcome) -> Told:
    """Return the same of an Outcome."""
    if outcome.status == "ok":
        return Told("ok", ascii(outcome.value))
    if outcome.error_type in ("NoSolution", "UnsupportedValue"):
        return Told(outcome.status, error_type=outcome.error_type)
    fields = outcome.error_type, outcome.message, outcome.error_line
    return Told(outcome.status, None, *fields)


def _as_module(text: str | None) -> str | None:
    """Return a text as of a module called `program`, which has its objects elsewhere."""
    return text and re.sub(r" at 0x[0-9a-f]+", "", text).replace("__main__", "program")


def differs(found: Told, wanted: Told) -> bool:
    """Tell whether the two differ in anything that both can know."""
    if wanted.error_type == "SystemExit":
        # Plain Python prints neither the line, nor what code a process that went well had.
        codes = {"0": ("None", "0", ""), "1": ("1", "True")}.get(str(wanted.message), ())
        return found.error_type != "SystemExit" or found.message not in (wanted.message, *codes)
    if found.kind == "memory":
        # Where a recursion that CPython 3.13.0 does not count has used up the memory, plain Python
        # says so or crashes, as it happens.
        return wanted.error_type not in ("MemoryError", "SIGSEGV")
    wanted_message = wanted.message or ""
    if found.message and wanted_message.startswith(found.message):
        # Printed below or behind the message: a guess at what was meant.
        rest = wanted_message[len(found.message) :]
        if re.fullmatch(r"\.? ?(Did you (mean|forget).*)?", rest):
            wanted_message = found.message
    wanted = wanted._replace(value=_as_module(wanted.value), message=_as_module(wanted_message))
    return found._replace(message=_as_module(found.message or "")) != wanted


def differences(each: int = 1) -> tuple[int, list[str]]:
    """Compare each `each`th program; return how many, and what differs, in words."""
    chosen = programs()[::each]
    with Sandbox(Limits(wall_s=20, cpu_s=10)) as sandbox:
        outcomes = sandbox.run(chosen)
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for program, outcome in zip(chosen, outcomes, strict=True):
            told, wanted = sandboxed(outcome), plain(program, Path(folder))
            if differs(told, wanted):
                found.append(f"{program}\nplain:   {wanted}\nsandbox: {told}\n")
    return len(chosen), found


if __name__ == "__main__":
    tried, different = differences(int(sys.argv[1]) if len(sys.argv) > 1 else 1)
    print("\n".join(different), f"{len(different)} of {tried} programs differ", sep="\n")
    sys.exit(bool(different))
