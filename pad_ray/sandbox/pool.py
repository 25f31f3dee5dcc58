"""Zygotes side by side: chunks of programs in, outcomes out."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Event, get_ident

from pad_ray.sandbox.locks import SafeLock
from pad_ray.sandbox.outcome import Outcome, judge
from pad_ray.sandbox.process import Calling, SandboxError, Zygote, ZygoteDied
from pad_ray.sandbox.wire import Reply

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
        self._choice = SafeLock()
        # Thread -> where it is. What a fork or an interrupt leaves here spoils the balance only.
        self._taken: dict[int, _Place] = {}
        self._inside: set[int] = set()

    def start(self) -> dict[str, bool]:
        """Start all zygotes and return the layers that hold; SandboxError where that fails."""
        return dict([place.start() for place in self.places][-1])

    def run(self, sources: Sequence[bytes]) -> list[Outcome]:
        """Run program texts and return their outcomes, in order."""
        chunks, thread = list(_chunks(sources, len(self.places))), get_ident()
        inside = thread in self._inside
        try:
            self._inside.add(thread)
            # Not for a signal handler: other threads would wait for the locks of this one.
            if len(chunks) > 1 and len(self.places) > 1 and not inside:
                return self._run_side_by_side(chunks)
            return [outcome for chunk in chunks for outcome in self._run(chunk, Event())]
        finally:
            if not inside:
                self._inside.discard(thread)

    def close(self) -> None:
        """End the zygotes. Programs in flight in other threads end first."""
        self._closed = True
        for place in self.places:
            place.close()

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
        outcomes: dict[int, Outcome] = {}
        waiting = list(range(len(chunk)))

        def note(at: int, reply: Reply) -> None:
            outcomes[waiting[at]] = judge(reply, self._limits)

        place = self._chosen()
        try:
            with place.lock.held:
                for _ in range(2):
                    if self._closed or stop.is_set():
                        raise SandboxError("the sandbox is closed")
                    place.ask([chunk[index] for index in waiting], note, stop)
                    waiting = [index for index in waiting if index not in outcomes]
                    if not waiting:
                        return [outcomes[index] for index in range(len(chunk))]
        finally:
            self._taken.pop(get_ident(), None)
        if len(chunk) > 1:
            for index in waiting:
                outcomes[index] = self._run([chunk[index]], stop)[0]
            return [outcomes[index] for index in range(len(chunk))]
        return [Outcome("crashed", message="the sandbox's zygote died twice under this program")]

    def _chosen(self) -> _Place:
        """Return the place that the fewest threads have taken, and note that this one has."""
        with self._choice.held:
            taken = list(self._taken.values())
            place = min(self.places, key=taken.count)
            self._taken[get_ident()] = place
            return place


class _Place:
    """Where one zygote works, for one thread at a time; it is replaced when it dies.

    A zygote at work belongs to the call of `ask` alone. Where an interrupt ends that, it is never
    found here again, with what is still in its pipes; and a signal handler that comes in its midst
    finds the place empty, and starts another.
    """

    def __init__(self, calling: Calling) -> None:
        self.lock = SafeLock()
        self._calling = calling
        self._owner_pid = os.getpid()
        self._idle: Zygote | None = None
        # Only to be named, and killed.
        self._working: Zygote | None = None
        self._closed = False

    @property
    def pid(self) -> int | None:
        """The zygote's process id."""
        zygote = self._working or self._idle
        return None if zygote is None else zygote.pid

    def start(self) -> dict[str, bool]:
        """Have a zygote ready, and return the layers that hold."""
        with self.lock.held:
            zygote = self._take()
            self._put_back(zygote)
            return zygote.layers

    def ask(
        self, programs: Sequence[bytes], note: Callable[[int, Reply], None], stop: Event
    ) -> None:
        """Run programs and note the replies, not all where the zygote dies or `stop` is set.

        Needs the lock. Who sets `stop` calls `kill` after that.
        """
        outer = self._working
        zygote = self._take()
        done = False
        try:
            self._working = zygote
            if not stop.is_set():
                for index, reply in zygote.ask(programs):
                    note(index, reply)
                done = True
        except ZygoteDied:
            pass
        finally:
            self._working = outer
            if done:
                self._put_back(zygote)
            else:
                zygote.end()

    def close(self) -> None:
        """End the zygote; one at work for a call further up ends after that."""
        self._closed = True
        with self.lock.held:
            self._leave_to_parent()
            zygote, self._idle = self._idle, None
            if zygote is not None:
                zygote.end()

    def kill(self) -> None:
        """End the zygote that is at work at once, whoever waits for it."""
        zygote = self._working
        if zygote is not None:
            zygote.kill()

    def _take(self) -> Zygote:
        self._leave_to_parent()
        idle, self._idle = self._idle, None
        return idle or _start(self._calling)

    def _leave_to_parent(self) -> None:
        """In a forked copy, which must not share its parent's pipes, let go of its zygotes."""
        if self._owner_pid != os.getpid():
            for zygote in (self._idle, self._working):
                if zygote is not None:
                    zygote.abandon()
            self._idle = self._working = None
            self._owner_pid = os.getpid()

    def _put_back(self, zygote: Zygote) -> None:
        if self._idle is None and not self._closed:
            self._idle = zygote
        else:
            zygote.end()


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
