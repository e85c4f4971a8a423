"""Numbers: the distribution of a column of numbers as a few hundred points, and how many values lie at or below each.

The count at a point is exact. Between two points it is only known to lie between their counts. So each comparison gives
a distance that the values reach for certain: rounding never raises an alarm. A column of at most POINTS different
values is kept exactly.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

POINTS = 400


@dataclass(frozen=True)
class Numbers:
    """points: [n], ascending. below: [n], the values at or below each point. exact: no value lies between points."""

    points: np.ndarray
    below: np.ndarray
    exact: bool

    @property
    def count(self) -> int:
        return int(self.below[-1]) if len(self.below) else 0

    @property
    def largest_share(self) -> float:
        """The share of the most frequent value; at least that of it."""
        return float(np.diff(self.below, prepend=0).max() / self.count) if self.count else 0.0

    @property
    def constant(self) -> bool:
        return len(self.points) == 1 and self.exact

    def at_least(self, places: np.ndarray) -> np.ndarray:
        """How many values are surely at or below each place [places]."""
        known = np.append(0, self.below)
        return np.asarray(known[np.searchsorted(self.points, places, side="right")])

    def at_most(self, places: np.ndarray) -> np.ndarray:
        """How many values may be at or below each place [places]."""
        if self.exact or not self.count:
            return self.at_least(places)
        after = np.searchsorted(self.points, places, side="right")
        on_point = (after > 0) & (self.points[np.maximum(after - 1, 0)] == places)
        next_one = np.append(self.below - 1, self.count)[after]
        return np.where(on_point | (after == 0), self.at_least(places), next_one)


def of(values: np.ndarray) -> Numbers:
    """values: [rows], none missing."""
    ordered = np.sort(np.asarray(values, np.float64))
    ends = np.flatnonzero(np.append(ordered[1:] != ordered[:-1], True)) if len(ordered) else np.empty(0, np.int64)
    exact = len(ends) <= POINTS
    if not exact:
        wanted = np.linspace(0, len(ordered) - 1, POINTS).round()
        ends = np.unique(ends[np.searchsorted(ends, wanted)])
    return Numbers(ordered[ends], ends + 1, exact)


def count(parts: Sequence[Numbers]) -> int:
    return sum(part.count for part in parts)


def distance(one: Sequence[Numbers], other: Sequence[Numbers]) -> float:
    """The Kolmogorov-Smirnov distance, from 0 to 1, that two distributions surely have. Each may be in parts, such as
    days; both have values."""
    places = np.unique(np.concatenate([part.points for part in (*one, *other)]))
    least, most = zip(_shares(one, places), _shares(other, places), strict=True)
    return max(0.0, float((least[0] - most[1]).max()), float((least[1] - most[0]).max()))


def quantiles(parts: Sequence[Numbers], shares: Sequence[float]) -> list[float]:
    """The points below which about these shares of the values lie. There are values."""
    places = np.unique(np.concatenate([part.points for part in parts]))
    known = sum(part.at_most(places) for part in parts) / count(parts)
    found = np.minimum(np.searchsorted(known, np.asarray(shares) - 1e-12), len(places) - 1)
    return [float(value) for value in places[found]]


def scaled(part: Numbers, by: float) -> Numbers:
    """The same values times a number above 0."""
    return Numbers(part.points * by, part.below, part.exact)


def _shares(parts: Sequence[Numbers], places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The share of the values at or below each place: at least, and at most."""
    least, most = (np.sum(found, axis=0) for found in zip(*(_both(part, places) for part in parts), strict=True))
    return least / count(parts), most / count(parts)


def _both(part: Numbers, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return part.at_least(places), part.at_most(places)
