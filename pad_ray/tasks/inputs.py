"""What of a task counts as an input of a stage: the text of a user's own."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path

from pad_ray.base.storage import locate
from pad_ray.flow.stages import file_fingerprint, fingerprint
from pad_ray.tasks import TASKS, Exemplar

__all__ = ["exemplar_input", "problem_input", "task_input"]


def task_input(name: str, task: str) -> dict[str, str]:
    """Return a registered task's name, or the name and the file of a user's own.

    A file that cannot be found is left to `get_task` to complain of.
    """
    home, _, attribute = task.rpartition(":")
    if task in TASKS or not home:
        return {name: task}
    file = _file_of(home)
    return {name: attribute} | ({f"{name}/file": file_fingerprint(file)} if file else {})


def _file_of(home: str) -> Path | None:
    if not home.endswith(".py"):
        try:
            spec = find_spec(home)
        except (ImportError, ValueError):
            return None
        home = (spec.origin if spec else None) or ""
    return Path(home) if Path(home).is_file() else None


def problem_input(name: str, path: Path) -> dict[str, str]:
    """Return a problem file's fingerprint; one that is not there is left to who reads it."""
    file = locate(path)
    return {name: file_fingerprint(file)} if file.is_file() else {}


def exemplar_input(exemplars: Iterable[Exemplar]) -> dict[str, str]:
    """Return the fingerprint of the worked examples that a teacher or a student is shown."""
    return {"task/exemplars": fingerprint([vars(exemplar) for exemplar in exemplars])}
