"""Programs and problems that the tests of augmentation share."""

from __future__ import annotations

from pad_ray.tasks import get_task


def program(*lines: str) -> str:
    return "\n".join(["def solution():", *(f"    {line}" for line in lines)])


def problems(name: str, count: int) -> list[tuple[str, str]]:
    """Return questions of a generated task, each with its gold program."""
    make = get_task(name).generate
    assert make is not None
    return [(p.question, p.program or "") for p in make(count, "train", 5, None)]
