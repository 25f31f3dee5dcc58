"""Hostile programs that turn on the programs that run in the same process, if any do."""

from __future__ import annotations

from pad_ray.sandbox.attacks.interpreter import Entry


def _body(text: str) -> str:
    return f"def solution():\n    return {text}"


# All of these are proved harmless to their neighbours, whom they share a process with.
SHARED_LANE: tuple[Entry, ...] = (
    ("loop", "timeout", "def solution():\n    while True: pass"),
    ("loop before its solution", "timeout", "while True: pass"),
    ("sum without end", "timeout", _body("sum(iter(int, 1))")),
    ("max without end", "timeout", "from itertools import count\n" + _body("max(count())")),
    (
        "queue without end",
        "timeout",
        "from collections import deque\nfrom itertools import count\n" + _body("deque(count(), 0)"),
    ),
    ("search without end", "timeout", "import itertools\n" + _body("-1 in itertools.count()")),
    ("power", "timeout memory", _body("10**10**8")),
    ("factorial", "timeout", "import math\n" + _body("math.factorial(10**8)")),
    ("square of a large number", "timeout", _body("(7**10**6)**9 % 10")),
    ("fraction", "timeout", "from fractions import Fraction\n" + _body("Fraction(3, 7)**10**8")),
    ("keys that collide", "timeout", _body("len({k * (2**61 - 1): 0 for k in range(10**5)})")),
    ("print", "timeout", "def solution():\n    while True: print('x' * 1000)"),
    ("huge list", "memory", _body("[0] * 10**9")),
    ("huge text", "memory", _body("'x' * 10**10")),
    ("huge padding", "memory", _body("'x'.zfill(10**10)")),
    ("huge format", "memory", _body("f'{1:>10000000000}'")),
    ("growing list", "memory", "from itertools import count\n" + _body("list(count())")),
    ("growing text", "memory", "text = 'x'\nwhile True: text += text"),
    ("product", "memory", "import itertools\n" + _body("next(itertools.product(range(10**9)))")),
    ("recursion", "error", "def solution(): return solution()"),
    ("recursion in C", "error", "def solution(x=0): return max([x], key=solution)"),
    (
        "hash of a deep tuple",
        "crashed",
        "deep = ()\nfor _ in range(200000): deep = (deep,)\n" + _body("{deep: 1}"),
    ),
    (
        "chain of a hundred thousand maps",
        "crashed",
        "x = ()\nfor _ in range(200000): x = map(abs, x)\n" + _body("list(x)"),
    ),
    (
        "value that unfolds",
        "timeout memory",
        "x = [0]\nfor _ in range(30): x = [x, x]\n" + _body("x"),
    ),
    ("value too deep", "error", "x = []\nfor _ in range(99): x = [x]\n" + _body("x")),
    ("value that holds itself", "error", "x = []\nx.append(x)\n" + _body("x")),
    ("value too long", "error", _body("'x' * 10**6")),
    ("value of a function", "error", _body("solution")),
    ("print to a file", "error", "def solution():\n    print(1, file=solution)"),
    ("hidden builtins", "ok", "len = sum = max = print = sorted = str = None\n" + _body("1")),
    ("wrong solution", "error", "solution = max"),
)

# These would change what their neighbours share, so none may be proved harmless.
SPOILERS: tuple[Entry, ...] = (
    (
        "choose the package of an import",
        "error forbidden",
        "__name__ = 'json.x'\nfrom .values import update\n" + _body("update"),
    ),
    ("set a module's function", "ok", "import math\nmath.floor = abs\n" + _body("1")),
    (
        "loop over a module's name",
        "ok",
        "import math\nfor math.floor in [abs]: pass\n" + _body("1"),
    ),
    ("delete a module's function", "ok", "import math\ndel math.floor\n" + _body("1")),
    ("set by setattr", "ok", "import math\nsetattr(math, 'floor', abs)\n" + _body("1")),
    ("set by vars", "ok", "import math\nvars(math).update(floor=abs)\n" + _body("1")),
    ("set by __dict__", "ok", "import math\nmath.__dict__['floor'] = abs\n" + _body("1")),
    (
        "set through another module",
        "ok",
        "import statistics\nstatistics.math.floor = abs\n" + _body("1"),
    ),
    (
        "set a class's method",
        "ok",
        "import collections\ncollections.Counter.total = len\n" + _body("1"),
    ),
    ("set a class's method by a subclass", "ok", _body("type('X', (int,), {}).mro()[1] is int")),
    ("set a builtin by its mapping", "ok error", "__builtins__['sum'] = len\n" + _body("1")),
    ("set a builtin by its module", "ok", "import builtins\nbuiltins.sum = len\n" + _body("1")),
    (
        "set a builtin by globals",
        "ok error",
        "globals()['__builtins__']['sum'] = len\n" + _body("1"),
    ),
    (
        "set a builtin by a function",
        "ok error",
        _body("solution.__globals__['__builtins__'].update(sum=len)"),
    ),
    (
        "set a builtin by a frame",
        "ok error",
        "g = (g.gi_frame.f_back.f_builtins.update(sum=len) for _ in '1')\nlist(g)\n" + _body("1"),
    ),
    ("set a builtin by another import", "ok", "import abc\nabc.abs = len\n" + _body("1")),
    ("replace its builtins", "ok error", "__builtins__ = {}\n" + _body("1")),
    ("read by a format", "ok", _body("len('{0.__globals__}'.format(solution)) > 9")),
    ("import by exec", "ok", "exec('import math; math.floor = abs')\n" + _body("1")),
    ("change the precision", "ok", "import decimal\ndecimal.getcontext().prec = 2\n" + _body("1")),
    ("seed the generator", "ok", "import random\nrandom.seed(5)\n" + _body("1")),
    ("register a type", "ok", "import json\njson.JSONEncoder.default = len\n" + _body("1")),
    ("lower the recursion limit", "ok", "import sys\nsys.setrecursionlimit(60)\n" + _body("1")),
    (
        "trace what comes later",
        "error",
        "import sys\nsys.settrace(lambda *a: 1 / 0)\n" + _body("1"),
    ),
    (
        "outlast its alarm",
        "timeout",
        "try:\n    while True: pass\nfinally:\n    while True: pass",
    ),
    (
        "leave a finalizer",
        "ok",
        "class Late:\n    def __del__(self): import math; math.floor = abs\nlate = Late()\n"
        + _body("1"),
    ),
    (
        "match a class's pattern",
        "ok",
        "import math\nmatch [abs]:\n    case [f]: math.floor = f\n" + _body("1"),
    ),
    (
        "call a method on whatever lies above the stack",
        "error crashed",
        "def f(x, y):\n    z = [y, y, y, y]\n    return x.split()\n"
        "for x in ['a b'] * 99 + [str]: f(x, 'c d')",
    ),
    (
        "pose as a package",
        "ok",
        "__name__ = 'json.x'\nfrom .decoder import scanstring\n" + _body("1"),
    ),
)
