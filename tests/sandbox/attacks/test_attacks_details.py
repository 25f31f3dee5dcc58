"""What single attacks come to, more exactly than a status tells."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable

import psutil  # type: ignore[import-untyped]
import pytest

from pad_ray.sandbox import Limits, Outcome, Sandbox
from pad_ray.sandbox.attacks.machine import REACH_LIBC, attacks

RunOne = Callable[[str], Outcome]


def body(*lines: str, before: str = "import os, sys, time\n") -> str:
    return before + "def solution():\n" + "".join(f"    {line}\n" for line in lines)


def attack(name: str) -> str:
    (program,) = [a.program for a in attacks() if f"{a.family}: {a.name}" == name]
    return program


@pytest.mark.parametrize("mode", ["r", "w", "a", "x", "r+b"])
def test_opening_a_file_names_the_line_that_tried(run_one: RunOne, mode: str) -> None:
    outcome = run_one(body(f"return open('/dev/null', {mode!r}).name"))
    assert (outcome.status, outcome.error_type, outcome.error_line) == (
        "forbidden",
        "PermissionError",
        3,
    )


@pytest.mark.parametrize(
    ("name", "tried"),
    [
        ("processes: run a command", "os.system"),
        ("processes: fork", "os.fork"),
        ("network: open a TCP socket", "socket"),
        ("jail: loosen seccomp", "prctl"),
    ],
)
def test_the_message_says_what_was_tried(run_one: RunOne, name: str, tried: str) -> None:
    outcome = run_one(attack(name))
    assert outcome.error_type == "SIGSYS"
    assert str(outcome.message).endswith(tried)


def test_a_message_forged_in_the_zygotes_page_is_bounded_and_its_own(sandbox: Sandbox) -> None:
    forged, after = sandbox.run(
        [attack("jail: write to the zygote's page"), "import os\nos.fork()"]
    )
    assert len(str(forged.message)) < 300
    assert str(after.message).endswith("by os.fork")


def test_a_socket_reaches_nobody(run_one: RunOne) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.1)
        port = server.getsockname()[1]
        line = f"return __import__('socket').create_connection(('127.0.0.1', {port}))"
        assert run_one(body(line)).status == "forbidden"
        with pytest.raises(TimeoutError):
            server.accept()


def test_executable_memory_is_refused(run_one: RunOne) -> None:
    call = "return libc().mprotect(0x10000, 4096, 7), libc().mmap(0, 4096, 7, 0x22, -1, 0)"
    assert run_one(body(call, before=REACH_LIBC)).value == [-1, -1]


@pytest.mark.parametrize(
    "name",
    [
        "time: a loop that catches everything",
        "time: catastrophic regular expression",
        "result: a flood of prints",
        "jail: ignore the CPU timer",
        "jail: move the CPU timer",
        "shared lane: sum without end",
        "shared lane: power",
    ],
)
def test_the_cpu_limit_is_kept_to_the_tenth_of_a_second(run_one: RunOne, name: str) -> None:
    outcome = run_one(attack(name))
    assert (outcome.error_type, outcome.message) == ("CPUTime", "CPU time limit of 1 s")
    assert 0.99 < outcome.cpu_s < 1.3


@pytest.mark.parametrize("name", ["time: a sleep", "time: a lock that nobody opens"])
def test_the_wall_limit_is_kept(run_one: RunOne, name: str) -> None:
    outcome = run_one(attack(name))
    assert (outcome.error_type, outcome.message) == ("WallTime", "wall time limit of 2 s")
    assert 1.9 < outcome.wall_s < 4


def test_memory_full_of_small_objects_is_still_reported(run_one: RunOne) -> None:
    outcome = run_one(body("kept = []", "while True:", "    kept = [kept, [0] * 99]"))
    # No memory may be left for a traceback, hence for a line.
    assert (outcome.status, outcome.error_type) == ("memory", "MemoryError")
    assert outcome.error_line in (5, None)


def test_a_printed_frame_is_text_like_any_other(
    run_one: RunOne, capfd: pytest.CaptureFixture[str]
) -> None:
    outcome = run_one(attack("result: a printed frame"))
    assert (outcome.status, outcome.value) == ("ok", 5)
    assert '{"status": "ok", "value": 666}' in outcome.stdout
    assert capfd.readouterr() == ("", "")


def test_a_program_that_finds_its_nonce_forges_its_own_result_only(sandbox: Sandbox) -> None:
    good = "def solution():\n    return 42"
    forger = attack("result: its own frame with the nonce found")
    assert [o.value for o in sandbox.run([good, forger, good])] == [42, 666, 42]


_HIDE = """
    here = sys._getframe()
    while 'nonce' not in here.f_locals: here = here.f_back
    for byte in here.f_locals['nonce'] + bytes(999):
        time.sleep(0.024)
        os.write(3, bytes([byte]))
        end = time.monotonic() + 0.001
        while time.monotonic() < end: pass
"""


def test_a_program_cannot_hide_its_sleep_from_the_clock() -> None:
    # Each byte wakes the zygote, which then finds the program awake.
    program = "import os, sys, time\ndef solution():" + _HIDE
    with Sandbox(Limits(wall_s=0.5, cpu_s=0.3)) as sandbox:
        started = time.monotonic()
        assert sandbox.run([program])[0].error_type == "WallTime"
        # Hidden, it would go on for 25 s.
        assert time.monotonic() - started < 12


def test_slow_neighbours_are_not_run_again_and_again() -> None:
    # Together they need more than the 2 s of CPU time that one process may use.
    slow = "def solution():\n    return sum(i * i for i in range(1_000_000))"
    with Sandbox(Limits(wall_s=5, cpu_s=0.25)) as sandbox:
        zygote = psutil.Process(sandbox.zygote_pids[0])
        before = zygote.cpu_times()
        outcomes = sandbox.run([slow] * 60)
        after = zygote.cpu_times()
    assert {outcome.status for outcome in outcomes} == {"ok"}
    spent = after.children_user - before.children_user
    assert spent < 2 * sum(outcome.cpu_s for outcome in outcomes)


def test_a_lone_program_finds_no_neighbour_in_the_frames() -> None:
    spy = """
import sys
def solution():
    frame, seen = sys._getframe(), []
    while frame:
        held = [*frame.f_locals.values()]
        nurseries = [value for value in held if type(value).__name__ == "Nursery"]
        held += [part for nursery in nurseries for part in vars(nursery).values()]
        seen += [str(value) + str(getattr(value, "__dict__", "")) for value in held]
        frame = frame.f_back
    return "".join(seen)[:60000]
"""
    neighbours = [f"def solution():\n    return 'of neighbour {n}'" for n in range(5)]
    with Sandbox() as sandbox:
        outcomes = sandbox.run([*neighbours, spy, *neighbours, spy])
    found = [outcome.value for outcome in outcomes if outcome.value not in (None, "")]
    spied = [str(value) for value in found if "Nursery" in str(value)]
    assert len(spied) == 2
    assert not any("of neighbour" in text for text in spied)
