"""The decoding strategies: each a small generator over one engine (see `pad_ray.decoding.search`).

A strategy gets the trail, which knows question and settings, and the empty hypothesis. What it
offers the trail last is the answer; what it has offered when its budget ends is the answer too.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from pad_ray.decoding.hypothesis import Hypothesis
from pad_ray.decoding.search import Search, Trail
from pad_ray.decoding.strategies.auto import auto
from pad_ray.decoding.strategies.hierarchical import hierarchical
from pad_ray.decoding.strategies.repair import repair
from pad_ray.decoding.strategies.single import beam, greedy
from pad_ray.decoding.strategies.stepwise import diverse, stepwise
from pad_ray.decoding.strategies.vote import vote

Strategy: TypeAlias = Callable[[Trail, Hypothesis], Search]

STRATEGIES: dict[str, Strategy] = {
    "greedy": greedy,
    "beam": beam,
    "stepwise": stepwise,
    "diverse": diverse,
    "vote": vote,
    "repair": repair,
    "hierarchical": hierarchical,
    "auto": auto,
}
