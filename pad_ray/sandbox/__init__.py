"""Run untrusted Python programs, one kernel-jailed child process a program.

Usable alone: nothing else of pad_ray is imported, and neither Ray nor torch.

    with Sandbox(Limits(wall_s=5, cpu_s=2, memory_mb=256, output_kb=64)) as sandbox:
        outcomes = sandbox.run(["def solution():\\n    return 6 * 7"])

What holds a program: a seccomp allow-list (no opening of files, no sockets, no new processes or
threads, no signals to others), resource limits, Landlock where the kernel has it, an unprivileged
user id where the caller is root, no descriptor but its result pipe, and an empty environment.

What does not: a program can always forge *its own* result from inside its interpreter, because
the code that frames the result lives there too. It cannot reach another program's result. A bug
in the kernel is not stopped, nor is timing another process from the outside. The clock, fresh
`random.Random()` objects and the addresses of objects differ between runs; the module's own
`random` functions and the hash of a string do not. So the order of a set is the same in every run
unless it holds what is hashed by its address: functions, objects, and None on Python 3.11.
"""

from pad_ray.sandbox.cache import OutcomeCache
from pad_ray.sandbox.doctor import Check, diagnose
from pad_ray.sandbox.executor import Sandbox
from pad_ray.sandbox.limits import Limits
from pad_ray.sandbox.modules import ALLOWED_MODULES
from pad_ray.sandbox.outcome import Outcome, Status
from pad_ray.sandbox.process import SandboxError
from pad_ray.sandbox.values import Value

__all__ = [
    "ALLOWED_MODULES",
    "Check",
    "Limits",
    "Outcome",
    "OutcomeCache",
    "Sandbox",
    "SandboxError",
    "Status",
    "Value",
    "diagnose",
]
