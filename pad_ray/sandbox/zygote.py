"""The zygote: a small single-threaded interpreter that forks the jailed children.

It is started by exec with an empty environment, reads programs from one pipe, answers on another,
runs no program code itself, and ends (with its child) when its owner closes the pipe or dies.
"""

from __future__ import annotations

import gc
import json
import os
import site
import sys
import warnings
from collections.abc import Generator, Iterator, Sequence
from importlib import import_module
from mmap import mmap

from pad_ray.sandbox import jail as lockdown
from pad_ray.sandbox.children import (
    PAGE_BYTES,
    NoProcess,
    Nursery,
    Pipes,
    Settings,
    run_alone,
    run_shared,
)
from pad_ray.sandbox.jail import Jail
from pad_ray.sandbox.modules import COMMON_MODULES, PARTS, WARM_UPS
from pad_ray.sandbox.program import (
    NoMoreImports,
    evaluate,
    evaluate_if_harmless,
    lay_out,
    make_bench,
)
from pad_ray.sandbox.wire import (
    NOT_RUN,
    Reply,
    Wait,
    pack_reply,
    poll_once,
    read_frame,
    write_frame,
)

# Loaded before the imports are closed: what the interpreter itself imports when first needed.
_LAZY_MODULES = (
    "_strptime",
    "unicodedata",
    *(f"encodings.{codec}" for codec in "ascii cp1252 latin_1 rot_13 utf_8_sig utf_16".split()),
)
# Tools of the zygote; not a barrier (the program lives in a copy of this process), but tidy.
# `resource` stays: os.wait4 imports it at every call.
_TOOLS = ("ctypes", "_ctypes", "mmap", "signal", "select", "pad_ray")
_OWNER_CHECK_S = 1.0
# Replies are sent no more often than this, so that the owner is not woken for each.
_FRAME_S = 0.5
_WARM_RUNS = 20
# A death that no alarm explains may be another program's doing than that of the one it came to.
# After so many in a request the rest is run alone.
_MAX_PUZZLES = 3
# Trusted, and the only programs that the zygote itself runs.
WARM_UP = (
    b"def solution():\n    apples = 3\n    pears = apples * 2.5\n    return apples + pears",
    b"import math\ndef solution():\n    print(1)\n    return [math.floor(2.5), 'text', {1: None}]",
    b"def solution():\n    return nothing",
    b"def solution(:",
)


def main() -> None:
    """Serve the owner until it is gone. Why it cannot, is in its first frame."""
    settings = Settings(*json.loads(sys.argv[2]))
    pipes = Pipes(os.dup(0), os.dup(1))
    null = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(null, standard)
    os.close(null)
    os.set_blocking(pipes.replies, False)
    wait = _for_owner(settings.owner_pid)
    try:
        nursery = _prepare(settings, pipes)
        _probe(nursery.jail)
        greeting: dict[str, object] = {"layers": lockdown.layers(nursery.jail)}
    except OSError as error:
        greeting = {"refused": error.strerror or str(error)}
    except ImportError as error:
        greeting = {"missing": str(error)}
    write_frame(pipes.replies, json.dumps(greeting).encode(), wait)
    while "layers" in greeting:
        try:
            # No name here may hold the request: a lone program sees the frames above its own.
            programs = nursery.desk.load(read_frame(pipes.requests, wait))
        except EOFError:
            return
        _answer(programs, nursery, wait)


def _answer(programs: int, nursery: Nursery, wait: Wait) -> None:
    """Run the programs on the desk and send all replies, or why they cannot be run."""
    desk, pipes = nursery.desk, nursery.pipes
    try:
        for _ in _run(programs, nursery):
            desk.hand_over(pipes, wait, _FRAME_S)
    except NoProcess as error:
        desk.answer += pack_reply(0, Reply(NOT_RUN, 0, 0.0, 0.0, str(error).encode()))
    desk.hand_over(pipes, wait)


def _run(programs: int, nursery: Nursery) -> Iterator[None]:
    """Run what can be in shared children, the rest alone; yield after each child."""
    alone: Sequence[int] = range(programs)
    # One program would be forked for twice if it is not proved.
    if nursery.settings.share and programs > 1:
        alone = yield from _run_together(programs, nursery)
    for index in alone:
        run_alone(index, nursery)
        yield


def _run_together(programs: int, nursery: Nursery) -> Generator[None, None, list[int]]:
    """Run programs in shared children; return those that must be run alone.

    A child's death costs what those before it needed once more, and no more than that, because
    they are handed over before others are begun.
    """
    alone: list[int] = []
    waiting = list(range(programs))
    together_now = programs
    puzzles = 0
    while waiting:
        together = run_shared(waiting[:together_now], nursery)
        yield
        alone += together.not_proved
        waiting = waiting[together.done :]
        together_now -= together.done
        if together.died_at is not None:
            alone.append(waiting.pop(together.died_at))
            together_now = together.died_at
            puzzles += not together.overtime
            if puzzles == _MAX_PUZZLES:
                return sorted(alone + waiting)
        together_now = together_now or len(waiting)
    return sorted(alone)


def _prepare(settings: Settings, pipes: Pipes) -> Nursery:
    _import_random()
    for name in (*COMMON_MODULES, *_LAZY_MODULES):
        import_module(name)
    # As in an interpreter that was started for a program: `exit`, `quit` and `help`.
    site.setquit()
    site.sethelper()
    _load(settings.modules, settings.paths)
    NoMoreImports.parts = frozenset(_parts_of_packages())
    lockdown.harden_zygote()
    warnings.simplefilter("ignore")
    bench = make_bench(settings.output_kb << 10)
    nursery = Nursery(settings, pipes, mmap(-1, PAGE_BYTES), bench)
    sys.addaudithook(nursery.attempts)
    _warm_up(settings.output_kb << 10)
    lay_out(bench)
    nursery.jail = lockdown.build(settings.memory_mb, settings.cpu_s)
    for name in list(sys.modules):
        if name.partition(".")[0] in _TOOLS:
            del sys.modules[name]
    sys.path.clear()
    sys.argv[:] = [""]
    sys.meta_path[:] = [NoMoreImports]
    gc.collect()
    gc.freeze()
    return nursery


def _parts_of_packages() -> Iterator[str]:
    """Yield the names of all modules in the standard library's packages that are loaded."""
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] in sys.stdlib_module_names:
            for folder in getattr(module, "__path__", ()):
                for entry in os.listdir(folder):
                    yield f"{name}.{entry.partition('.')[0]}"


def _warm_up(max_bytes: int) -> None:
    """Have the interpreter adapt its code to what each child does, so that none pays for it."""
    for _ in range(_WARM_RUNS):
        for program in WARM_UP:
            bench = make_bench(max_bytes)
            lay_out(bench)
            evaluate(program, max_bytes, bench)
            evaluate_if_harmless(program, max_bytes)


def _import_random() -> None:
    """Import `random` so that it does not seed itself anew in every child."""
    register = os.register_at_fork
    os.register_at_fork = lambda **_: None
    import random

    os.register_at_fork = register
    random.seed(0)


def _load(modules: Sequence[str], paths: Sequence[str]) -> None:
    sys.path.extend(paths)
    for name in modules:
        for loaded in (name, *PARTS.get(name, ())):
            import_module(loaded)
        if name in WARM_UPS:
            exec(WARM_UPS[name], {})


def _probe(jail: Jail) -> None:
    """Raise OSError unless a child can lock itself in here."""
    read_end, write_end = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.dup2(write_end, lockdown.RESULT_FD)
            lockdown.enter(jail)
            os.write(lockdown.RESULT_FD, b"locked in")
        except OSError as error:
            os.write(lockdown.RESULT_FD, (error.strerror or str(error)).encode())
        finally:
            os._exit(0)
    os.close(write_end)
    answer = os.read(read_end, 1000).decode()
    os.close(read_end)
    os.waitpid(pid, 0)
    if answer != "locked in":
        raise OSError(0, answer or "a locked-in child could not write its result")


def _for_owner(owner_pid: int) -> Wait:
    """Return a wait that lasts as long as the owner does, and ends this process with it."""

    def wait(fd: int, event: int) -> None:
        # A forked copy of the owner may hold the pipe open after the owner's death.
        while not poll_once(fd, event, _OWNER_CHECK_S):
            if os.getppid() != owner_pid:
                os._exit(0)

    return wait
