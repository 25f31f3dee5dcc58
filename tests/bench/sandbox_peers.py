"""Ways to run programs, each served from a lean process of its own, so that all are timed alike.

`python sandbox_peers.py METHOD` answers on stdout each line of programs (JSON) on stdin with
their values, seconds on the clock, and CPU seconds of itself and every process it started.
"""

from __future__ import annotations

import ast
import json
import resource
import signal
import subprocess
import sys
import time
import venv
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import psutil  # type: ignore[import-untyped]

LIMIT_S = 5.0
MEMORY_BYTES = 256 << 20
Run = Callable[[Sequence[str]], list[object]]
_HERE = Path(__file__).resolve().parent


class Measured(NamedTuple):
    """Values in order, and what they took in seconds."""

    values: list[object]
    wall_s: float
    cpu_s: float


class Peer:
    """One method's serving process; it inherits the cores that the caller may use.

    Raises ModuleNotFoundError if the method's package is not installed.
    """

    def __init__(self, method: str) -> None:
        self.method = method
        self._process = subprocess.Popen(
            [sys.executable, __file__, method],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        greeting = self._answer()
        if greeting != "ready":
            self.close()
            raise ModuleNotFoundError(str(greeting))

    def measure(self, programs: Sequence[str]) -> Measured:
        """Have the programs run."""
        assert self._process.stdin is not None
        print(json.dumps(programs), file=self._process.stdin, flush=True)
        return Measured(*self._answer())

    def close(self) -> None:
        """End the process."""
        self._process.communicate()

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.method}: its process ended with {self._process.wait()}")
        return json.loads(line)


@contextmanager
def shared_lane() -> Iterator[Run]:
    """Ours: many programs at once, proved harmless, so they share jailed children."""
    from pad_ray.sandbox import Sandbox

    with Sandbox() as sandbox:
        yield lambda programs: [outcome.value for outcome in sandbox.run(programs)]


@contextmanager
def alone_lane() -> Iterator[Run]:
    """Ours: each program gets a jailed child of its own."""
    from pad_ray.sandbox import Sandbox

    with Sandbox(share=False) as sandbox:
        yield lambda programs: [outcome.value for outcome in sandbox.run(programs)]


@contextmanager
def fresh_interpreter() -> Iterator[Run]:
    """A new interpreter a program."""
    # An empty environment: start-up hooks of installed packages are no part of the method.
    with TemporaryDirectory() as folder:
        venv.create(folder, symlinks=True)

        def run(program: str) -> object:
            command = [f"{folder}/bin/python", "-I", "-c", f"{program}\nprint(repr(solution()))"]
            done = subprocess.run(command, capture_output=True, check=True, timeout=LIMIT_S)
            return ast.literal_eval(done.stdout.decode())

        yield lambda programs: [run(program) for program in programs]


@contextmanager
def human_eval() -> Iterator[Run]:
    """A manager process and a guarded process a program."""
    from human_eval_method import check_program

    yield lambda programs: [check_program(program, LIMIT_S) for program in programs]


@contextmanager
def fork_loop() -> Iterator[Run]:
    """A preloaded process that forks a child a program, with no jail and no limits."""
    from pad_ray.sandbox.modules import COMMON_MODULES

    # Started as the sandbox's zygote is: afresh, with the same modules and nothing else.
    command = [sys.executable, "-s", "-S", "-B", str(_HERE / "bare_fork_loop.py")]
    with subprocess.Popen(
        [*command, *COMMON_MODULES],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={"PYTHONHASHSEED": "0"},
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        pipes = process.stdin, process.stdout

        def run(programs: Sequence[str]) -> list[object]:
            pipes[0].write(json.dumps(programs).encode() + b"\n")
            pipes[0].flush()
            return [json.loads(pipes[1].readline()) for _ in programs]

        yield run


@contextmanager
def in_process() -> Iterator[Run]:
    """exec() right here under an alarm: unsafe, and so the ceiling."""

    def stop(number: int, frame: object) -> None:
        raise TimeoutError

    def run(program: str) -> object:
        namespace: dict[str, Callable[[], object]] = {}
        signal.setitimer(signal.ITIMER_REAL, LIMIT_S)
        try:
            exec(program, namespace)
            return namespace["solution"]()
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)

    signal.signal(signal.SIGALRM, stop)
    yield lambda programs: [run(program) for program in programs]


@contextmanager
def monty() -> Iterator[Run]:
    """pydantic-monty, an interpreter of its own for a part of Python; a fresh session a program."""
    limits = {"max_feed_duration_secs": LIMIT_S, "max_memory": MEMORY_BYTES}
    with import_module("pydantic_monty").Monty(max_processes=1) as pool:

        def run(program: str) -> object:
            with pool.checkout(limits=limits) as session:
                return session.feed_run(f"{program}\nsolution()")

        yield lambda programs: [run(program) for program in programs]


@contextmanager
def sandlock() -> Iterator[Run]:
    """sandlock, the quicker of its ways: a clone a program of a warm template, values collected.

    All clones have one policy between them; there are no limits, status or time-out for each.
    """
    library = import_module("sandlock")
    folders = ("/usr", "/lib", "/lib64", "/bin", "/etc", "/dev", sys.prefix, sys.base_prefix)
    policy = {
        "fs_readable": [folder for folder in folders if Path(folder).is_dir()],
        "max_memory": "512M",
        "clean_env": True,
    }

    def run(programs: Sequence[str]) -> list[object]:
        def work(number: int) -> None:
            namespace: dict[str, Callable[[], object]] = {}
            exec(programs[number], namespace)
            print(json.dumps(namespace["solution"]()))

        clones = library.Sandbox(init_fn=lambda: None, work_fn=work, **policy).fork(len(programs))
        collected = library.Sandbox(**policy).reduce(["cat"], clones)
        return [json.loads(line) for line in collected.stdout.splitlines()]

    def chunked(programs: Sequence[str]) -> list[object]:
        # Each clone holds a pipe open until all are collected.
        starts = range(0, len(programs), 200)
        return [value for start in starts for value in run(programs[start : start + 200])]

    yield chunked


METHODS: dict[str, Callable[[], AbstractContextManager[Run]]] = {
    method.__name__: method
    for method in (
        shared_lane,
        alone_lane,
        fresh_interpreter,
        human_eval,
        fork_loop,
        in_process,
        monty,
        sandlock,
    )
}


def _descendants_cpu_s() -> float:
    """CPU seconds of the live processes below this one, and of those that they have reaped."""
    processes = psutil.Process().children(recursive=True)
    return sum(sum(process.cpu_times()[:4]) for process in processes)


def _own_cpu_s() -> float:
    reaped = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + reaped.ru_utime + reaped.ru_stime


def _measure(run: Run, programs: Sequence[str]) -> Measured:
    # In this order, looking at the other processes is not counted.
    others = _descendants_cpu_s()
    own, started = _own_cpu_s(), time.perf_counter()
    values = run(programs)
    wall_s, own = time.perf_counter() - started, _own_cpu_s() - own
    return Measured(values, wall_s, own + _descendants_cpu_s() - others)


def main(method: str) -> None:
    """Serve until stdin ends."""
    try:
        with METHODS[method]() as run:
            print(json.dumps("ready"), flush=True)
            for line in sys.stdin:
                print(json.dumps(_measure(run, json.loads(line))), flush=True)
    except ModuleNotFoundError as error:
        print(json.dumps(f"{error.name} is not installed"), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
