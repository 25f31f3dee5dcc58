"""A small student that has learned one kind of question, well but not perfectly."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from small_students import Example, example, misreading

from pad_ray.decoding.solver import Solver
from pad_ray.students.models import Student, load_student


@pytest.fixture(scope="session")
def student(taught_folder: Path) -> Student:
    return load_student(str(taught_folder))


@pytest.fixture(scope="session")
def weak() -> Student:
    """A student that knows the form and often copies a number wrongly."""
    return misreading()


@pytest.fixture(scope="session")
def examples() -> list[Example]:
    rng = random.Random(99)
    return [example(rng) for _ in range(60)]


@pytest.fixture(scope="session")
def solver(student: Student) -> Iterator[Solver]:
    with Solver(student) as solver:
        yield solver
