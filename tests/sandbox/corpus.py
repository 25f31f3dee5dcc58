"""Programs by hand: corner cases, what programs leave behind, and their neighbours."""

from __future__ import annotations

GOOD = "def solution():\n    return 6 * 7"


def body(lines: str, before: str = "") -> str:
    """Return a program whose `solution` has these lines."""
    indented = lines.replace("\n", "\n    ")
    return f"{before}\ndef solution():\n    {indented}\n"


CORNERS = {
    "output at its bound": [body(f"print('x' * {n})\nreturn 1") for n in (4094, 4095, 4096, 9999)],
    "output cut inside a character": [body(f"print('¤' * {n})\nreturn 1") for n in (2047, 2048)],
    "output of many prints": [body("for i in range(3000): print(i)\nreturn 1")],
    "output before an error": [body("print('a')\nprint('b', end='')\nreturn 1 / 0")],
    "output as the module runs": ["print('a')\n" + body("print('b')\nreturn 1")],
    "values at their bound": [body(f"return 'x' * {n}") for n in (4093, 4094, 4095, 4096, 4097)],
    "values that nest": [body(f"x = 1\nfor _ in range({n}): x = [x]\nreturn x") for n in (31, 33)],
    "values": [
        body(f"return {value}", "from fractions import Fraction\nfrom decimal import Decimal")
        for value in (
            "None", "True", "-0.0", "float('nan')", "-float('inf')", "10**4299", "10**4300",
            "-10**5000", "'\\ud83d'", "'\\x00'", "'¤'", "{1, 2}", "frozenset()", "1j", "range(3)",
            "b'x'", "(1, (2,))", "{1: {2.5: None}}", "{(1, 2): 3}", "{True: [()]}", "iter(())",
            "Fraction(1, 3)", "Fraction(4, 2)", "Fraction(10**5000, 3)", "[Fraction(1, 7)]", "int",
            "Ellipsis", "NotImplementedError", "ValueError('x')", "[1, [2, {3}]]", "print('x')",
        )
    ],
    "decimals": [
        body(f"return Decimal('{text}')", "from decimal import Decimal")
        for text in ("1.10", "3", "NaN", "-Infinity", "1E+4299", "1E+4300", "1E+5000", "1E-400")
    ],
    "no program": [
        "", "\n", "def solution(: pass", "solution = 3", "def solve(): return 1", "x = (", "\x00",
        "def solution():\n    return 1\x00", "def solution(): return '\ud83d'", "\ud83d", "é = ",
        "def solution():\n\treturn 1\n        return 2", "return 1", "'''", "\\", "1 = x", "a b c",
        "def solution(): return " + "(" * 500 + ")" * 500, "x = " + "-" * 5000 + "1", "\ufeffx = 1",
        "def solution(): return " + "[" * 99 + "]" * 99, "x = 1" + "+1" * 20000, "async = 1",
        "def solution(): return f'{'", "if 1:\n" * 150, "def solution(): return 0777",
        "solution = " + "lambda: " * 480 + "0", "def solution(): return 1 if", "print 'a'",
        "def solution(): " + "x" * 70000, "x = " + "9" * 5000 + GOOD, "#coding: nonsense\n" + GOOD,
    ],
    "unicode": [
        body("ｐｒｉｎｔ('a')\nreturn 1"), body("größe = 5\nreturn größe"), body("𝐚 = 3\nreturn a"),
        "def ｓolution(): return 2", body("𝓹𝓻𝓲𝓷𝓽(1)\nreturn 1"), body("pr\\\nint(1)\nreturn 2"),
        "p = print\n" + body("p('a')\nreturn 1"), body("print\nreturn 1"), body("return 'print'"),
    ],
    "errors": [
        body("raise ValueError('\\ud83d' * 500)"), body("raise ValueError('😀' * 600)"),
        body("raise ValueError"), body("raise 3"), body("raise"), body("raise Exception('a', 'b')"),
        body("raise KeyError('x') from TypeError('y')"), body("assert 0, [1, 2]"), body("pears"),
        "pears\n" + GOOD, "raise StopIteration\n" + GOOD, body("yield 1"), "1 / 0\n" + GOOD,
        body("x = []\nx.append(x)\nraise ValueError(x)"), "def solution(x): return x",
        body("x = []\nfor _ in range(5000): x = [x]\nraise ValueError(x)"), 
        body("return str(10**5000)"),
        body("int('9' * 5000)"), body("[].pop()"), body("{}['a']"), body("''.nothing"), 
        body("1 + 'a'"),
        "from math import solution\n" + GOOD, "import math\n" + body("return math.append"),
        body("def f(): return f()\nreturn f()"), body("return max(1)"), body("print(x=1)"),
    ],
    "not proved": [
        body("try:\n    1 / 0\nexcept ZeroDivisionError:\n    return 5"), "import sys\nsys.exit(2)",
        body("return random.random()", "import random"), body("import os\nos._exit(0)"),
        "class A:\n    x = 3\n" + body("return A.x"), body("return '{:.2f}'.format(2.5)"),
        body("return open('/etc/passwd')"), "import socket\n" + GOOD, "import nothing\n" + GOOD,
        body("global x\nx = 1\nreturn x"), "from __future__ import annotations\n" + GOOD,
        "from .math import pi\n" + GOOD, body("return type(3).__name__"), 
        body("raise SystemExit(3)"),
    ],
}  # fmt: skip


# What a program of allowed parts may leave behind; {0} is as much memory as it may hold, in MB.
LEFTOVERS = {
    "class from type": "from collections import Counter\n"
    "X = Counter.copy(int)('X', (), {{'__del__':"
    " lambda self: print('noise')}})\nring = [X()]\nring.append(ring)",
    "subclass hook": "from collections import Counter\nfrom fractions import Fraction\n"
    "Meta = Counter.copy(int)(Fraction)\n"
    "X = Meta('X', (Fraction,), {{'__subclasshook__': lambda kind: True}})",
    "metaclass by annotation": "x = int | str\ny = list[int]\nz = dict[str, int]()",
    "rings of memory": "ring = ['x' * ({0} << 20)]\nring.append(ring)",
    "many rings": "for i in range(20000):\n    ring = [i]\n    ring.append(ring)",
    "memory to the brim": "ring = []\nring.append(ring)\nwhile True:\n"
    "    ring.append('x' * 100000)",
    # Long enough that memory ends well before the CPU time does, short enough for the small blocks.
    "small memory to the brim": "ring = []\nring.append(ring)\nwhile True:\n"
    "    ring.append([0] * 60)",
    "suspended generator": "def f():\n    while True:\n        yield f\ng = f()\n"
    "ring = [g, next(g)]\nring.append(ring)",
    "generator waiting in a ring": "def f(me):\n    me.append(me)\n    yield 1\n    print('late')\n"
    "me = []\ng = f(me)\nme.append(g)\nnext(g)",
    "coroutine never awaited": "async def f():\n    print('late')\nring = [f()]\nring.append(ring)",
    "iterators that nest": "from itertools import chain\nring = []\nring.append(ring)\n"
    "it = iter([])\nfor i in range(200000):\n    it = chain(it)\nring.append(it)",
    "lists that nest": "ring = []\nfor i in range(200000):\n    ring = [ring]",
    "recursion": "def f(n): return f(n + 1)\nf(0)",
    "recursion through C": "def f(n): return max([n], key=f)\nf([0])",
    "error with frames": "def f(big):\n    raise ValueError(big, f)\nf(['x' * ({0} << 20)])",
    "error in a chain": "raise ValueError('a') from KeyError(['b'])",
    "bare raise": "raise",
    "unfinished line": "print('no newline', end='')",
    "half a character": "print('\\ud83d' * 70000, end='')",
    "output flood": "print('x' * 200000)",
    "own builtins": "print = len\nsum = None\nint = float\nmath = 3\n__name__ = 'math'\n"
    "__doc__ = 5",
    "name of a package": "__name__ = 'collections.x'",
    "formats": "from datetime import datetime\n"
    "for f in ('%Y', '%m', '%d', '%H', '%M', '%S', '%y'):\n"
    "    datetime.strptime('11' if f != '%Y' else '2024', f)",
    "a format that breaks": "from datetime import datetime\ndatetime.strptime('1', '%Q')",
    "failed import": "import math\nfrom math import solution",
    "interned strings": "names = [f'name{{i}}' for i in range(5000)]\n"
    "table = dict.fromkeys(names, 1)",
    "ABC caches": "from fractions import Fraction\nfor v in (1, 2.5, '1/3'):\n    Fraction(v)",
    "Counter as another's method": "from collections import Counter\nCounter.update({{}}, 'aab')\n"
    "Counter.subtract({{'a': 1}}, 'a')\nCounter.most_common({{}})",
    "default factory": "from collections import defaultdict\nd = defaultdict(lambda: d)\n"
    "d[1][2][3]",
    "end of an alarm": "n = 0\nfor i in range(3000000):\n    n += i",
    "mutable default": "def f(seen=[]):\n    seen.append(f)\n    return seen\nf()\nf()",
    "endless iterator": "from itertools import count\nit = count()\nnext(it)\nring = [it]",
    "surrogate names": "table = {{'\\ud800': 1}}\nprint(table)",
    "nan keys": "nan = float('nan')\ntable = {{nan: 1, float('nan'): 2}}\nassert len(table) == 2",
}


def _neighbours() -> list[str]:
    """Return programs that between them use all that a neighbour might have changed."""
    header = "import math, statistics, string, heapq, bisect, itertools, functools\n"
    header += "from collections import Counter, OrderedDict, defaultdict\n"
    header += "from datetime import date, datetime, timedelta\nfrom fractions import Fraction\n"
    bodies = (
        """
float(Fraction(2.5) + 1)|print([[i] for i in range(3000)][-1])|list(Counter([1, 1, 2]).items())
Counter({'a': 2}).most_common(1)|print('mine')|Fraction('1/3').limit_denominator(10).denominator
statistics.mean([1, 2, 4.5])|str(statistics.mode('aab'))
datetime.strptime('2024-02-03', '%Y-%m-%d').day|(date(2024, 2, 28) + timedelta(2)).isoformat()
sum([1, 2])|[math.pi, math.floor(2.7), math.comb(5, 2)]|string.ascii_lowercase
sorted({'b', 'a', 'c'})|list({'b', 'a'})|heapq.nsmallest(2, [3, 1, 2])|bisect.bisect([1, 2], 1)
functools.reduce(lambda a, b: a * b, [2, 3])|len('ab')|[[i] for i in range(2000)][-1]|__name__
str(__doc__)|dict(OrderedDict(a=1))|pears|1 / 0|int('x')|f(400)|f(2000)
list(itertools.islice(itertools.count(), 3))|print('a', end='')|isinstance(True, int)
float('nan') == 1
""".replace("\n", "|")
        .strip("|")
        .split("|")
    )
    last = "def f(n): return 0 if n == 0 else 1 + f(n - 1)\ndef solution(): return "
    return [f"{header}{last}{body}\n" for body in bodies]


NEIGHBOURS = (_neighbours() * 2)[:50]
# Each must be refused, wherever it stands in the program.
REFUSED = (
    """
().__class__|''.__class__.__mro__|x.__dict__|x.__subclasses__()|x._＿class＿_|x.__ｃlass__
x.ｆormat(1)|'{0.__class__}'.format(x)|str.format('{0.x}', x)|'{a}'.format_map(x)|map(''.format, x)
__builtins__|getattr(x, 'a')|setattr(x, 'a', 1)|delattr(x, 'a')|hasattr(x, 'a')|vars(x)|globals()
locals()|dir(x)|type(x)|object()|super()|eval('1')|exec('1')|compile('1', '', 'eval')|open('x')
input()|id(x)|hash(x)|__import__('os')|__loader__|__spec__|__build_class__|breakpoint()
callable(x)|memoryview(x)|bytearray()|staticmethod(x)|classmethod(x)|property(x)|issubclass(x, x)
BaseException|KeyboardInterrupt|help()|math.__dict__|math.__loader__|math.pi.__class__
len.__self__|x.__globals__|x.__code__|x.__closure__|x.__defaults__|x.__builtins__|x.__init__
x.__traceback__|x.tb_frame|x.f_globals|x.f_back|x.f_locals|x.gi_frame|x.gi_code|x.gi_yieldfrom
x.throw(x)|x.send(1)|x.close()|x.cr_frame|x.ag_frame|x.with_traceback|x.add_note('a')|x.args
x.__setattr__('a', 1)|x.__reduce_ex__(2)|x._mapping|x.mro()|x.register(x)|x.today()|x.now()
x.utcnow()|x.timestamp()|x.fromtimestamp(1)|x.cache_clear()|x.default_factory|x.encode()|x.seed(1)
x.translate(x)|x.maketrans('a', 'b')|x.attrgetter('a')|x.write('a')|x.flush()|x.func|x.partial(x)
x._asdict()
""".replace("\n", "|")
    .strip("|")
    .split("|")
)
REFUSED_STATEMENTS = (
    """
class A: pass|math.pi = 3|del math.pi|x.a += 1|x.a: int = 3|try: x¶except Exception: pass
try: x¶finally: y = 1|try: x¶except* ValueError: pass|with x: pass|with x as y: pass
async def f(): await x|async def f(): yield 1|async def f():¶    async for i in x: pass
async def f(): return 1|global y; y = 2|def f():¶    global y¶    y = 1
def f():¶    global y¶    del y|match x:¶    case [a, *_]: y = a|match x:¶    case {'a': b}: y = b
match x:¶    case int(real=r): y = r|@functools.lru_cache¶def f(): return 1
@functools.cache¶def f(): return 1|def f(): yield from x|import random|import time|import os
import sys|import calendar|import decimal|import operator|import re|import copy|import typing
import json|import builtins|import gc|import enum|import dataclasses|import abc
import collections.abc|import os.path as math|from time import time|from random import random
from os import path|from collections import namedtuple|from collections import abc
from functools import partial|from functools import lru_cache, reduce|from functools import cache
from functools import singledispatch|from math import *|from . import math
from .. import x|import time as datetime|import string, time
import datetime, time|from string import Formatter|from string import Template
from statistics import NormalDist|from fractions import _operator|from collections import _sys
from statistics import random|from fractions import sys|import __main__|import program
from program import solution|from builtins import sum|import copy as bisect
from collections import ChainMap|from collections import UserDict, UserList
from functools import cached_property, total_ordering
""".replace("\n", "|")
    .strip("|")
    .split("|")
)
# Expressions around an expression.
DEEP = (
    """
lambda: {0}|[lambda v=[({0}) for x in range(2)]: v]|{{i: (j for j in [{0}]) for i in range(2)}}
[(lambda a=(lambda b=({0}): b): a)() for x in 'ab']|f"{{{0}}}"|(lambda *, k={0}: k)|x[{0}:]
print(end=({0}))|[*({0},)]|{{**{0}}}|(y := {0})|{0} if x else 1|1 < ({0}) < 2|not ({0})
""".replace("\n", "|")
    .strip("|")
    .split("|")
)
