"""What worked examples in words say is what their programs compute."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pad_ray.sandbox import Sandbox
from pad_ray.synthesis.calculations import count_steps
from pad_ray.tasks import TASKS, Exemplar, Task
from pad_ray.tasks.answers import judged_answer

EXEMPLARS = [
    pytest.param(task, exemplar, id=f"{name}-{number}")
    for name, task in TASKS.items()
    for number, exemplar in enumerate(task.exemplars)
    if exemplar.chain_of_thought
]


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as running:
        yield running


@pytest.mark.parametrize(("task", "exemplar"), EXEMPLARS)
def test_chains_of_thought_end_in_the_programs_value(
    sandbox: Sandbox, task: Task, exemplar: Exemplar
) -> None:
    (outcome,) = sandbox.run([exemplar.program])
    value = outcome.value
    answer = f"{value:g}" if isinstance(value, float) else str(value)
    assert judged_answer(exemplar.chain_of_thought, answer, task.answers_equal)[1]
    last = exemplar.chain_of_thought.splitlines()[-1]
    assert last.startswith("The answer is ") and last.endswith(".")
    assert count_steps(exemplar.chain_of_thought).wrong == 0


def test_every_task_of_numbers_and_words_has_some() -> None:
    without = {
        name for name, task in TASKS.items() if not any(e.chain_of_thought for e in task.exemplars)
    }
    assert without == {"extraction"}
