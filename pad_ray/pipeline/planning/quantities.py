"""Ranges, and the straight lines that measurements at two sizes give."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

__all__ = ["NOTHING", "Line", "Range", "fit_line", "total"]


@dataclass(frozen=True)
class Range:
    """A quantity with the least and the most that is to be expected; none is negative."""

    low: float
    likely: float
    high: float

    def __add__(self, other: Range) -> Range:
        return Range(self.low + other.low, self.likely + other.likely, self.high + other.high)

    def times(self, factor: float) -> Range:
        """Return so many times the quantity."""
        return Range(self.low * factor, self.likely * factor, self.high * factor)

    @classmethod
    def around(cls, likely: float, share: float) -> Range:
        """Return a quantity that may be `1 + share` times as much, or as little."""
        return cls(likely / (1 + share), likely, likely * (1 + share))


NOTHING = Range(0.0, 0.0, 0.0)


def total(ranges: Iterable[Range]) -> Range:
    """Return the sum of ranges, as wide as if all went wrong together."""
    return sum(ranges, NOTHING)


@dataclass(frozen=True)
class Line:
    """What a size costs: `fixed`, and `each` for every unit; neither is negative."""

    fixed: float
    each: float

    def at(self, size: float) -> float:
        """Return the cost of a size."""
        return self.fixed + self.each * size

    def steeper(self, factor: float) -> Line:
        """Return the line with so many times the cost of a unit."""
        return Line(self.fixed, self.each * factor)


def fit_line(points: Sequence[tuple[float, float]]) -> Line:
    """Fit (size, cost) points by least squares among lines that never cost less than nothing.

    A cost that falls with the size is noise: it is then taken as fixed. Where the fit would start
    below nothing, all cost is that of the units.
    """
    mean_size = sum(size for size, _ in points) / len(points)
    mean_cost = sum(cost for _, cost in points) / len(points)
    spread = sum((size - mean_size) ** 2 for size, _ in points)
    if spread == 0:
        return Line(0.0, mean_cost / mean_size) if mean_size else Line(mean_cost, 0.0)
    each = sum((size - mean_size) * (cost - mean_cost) for size, cost in points) / spread
    if each <= 0:
        return Line(mean_cost, 0.0)
    fixed = mean_cost - each * mean_size
    if fixed < 0:
        squares = sum(size * size for size, _ in points)
        return Line(0.0, sum(size * cost for size, cost in points) / squares)
    return Line(fixed, each)
