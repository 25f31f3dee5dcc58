"""How human-eval runs a program (human_eval/execution.py, github.com/openai/human-eval).

The same steps, with the program's value in place of "passed".
"""

from __future__ import annotations

import builtins
import contextlib
import faulthandler
import io
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, MutableSequence

_OS_CALLS = """
    kill system putenv remove removedirs rmdir fchdir setuid fork forkpty killpg rename renames
    truncate replace unlink fchmod fchown chmod chown chroot lchflags lchmod lchown getcwd chdir
""".split()


class TimeoutException(Exception):
    """The program ran too long."""


def check_program(program: str, timeout: float) -> object:
    """Return the value of `solution()`, or "timed out", or "failed: ..."."""
    manager = multiprocessing.Manager()
    result = manager.list()
    process = multiprocessing.Process(target=_unsafe_execute, args=(program, timeout, result))
    process.start()
    process.join(timeout=timeout + 1)
    if process.is_alive():
        process.kill()
    if not result:
        result.append("timed out")
    return result[0]


def _unsafe_execute(program: str, timeout: float, result: MutableSequence[object]) -> None:
    with _temporary_folder():
        rmtree, rmdir, chdir = shutil.rmtree, os.rmdir, os.chdir
        unlink = os.unlink
        _reliability_guard()
        try:
            exec_globals: dict[str, object] = {}
            with _swallow_io(), _time_limit(timeout):
                exec(f"{program}\nvalue = solution()", exec_globals)
            result.append(exec_globals["value"])
        except TimeoutException:
            result.append("timed out")
        except BaseException as error:
            result.append(f"failed: {error}")
        shutil.rmtree, os.rmdir, os.chdir = rmtree, rmdir, chdir
        os.unlink = unlink


@contextlib.contextmanager
def _time_limit(seconds: float) -> Iterator[None]:
    def stop(number: int, frame: object) -> None:
        raise TimeoutException("Timed out!")

    signal.setitimer(signal.ITIMER_REAL, seconds)
    signal.signal(signal.SIGALRM, stop)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


class _WriteOnlyStringIO(io.StringIO):
    def read(self, *args: object) -> str:
        raise OSError

    def readline(self, *args: object) -> str:  # type: ignore[override]
        raise OSError

    def readlines(self, *args: object) -> list[str]:  # type: ignore[override]
        raise OSError

    def readable(self) -> bool:
        return False


class _RedirectStdin(contextlib._RedirectStream):  # type: ignore[type-arg]
    _stream = "stdin"


@contextlib.contextmanager
def _swallow_io() -> Iterator[None]:
    stream = _WriteOnlyStringIO()
    with (
        contextlib.redirect_stdout(stream),
        contextlib.redirect_stderr(stream),
        _RedirectStdin(stream),
    ):
        yield


@contextlib.contextmanager
def _temporary_folder() -> Iterator[None]:
    with tempfile.TemporaryDirectory() as folder:
        before = os.getcwd()
        os.chdir(folder)
        try:
            yield
        finally:
            os.chdir(before)


def _reliability_guard() -> None:
    faulthandler.disable()
    builtins.exit = builtins.quit = None  # type: ignore[assignment]
    os.environ["OMP_NUM_THREADS"] = "1"
    for name in _OS_CALLS:
        setattr(os, name, None)
    shutil.rmtree = shutil.move = shutil.chown = None  # type: ignore[assignment]
    subprocess.Popen = None  # type: ignore[assignment,misc]
    builtins.help = None  # type: ignore[assignment]
    for module in ("ipdb", "joblib", "resource", "psutil", "tkinter"):
        sys.modules[module] = None  # type: ignore[assignment]
