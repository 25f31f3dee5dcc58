"""Nothing passes from one program to the next, nor from the owner to a program."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from pad_ray.sandbox import Outcome, Sandbox

RunOne = Callable[[str], Outcome]


@pytest.mark.parametrize(
    ("spoil", "probe", "value"),
    [
        ("import builtins; builtins.len = lambda x: 99", "len('ab')", 2),
        ("import builtins; builtins.stolen = 1", "'stolen' in dir(__builtins__)", False),
        ("import math; math.floor = lambda x: 99", "__import__('math').floor(2.5)", 2),
        ("import sys; sys.modules.clear()", "__import__('math').floor(2.5)", 2),
        ("import os; os.environ['X'] = 'y'", "'X' in __import__('os').environ", False),
        ("import decimal; decimal.getcontext().prec = 2", "str(D(1) / D(3))", "0." + "3" * 28),
        ("import random; random.seed(5)", "__import__('random').random()", 0.8444218515250481),
        ("import sys; sys.setrecursionlimit(5)", "__import__('sys').getrecursionlimit() // 50", 20),
    ],
)
def test_what_a_program_spoils_stays_its_own(
    sandbox: Sandbox, spoil: str, probe: str, value: object
) -> None:
    first = f"{spoil}\ndef solution():\n    return 1"
    second = f"from decimal import Decimal as D\ndef solution():\n    return {probe}"
    assert sandbox.run([first, second])[1].value == value


def test_no_memory_of_the_zygotes_carries_anything_from_one_program_to_the_next() -> None:
    """What it shares with its children, or might: the page for their notes, and the reserve."""
    program = (
        "import sys\nhere = sys._getframe()\n"
        "while 'nursery' not in here.f_locals: here = here.f_back\n"
        "nursery, c = here.f_locals['nursery'], here.f_globals['lockdown'].ctypes\n"
        "def solution():\n"
        "    found = []\n"
        "    for memory in (nursery.page, nursery.bench.reserve):\n"
        # Its first bytes are the note of this very call.
        "        start = c.addressof(c.c_char.from_buffer(memory)) + 256\n"
        "        size = -len(memory) % 4096 + len(memory) - 256\n"
        "        found.append(max(c.string_at(start, size)))\n"
        "        c.memset(start, 7, size)\n"
        "    return found"
    )
    with Sandbox() as sandbox:
        assert [outcome.value for outcome in sandbox.run([program] * 3)] == [[0, 0]] * 3


def test_programs_are_deterministic_across_sandboxes(sandbox: Sandbox) -> None:
    program = (
        "import random\ndef solution():\n"
        "    return [hash('a'), list({'x', 'y', 'z', 'w'}), random.random(),"
        " random.sample(range(99), 5)]"
    )
    with Sandbox() as other:
        outcomes = [*sandbox.run([program, program]), *other.run([program])]
    assert outcomes[0].status == "ok"
    assert outcomes[0].value == outcomes[1].value == outcomes[2].value


def test_the_owners_environment_arguments_and_folder_stay_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PLANTED_SECRET", "s3cret")
    monkeypatch.setenv("PYTHONSTARTUP", "s3cret")
    program = (
        "import os, sys\ndef solution():\n"
        "    return [dict(os.environ), sys.argv, sys.path, os.getcwd(), sys.orig_argv[-1]]"
    )
    with Sandbox() as sandbox:
        value = sandbox.run([program])[0].value
    assert isinstance(value, list)
    assert value[:4] == [{}, [""], [], "/"]
    assert "s3cret" not in str(value)


def test_descriptors_are_null_three_times_and_the_result_pipe(run_one: RunOne) -> None:
    secret = os.open(__file__, os.O_RDONLY)
    os.set_inheritable(secret, True)
    program = (
        "import os\ndef solution():\n    found = []\n    for fd in range(4096):\n"
        "        try: os.lseek(fd, 0, 1); found.append(fd)\n"
        "        except OSError as error:\n"
        "            if error.errno != 9: found.append(fd)\n"
        "    return [found, os.read(0, 10) == b'']"
    )
    try:
        with Sandbox() as sandbox:
            assert sandbox.run([program])[0].value == [[0, 1, 2, 3], True]
    finally:
        os.close(secret)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has privileges to drop")
def test_a_root_owner_runs_programs_as_nobody(run_one: RunOne) -> None:
    program = "import os\ndef solution():\n    return [os.getuid(), os.geteuid(), os.getgid()]"
    assert run_one(program).value == [65534, 65534, 65534]


def _descriptors(pid: int) -> int:
    try:
        return len(os.listdir(f"/proc/{pid}/fd"))
    except PermissionError:
        pytest.skip("the zygote is not dumpable, so only root may count its descriptors")


def test_three_hundred_programs_leave_nothing_behind() -> None:
    programs = [
        "def solution():\n    return 1",
        "import os\ndef solution():\n    os._exit(1)",
        "def solution():\n    return nothing",
        "import os\ndef solution():\n    os.fork()",
        "import os\ndef solution():\n    os.close(3)\n    while True: pass",
        "def solution():\n    return 'x' * 60000",
    ]
    with Sandbox() as sandbox:
        sandbox.run(programs)
        (zygote,) = sandbox.zygote_pids
        own, its = len(os.listdir("/proc/self/fd")), _descriptors(zygote)
        statuses = [outcome.status for outcome in sandbox.run(programs * 50)]
        assert statuses == ["ok", "crashed", "error", "forbidden", "crashed", "ok"] * 50
        assert (len(os.listdir("/proc/self/fd")), _descriptors(zygote)) == (own, its)
        assert Path(f"/proc/{zygote}/task/{zygote}/children").read_text() == ""
        assert sandbox.zygote_pids == [zygote]
    assert not Path(f"/proc/{zygote}").exists()
