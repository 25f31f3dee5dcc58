"""The pages' own tasks, as they stand there: short files, from problems to a trained student."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
import ray
from pages import ROOT, fences_of

from pad_ray.evaluation.run import evaluate_student
from pad_ray.evaluation.settings import EvaluationSettings
from pad_ray.synthesis.run import synthesize
from pad_ray.synthesis.settings import SynthesisSettings
from pad_ray.tasks import get_task, iter_problems
from pad_ray.training.settings import TrainingSettings
from pad_ray.training.student import train


def shown(page: str, name: str) -> str:
    """Return the file of this name that a page shows."""
    (code,) = (
        block
        for before, language, block in fences_of(ROOT / page)
        if language == "python" and re.search(rf"`{name}`.*:$", before)
    )
    return code


def own_task(folder: Path) -> str:
    code = shown("docs/tasks.md", "shop.py")
    assert len(code.splitlines()) <= 60
    (folder / "shop.py").write_text(code)
    return f"{folder / 'shop.py'}:TASK"


def test_the_readmes_task_of_a_file_is_ten_lines(tmp_path: Path) -> None:
    code = shown("README.md", "receipts.py")
    assert len(code.splitlines()) <= 10
    (tmp_path / "receipts.py").write_text(code)
    (row,) = re.findall(r"For rows such as `(\{.*\})`,", (ROOT / "README.md").read_text())
    (tmp_path / "receipts.jsonl").write_text(row)
    task = get_task(f"{tmp_path / 'receipts.py'}:TASK")
    (problem,) = iter_problems(task, tmp_path / "receipts.jsonl", count=None)
    assert problem.question == "What do these cost in all: 3 pens at $1.20 each?"
    assert problem.answer == "$3.60"
    assert task.answers_equal(3.6, problem.answer)
    assert not task.answers_equal(3.5, problem.answer)


@pytest.mark.slow
def test_a_task_in_one_file_goes_all_the_way(local_ray: None, tmp_path: Path) -> None:
    task = own_task(tmp_path)
    data, student, evaluation = (tmp_path / name for name in ("data", "student", "evaluation"))
    run = {"task": task, "count": 60, "teacher": "scripted", "faults": {}, "vary": 0.0}
    counts = synthesize(SynthesisSettings(**run, out=data))["counts"]
    assert counts["verified"] == counts["problems"] == 60
    train(
        TrainingSettings(
            data=data, out=student, student="scratch:tiny", max_steps=4, evaluate_every=4
        )
    )
    settings = EvaluationSettings(
        task=task, count=10, student=str(student), max_new_tokens=30, out=evaluation
    )
    metrics = evaluate_student(str(student), settings, evaluation)["metrics"]
    assert metrics["problems"] == 10


@pytest.mark.parametrize("name", ["rows", "random", "json"])
def test_a_task_file_may_define_dataclasses_and_have_any_name(tmp_path: Path, name: str) -> None:
    (tmp_path / f"{name}.py").write_text(
        "from __future__ import annotations\n"
        "import json, random\n"
        "from dataclasses import dataclass\n"
        "from typing import ClassVar\n"
        "from pad_ray.tasks import Problem, Task, equal\n"
        "@dataclass(frozen=True)\n"
        "class Sum:\n"
        "    sign: ClassVar[str] = '+'\n"
        "    one: int\n"
        "    other: int = random.Random(json.loads('1')).randint(2, 2)\n"
        "def generate(count, split, seed, size):\n"
        "    for one in range(count):\n"
        "        sum = Sum(one)\n"
        "        text = f'{sum.one} {sum.sign} {sum.other}'\n"
        "        yield Problem.make('sums', text, str(sum.one + sum.other))\n"
        "TASK = Task('sums', equal, generate=generate)\n"
    )
    before = dict(sys.modules)
    task = get_task(f"{tmp_path / name}.py:TASK")
    assert dict(sys.modules) == before
    # A worker has no such file: what the task needs goes there with it.
    sent = ray.cloudpickle.loads(ray.cloudpickle.dumps(task))
    assert sent.generate is not task.generate
    assert [p.question for p in iter_problems(sent, None, count=2)] == ["0 + 2", "1 + 2"]
