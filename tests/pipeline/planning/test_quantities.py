"""Lines through measurements, and the shares of problems: what must hold for any numbers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pad_ray.pipeline.planning.jobs import share_out
from pad_ray.pipeline.planning.quantities import Line, Range, fit_line, total

costs = st.floats(0, 1e6)
sizes = st.floats(1, 1e6)
points = st.lists(st.tuples(sizes, costs), min_size=1, max_size=6)


@given(fixed=costs, each=st.floats(0, 1e3), at=st.lists(sizes, min_size=2, max_size=6))
def test_a_line_is_found_again(fixed: float, each: float, at: list[float]) -> None:
    line = Line(fixed, each)
    found = fit_line([(size, line.at(size)) for size in at])
    if max(at) - min(at) > 1:
        for size in at:
            assert found.at(size) == pytest.approx(line.at(size), rel=1e-4, abs=1e-3)


@given(points=points, further=sizes)
def test_no_fit_costs_less_than_nothing_or_falls(
    points: list[tuple[float, float]], further: float
) -> None:
    line = fit_line(points)
    assert line.fixed >= 0 and line.each >= 0
    assert line.at(further * 10) >= line.at(further) >= 0


@given(points=points)
def test_a_fit_is_within_what_was_measured_at_its_middle(
    points: list[tuple[float, float]],
) -> None:
    line = fit_line(points)
    middle = sum(size for size, _ in points) / len(points)
    assert line.at(middle) <= 2 * max(cost for _, cost in points) * len(points) + 1e-6


@given(likely=st.floats(0, 1e9), share=st.floats(0, 5))
def test_a_range_holds_its_middle(likely: float, share: float) -> None:
    around = Range.around(likely, share)
    assert 0 <= around.low <= around.likely <= around.high
    assert around.likely == likely


@given(parts=st.lists(st.floats(0, 1e6).map(lambda x: Range.around(x, 0.5)), max_size=5))
def test_a_sum_is_as_wide_as_its_parts(parts: list[Range]) -> None:
    whole = total(parts)
    assert whole.high == pytest.approx(sum(part.high for part in parts))
    assert whole.low == pytest.approx(sum(part.low for part in parts))


@given(wanted=st.integers(1, 10**7), counts=st.lists(st.integers(1, 10**5), min_size=1, max_size=6))
def test_problems_are_shared_out_without_loss(wanted: int, counts: list[int]) -> None:
    shares = share_out(wanted, counts)
    assert sum(shares) == wanted
    for share, count in zip(shares, counts, strict=True):
        assert abs(share - wanted * count / sum(counts)) <= 1


def test_without_a_wish_the_job_keeps_its_problems() -> None:
    assert share_out(None, [4, 7]) == [4, 7]
