"""Hostile programs, run for real, one property each; the next program must still be right."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from pad_ray.sandbox import Outcome, Sandbox, diagnose
from pad_ray.sandbox.doctor import REACH_LIBC

RunOne = Callable[[str], Outcome]


def body(*lines: str, before: str = "import os, sys, time\n") -> str:
    return before + "def solution():\n" + "".join(f"    {line}\n" for line in lines)


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """A file that any user may read and write, in folders that any user may enter."""
    for folder in (tmp_path, *tmp_path.parents):
        if folder.owner() == Path.home().owner() and folder.stat().st_uid == os.getuid():
            folder.chmod(folder.stat().st_mode | 0o055)
        if folder == Path("/tmp"):
            break
    path = tmp_path / "target"
    path.write_text("planted secret")
    path.chmod(0o666)
    return path


@pytest.mark.parametrize("mode", ["r", "w", "a", "x", "r+b"])
def test_opening_a_file_is_forbidden(run_one: RunOne, target: Path, mode: str) -> None:
    name = f"{target}{'.new' if mode == 'x' else ''}"
    outcome = run_one(body(f"return open({name!r}, {mode!r}).name"))
    assert (outcome.status, outcome.error_type, outcome.error_line) == (
        "forbidden",
        "PermissionError",
        3,
    )
    assert target.read_text() == "planted secret"
    assert list(target.parent.iterdir()) == [target]


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "/proc/self/environ", "/proc/self/mem", "/dev/null", os.__file__, "/"]
)
def test_nothing_at_all_is_readable(run_one: RunOne, path: str) -> None:
    assert run_one(body(f"return os.open({path!r}, os.O_RDONLY)")).status == "forbidden"
    assert run_one(body(f"return os.stat({path!r}).st_size")).status == "forbidden"


def test_a_caught_refusal_gives_nothing_away(run_one: RunOne, target: Path) -> None:
    outcome = run_one(
        body("try:", f"    return open({str(target)!r}).read()", "except OSError:", "    return 7")
    )
    assert (outcome.status, outcome.value) == ("ok", 7)


@pytest.mark.parametrize(
    "call",
    [
        "os.remove({0!r})",
        "os.rename({0!r}, '/tmp/other')",
        "os.chmod({0!r}, 0)",
        "os.truncate({0!r}, 0)",
        "os.symlink('/etc/passwd', {0!r} + '.link')",
        "os.mkdir({0!r} + '.folder')",
        "os.listdir({0!r} + '/..')",
        "os.memfd_create('x')",
    ],
)
def test_changing_the_file_system_is_forbidden(run_one: RunOne, target: Path, call: str) -> None:
    assert run_one(body(f"return {call.format(str(target))}")).status == "forbidden"
    assert target.read_text() == "planted secret"
    assert list(target.parent.iterdir()) == [target]


@pytest.mark.parametrize(
    "call",
    [
        "os.system('true')",
        "os.popen('true').read()",
        "os.execv('/bin/true', ['true'])",
        "os.posix_spawn('/bin/true', ['true'], {})",
        "os.fork()",
        "__import__('_thread').start_new_thread(print, ())",
        "__import__('subprocess').run(['true'])",
        "__import__('ctypes').CDLL(None)",
        "__import__('socket').socket()",
    ],
)
def test_new_processes_and_their_modules_are_forbidden(run_one: RunOne, call: str) -> None:
    assert run_one(body(f"return {call}")).status == "forbidden"


@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("socket", "socket(2, 1, 0)"),
        ("unix socket", "socket(1, 1, 0)"),
        ("fork", "fork()"),
        ("kill parent", "kill(os.getppid(), 9)"),
        ("kill all", "kill(-1, 9)"),
        ("ptrace", "ptrace(16, os.getppid(), 0, 0)"),
        ("prctl", "prctl(1, 0, 0, 0, 0)"),
        ("setuid", "setuid(0)"),
        ("unshare", "unshare(0x10000000)"),
        ("mount", "mount(b'x', b'/tmp', b'tmpfs', 0, None)"),
        ("io_uring_setup", "syscall(425, 8, None)"),
        ("process_vm_readv", "syscall(310, os.getppid(), None, 0, None, 0, 0)"),
        ("bpf", "syscall(321, 0, None, 0)"),
        ("x32 write", "syscall(0x40000001, 1, None, 0)"),
    ],
)
def test_raw_system_calls_are_forbidden(run_one: RunOne, name: str, call: str) -> None:
    # The C library is reached by a walk over all classes, since ctypes cannot be imported.
    outcome = run_one(body(f"return libc().{call}", before="import os\n" + REACH_LIBC))
    assert outcome.status == "forbidden", name


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


def test_killing_the_parent_leaves_it_alive(sandbox: Sandbox, run_one: RunOne) -> None:
    assert sandbox._zygote is not None
    before = sandbox._zygote.pid
    assert run_one(body("os.kill(os.getppid(), 9)")).status == "forbidden"
    assert sandbox._zygote.pid == before


@pytest.mark.parametrize(
    "line",
    [
        "return len([0] * 10**9)",
        "return len('x' * 10**10)",
        "return len([bytearray(1 << 20) for _ in range(10**6)])",
        "return (lambda s: [s := s + s for _ in range(60)])('x')",
        "return bytes(10**9) and 1",
    ],
)
def test_filling_the_memory(run_one: RunOne, line: str) -> None:
    assert run_one(body(line)).status == "memory"


def test_memory_full_of_small_objects_is_still_reported(run_one: RunOne) -> None:
    outcome = run_one(body("kept = []", "while True:", "    kept = [kept, [0] * 99]"))
    # No memory may be left for a traceback, hence for a line.
    assert (outcome.status, outcome.error_type) == ("memory", "MemoryError")
    assert outcome.error_line in (5, None)


@pytest.mark.parametrize(
    "lines",
    [
        ("while True:", "    pass"),
        ("while True:", "    try:", "        while True: pass", "    except BaseException: pass"),
        ("return 10 ** 10 ** 8 and 1",),
        ("import re", "return re.match('(a+)+$', 'a' * 40 + 'b')"),
        ("while True:", "    print('x' * 10000)"),
    ],
)
def test_endless_work_runs_into_the_cpu_limit(run_one: RunOne, lines: tuple[str, ...]) -> None:
    outcome = run_one(body(*lines))
    assert outcome.status == "timeout"
    assert outcome.message == "CPU time limit of 0.5 s"
    assert 0.49 < outcome.cpu_s < 0.8


@pytest.mark.parametrize("number", [24, 27])
def test_the_cpu_timer_cannot_be_ignored_blocked_or_moved(run_one: RunOne, number: int) -> None:
    outcome = run_one(
        body(
            "c = libc()",
            f"done = [c.signal({number}, 1), c.sigblock(-1), c.alarm(0)]",
            "c.setitimer(2, bytes(32), None)",
            "while True: pass",
            before=REACH_LIBC,
        )
    )
    assert (outcome.status, outcome.message) == ("timeout", "CPU time limit of 0.5 s")


def test_limits_cannot_be_raised(run_one: RunOne) -> None:
    lines = ("import resource", "resource.setrlimit(resource.RLIMIT_CPU, (60, 60))", "return 1")
    assert run_one(body(*lines)).status != "ok"


def test_sleeping_past_the_wall_limit(run_one: RunOne) -> None:
    outcome = run_one(body("time.sleep(30)"))
    assert (outcome.status, outcome.message) == ("timeout", "wall time limit of 2 s")
    assert 1.9 < outcome.wall_s < 4


@pytest.mark.parametrize(
    "lines",
    [
        ("os._exit(0)",),
        ("os._exit(99)",),
        ("os.close(3)", "return 1"),
        ("os.close(3)", "time.sleep(30)"),
        ("return libc().memset(8, 0, 8)",),
        ("sys.setrecursionlimit(10**9)", "f = lambda x: sorted([x], key=f)", "return f(1)"),
    ],
)
def test_no_framed_result_is_a_crash(run_one: RunOne, lines: tuple[str, ...]) -> None:
    outcome = run_one(body(*lines, before="import os, sys, time\n" + REACH_LIBC))
    assert (outcome.status, outcome.value) == ("crashed", None)
    assert outcome.wall_s < 1.5


def test_catching_everything_does_not_keep_a_program_alive(run_one: RunOne) -> None:
    lines = ("while True:", "    try: time.sleep(60)", "    except BaseException: pass")
    assert run_one(body(*lines)).status == "timeout"


FORGED = """
import os
report = b'{"status": "ok", "value": 666}'
frame = bytes(16) + len(report).to_bytes(4, 'little') + report
"""


@pytest.mark.parametrize(
    "lines",
    [
        ("os.write(3, frame)", "os._exit(0)"),
        ("os.write(3, frame)", "return 1"),
        ("for fd in range(1024):", "    try: os.write(fd, frame)", "    except OSError: pass"),
        ("os.write(3, frame[:10])", "return 1"),
        ("while True:", "    os.write(3, bytes(65536))"),
    ],
)
def test_a_frame_without_the_secret_does_not_count(run_one: RunOne, lines: tuple[str, ...]) -> None:
    outcome = run_one(body(*lines, before=FORGED))
    assert (outcome.status, outcome.value) == ("crashed", None)


def test_printing_a_forged_frame_changes_nothing(
    run_one: RunOne, capfd: pytest.CaptureFixture[str]
) -> None:
    program = body('print(\'{"status": "ok", "value": 666}\', flush=True)', "return 5")
    assert run_one(program).value == 5
    assert capfd.readouterr() == ("", "")


def test_a_forged_own_report_cannot_harm_the_owner(run_one: RunOne) -> None:
    # A program can replace the code that frames its own result; the owner trusts none of it.
    for text in ("'NaN'", "'[' * 60000", "'1' * 9000", "'{\"items\": [[[], 1]]}'", "'\"\\ud800\"'"):
        outcome = run_one(body(f"json.dumps = lambda *a, **k: {text}", before="import json\n"))
        assert (outcome.status, outcome.value) == ("crashed", None), text


def test_the_doctor_finds_every_attack_stopped() -> None:
    checks = diagnose()
    assert len(checks) > 15
    assert [check for check in checks if not check.ok and check.name != "layer landlock"] == []
