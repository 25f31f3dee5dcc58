"""Run a part of the table of attacks as the current user; print a JSON line for each.

`driver.py FIRST EVERY` takes each EVERYth attack, beginning with number FIRST. A script of its
own, because the tests run it both as root and as an unprivileged user.
"""

from __future__ import annotations

import json
import os
import secrets
import sys
import tempfile
import time
from collections.abc import Iterator
from fractions import Fraction
from glob import glob
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]

from pad_ray.sandbox import Limits, Outcome, Sandbox
from pad_ray.sandbox.attacks.machine import MARKER, TARGET_FILE, TARGET_FOLDER, Attack, attacks

# Memory so little that a program runs out of it well before its time is over.
LIMITS = Limits(wall_s=1, cpu_s=0.3, memory_mb=32)
# What attacks on neighbours spoil shows in the values. One in ten is not proved harmless and so
# runs alone, and one in ten fails.
_GOOD = [
    f"""
import math, statistics, {"decimal" if i % 10 == 3 else "collections"}
from fractions import Fraction
def solution():
    print({i})
    numbers = [{i}, 1, {"1 // 0" if i % 10 == 7 else 4}]
    third = {"str(1 / decimal.Decimal(3))" if i % 10 == 3 else "collections.Counter(x=2).total()"}
    deep = lambda n: n and deep(n - 1)
    return [math.floor({i} + 0.5), sum(numbers), statistics.mean(numbers), str(Fraction({i}, 7)),
            third, deep(100)]
"""
    for i in range(40)
]


def _right(i: int) -> tuple[object, ...]:
    if i % 10 == 7:
        return "error", None, f"{i}\n"
    third = "0." + "3" * 28 if i % 10 == 3 else 2
    mean = int(mean) if (mean := (i + 5) / 3).is_integer() else mean
    return "ok", [i, i + 5, mean, str(Fraction(i, 7)), third, 0], f"{i}\n"


def main() -> None:
    """Attack a sandbox whose owner has a secret in its environment, in a file and in memory."""
    secret = MARKER + secrets.token_hex(16)
    os.environ["PAD_RAY_PLANTED"] = secret
    with tempfile.TemporaryDirectory() as name, Sandbox(LIMITS) as sandbox:
        folder = Path(name)
        planted = folder / "planted"
        planted.write_text(secret)
        # The jail alone must protect them, not the rights of files.
        planted.chmod(0o666)
        folder.chmod(0o777)
        os.chdir(folder)
        for record in _attacked(sandbox, planted, secret):
            print(json.dumps(record), flush=True)


def _attacked(sandbox: Sandbox, planted: Path, secret: str) -> Iterator[dict[str, Any]]:
    sandbox.run([*_GOOD, "import dataclasses"])  # both kinds of zygotes are up from now on
    clean = _traces(sandbox, planted)
    first, every = map(int, sys.argv[1:])
    for attack in attacks()[first::every]:
        program = attack.program.replace(TARGET_FILE, str(planted))
        program = program.replace(TARGET_FOLDER, str(planted.parent))
        cpu = time.thread_time()
        alone = sandbox.run([program])[0]
        cpu = time.thread_time() - cpu
        chunk = sandbox.run([*_GOOD[:20], program, *_GOOD[20:]])
        among = chunk.pop(20)
        traces = _traces(sandbox, planted)
        yield {
            **_told(attack, alone, among),
            "owner_cpu_s": cpu,
            "wrong_neighbours": [
                f"{position}: {outcome}"
                for position, outcome in enumerate(chunk)
                if (outcome.status, outcome.value, outcome.stdout) != _right(position)
            ],
            "traces": {
                what: [clean[what], seen] for what, seen in traces.items() if seen != clean[what]
            },
            "leaked": any(secret in repr(outcome) for outcome in (alone, among, *chunk)),
        }


def _told(attack: Attack, alone: Outcome, among: Outcome) -> dict[str, Any]:
    return {
        "name": f"{attack.family}: {attack.name}",
        "expected": sorted(attack.statuses),
        "alone": alone.status,
        "among": among.status,
    }


def _traces(sandbox: Sandbox, planted: Path) -> dict[str, Any]:
    """Return what an attack could leave behind; the same after every attack."""
    zygotes = sandbox.zygote_pids
    return {
        "processes": sorted({child.pid for child in psutil.Process().children(recursive=True)}),
        "session": [pid for pid in psutil.pids() if _session(pid) in zygotes],
        "owner's descriptors": psutil.Process().num_fds(),
        "zygotes' descriptors": [_descriptors(zygote) for zygote in zygotes],
        "planted": {p.name: _content(p) for p in sorted(planted.parent.iterdir())},
        "files": [
            os.getcwd(),
            sorted(os.listdir("/")),
            glob("/tmp/pad_ray_attack*"),
            glob("/dev/shm/*pad_ray_attack*"),
        ],
    }


def _content(path: Path) -> list[Any]:
    regular = path.is_file() and not path.is_symlink()
    return [path.lstat().st_mode, path.read_text() if regular else ""]


def _session(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except OSError:
        return None


def _descriptors(zygote: int) -> int | None:
    try:
        return int(psutil.Process(zygote).num_fds())
    except psutil.AccessDenied:  # it is not dumpable, so only root may count
        return None


if __name__ == "__main__":
    main()
