"""One sandbox for the tests that need no state of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from pad_ray.sandbox import Limits, Outcome, Sandbox

RunOne = Callable[[str], Outcome]


@pytest.fixture(scope="session")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(Limits(wall_s=2, cpu_s=1, memory_mb=128, output_kb=64)) as shared:
        yield shared


@pytest.fixture
def run_one(sandbox: Sandbox) -> Iterator[RunOne]:
    """Run one program; afterwards the sandbox must still answer a good one."""

    def run(program: str) -> Outcome:
        return sandbox.run([program])[0]

    yield run
    after = run("def solution():\n    return 6 * 7")
    assert (after.status, after.value) == ("ok", 42), after
