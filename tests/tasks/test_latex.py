"""Answers in LaTeX: what is one by mathematics, what is not, and what no reading may cost."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pad_ray.base.errors import DataError
from pad_ray.tasks import get_task, iter_problems, latex_equal

HALF_ROOT = r"\frac{\sqrt{3}}{2}"

SAME: list[tuple[object, str]] = [
    (0.8660254037844386, HALF_ROOT),
    ("sqrt(3)/2", HALF_ROOT),
    (r"\dfrac{\sqrt3}{2}", HALF_ROOT),
    (r"$\frac{1}{2}\sqrt{3}$", HALF_ROOT),
    ("3*sqrt(5)", r"3\sqrt{5}"),
    (6.708203932499369, r"3\sqrt{5}"),
    ("2*x + 1", "1+2x"),
    ("x^2 - 2x", "x(x-2)"),
    ("2/15", r"\frac{2}{15}"),
    (3.141592653589793, r"\pi"),
    ("pi/4", r"\frac{\pi}{4}"),
    ("6 - 5*I", "6-5i"),
    ([3, 1.5707963267948966], r"\left( 3, \frac{\pi}{2} \right)"),
    ([-2, 1], r"\{-2, 1\}"),
    ([1, -2], r"\{-2, 1\}"),
    ([1, 2], "1, 2"),
    ([2, 1], "1, 2"),
    (r"[-2,7]", r"x \in [-2,7]"),
    (14, "14"),
    (14.0, r"14"),
    (0.5, r"\frac{1}{2}"),
    ("5", "x=5"),
    (r"\text{Evelyn}", "Evelyn"),
    ("Evelyn", r"\text{Evelyn}"),
    (70, r"70^\circ"),
    (1e-7, r"10^{-7}"),
    (20121, r"20{,}121"),
    (12, r"12\text{ cm}^2"),
    ("-3*I", "-3i"),
    ("6-5 i", "6 - 5i"),
    ("I**2 + 1 + I", "i"),
    ("x**2/4 + y**2 - 1", r"\frac{x^2}{4} + y^2 - 1"),
    ("log(2)", r"\ln 2"),
    ("C", r"\text{(C)}"),
    ("2xy", "2yx"),
]
OTHER: list[tuple[object, str]] = [
    (0.87, HALF_ROOT),
    ("sqrt(2)/2", HALF_ROOT),
    ("2*x", "2x + 1"),
    ([2, 1], "(1, 2)"),
    ([1, 2, 3], r"\{1, 2\}"),
    (3, r"\pi"),
    (True, r"\pi"),
    (None, r"\pi"),
    ({"x": 1}, "x=1"),
    ("", r"\pi"),
    ("east", r"\text{west}"),
    ("seat", r"\text{east}"),
    ("seat", "east"),
    ("no", "on"),
    ("blue, red", "red, blue"),
    ("6-5i", "6+5i"),
    ("B", r"\text{(C)}"),
    (12345679, "12345678"),
]


@pytest.mark.parametrize(("value", "answer"), SAME)
def test_one_answer_by_mathematics(value: object, answer: str) -> None:
    assert latex_equal(value, answer)


@pytest.mark.parametrize(("value", "answer"), OTHER)
def test_other_answers(value: object, answer: str) -> None:
    assert not latex_equal(value, answer)


@pytest.mark.parametrize(
    "value",
    [
        "123456789!!",
        "9**9**9**9",
        "__import__('os').system('id')",
        "().__class__.__base__.__subclasses__()",
        "(" * 900,
        r"\frac{" * 150,
        "factorial(10**9)",
    ],
)
def test_what_takes_too_long_or_reaches_out_is_no_answer(value: str) -> None:
    assert not latex_equal(value, HALF_ROOT)
    assert latex_equal("sqrt(3)/2", HALF_ROOT)


def problems_of(folder: Path, *rows: dict[str, object]) -> list[tuple[str, str]]:
    file = folder / "math.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = iter_problems(get_task("math"), file, count=None)
    return [(problem.question, problem.answer) for problem in found]


def test_rows_of_math_and_of_its_500(tmp_path: Path) -> None:
    worked = r"As $\boxed{1}$ is not, it is $\boxed{\frac{1}{\sqrt{2}}}$."
    assert problems_of(
        tmp_path,
        {"problem": "A?", "level": "Level 3", "type": "Algebra", "solution": worked},
        {"problem": "B?", "solution": worked, "answer": "2", "unique_id": "test/1.json"},
    ) == [("A?", r"\frac{1}{\sqrt{2}}"), ("B?", "2")]
    with pytest.raises(DataError, match=r"line 1: field 'solution' has no \\boxed answer"):
        problems_of(tmp_path, {"problem": "A?", "solution": "It is 2."})
    with pytest.raises(DataError, match="line 1: field 'answer' is missing"):
        problems_of(tmp_path, {"problem": "A?"})


def test_the_worked_examples_are_right() -> None:
    task = get_task("math")
    gold = ["7", r"3\sqrt{5}", r"\frac{2}{15}"]
    for exemplar, answer in zip(task.exemplars, gold, strict=True):
        space: dict[str, object] = {}
        exec(exemplar.program, space)
        assert task.is_right(space["solution"](), answer)  # type: ignore[operator]
        assert task.is_right(f"${answer}$", answer)
