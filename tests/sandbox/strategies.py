"""Programs for the sandbox's tests: generated ones, and GSM8K-like ones with known outcomes."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from pathlib import Path

from hypothesis import strategies as st

from pad_ray.sandbox import Outcome

# No generated program shows an address (str of a function or iterator): no two runs agree on it.
PREAMBLE = """
import math
from collections import Counter, defaultdict, deque
from datetime import date, timedelta
from fractions import Fraction
from functools import reduce
from itertools import accumulate, chain, combinations, islice, product
import statistics

RATE = 0.15
PRICES = {"apple": 3, "pear": 2.5, "fig": 10**30}
SHARED = []

def helper(n, step=2, *rest, key=None, **more):
    return n * step + len(rest) + len(more)

def depth(n):
    return 0 if n == 0 else 1 + depth(n - 1)

def numbers(n):
    for i in range(n):
        yield i * i
"""
_ATOMS = """
0 1 2 3 7 -4 12 100 0.5 1.25 3.0 1e308 10**30 10**4301 True False None
'apple' 'pear' 'größe' '' 'a,b' '12' '1.5' chr(55357) float('nan') float('inf') -float('inf')
[] () {} set() [1,2,3] (4,5) {1,2,3} {'b','a','c'} {'x':1} {1:'one',2.5:None}
Fraction(1,3) Fraction(4,2) date(2024,2,28) timedelta(days=3)
a b xs text table RATE PRICES SHARED pears math.pi math.inf range(5) range(0)
""".split()
_SHAPES = (
    """
{0}+{1}|{0}-{1}|{0}*3|{0}/{1}|{0}//{1}|{0}%{1}|{0}**2|-{0}|not {0}|{0}<{1}|{0}=={1}|{0} in {1}
({0} if {1} else {2})|[{0},{1}]|({0},{1})|{{{0}:{1}}}|{{{0},{1}}}|{0}[0]|{0}[-1]|{0}[1:]|{0}[{1}]
len({0})|sum({0})|max({0})|min({0},{1})|abs({0})|round({0},1)|round({0})|int({0})|float({0})
str({0})|bool({0})|sorted({0})|list({0})|tuple({0})|dict({0})|set({0})|divmod({0},{1})|pow({0},2)
sum(numbers(4))|list(zip({0},{1}))|list(enumerate({0}))|list(map(str,{0}))|list(reversed({0}))
any(i for i in {0})|all({0})|[i*2 for i in {0}]|{{i:i for i in {0}}}|sum(i for i in {0} if i)
[i+j for i in {0} for j in {1}]|(lambda v, w=2: v*w)({0})|helper({0})|helper({0},{1},{2})
helper(n={0},z={1})|f"{{a}} and {{b!r:>8}}"|f"{{xs:.2f}}"|"%s, %d" % ({0},{1})|math.sqrt({0})
math.floor({0})|math.ceil({0})|math.gcd({0},{1})|math.factorial(12)|math.log({0})|{0}.split(',')
{0}.upper()|{0}.replace('a','b')|','.join({0})|{0}.items()|{0}.get({1},5)|{0}.pop()
{0}.strip().title()|{0}.append({1})|{0}.update({1})|{0}.count({1})|{0}.copy()
{0}.setdefault({1},2)|Counter({0}).most_common(2)|dict(Counter({0}))|list(deque({0},3))
sorted({0},key=lambda v: -v)|list(accumulate({0}))|list(islice(chain({0},{1}),4))
list(combinations({0},2))|list(product({0},{1}))|reduce(lambda v, w: v+w,{0})|statistics.mean({0})
statistics.median({0})|Fraction({0})|Fraction({0}).limit_denominator(7)
(date(2024,2,28)+timedelta(days={0})).isoformat()|isinstance({0},(int,str))|chr({0})|ord({0})
hex({0})|int('12',{0})|next(iter({0}))|depth(5)|{0} is None|range({0})[2]|[*{0},*{1}]
{{**{0},'k':{1}}}|print({0},{1},sep='-')|str({0})*2
""".replace("\n", "|")
    .strip("|")
    .split("|")
)
_STATEMENTS = (
    """
a = {0}|b = {0}|a, b = {0}, {1}|a, *xs = {0}|xs = list({0})|text = str({0})|table[{0}] = {1}
a += {0}|xs.append({0})|SHARED.append({0})|PRICES['fig'] = {0}|print(y := {0})
print(f'{{a}} {{b}}', end='')|{0}|assert {0}, {1}|raise ValueError({0})
raise KeyError({0}) from TypeError({1})|del xs[{0}]|del a|for i in range(4):¶    a = a + {0}
for i in {0}:¶    if i == {1}:¶        break¶    b = i|while b:¶    b = b and not b
if {0}:¶    a = {1}¶elif {2}:¶    b = {0}¶else:¶    xs = [{1}]
def inner(n=a):¶    nonlocal b¶    b = n¶    return {0}|a = inner()
gen = numbers(9); a = next(gen)|ring = [xs]; ring.append(ring)|xs.append(xs)|table['t'] = table
a = [0] * 50000|print('¤' * 3000)|a = depth(940)|a = depth(2000)|return {0}|return
a = '\\n'.join(map(str, range(30)))
""".replace("\n", "|")
    .strip("|")
    .split("|")
)
_UNPROVED = (
    """
try:¶    a = {0}¶except Exception as error:¶    a = str(error)|try:¶    a = {0}¶finally:¶    b = 2
class Box:¶    side = 3¶    def __repr__(self): return 'box'¶a = Box()
import random; a = random.random()|import decimal; a = decimal.Decimal(1) / 3
import operator; xs.sort(key=operator.itemgetter(0))|a = '{{}} {{!r}}'.format({0}, {1})
a = getattr({0}, 'real', 4)|global RATE; RATE = {0}|a = eval('1 + 1')|import os; a = os.getcwd()
import sys; sys.exit(3)|import re; a = re.findall('a', text)
from decimal import getcontext; getcontext().prec = 3|import math as m; m.pi = 3; a = math.pi
from functools import lru_cache; fast = lru_cache(depth); a = fast(4)|a = type({0}).__name__
import calendar; calendar.setfirstweekday(3); a = calendar.monthcalendar(2024, 2)
match {0}:¶    case [x, *_]: a = x¶    case _: a = 1|open('/etc/passwd')|a = [i for i in (yield)]
helper.calls = 3; a = helper.calls|a = input()|import statistics as s; s.mean = sum|a = ( |a = 08
x: int = {0}|return = 3|a = '\x00'|¶        a = 1|a = ｐｒｉｎｔ({0})|with open('x') as f: pass
async def f(): await a|import string; a = string.Template('$a')
""".replace("\n", "|")
    .strip("|")
    .split("|")
)


def _expressions() -> st.SearchStrategy[str]:
    return st.recursive(
        st.sampled_from(_ATOMS),
        lambda inner: st.builds(
            lambda shape, x, y, z: shape.format(x, y, z),
            st.sampled_from(_SHAPES),
            *[inner.map(lambda text: f"({text})")] * 3,
        ),
        max_leaves=5,
    )


def _lines(shapes: list[str]) -> st.SearchStrategy[str]:
    expression = _expressions().map(lambda text: f"({text})")
    return st.builds(
        lambda shape, x, y, z: shape.format(x, y, z).replace("¶", "\n"),
        st.sampled_from(shapes),
        *[expression] * 3,
    )


def _program(body: list[str], result: str) -> str:
    start = "a, b, xs, text, table = 3, 2.5, [4, 1, 2], 'three pears', {'x': 1}"
    lines = "\n".join([start, *body, f"return {result}"]).replace("\n", "\n    ")
    return f"{PREAMBLE}\ndef solution():\n    {lines}\n"


def _programs(shapes: list[str]) -> st.SearchStrategy[str]:
    return st.builds(_program, st.lists(_lines(shapes), max_size=6), _expressions())


# Programs of allowed parts only: each must be proved harmless, whatever it does.
proved_programs = _programs(_STATEMENTS)
# Programs of which some are not proved, some forbidden, and some no Python.
any_programs = proved_programs | _programs(_STATEMENTS + _UNPROVED * 2)


def described(outcomes: Iterable[Outcome]) -> list[str]:
    """Return all but the times of each outcome; as text, because NaN is not itself."""
    fields = ("status", "value", "error_type", "error_line", "error_offset", "message", "stdout")
    return [repr([getattr(outcome, name) for name in fields]) for outcome in outcomes]


def children(pid: int) -> list[int]:
    """Return the process ids of a process's children, zombies too."""
    found = []
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            found += [int(word) for word in path.read_text().split()]
    return found
