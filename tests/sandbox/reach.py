"""Walk at random over what proved programs can reach, in an interpreter that checks its memory.

`reach.py SECONDS SEED` runs small programs, each of one call or operation within others, and ends
with 1 where one of them broke the interpreter: a process that dies of a broken memory, or one whose
constants lose references. It is to be run with PYTHONMALLOC=debug, which fills what is not written
and what is freed, so that a use of either shows. It has no power that a program has not: all that
it runs is proved.
"""

from __future__ import annotations

import json
import os
import random
import resource
import signal
import sys
import time
import warnings
from collections.abc import Sequence
from importlib import import_module
from mmap import mmap

from pad_ray.sandbox.harmless import (
    NAMESPACE_BUILTINS,
    SAFE_ATTRIBUTES,
    SAFE_BUILTINS,
    SAFE_MODULES,
    is_harmless,
)

BATCH_S = 2.0
_MEMORY_BYTES = 2 << 30
# In C without end; that is known, and stopped by time.
_ENDLESS = ("count", "cycle", "repeat", "iter")
_BROKEN = {signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGILL, signal.SIGFPE}
_LITERALS = (
    """
0|1|-1|2|3.5|'a'|''|'abc'|'%s'|'1/3'|'2024-01-02'|'%Y-%m-%d'|None|True|[]|[1, 2, 3]|(1, 2)|{}
{'a': 1}|{1, 2}|frozenset([1])|(lambda *a, **k: 0)|(lambda *a: a[0] if a else None)
(i for i in range(3))|list[int]|dict[str, int]|tuple[int]|int | str|slice(1)|range(3)|[[1, 2], [3]]
{1: [2]}|float('nan')|float('inf')|1j|10**30|collections.Counter('ab')|collections.OrderedDict(a=1)
collections.defaultdict(list)|collections.deque([1, 2])|datetime.date(2024, 1, 2)
datetime.datetime(2024, 1, 2)|datetime.time(3)|datetime.timedelta(1)|fractions.Fraction(1, 3)
map(abs, [1])|zip([1], [2])|enumerate('a')|reversed([1, 2])|itertools.chain([1], 'b')
itertools.accumulate([1, 2])|itertools.groupby('aab')|itertools.pairwise('abc')|{1: 2}.items()
itertools.product('ab')|itertools.zip_longest('a', [1])|{}.keys()|[].append|'a'.join|{}.get
collections.OrderedDict(b=[1], a=2).items()|datetime.datetime.max|datetime.date.min
""".strip()
    .replace("\n", "|")
    .split("|")
)
_LITERALS = [text if text[0] in "'[{(" else f"({text})" for text in _LITERALS]
_OPERATIONS = "+ - * % | & / // ^ == < in ** @".split()
_KEYWORDS = """key default initial start r n method xbar mu weights x timespec sep func reverse base
maxlen fillvalue repeat iterable self tzinfo hour strict fold month""".split()


def names() -> dict[str, list[str]]:
    """Return the texts that reach each class or module, and all they reach in turn."""
    found: dict[str, list[str]] = {"": sorted(SAFE_BUILTINS - {"print"})}
    for module in sorted(SAFE_MODULES):
        found[module] = []
        for name in sorted(SAFE_ATTRIBUTES & set(dir(import_module(module)))):
            if name not in _ENDLESS:
                found[module].append(f"{module}.{name}")
    kinds = [text for texts in list(found.values()) for text in texts]
    modules = {module: import_module(module) for module in SAFE_MODULES}
    for text in kinds:
        thing = eval(text, dict(modules))
        if isinstance(thing, type):
            found[text] = [f"{text}.{name}" for name in sorted(SAFE_ATTRIBUTES & set(dir(thing)))]
    return {name: texts for name, texts in found.items() if texts}


def expression(rng: random.Random, reached: dict[str, list[str]], depth: int = 0) -> str:
    """Return the text of a random call, attribute or operation."""

    def value() -> str:
        if depth < 2 and rng.random() < 0.25:
            return expression(rng, reached, depth + 1)
        if rng.random() < 0.75:
            return rng.choice(_LITERALS)
        return rng.choice(reached[rng.choice(list(reached))])

    kind = rng.random()
    if kind < 0.1:
        return f"({value()} {rng.choice(_OPERATIONS)} {value()})"
    if kind < 0.15:
        return f"{value()}[{value()}]"
    if kind < 0.35:
        # A literal's own method; what there is none of ends in an error at once.
        callee = f"{value()}.{rng.choice(sorted(SAFE_ATTRIBUTES))}"
    else:
        callee = rng.choice(reached[rng.choice(list(reached))])
    parts = [value() for _ in range(rng.choice((0, 1, 1, 1, 2, 2, 3)))]
    if rng.random() < 0.15:
        parts.append(f"{rng.choice(_KEYWORDS)}={value()}")
    called = f"{callee}({', '.join(parts)})"
    return f"list({called})" if rng.random() < 0.15 else called


def statements(rng: random.Random, reached: dict[str, list[str]]) -> str:
    """Return a program that has an expression's value in `x`.

    Every other one evaluates it often enough for fast instructions in its place, and then with
    another kind of object than they were made for.
    """
    text = expression(rng, reached)
    usual = [literal for literal in _LITERALS if literal in text]
    if not usual or rng.random() < 0.5:
        return f"x = {text}"
    used = rng.choice(usual)
    other = rng.choice(_LITERALS if rng.random() < 0.5 else reached[rng.choice(list(reached))])
    function = f"def f(v): return {text.replace(used, 'v', 1)}"
    return f"{function}\nfor v in [{used}] * 20 + [{other}]: x = f(v)"


def batch(seed: int, page: mmap, seconds: float) -> int:
    """Run programs for a while; note each in `page` before it runs."""
    rng, reached = random.Random(seed), names()
    header = f"import {', '.join(sorted(SAFE_MODULES))}\n"
    constants = (None, True, False, (), "", int, str, NAMESPACE_BUILTINS)
    end = time.monotonic() + seconds
    tried = 0
    while time.monotonic() < end:
        text = statements(rng, reached)
        code = compile(f"{header}{text}\ny = [x, x]\n", "<program>", "exec")
        if not is_harmless(code):
            continue
        page[:] = text.encode()[: len(page)].ljust(len(page))
        tried += 1
        run(code)
        # What the collector took of other garbage goes once; a loss of the program comes again.
        again = [lost(code, constants) for _ in range(3)] if lost(code, constants) else [[]]
        if all(again):
            named = f"{again[-1][0]!r:.40} lost: {text}"
            page[:] = named.encode()[: len(page)].ljust(len(page))
            os.abort()
    return tried


def lost(code: object, constants: Sequence[object]) -> list[object]:
    """Return the constants that a reference is taken from each time a program runs."""
    before = [sys.getrefcount(thing) for thing in constants]
    # Often enough for Python 3.11's fast instructions.
    for _ in range(12):
        run(code)
    # What a cache let go of goes once, and not each time.
    return [
        thing
        for thing, count in zip(constants, before, strict=True)
        if sys.getrefcount(thing) <= count - 11
    ]


def run(code: object) -> None:
    """Execute a proved program as a shared child does, whatever it raises."""
    namespace = {"__builtins__": NAMESPACE_BUILTINS, "__name__": "program"}
    try:
        exec(code, namespace)  # type: ignore[arg-type]
    except Exception:
        pass
    finally:
        namespace.clear()


def main(seconds: float, seed: int) -> int:
    """Run batches, each in a process of its own; print what broke, and how much was tried."""
    warnings.simplefilter("ignore")
    page = mmap(-1, 4096)
    end = time.monotonic() + seconds
    broken, batches = [], 0
    while time.monotonic() < end and not broken:
        batches += 1
        pid = os.fork()
        if pid == 0:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
            resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
            signal.alarm(int(BATCH_S) + 3)
            sys.setrecursionlimit(900)
            batch(seed + batches, page, min(BATCH_S, seconds))
            os._exit(0)
        _, status = os.waitpid(pid, 0)
        if os.WIFSIGNALED(status) and os.WTERMSIG(status) in _BROKEN:
            broken.append(page[:].decode(errors="replace").strip())
    print(json.dumps({"batches": batches, "broken": broken}))
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]), int(sys.argv[2])))
