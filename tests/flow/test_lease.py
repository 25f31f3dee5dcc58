"""The lock of object storage: held while its holder lives, and taken over when it does not."""

from __future__ import annotations

import errno
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from upath import UPath

from pad_ray.base.errors import ConfigError
from pad_ray.flow import lease
from pad_ray.flow.holding import hold, let_go, let_go_of_all
from pad_ray.flow.lease import Lease


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An object of a store in this process's memory, and beats of a test's pace."""
    for name, seconds in (("_BEAT_S", 0.1), ("_WATCHED_S", 4.0), ("_SETTLED_S", 0.1)):
        monkeypatch.setattr(lease, name, seconds)
    folder: Any = UPath(f"memory://bucket/{uuid4().hex}")
    yield folder / ".lock"
    let_go_of_all()
    if folder.exists():
        folder.fs.rm(folder.path, recursive=True)


def test_a_lease_is_held_until_it_is_released(place: Path) -> None:
    first, second = Lease(place), Lease(place)
    assert first.acquire()
    assert not second.acquire()
    first.release()
    assert not place.exists()
    assert second.acquire()
    first.release()  # it is not its own any more
    assert place.exists()
    second.release()


def test_what_a_killed_holder_leaves_is_taken_over(place: Path) -> None:
    killed = Lease(place)
    assert killed.acquire()
    killed._ended.set()  # it beats no more
    time.sleep(0.3)
    heir = Lease(place)
    assert heir.acquire()
    before = place.read_text()
    deadline = time.monotonic() + 60
    while place.read_text() == before:
        assert time.monotonic() < deadline, "it does not beat"
        time.sleep(0.05)
    heir.release()


@pytest.mark.parametrize("left", ["", "{", "[1]", "null", '{"run": 3}'])
def test_what_is_no_lease_holds_nobody_up(place: Path, left: str) -> None:
    place.write_text(left)
    one = Lease(place)
    assert one.acquire()
    one.release()


def test_of_many_that_begin_at_once_one_holds_it(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "_SETTLED_S", 1.0)
    leases = [Lease(place) for _ in range(8)]
    took: list[Lease] = []

    def take(one: Lease) -> None:
        if one.acquire():
            took.append(one)

    threads = [threading.Thread(target=take, args=(one,)) for one in leases]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(took) == 1
    took[0].release()


def test_a_folder_in_storage_is_one_runs(place: Path) -> None:
    folder = place.parent
    other = Lease(place)
    assert other.acquire()
    with pytest.raises(ConfigError, match="is in use by another run; wait until it has ended"):
        hold(folder)
    other.release()
    hold(folder)
    hold(folder)
    assert place.exists()
    let_go(folder)
    assert not place.exists()


class Changing:
    """An object that is written while it is read, as s3fs tells of it, so many times."""

    def __init__(self, times: int) -> None:
        self.times = times

    def read_text(self, encoding: str) -> str:
        self.times -= 1
        if self.times >= 0:
            raise OSError(errno.EBUSY, "The remote file no longer exists.")
        return '{"run": "another", "beat": 7}'


def test_an_object_that_is_written_while_it_is_read_is_read_again() -> None:
    place: Any = Changing(3)
    assert Lease(place)._holder() == "another"
    place = Changing(10**6)
    with pytest.raises(OSError, match="no longer exists"):
        Lease(place)._read()
