"""Sandbox: untrusted programs in, one Outcome each out."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from types import TracebackType

from pad_ray.sandbox.limits import Limits
from pad_ray.sandbox.locks import SafeLock
from pad_ray.sandbox.modules import FURTHER_MODULES, FURTHER_NAMES
from pad_ray.sandbox.outcome import Outcome
from pad_ray.sandbox.pool import Pool
from pad_ray.sandbox.process import Calling, SandboxError

MAX_PROGRAM_BYTES = 1 << 20
_FURTHER = re.compile(rf"\b(?:{'|'.join(FURTHER_NAMES)})\b".encode())


class Sandbox:
    """Runs programs in jailed children of zygote processes of its own.

    zygotes: how many run programs at the same time, each on a core.
    modules: what programs may import besides `ALLOWED_MODULES`, such as sympy, dateutil or numpy,
        from the caller's own installation. They are loaded into zygotes of their own, started for
        the first program that names one, so that other programs do not carry their weight. So are
        those of `ALLOWED_MODULES` that are heavy, dataclasses among them.
    share: whether programs that are proved harmless share children. Without it each program has
        one of its own, at some twenty times the cost, and trusts in no proof.

    Threads may share a Sandbox, and it may be made in any thread. Use it with `with`, or call
    `close`. Raises SandboxError where seccomp or another required layer is missing. `layers` tells
    which layers hold.
    """

    def __init__(
        self,
        limits: Limits | None = None,
        zygotes: int = 1,
        modules: Sequence[str] = (),
        share: bool = True,
    ) -> None:
        if zygotes < 1:
            raise ValueError(f"Sandbox.zygotes must be at least 1, not {zygotes}")
        self.limits = limits or Limits()
        self._closed = False
        self._zygotes = zygotes
        self._modules = tuple(modules)
        self._share = share
        self._pools: dict[tuple[str, ...], Pool] = {}
        self._pools_lock = SafeLock()
        try:
            self.layers = self._pool(()).start()
        except BaseException:
            self.close()
            raise

    def run(self, programs: Iterable[str]) -> list[Outcome]:
        """Run each program text and return its outcome, in order.

        A program is executed as a module, then its `solution()` is called. A program that is not
        a str, or is over 1 MiB, is `invalid`. Raises SandboxError if the sandbox is closed.
        """
        if isinstance(programs, str):
            raise TypeError("Sandbox.run takes a list of programs, not one str")
        if self._closed:
            raise SandboxError("the sandbox is closed")
        sources = [_source(program) for program in programs]
        outcomes = {i: s for i, s in enumerate(sources) if isinstance(s, Outcome)}
        texts = {i: s for i, s in enumerate(sources) if isinstance(s, bytes)}
        groups: dict[tuple[str, ...], dict[int, bytes]] = {}
        for i, text in texts.items():
            groups.setdefault(self._modules_for(text), {})[i] = text
        for modules, group in groups.items():
            outcomes |= zip(group, self._pool(modules).run(list(group.values())), strict=True)
        return [outcomes[i] for i in range(len(sources))]

    @property
    def zygote_pids(self) -> list[int]:
        """The process ids of the living zygotes, those with further modules last."""
        with self._pools_lock.held:
            pools = sorted(self._pools.items(), key=lambda item: len(item[0]))
        pids = [place.pid for _, pool in pools for place in pool.places]
        return [pid for pid in pids if pid is not None]

    def close(self) -> None:
        """End the zygotes. Programs in flight in other threads end first."""
        self._closed = True
        with self._pools_lock.held:
            pools = list(self._pools.values())
        for pool in pools:
            pool.close()

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _modules_for(self, text: bytes) -> tuple[str, ...]:
        """Return what must be loaded besides the common modules for a program."""
        names = "|".join(re.escape(name.partition(".")[0]) for name in self._modules)
        if names and re.search(rf"\b({names})\b".encode(), text):
            return (*FURTHER_MODULES, *self._modules)
        return FURTHER_MODULES if _imports_further(text) else ()

    def _pool(self, modules: tuple[str, ...]) -> Pool:
        with self._pools_lock.held:
            if self._closed:
                raise SandboxError("the sandbox is closed")
            pool = self._pools.get(modules)
            if pool is None:
                calling = Calling(self.limits, modules, self._share)
                # A signal handler may have come before.
                pool = self._pools.setdefault(modules, Pool(calling, self._zygotes))
            return pool


def _imports_further(text: bytes) -> bool:
    # Many of the names are usual variables too, as `queue` is.
    if b"import" not in text:
        return False
    lines = text.replace(b"\\\n", b" ").splitlines()
    return any(b"import" in line and _FURTHER.search(line) for line in lines)


def _source(program: object) -> bytes | Outcome:
    if not isinstance(program, str):
        return Outcome("invalid", message=f"a program is a str, not {type(program).__name__}")
    source = program.encode("utf-8", "surrogatepass")
    if len(source) > MAX_PROGRAM_BYTES:
        return Outcome("invalid", message=f"the program is over {MAX_PROGRAM_BYTES} bytes")
    return source
