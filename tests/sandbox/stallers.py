"""Proved programs that cost their neighbours time: known ones, and a source of new ones."""

from __future__ import annotations

import random

from corpus import body

# What nests, link by link; some overflow the C stack when they are let go, some when they are used.
_CHAINS = (
    "slice(it)", "(it,)", "[it]", "{1: it}", "map(abs, it)", "iter([it])", "chain(it, it)",
    "(lambda a=it: a)", "f(it)", "enumerate(zip([it]))", "deque([it])", "Counter({1: it})",
    "starmap(max, it)", "filter(None, it)", "defaultdict(list, {1: it})", "list[it]",
    "frozenset([it])", "zip(it)", "cycle([it])", "islice(it, 1)", "it if it == () else [it, it]",
)  # fmt: skip
_ENDS = (
    "", "len([0] * 10**10)", "1 / 0", "g(it)", "{it: 1}", "list(it)", "print('x' * 10**7)",
    "while True: keep.append([it])", "while True: keep.append('x' * 3000)", "sum(iter(int, 1))",
    "keep.append('x' * (55 << 20))", "keep.append(sorted([keep] * 999, key=id))", "return it",
    "keep.append(['x' * 3000 for i in range(15000)])", "return [0] * 3000", "raise ValueError(it)",
)  # fmt: skip
_BEFORE = (
    "from collections import Counter, defaultdict, deque\n"
    "from itertools import chain, cycle, islice, starmap\n"
    "def f(x):\n    yield x\n    yield f\n"
    "def g(x): return g([x])\n"
)


def _left(chain: str, links: int, rings: int, end: str, dropped: bool = False) -> str:
    """Return a program that leaves a chain in a cycle, and so many more cycles, to the collector.

    The rings decide in whose time a collection falls due.
    """
    return body(
        end or "return 1",
        f"{_BEFORE}it = ()\nfor _ in range({links}): it = {chain}\n"
        f"keep = [it]\nkeep.append(keep)\n{'it = 0' if dropped else ''}\n"
        f"rings = [[] for _ in range({rings})]\nfor r in rings: r.append(r)\n",
    )


KNOWN = {
    **{
        f"garbage that overflows the stack, {rings} rings": _left("slice(it)", 300_000, rings, "")
        for rings in (300, 350, 400)
    },
    "memory that stays full": _left("(it,)", 1, 0, "while True: keep.append(['x' * 3000])"),
    "memory that stays full of little": _left("(it,)", 1, 0, "while True: keep.append([it])"),
    "memory almost full, in few pieces": _left("(it,)", 1, 0, "keep.append('x' * (61 << 20))"),
    "a death in its own time": _left("map(abs, it)", 200_000, 0, "list(it)"),
    "no end": body("while True: pass"),
}  # fmt: skip


def invented(rng: random.Random) -> str:
    """Return a program that may stall its neighbours in a way that nobody has tried."""
    links = rng.choice((1, 100, 5_000, 50_000, 200_000, 400_000))
    rings = rng.choice((0, rng.randrange(750), rng.randrange(20_000)))
    return _left(rng.choice(_CHAINS), links, rings, rng.choice(_ENDS), rng.random() < 0.5)
