"""What a comparison of strategies says of its problems."""

from __future__ import annotations

import random

from pad_ray.base.intervals import share_interval
from pad_ray.evaluation.comparison import _accuracy


def test_asking_a_problem_again_makes_no_figure_surer() -> None:
    rng = random.Random(0)
    rows = [{"problem_id": f"p{n}"} for n in range(200)]
    right = [rng.random() < 0.45 for _ in rows]
    once, thrice = _accuracy(rows, right), _accuracy(rows * 3, right * 3)
    assert once == thrice
    assert once["problems"] == 200
    assert once["accuracy_95"] == share_interval(right)
    low, high = share_interval(right * 3)
    assert high - low < 0.7 * (once["accuracy_95"][1] - once["accuracy_95"][0])


def test_a_problem_that_more_seeds_asked_counts_as_much_as_the_others() -> None:
    rows = [{"problem_id": name} for name in ("a", "a", "a", "b")]
    assert _accuracy(rows, [True, True, True, False])["accuracy"] == 0.5
