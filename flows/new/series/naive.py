"""Naive: how far forecasts without a model are off, on the last rows of the series and on those before them.

They are those of `data: baseline:`. Where one is not known, the last known value stands for it, as in the model.
"""

from dataclasses import dataclass

import numpy as np

from flows.new import recipe
from flows.new.series.steps import Steps

FAR = 1_000_000  # steps between two series: more than any forecast looks back beyond their length
CHOSEN_FROM = 0.4  # of the time: the rows from there until the test say which forecast is the best


@dataclass(frozen=True)
class Naive:
    """A forecast, and its mean absolute error: `before` and on the test rows. season: its steps, 0 for none; unit: the
    name of one."""

    baseline: str
    season: int
    unit: str
    before: float
    error: float

    @property
    def told(self) -> str:
        words = {"last": "the last known value", "mean": "the mean of the window"}
        season = f"the value {self.season} {self.unit}s before"
        words |= {"season": season, "season_and_change": f"{season}, moved by the change since then,"}
        return f"{words[self.baseline]} errs by {self.error:.4g}"


def forecasts(values: np.ndarray, steps: Steps, horizon: int, window: int) -> list[Naive]:
    """The best one first, by the rows before the test. values: the target of each row, NaN where there is none."""
    series = _Series(values, steps)
    made = {("last", 0): series.last(horizon), ("mean", 0): series.mean(horizon, window)}
    for season in steps.seasons:
        before = season * -(-horizon // season)
        known, then = series.at(before), series.last(before + horizon)
        made["season", season] = known
        made["season_and_change", season] = known + (made["last", 0] - then)
    times = _share_of_time(steps)
    test, earlier = times >= 1 - recipe.TEST, (times >= CHOSEN_FROM) & (times < 1 - recipe.TEST)
    found, unit = [], "step" if steps.name[0].isdigit() else steps.name
    for (name, season), guess in made.items():
        off = np.abs(values - np.where(np.isnan(guess), made["last", 0], guess))
        found.append(Naive(name, season, unit, _mean(off[earlier]), _mean(off[test])))
    return sorted(found, key=lambda one: one.before)


def constant(values: np.ndarray, steps: Steps) -> float:
    """How far the median of the rows before the test is off on the test rows."""
    test = _share_of_time(steps) >= 1 - recipe.TEST
    return _mean(np.abs(values[test] - np.nanmedian(values[~test])))


def _share_of_time(steps: Steps) -> np.ndarray:
    """The share of the rows that come before each row by time [rows]."""
    ranks = np.searchsorted(np.sort(steps.times), steps.times)
    return np.asarray(ranks / len(ranks))


def _mean(off: np.ndarray) -> float:
    return float(np.nanmean(off)) if np.isfinite(off).any() else np.inf


class _Series:
    """The known values in order, each at its place; every series far away from the next one."""

    def __init__(self, values: np.ndarray, steps: Steps):
        places = steps.places - steps.places.min()
        self.length = 2 * int(places.max()) + FAR
        self.key = (steps.codes.astype(np.int64) * 2 + 1) * self.length + places
        known = np.flatnonzero(~np.isnan(values))
        order = known[np.argsort(self.key[known], kind="stable")]
        self.keys, self.values = self.key[order], values[order]
        self.sums = np.concatenate([[0.0], np.cumsum(self.values)])

    def at(self, back: int) -> np.ndarray:
        """The value so many steps before each row [rows]; NaN where there is none."""
        wanted = self.key - back
        place = np.minimum(np.searchsorted(self.keys, wanted), len(self.keys) - 1)
        return np.where(self.keys[place] == wanted, self.values[place], np.nan)

    def last(self, back: int) -> np.ndarray:
        """The last value known at that time [rows]."""
        place = np.searchsorted(self.keys, self.key - back, side="right") - 1
        inside = (place >= 0) & (self.keys[place] // (2 * self.length) == self.key // (2 * self.length))
        return np.where(inside, self.values[place], np.nan)

    def mean(self, back: int, window: int) -> np.ndarray:
        """The mean of the window that ends at that time [rows]."""
        first = np.searchsorted(self.keys, self.key - back - window, side="right")
        end = np.searchsorted(self.keys, self.key - back, side="right")
        count = end - first
        return np.where(count > 0, (self.sums[end] - self.sums[first]) / np.maximum(count, 1), np.nan)
