"""Of every setting of every job, whether it decides which rows a stage makes.

A new setting is decided on here: `value` where it does, `input` where what it names does, `runtime`
where it may differ from one attempt to the next. To be seen in the diff of row_settings.txt:

python tests/jobs/test_row_settings.py > tests/jobs/row_settings.txt
"""

from __future__ import annotations

import runpy
from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel

from pad_ray.base.fields import Input, mark_of, model_in

HERE = Path(__file__).parent
JOBS = HERE.parents[1] / "jobs"


def models() -> set[type[BaseModel]]:
    """Return every settings model of every job, those in fields and those inherited from too."""
    found: set[type[BaseModel]] = set()

    def add(model: type[BaseModel]) -> None:
        for kind in model.__mro__:
            if issubclass(kind, BaseModel) and kind not in found:
                found.add(kind)
                for field in kind.model_fields.values():
                    if inner := model_in(field.annotation):
                        add(inner)

    for path in JOBS.glob("*.py"):
        add(runpy.run_path(str(path))["JOB"].model)
    return found


def decisions() -> Iterator[str]:
    """Yield a line for each field that a model declares: its name, and how it counts."""
    for model in sorted(models(), key=lambda model: model.__name__):
        for name in model.__annotations__:
            if (field := model.model_fields.get(name)) is not None:
                mark = mark_of(field)
                how = "value" if mark is None else "input" if isinstance(mark, Input) else "runtime"
                yield f"{model.__name__}.{name} {how}"


def test_what_decides_rows_is_what_was_decided() -> None:
    assert list(decisions()) == (HERE / "row_settings.txt").read_text().splitlines()


if __name__ == "__main__":
    print("\n".join(decisions()))
