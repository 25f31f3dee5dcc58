"""The jobs by name, and the commands that jobs print, as they can be pasted into a shell."""

from __future__ import annotations

import ast
import runpy
import shlex
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pad_ray
from pad_ray.base.config import Job

__all__ = ["SCRIPT", "command", "find_job", "job_names", "purpose"]

SCRIPT = "pad-ray"
_JOBS = Path(pad_ray.__file__).parents[1] / "jobs"


def job_names() -> list[str]:
    """Return the names of all jobs, in the alphabet's order."""
    return sorted(path.stem for path in _JOBS.glob("*.py"))


def find_job(name: str) -> Job[Any]:
    """Return the entry point in jobs/NAME.py; raises `KeyError` for a name that is no job's."""
    if name not in job_names():
        raise KeyError(name)
    job: Job[Any] = runpy.run_path(str(_JOBS / f"{name}.py"))["JOB"]
    return job


def purpose(name: str) -> str:
    """Return in one line what a job is for, without running its file."""
    text = (_JOBS / f"{name}.py").read_text(encoding="utf-8")
    said = ast.get_docstring(ast.parse(text)) or ""
    return said.partition("\n")[0].removesuffix("; see --help.")


def command(job: str, *words: object) -> str:
    """Return the command that runs a job from the working directory, quoted for a shell."""
    return f"{_program()} {shlex.join([job, *map(str, words)])}"


def _program() -> str:
    script = Path(sys.executable).with_name(SCRIPT)
    if script.is_file():
        return _called(script)
    # Not installed but found by PYTHONPATH.
    return f"{_called(Path(sys.executable))} -m pad_ray"


def _called(program: Path) -> str:
    """Return the shortest name by which a shell in the working directory finds a program."""
    if shutil.which(program.name) == str(program):
        return program.name
    here = Path.cwd()
    short: Sequence[str] = program.relative_to(here).parts if here in program.parents else ()
    # A bare name would be looked for on the PATH.
    return shlex.quote(str(Path(*short)) if len(short) > 1 else str(program))
