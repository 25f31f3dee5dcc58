"""What a synthesis has spent and done so far, and how fast it may go on: one ledger a run.

Budgets and rates hold for the run as a whole, however many actors ask; so the ledger is one actor
beside the driver, and its clients ask it before each request.
"""

from __future__ import annotations

import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from pydantic import Field

from pad_ray.base.config import Settings
from pad_ray.base.errors import FailuresError
from pad_ray.flow.failures import FailureLimit

__all__ = [
    "Budget",
    "Ledger",
    "LedgerLike",
    "Rates",
    "SharedLedger",
    "Totals",
    "note_rows",
    "share_ledger",
]

_MINUTE_S = 60.0
# An endpoint that has been idle may be sent this much of a minute's allowance at once.
_BURST_S = 1.0


class Budget(Settings):
    """Where a synthesis stops asking; requests in flight are still paid for and kept."""

    max_cost_usd: float | None = Field(None, gt=0)
    """Dollars, by the endpoints' prices."""
    max_tokens: int | None = Field(None, ge=1)
    """Prompt and completion tokens."""

    @property
    def is_set(self) -> bool:
        return self.max_cost_usd is not None or self.max_tokens is not None

    def leaves(self, tokens: int, cost_usd: float) -> bool:
        """Tell whether more may be asked after so much."""
        tokens_left = self.max_tokens is None or tokens < self.max_tokens
        return tokens_left and (self.max_cost_usd is None or cost_usd < self.max_cost_usd)


@dataclass(frozen=True)
class Rates:
    """What a key allows in a minute; None is no limit."""

    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None


@dataclass
class Totals:
    """What has been asked and found, over all runs of a directory (`asked`: over this one).

    `busy_s` is how long actors were at work on `pieces`, `flow_s` how long it took from the end of
    the first of these to the end of the last: the start of the actors is no part of that.
    """

    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost_usd: float = 0.0
    asked: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    busy_s: Counter[str] = field(default_factory=Counter)
    flow_s: Counter[str] = field(default_factory=Counter)
    pieces: Counter[str] = field(default_factory=Counter)

    @property
    def tokens(self) -> int:
        return self.prompt_tokens + self.completion_tokens

    def add(self, other: Totals) -> None:
        """Add what else was spent."""
        self.prompt_tokens += other.prompt_tokens
        self.completion_tokens += other.completion_tokens
        self.cost_usd += other.cost_usd


NotedRow = tuple[str, str | None]
"""A problem's id, and what went wrong with a row of it."""


class LedgerLike(Protocol):
    """A ledger in this process, or one reached through Ray."""

    def reserve(self, door: str, rates: Rates, tokens: int) -> float | None: ...

    def record(
        self, door: str, rates: Rates, reserved: int, prompt: int, completion: int, cost: float
    ) -> None: ...

    def count(self, reasons: Mapping[str, int]) -> None: ...

    def busy(self, part: str, seconds: float) -> None: ...

    def note(self, part: str, rows: Sequence[NotedRow]) -> str | None: ...

    def key(self, name: str) -> str | None: ...


class Ledger:
    """Adds up tokens and dollars, and hands out turns; `clock` is monotonic, in seconds."""

    def __init__(
        self,
        budget: Budget | None = None,
        spent: Totals | None = None,
        clock: Callable[[], float] = time.monotonic,
        max_failures: int | None = None,
        can_retry: bool = True,
    ) -> None:
        self._budget = budget or Budget()
        self._totals = spent or Totals()
        self._clock = clock
        self._free_at: dict[tuple[str, str], float] = {}
        self._ended_at: dict[str, float] = {}
        self._lock = threading.Lock()
        self._limits: defaultdict[str, FailureLimit] = defaultdict(
            lambda: FailureLimit(max_failures, can_retry)
        )
        self._ended: str | None = None
        self._keys: dict[str, str] = {}

    def entrust(self, keys: Mapping[str, str]) -> None:
        """Take keys by the names of their environment variables, which other nodes may lack."""
        self._keys.update(keys)

    def key(self, name: str) -> str | None:
        """Return a key that was entrusted; None where there is none of that name."""
        return self._keys.get(name)

    def reserve(self, door: str, rates: Rates, tokens: int) -> float | None:
        """Return the seconds to wait before a request of about so many tokens.

        None where no more should be asked: the budget is spent, or too many rows have failed.
        """
        with self._lock:
            if self._ended is not None:
                return None
            if not self._budget.leaves(self._totals.tokens, self._totals.cost_usd):
                return None
            waits = [
                self._take((door, "requests"), rates.requests_per_minute, 1),
                self._take((door, "tokens"), rates.tokens_per_minute, tokens),
            ]
            self._totals.asked += 1
            return max(waits)

    def _take(self, key: tuple[str, str], per_minute: float | None, amount: float) -> float:
        """Take a turn of a queue that moves at an even rate (GCRA); return the wait for it."""
        if per_minute is None:
            return 0.0
        now = self._clock()
        start = max(self._free_at.get(key, 0.0), now - _BURST_S)
        self._free_at[key] = start + amount * _MINUTE_S / per_minute
        return max(0.0, start - now)

    def record(
        self, door: str, rates: Rates, reserved: int, prompt: int, completion: int, cost: float
    ) -> None:
        """Note what a request really took; the queue moves by what was reserved wrongly."""
        with self._lock:
            self._totals.prompt_tokens += prompt
            self._totals.completion_tokens += completion
            self._totals.cost_usd += cost
            key = (door, "tokens")
            if rates.tokens_per_minute is not None and key in self._free_at:
                over = prompt + completion - reserved
                self._free_at[key] += over * _MINUTE_S / rates.tokens_per_minute

    def count(self, reasons: Mapping[str, int]) -> None:
        """Note judged samples by reason ("" for those kept)."""
        with self._lock:
            self._totals.reasons.update(reasons)

    def busy(self, part: str, seconds: float) -> None:
        """Note that an actor of the teacher or the sandbox was at work on a piece for so long."""
        with self._lock:
            now = self._clock()
            self._totals.busy_s.update({part: seconds})
            self._totals.pieces.update({part: 1})
            self._totals.flow_s.update({part: now - self._ended_at.get(part, now)})
            self._ended_at[part] = now

    def note(self, part: str, rows: Sequence[NotedRow]) -> str | None:
        """Note how rows of the teacher or the judge went; return why the run ends, if it does."""
        with self._lock:
            for problem, fault in rows:
                self._ended = self._ended or self._limits[part].note(problem, fault)
            return self._ended

    def totals(self) -> Totals:
        """Return what has been noted so far."""
        with self._lock:
            return Totals(**vars(self._totals))


class SharedLedger:
    """A ledger in an actor; may be handed to any other actor.

    Keys go from process to process in the arguments and results of its calls, which Ray keeps in
    memory: neither in a runtime environment, nor in the description of an actor, both of which the
    cluster stores and shows.
    """

    def __init__(self, handle: Any) -> None:
        self._handle = handle

    def reserve(self, door: str, rates: Rates, tokens: int) -> float | None:
        import ray

        wait: float | None = ray.get(self._handle.reserve.remote(door, rates, tokens))
        return wait

    def record(
        self, door: str, rates: Rates, reserved: int, prompt: int, completion: int, cost: float
    ) -> None:
        self._handle.record.remote(door, rates, reserved, prompt, completion, cost)

    def count(self, reasons: Mapping[str, int]) -> None:
        self._handle.count.remote(dict(reasons))

    def busy(self, part: str, seconds: float) -> None:
        self._handle.busy.remote(part, seconds)

    def note(self, part: str, rows: Sequence[NotedRow]) -> str | None:
        import ray

        ended: str | None = ray.get(self._handle.note.remote(part, list(rows)))
        return ended

    def entrust(self, keys: Mapping[str, str]) -> None:
        import ray

        ray.get(self._handle.entrust.remote(dict(keys)))

    def key(self, name: str) -> str | None:
        import ray

        key: str | None = ray.get(self._handle.key.remote(name))
        return key

    def totals(self) -> Totals:
        import ray

        totals: Totals = ray.get(self._handle.totals.remote())
        return totals


def note_rows(ledger: LedgerLike, part: str, rows: Sequence[NotedRow]) -> None:
    """Note how rows went; raises `FailuresError` where too many have failed."""
    if ended := ledger.note(part, rows):
        raise FailuresError(ended)


def share_ledger(
    budget: Budget | None = None,
    spent: Totals | None = None,
    max_failures: int | None = None,
    can_retry: bool = True,
) -> SharedLedger:
    """Start the ledger of a run on the driver's node: it lives as long as the driver."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    node = ray.get_runtime_context().get_node_id()
    strategy = NodeAffinitySchedulingStrategy(node, soft=False)
    actor: Any = ray.remote(Ledger)
    # One call at a time: several threads would take a caller's calls out of their order, and ask
    # for more before what the last request took is noted. No call waits for anything.
    options = actor.options(num_cpus=0, max_concurrency=1, scheduling_strategy=strategy)
    return SharedLedger(
        options.remote(budget, spent, max_failures=max_failures, can_retry=can_retry)
    )
