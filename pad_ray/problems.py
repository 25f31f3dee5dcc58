"""Which problems a job works on, and the request rows made of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
from pydantic import Field

from pad_ray.config import Settings, resolve
from pad_ray.records import PROBLEM_SCHEMA, Problem, row_id
from pad_ray.stages import file_fingerprint
from pad_ray.tasks import Split, Task, get_task, load_problems

REQUEST_SCHEMA = pa.schema([("row_id", pa.string()), *PROBLEM_SCHEMA, ("sample_index", pa.int32())])

# A request row with what a teacher or student wrote for it.
COMPLETED_SCHEMA = pa.schema(
    [
        *REQUEST_SCHEMA.remove(REQUEST_SCHEMA.get_field_index("program")),
        ("teacher", pa.string()),
        ("completion", pa.string()),
        ("chain_of_thought", pa.string()),
        ("prompt_tokens", pa.int32()),
        ("completion_tokens", pa.int32()),
        ("solve_s", pa.float64()),
        ("teacher_notes", pa.string()),
        ("error", pa.string()),
    ]
)


class ProblemSettings(Settings):
    """Which problems of a task."""

    task: str
    """Task name, or your own file.py:TASK."""
    problems: Path | None = None
    """Problem file of a file-based task."""
    count: int | None = Field(None, ge=1)
    """First problems of the file (default all), or how many to generate (default 1000)."""
    split: Split = "train"
    """Part of a generated task: train, test, or held_out (arithmetic's unseen templates)."""
    size: int | None = Field(None, ge=1)
    """Names (symbolic tasks) or steps (arithmetic) a generated problem; the task's default."""
    seed: int = 0
    """Run seed: of generated problems and of every sample."""

    def load(self) -> tuple[Task, list[Problem], int]:
        """Return the task, its problems, and how many repeated questions were left out."""
        task = get_task(self.task)
        path = None if self.problems is None else resolve(self.problems)
        problems, repeated = load_problems(
            task, path, count=self.count, split=self.split, seed=self.seed, size=self.size
        )
        return task, problems, repeated

    def inputs(self) -> dict[str, str]:
        """Return the fingerprint of the problem file, if there is one."""
        path = self.problems
        return {} if path is None or not path.is_file() else {"problems": file_fingerprint(path)}


def request_tables(
    problems: Sequence[Problem], samples: int, rows_per_block: int
) -> Iterator[pa.Table]:
    """Yield blocks of request rows (`REQUEST_SCHEMA`), one row a problem and sample index.

    A problem's samples stay in one block, so that one request can ask for all of them.
    """
    per_block = max(1, rows_per_block // samples)
    for start in range(0, len(problems), per_block):
        rows = [
            {**vars(problem), "row_id": row_id(problem.problem_id, i), "sample_index": i}
            for problem in problems[start : start + per_block]
            for i in range(samples)
        ]
        yield pa.Table.from_pylist(rows, schema=REQUEST_SCHEMA)
