"""Which problems a job works on, and the request rows made of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, TypeAlias

from pydantic import Field

from pad_ray.base.config import Settings
from pad_ray.base.fields import Input
from pad_ray.base.records import Problem
from pad_ray.base.storage import locate
from pad_ray.tasks import ProblemCounts, Size, Split, Task, get_task, iter_problems
from pad_ray.tasks.inputs import problem_input, task_input

ProblemSize: TypeAlias = (
    Annotated[int, Field(ge=1)] | Annotated[str, Field(pattern=r"^[1-9][0-9]*-[1-9][0-9]*$")]
)


def _sizes(size: int | str | None) -> Size:
    if not isinstance(size, str):
        return size
    low, _, high = size.partition("-")
    return range(int(low), int(high) + 1)


class ProblemSettings(Settings):
    """Which problems of a task."""

    task: Annotated[str, Input(task_input, is_saved=True)]
    """Task name, or your own file.py:TASK."""
    problems: Annotated[Path | None, Input(problem_input)] = None
    """Problem file of a file-based task."""
    fields: dict[str, str] = Field(default_factory=dict)
    """Columns of the problem file that stand for the task's fields: '{question: prompt}'."""
    count: int | None = Field(None, ge=1)
    """First problems of the file (default all), or how many to generate (default 1000)."""
    split: Split = "train"
    """Part of a generated task: train, test, held_out (templates never trained on); arithmetic has
    longer (more steps) and distracted (irrelevant facts) too."""
    size: ProblemSize | None = None
    """Names (symbolic tasks), steps (arithmetic), rows (tables), objects (deduction) or records
    (extraction) of a generated problem, one number or a mixture of '1-3'; the task's default."""
    seed: int = 0
    """Run seed: of generated problems and of every sample."""

    def load(self) -> tuple[Task, list[Problem], int]:
        """Return the task, its problems, and how many repeated questions were left out."""
        counts = ProblemCounts()
        task = get_task(self.task)
        return task, list(self.stream(task, counts)), counts.repeated

    def stream(self, task: Task, counts: ProblemCounts) -> Iterator[Problem]:
        """Yield the problems one by one; `counts` is filled on the way."""
        path = None if self.problems is None else locate(self.problems)
        return iter_problems(
            task,
            path,
            count=self.count,
            split=self.split,
            seed=self.seed,
            size=_sizes(self.size),
            counts=counts,
            fields=self.fields,
        )
