"""Task families and their registry.

A user's own task is one small file that defines a `Task`; name it `path/to/file.py:TASK` or
`module:TASK` wherever a job asks for a task.
"""

from __future__ import annotations

import importlib
import importlib.util
from pathlib import Path
from types import ModuleType

from pad_ray.errors import ConfigError, DataError
from pad_ray.records import Problem
from pad_ray.tasks.arithmetic import ARITHMETIC
from pad_ray.tasks.base import (
    Exemplar,
    Split,
    Task,
    answers_equal_rounded,
    numbers_equal,
    texts_equal,
)
from pad_ray.tasks.files import FILE_TASKS
from pad_ray.tasks.symbolic import COIN_FLIP, LAST_LETTERS

__all__ = [
    "TASKS",
    "Exemplar",
    "Split",
    "Task",
    "answers_equal_rounded",
    "get_task",
    "load_problems",
    "numbers_equal",
    "texts_equal",
]

TASKS: dict[str, Task] = {
    task.name: task for task in (*FILE_TASKS, COIN_FLIP, LAST_LETTERS, ARITHMETIC)
}


def get_task(name: str) -> Task:
    """Return a registered task, or the `Task` at `file.py:NAME` or `module:NAME`."""
    if name in TASKS:
        return TASKS[name]
    home, colon, attribute = name.rpartition(":")
    if not colon or not home:
        known = ", ".join(sorted(TASKS))
        raise ConfigError(f"task: unknown task '{name}'; known: {known}, or your own file.py:TASK")
    task = getattr(_import_home(home), attribute, None)
    if not isinstance(task, Task):
        raise ConfigError(f"task: {home} defines no pad_ray.tasks.Task called '{attribute}'")
    return task


def _import_home(home: str) -> ModuleType:
    try:
        if not home.endswith(".py"):
            return importlib.import_module(home)
        spec = importlib.util.spec_from_file_location(Path(home).stem, home)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module
    except Exception as error:
        # Whatever the user's own module raises is theirs to mend.
        what = str(error).splitlines()[0] if str(error) else ""
        kind = type(error).__name__
        raise ConfigError(f"task: cannot import '{home}': {kind}: {what}") from error


def load_problems(
    task: Task,
    problems: Path | None,
    *,
    count: int | None,
    split: Split = "train",
    seed: int = 0,
    size: int | None = None,
) -> tuple[list[Problem], int]:
    """Return a task's problems, and how many repeated questions were left out.

    `count` keeps the first problems of a file (None: all), or says how many to generate.
    """
    if task.generate is not None:
        if problems is not None:
            raise ConfigError(f"problems: task '{task.name}' is generated and reads no file")
        return task.generate(count or 1000, split, seed, size), 0
    if problems is None:
        raise ConfigError(f"problems: task '{task.name}' needs a file (--problems FILE.jsonl)")
    if not problems.is_file():
        raise DataError(f"{problems}: no such file")
    assert task.load is not None
    unique: dict[str, Problem] = {}
    repeated = 0
    for problem in task.load(problems):
        repeated += problem.problem_id in unique
        unique.setdefault(problem.problem_id, problem)
    if not unique:
        raise DataError(f"{problems}: holds no problems")
    return list(unique.values())[:count], repeated
