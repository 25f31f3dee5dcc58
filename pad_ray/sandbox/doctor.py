"""Check which layers hold on this machine, and attack the sandbox for real."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from pad_ray.sandbox.attacks.machine import Attack, attacks
from pad_ray.sandbox.executor import Sandbox
from pad_ray.sandbox.limits import Limits
from pad_ray.sandbox.outcome import Outcome
from pad_ray.sandbox.process import SandboxError


class Check(NamedTuple):
    """One finding; `detail` says what was seen."""

    name: str
    ok: bool
    detail: str


# Memory so little that a program runs out of it well before its time is over.
_LIMITS = Limits(wall_s=0.5, cpu_s=0.2, memory_mb=32)
_NEIGHBOUR = "def solution():\n    return 6 * 7"
_LAYER, _ATTACK = "layer ", "attack "


def findings() -> Iterator[Check]:
    """Yield one finding a layer, then one an attack, as they are made. Never raises."""
    try:
        with Sandbox(_LIMITS) as sandbox:
            for name, holds in sandbox.layers.items():
                yield Check(_LAYER + name, holds, "holds" if holds else "not offered here")
            for attack in attacks():
                yield _attacked(sandbox, attack)
    except SandboxError as error:
        yield Check("sandbox", False, str(error))


def diagnose() -> list[Check]:
    """Return all findings; needs about 15 seconds. Never raises."""
    return list(findings())


def summarise(checks: Iterable[Check]) -> list[Check]:
    """Return the findings with one in place of those about attacks."""
    checks = list(checks)
    tried = [check for check in checks if check.name.startswith(_ATTACK)]
    rest = [check for check in checks if check not in tried]
    if not tried:
        return rest
    missed = [check.name.removeprefix(_ATTACK) for check in tried if not check.ok]
    detail = f"{len(tried) - len(missed)} of {len(tried)} stopped"
    if missed:
        detail += f"; not stopped: {', '.join(missed)}"
    return [*rest, Check("attacks", not missed, detail)]


def _attacked(sandbox: Sandbox, attack: Attack) -> Check:
    before, outcome, after = sandbox.run([_NEIGHBOUR, attack.program, _NEIGHBOUR])
    detail = _tell(outcome)
    if outcome.status not in attack.statuses:
        detail += f" (expected: {' or '.join(sorted(attack.statuses))})"
    unharmed = before.value == after.value == 42
    if not unharmed:
        detail += f"; its neighbours: {_tell(before)}, {_tell(after)}"
    ok = unharmed and outcome.status in attack.statuses
    return Check(f"{_ATTACK}{attack.family}: {attack.name}", ok, detail)


def _tell(outcome: Outcome) -> str:
    lines = (outcome.message or "").splitlines()
    return f"{outcome.status}: {lines[0]}" if lines else outcome.status
