"""Sandbox: untrusted programs in, one Outcome each out."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from types import TracebackType

from pad_ray.sandbox.limits import Limits
from pad_ray.sandbox.locks import ForkSafeLock
from pad_ray.sandbox.outcome import Outcome
from pad_ray.sandbox.pool import Pool
from pad_ray.sandbox.process import Calling, SandboxError

MAX_PROGRAM_BYTES = 1 << 20


class Sandbox:
    """Runs programs in jailed children of zygote processes of its own.

    zygotes: how many run programs at the same time, each on a core.
    modules: what programs may import besides `ALLOWED_MODULES`, such as sympy, dateutil or numpy,
        from the caller's own installation. They are loaded into zygotes of their own, started for
        the first program that imports one, so that other programs do not carry their weight.
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
        self._plain = Pool(Calling(self.limits, (), share), zygotes)
        self._heavy: Pool | None = None
        self._heavy_lock = ForkSafeLock()
        try:
            self.layers = self._plain.start()
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
        heavy = {i: text for i, text in texts.items() if self._names_module(text)}
        plain = {i: text for i, text in texts.items() if i not in heavy}
        if heavy:
            outcomes |= zip(heavy, self._heavy_pool().run(list(heavy.values())), strict=True)
        outcomes |= zip(plain, self._plain.run(list(plain.values())), strict=True)
        return [outcomes[i] for i in range(len(sources))]

    @property
    def zygote_pids(self) -> list[int]:
        """The process ids of the living zygotes, those with further modules last."""
        pools = [self._plain] if self._heavy is None else [self._plain, self._heavy]
        pids = [place.pid for pool in pools for place in pool.places]
        return [pid for pid in pids if pid is not None]

    def close(self) -> None:
        """End the zygotes. Programs in flight in other threads end first."""
        self._closed = True
        self._plain.close()
        with self._heavy_lock:
            if self._heavy is not None:
                self._heavy.close()

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _names_module(self, text: bytes) -> bool:
        names = "|".join(re.escape(name.partition(".")[0]) for name in self._modules)
        return bool(names) and re.search(rf"\b({names})\b".encode(), text) is not None

    def _heavy_pool(self) -> Pool:
        with self._heavy_lock:
            if self._heavy is None:
                self._heavy = Pool(Calling(self.limits, self._modules, self._share), self._zygotes)
            return self._heavy


def _source(program: object) -> bytes | Outcome:
    if not isinstance(program, str):
        return Outcome("invalid", message=f"a program is a str, not {type(program).__name__}")
    source = program.encode("utf-8", "surrogatepass")
    if len(source) > MAX_PROGRAM_BYTES:
        return Outcome("invalid", message=f"the program is over {MAX_PROGRAM_BYTES} bytes")
    return source
