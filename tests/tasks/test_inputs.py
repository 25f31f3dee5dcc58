"""A task as an input: a user's own counts by the text of its file."""

from __future__ import annotations

from pathlib import Path

import pytest

from pad_ray.tasks import get_task
from pad_ray.tasks.inputs import exemplar_input, task_input

SHOP = """
from pad_ray.tasks import Task
TASK = Task('shop', lambda value, answer: {rule}, generate=lambda *_: [])
"""


def write_shop(folder: Path, rule: str) -> str:
    (folder / "shop.py").write_text(SHOP.format(rule=rule))
    return f"{folder / 'shop.py'}:TASK"


def test_a_registered_task_is_its_name() -> None:
    assert task_input("task", "gsm8k") == {"task": "gsm8k"}


def test_an_own_task_is_its_text_wherever_it_is(tmp_path: Path) -> None:
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
    one = task_input("task", write_shop(tmp_path / "one", "True"))
    assert one == task_input("task", write_shop(tmp_path / "other", "True"))
    edited = task_input("task", write_shop(tmp_path / "one", "False"))
    assert edited["task"] == one["task"] == "TASK"
    assert edited["task/file"] != one["task/file"]


def test_an_own_task_in_a_module_counts_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own_shop.py").write_text(SHOP.format(rule="True"))
    monkeypatch.syspath_prepend(str(tmp_path))
    first = task_input("task", "own_shop:TASK")
    (tmp_path / "own_shop.py").write_text(SHOP.format(rule="False") + "# longer\n")
    assert task_input("task", "own_shop:TASK")["task/file"] != first["task/file"]


@pytest.mark.parametrize("task", ["nowhere.py:TASK", "no.such.module:TASK", "gibberish"])
def test_a_task_that_is_not_there_is_left_to_who_loads_it(task: str) -> None:
    assert list(task_input("task", task)) == ["task"]


def test_exemplars_count_by_what_they_say() -> None:
    shown = get_task("gsm8k").exemplars
    assert exemplar_input(shown) == exemplar_input(list(shown)) != exemplar_input(shown[1:])
