"""Outcomes kept by text, so that no program runs twice."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from pad_ray.sandbox.executor import Sandbox
from pad_ray.sandbox.locks import SafeLock
from pad_ray.sandbox.outcome import Outcome

_MOST_KEPT = 20_000
# A value that is longer in print is not worth its memory.
_LONGEST_VALUE = 2_000


class OutcomeCache:
    """Runs programs in a sandbox, each text once; threads may share it.

    Texts that differ in nothing but the empty lines at their end are one. The sandbox stays its
    owner's to close.
    """

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._lock = SafeLock()
        self._kept: OrderedDict[str, Outcome] = OrderedDict()

    def run(self, programs: Sequence[str]) -> list[Outcome]:
        """Return an outcome each, in order; raises what `Sandbox.run` raises."""
        keys = [program.rstrip("\n") for program in programs]
        with self._lock.held:
            found = {key: kept for key in keys if (kept := self._kept.get(key)) is not None}
        fresh = {k: p for k, p in zip(keys, programs, strict=True) if k not in found}
        found |= zip(fresh, self._sandbox.run(fresh.values()), strict=True)
        with self._lock.held:
            for key, outcome in found.items():
                if len(repr(outcome.value)) <= _LONGEST_VALUE:
                    # In one step each: a signal handler may drop it in between.
                    self._kept.pop(key, None)
                    self._kept[key] = outcome
            while len(self._kept) > _MOST_KEPT:
                self._kept.popitem(last=False)
        return [found[key] for key in keys]
