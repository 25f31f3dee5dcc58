"""GSM8K-like programs, and hostile ones, with what must become of each."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from typing import NamedTuple


class Expected(NamedTuple):
    """A program and what must become of it; a None says nothing."""

    source: str
    status: str
    value: object = None
    stdout: str | None = None


def gsm8k_like(number: int, rng: random.Random) -> Expected:
    """Return a program like a model's for a word problem; its value tells its number."""
    a, b, c = rng.randint(2, 40), rng.randint(2, 30), rng.randint(1, 9)
    return rng.choice(_STORIES)(number, a, b, c)


def _ok(body: str, value: object, before: str = "", stdout: str = "") -> Expected:
    lines = body.strip().replace("\n", "\n    ")
    return Expected(f"{before}\ndef solution():\n    {lines}\n", "ok", value, stdout)


def _steps(n: int, a: int, b: int, c: int) -> Expected:
    body = f"eggs = {a} * {b}\neaten = {c}\nleft = eggs - eaten\nresult = left + {n}\nreturn result"
    return _ok(f'"""Janet\'s ducks lay {a} eggs."""\n{body}', a * b - c + n)


def _money(n: int, a: int, b: int, c: int) -> Expected:
    body = f"price = {a}.5\ndiscount = {c} / 100\nreturn price * {b} * (1 - discount) + {n}"
    return _ok(body, (a + 0.5) * b * (1 - c / 100) + n)


def _loop(n: int, a: int, b: int, c: int) -> Expected:
    body = f"total = {n}\nfor week in range({b}):\n    if week % {c} == 0:\n        total += {a}"
    return _ok(f"{body}\nreturn total", n + a * len(range(0, b, c)))


def _ceil(n: int, a: int, b: int, c: int) -> Expected:
    return _ok(
        f"boxes = math.ceil({a} / {b})\nreturn boxes + {n}", math.ceil(a / b) + n, "import math"
    )


def _dict(n: int, a: int, b: int, c: int) -> Expected:
    body = f"prices = {{'apple': {a}, 'pear': {b}}}\nprices['fig'] = {c}\n"
    value = {"total": a + b + c, "n": n}
    return _ok(body + f"return {{'total': sum(prices.values()), 'n': {n}}}", value)


def _helper(n: int, a: int, b: int, c: int) -> Expected:
    before = (
        "from fractions import Fraction\n\ndef share(total, of):\n    return Fraction(total, of)\n"
    )
    return _ok(f"half = share({a}, 2) * 2\nreturn [int(half), {n}]", [a, n], before)


def _dates(n: int, a: int, b: int, c: int) -> Expected:
    body = f"start = date(2024, 1, 1)\nend = start + timedelta(days={a})\n"
    body += f"return (end - start).days + {n}"
    return _ok(body, a + n, "from datetime import date, timedelta")


def _prints(n: int, a: int, b: int, c: int) -> Expected:
    body = f"result = sum([{a}, {b}, {c}])\nprint(f'{{result}} of {n}')\nreturn result"
    return _ok(body, a + b + c, stdout=f"{a + b + c} of {n}\n")


def _wrong(n: int, a: int, b: int, c: int) -> Expected:
    return Expected(f"def solution():\n    total = {a}\n    return totl + {n}\n", "error")


def _tries(n: int, a: int, b: int, c: int) -> Expected:
    body = f"try:\n    rate = {a} / 0\nexcept ZeroDivisionError:\n    rate = {b}\nreturn rate + {n}"
    return _ok(body, b + n)


_PLAIN = [_steps, _money, _loop, _ceil, _dict, _helper, _dates, _prints]
_STORIES: list[Callable[[int, int, int, int], Expected]] = [*_PLAIN * 3, _wrong, _tries]

_HOSTILE = {
    "import os\ndef solution(): return os.fork()": "forbidden",
    "import os\ndef solution(): os._exit(0)": "crashed",
    "import os\ndef solution():\n    os.write(3, b'x' * 100)\n    return 1": "crashed",
    "import os\ndef solution(): os.close(3)": "crashed",
    "def solution(): return open('/etc/passwd').read()": "forbidden",
    "import socket\ndef solution(): return 1": "forbidden",
    "import os, signal\ndef solution(): os.kill(os.getppid(), 9)": "forbidden",
    "def solution(): return solution()": "error",
    "def solution(): return len([0] * 10**9)": "memory",
    "ring = []\nring.append(ring)\nring += ['x' * (30 << 20)]\ndef solution(): return 1": "ok",
    "solution = " + "(" * 300 + ")" * 300: "invalid",
    "import builtins\nbuiltins.sum = None\ndef solution(): return 1": "ok",
    "import math\nmath.pi = 3\ndef solution(): return 1": "ok",
    "def solution():\n    print('x' * 10**6)\n    return 1": "ok",
}
_SLOW_HOSTILE = {
    "def solution():\n    while True: pass": "timeout",
    "def solution(): return 10**10**8": "timeout",
    "import re\ndef solution(): return re.match('(a+)+$', 'a' * 40 + 'b')": "timeout",
}


def hostile(rng: random.Random, slow_share: float = 0.05) -> Expected:
    """Return a hostile program and the status that it must get under 0.2 s of CPU and 64 MB."""
    family = _SLOW_HOSTILE if rng.random() < slow_share else _HOSTILE
    source, status = rng.choice(sorted(family.items()))
    return Expected(f"{source}  # {rng.random()}", status, 1 if status == "ok" else None)
