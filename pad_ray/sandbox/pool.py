"""Zygotes side by side: chunks of programs in, outcomes out."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Event

from pad_ray.sandbox.locks import ForkSafeLock
from pad_ray.sandbox.outcome import Outcome, judge
from pad_ray.sandbox.process import Calling, SandboxError, Zygote, ZygoteDied

# Programs that go to a zygote at once: enough that a fork's cost is spread thin, few enough that
# not much is run again where one of them kills their child.
CHUNK = 1024
CHUNK_BYTES = 1 << 20
# Each zygote must prove the jail on these, one by one and together, before it gets a program.
_CANARIES = (
    ("def solution():\n    return 6 * 7", "ok"),
    ("import os\ndef solution():\n    os.fork()\n    return 1", "forbidden"),
    ("def solution():\n    return open('/dev/null').read()", "forbidden"),
)


class Pool:
    """Some zygotes of one calling, each started when first needed; threads may share a pool."""

    def __init__(self, calling: Calling, zygotes: int) -> None:
        self._limits = calling.limits
        self._closed = False
        self.places = [_Place(calling) for _ in range(zygotes)]
        self._turn = 0

    def start(self) -> dict[str, bool]:
        """Start all zygotes and return the layers that hold; SandboxError where that fails."""
        for place in self.places:
            with place.lock:
                layers = place.ready().layers
        return dict(layers)

    def run(self, sources: Sequence[bytes]) -> list[Outcome]:
        """Run program texts and return their outcomes, in order."""
        chunks = list(_chunks(sources, len(self.places)))
        if len(chunks) > 1 and len(self.places) > 1:
            return self._run_side_by_side(chunks)
        return [outcome for chunk in chunks for outcome in self._run(chunk, Event())]

    def close(self) -> None:
        """End the zygotes. Programs in flight in other threads end first."""
        self._closed = True
        for place in self.places:
            with place.lock:
                place.drop()

    def _run_side_by_side(self, chunks: Sequence[list[bytes]]) -> list[Outcome]:
        stop = Event()
        with ThreadPoolExecutor(len(self.places)) as pool:
            try:
                results = list(pool.map(lambda chunk: self._run(chunk, stop), chunks))
            except BaseException:
                # An interrupt must not wait for programs that may take their whole time.
                stop.set()
                pool.shutdown(wait=False, cancel_futures=True)
                for place in self.places:
                    place.kill()
                raise
        return [outcome for result in results for outcome in result]

    def _run(self, chunk: Sequence[bytes], stop: Event) -> list[Outcome]:
        place = self._free_place()
        outcomes: dict[int, Outcome] = {}
        waiting = list(range(len(chunk)))
        try:
            for _ in range(2):
                if self._closed or stop.is_set():
                    raise SandboxError("the sandbox is closed")
                try:
                    for at, reply in place.ready().ask([chunk[index] for index in waiting]):
                        outcomes[waiting[at]] = judge(reply, self._limits)
                except ZygoteDied:
                    place.drop()
                except BaseException:
                    # An interrupt left a reply in the pipe; the next program must not get it.
                    place.drop()
                    raise
                waiting = [index for index in waiting if index not in outcomes]
                if not waiting:
                    return [outcomes[index] for index in range(len(chunk))]
        finally:
            place.lock.release()
        if len(chunk) > 1:
            for index in waiting:
                outcomes[index] = self._run([chunk[index]], stop)[0]
            return [outcomes[index] for index in range(len(chunk))]
        return [Outcome("crashed", message="the sandbox's zygote died twice under this program")]

    def _free_place(self) -> _Place:
        """Return a place, locked: a free one if there is one, else the next in turn."""
        for place in self.places:
            if place.lock.acquire(blocking=False):
                return place
        self._turn = (self._turn + 1) % len(self.places)
        place = self.places[self._turn]
        place.lock.acquire()
        return place


class _Place:
    """Where one zygote works; it is replaced when it dies. All but `kill` need the lock."""

    def __init__(self, calling: Calling) -> None:
        self.lock = ForkSafeLock()
        self._calling = calling
        self._owner_pid = os.getpid()
        self._zygote: Zygote | None = None

    @property
    def pid(self) -> int | None:
        """The zygote's process id."""
        return None if self._zygote is None else self._zygote.pid

    def ready(self) -> Zygote:
        """Return a living zygote of this process."""
        if self._owner_pid != os.getpid():  # a forked copy must not share its parent's pipes
            self.drop()
            self._owner_pid = os.getpid()
        if self._zygote is None:
            self._zygote = _start(self._calling)
        return self._zygote

    def drop(self) -> None:
        """End the zygote, or let go of it if it is another process's."""
        zygote, self._zygote = self._zygote, None
        if zygote is not None:
            if self._owner_pid == os.getpid():
                zygote.end()
            else:
                zygote.abandon()

    def kill(self) -> None:
        """End the zygote at once, whoever waits for it."""
        zygote = self._zygote
        if zygote is not None:
            zygote.kill()


def _chunks(sources: Sequence[bytes], zygotes: int) -> Iterator[list[bytes]]:
    """Yield the programs in as many chunks for each zygote, of at most CHUNK, and about 1 MiB."""
    turns = max(1, -(-len(sources) // (CHUNK * zygotes)))
    most = -(-len(sources) // (turns * zygotes))
    chunk: list[bytes] = []
    size = 0
    for source in sources:
        if chunk and (len(chunk) == most or size + len(source) > CHUNK_BYTES):
            yield chunk
            chunk, size = [], 0
        chunk.append(source)
        size += len(source)
    if chunk:
        yield chunk


def _start(calling: Calling) -> Zygote:
    limits = calling.limits
    zygote = Zygote(calling)
    try:
        missing = sorted(name for name in limits.required if not zygote.layers[name])
        if missing:
            raise SandboxError(f"the required layer {missing[0]!r} does not hold on this machine")
        for programs in [*([canary] for canary in _CANARIES), _CANARIES]:
            for index, reply in zygote.ask([program.encode() for program, _ in programs]):
                program, expected = programs[index]
                outcome = judge(reply, limits)
                if outcome.status != expected:
                    raise SandboxError(f"the jail does not hold here: {outcome} for {program!r}")
    except ZygoteDied as error:
        zygote.end()
        raise SandboxError("the sandbox's zygote died at its first programs") from error
    except BaseException:
        zygote.end()
        raise
    return zygote
