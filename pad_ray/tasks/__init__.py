"""Task families and their registry.

A user's own task is one small file that defines a `Task`; name it `path/to/file.py:TASK` or
`module:TASK` wherever a job asks for a task.
"""

from __future__ import annotations

import importlib
import importlib.util
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from types import ModuleType

from pad_ray.base.errors import ConfigError, DataError
from pad_ray.base.records import Problem
from pad_ray.base.storage import is_remote
from pad_ray.tasks.answers import answer_key, equal, numbers_equal
from pad_ray.tasks.arithmetic import ARITHMETIC
from pad_ray.tasks.base import (
    Exemplar,
    RowLoader,
    Size,
    Split,
    Task,
    answers_equal_rounded,
    texts_equal,
)
from pad_ray.tasks.bigbench import BIGBENCH_TASKS
from pad_ray.tasks.dates import DATES
from pad_ray.tasks.deduction import DEDUCTION
from pad_ray.tasks.extraction import EXTRACTION
from pad_ray.tasks.files import FILE_TASKS
from pad_ray.tasks.latex import MATH, latex_equal
from pad_ray.tasks.rows import Row, read_rows
from pad_ray.tasks.symbolic import SYMBOLIC_TASKS
from pad_ray.tasks.tables import TABLES

__all__ = [
    "GENERATED_TASKS",
    "TASKS",
    "Exemplar",
    "Problem",
    "ProblemCounts",
    "Row",
    "RowLoader",
    "Size",
    "Split",
    "Task",
    "answers_equal_rounded",
    "equal",
    "get_task",
    "iter_problems",
    "latex_equal",
    "load_problems",
    "numbers_equal",
    "read_rows",
    "texts_equal",
]

_ROW_FILES = {".bz2", ".gz", ".json", ".jsonl", ".parquet", ".xz", ".zst"}
_DATA_SET = re.compile(
    r"(?P<name>\w[\w.-]*/\w[\w.-]*)"
    r"|(?:https?:/+(?:www\.)?huggingface\.co/)?datasets/(?P<told>\w[\w.-]*/\w[\w.-]*)(?:/.*)?"
)
_MOST_LOOKED_AT = 100
_MOST_SHOWN = 10

GENERATED_TASKS = (*SYMBOLIC_TASKS, ARITHMETIC, DATES, TABLES, DEDUCTION, EXTRACTION)
TASKS: dict[str, Task] = {
    task.name: task for task in (*FILE_TASKS, MATH, *BIGBENCH_TASKS, *GENERATED_TASKS)
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


def short_name(name: str) -> str:
    """Return what a task is called among others: `shop` for `path/to/shop.py:TASK`."""
    home, colon, attribute = name.rpartition(":")
    if not colon:
        return name
    stem = Path(home).stem if home.endswith(".py") else home.rpartition(".")[2]
    return stem if attribute == "TASK" else f"{stem}:{attribute}"


def _import_home(home: str) -> ModuleType:
    try:
        if not home.endswith(".py"):
            return importlib.import_module(home)
        return _executed(Path(home))
    except Exception as error:
        # Whatever the user's own module raises is theirs to mend.
        what = str(error).splitlines()[0] if str(error) else ""
        kind = type(error).__name__
        raise ConfigError(f"task: cannot import '{home}': {kind}: {what}") from error


def _executed(file: Path) -> ModuleType:
    # No module of another's may be called so.
    spec = importlib.util.spec_from_file_location(f"pad_ray_own_task_{file.stem}", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Dataclasses look for their module there; without one there workers are sent what it defines.
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
    finally:
        del sys.modules[spec.name]
    return module


@dataclass
class ProblemCounts:
    """How many problems have been read so far, and how many questions were left out as repeated.

    Of those, `contradicted` had another answer than the first.
    """

    problems: int = 0
    repeated: int = 0
    contradicted: int = 0


def iter_problems(
    task: Task,
    problems: Path | None,
    *,
    count: int | None,
    split: Split = "train",
    seed: int = 0,
    size: Size = None,
    counts: ProblemCounts | None = None,
    fields: Mapping[str, str] | None = None,
) -> Iterator[Problem]:
    """Yield a task's problems, each question once, holding no more of them than two keys.

    `count` keeps the first problems of a file (None: all), or says how many to generate. `fields`
    names the file's columns that stand for the task's fields.
    """
    counts = ProblemCounts() if counts is None else counts
    seen: dict[int, int] = {}
    for problem in _all_problems(task, problems, count, split, seed, size, fields or {}):
        key = int(problem.problem_id, 16)
        answer = hash(answer_key(problem.answer))
        if key in seen:
            counts.repeated += 1
            counts.contradicted += seen[key] != answer
            continue
        seen[key] = answer
        counts.problems += 1
        yield problem
        if counts.problems == count:
            break
    if not seen:
        raise DataError(f"{problems}: holds no problems")
    if counts.contradicted:
        which = "question has" if counts.contradicted == 1 else "questions have"
        print(
            f"{problems or task.name}: {counts.contradicted} repeated {which} another answer than "
            "the first, which counts"
        )


def _all_problems(
    task: Task,
    path: Path | None,
    count: int | None,
    split: Split,
    seed: int,
    size: Size,
    fields: Mapping[str, str],
) -> Iterable[Problem]:
    if fields and not isinstance(task.load, RowLoader):
        raise ConfigError(f"fields: task '{task.name}' has no columns that could be named")
    if task.generate is not None:
        if path is not None:
            raise ConfigError(f"problems: task '{task.name}' is generated and reads no file")
        return task.generate(count or 1000, split, seed, size)
    if path is None:
        raise ConfigError(f"problems: task '{task.name}' needs a file (--problems FILE.jsonl)")
    if not path.is_file():
        raise DataError(_no_file(path))
    assert task.load is not None
    return task.load(path, fields) if isinstance(task.load, RowLoader) else task.load(path)


def _no_file(path: Path) -> str:
    if not path.is_dir():
        name = _data_set_of(path)
        hub = f"; of a data set on the Hub give hf://datasets/{name}/FILE" if name else ""
        return f"{path}: no such file{hub}"
    files = (file for file in path.rglob("*") if file.suffix in _ROW_FILES)
    found = sorted(str(file).removeprefix(f"{path}/") for file in islice(files, _MOST_LOOKED_AT))
    several = ", ".join(found[:_MOST_SHOWN])
    return f"{path}: is a folder; name one of its files" + (f": {several}" if found else "")


def _data_set_of(path: Path) -> str | None:
    """Return the name of the data set on the Hub that a file which is not there may stand for."""
    if is_remote(path) or not path.absolute().is_relative_to(Path.cwd()):
        return None
    given = path.absolute().relative_to(Path.cwd())
    found = _DATA_SET.fullmatch(given.as_posix())
    # A name in a folder that is there, or one that ends as files do, was meant for a file.
    if found is None or (found["name"] and (given.parent.is_dir() or given.suffix in _ROW_FILES)):
        return None
    return found["name"] or found["told"]


def load_problems(
    task: Task, problems: Path | None, *, count: int | None
) -> tuple[list[Problem], int]:
    """Return a task's problems as a list, and how many repeated questions were left out."""
    counts = ProblemCounts()
    return list(iter_problems(task, problems, count=count, counts=counts)), counts.repeated
