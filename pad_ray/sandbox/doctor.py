"""Check which layers hold on this machine, and attack the sandbox for real."""

from __future__ import annotations

from typing import NamedTuple

from pad_ray.sandbox.limits import Limits
from pad_ray.sandbox.outcome import Outcome
from pad_ray.sandbox.process import SandboxError
from pad_ray.sandbox.sandbox import Sandbox


class Check(NamedTuple):
    """One finding; `detail` says what was seen."""

    name: str
    ok: bool
    detail: str


# Any way to the C library that is left in the interpreter, for raw system calls.
REACH_LIBC = """
def libc():
    todo, seen = [object], set()
    while todo:
        for kind in type.__subclasses__(todo.pop()):
            if kind not in seen:
                seen.add(kind)
                todo.append(kind)
    return next(kind for kind in seen if kind.__name__ == 'CDLL')(None)
"""

# attack -> (program, status that shows it was stopped)
ATTACKS: dict[str, tuple[str, str]] = {
    "read a file": ("def solution(): return open('/etc/passwd').read()", "forbidden"),
    "write a file": ("def solution(): return open('/tmp/x', 'w').write('x')", "forbidden"),
    "list a folder": ("import os\ndef solution(): return os.listdir('/')", "forbidden"),
    "open a socket": (REACH_LIBC + "def solution(): return libc().socket(2, 1, 0)", "forbidden"),
    "run a command": ("import os\ndef solution(): return os.system('true')", "forbidden"),
    "fork": ("import os\ndef solution(): return os.fork()", "forbidden"),
    "kill its parent": (
        "import os\ndef solution(): return os.kill(os.getppid(), 9)",
        "forbidden",
    ),
    "ignore the CPU timer": (
        REACH_LIBC + "def solution():\n    libc().signal(27, 1)\n    while True: pass",
        "timeout",
    ),
    "sleep": ("import time\ndef solution(): time.sleep(60)", "timeout"),
    "fill the memory": ("def solution(): return len([0] * 10**9)", "memory"),
    "leave without a result": ("import os\ndef solution(): os._exit(0)", "crashed"),
    "forge a result": (
        "import os\ndef solution():\n    os.write(3, b'0' * 64)\n    return 1",
        "crashed",
    ),
}
_LIMITS = Limits(wall_s=1, cpu_s=0.5, memory_mb=128)


def diagnose() -> list[Check]:
    """Return one finding a layer and one an attack; needs about 3 seconds. Never raises."""
    try:
        with Sandbox(_LIMITS) as sandbox:
            found = [
                Check(f"layer {name}", holds, "holds" if holds else "not offered here")
                for name, holds in sandbox.layers.items()
            ]
            for name, (program, stopped) in ATTACKS.items():
                outcome = sandbox.run([program])[0]
                ok = outcome.status == stopped
                found.append(Check(f"attack: {name}", ok, _tell(outcome)))
            after = sandbox.run(["def solution(): return 6 * 7"])[0]
            found.append(Check("a good program after the attacks", after.value == 42, _tell(after)))
    except SandboxError as error:
        return [Check("sandbox", False, str(error))]
    return found


def _tell(outcome: Outcome) -> str:
    return f"{outcome.status}: {outcome.message}" if outcome.message else outcome.status
