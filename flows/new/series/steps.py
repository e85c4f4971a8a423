"""Steps: how many seconds, or which step of the calendar, lie between the rows of a series. Steps may lack a row."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from pipelines.table.series import calendar_steps, step_grid

REGULAR = 0.9  # the share of rows one step after the one before from which rows are a series without a doubt,
SOMEWHAT = 0.5  # and the least, for rows with gaps: then a naive forecast has to say something too
FEWEST_ROWS = 50  # in all,
FEWEST_OF_SERIES = 8  # and of the middle one of several series
CALENDAR = ("business day", "day", "week", "month", "quarter", "year")
UNITS = ((604800, "week"), (86400, "day"), (3600, "hour"), (60, "minute"), (1, "second"))  # seconds
DAY = 86400.0


@dataclass(frozen=True)
class Steps:
    """step: seconds, or a word of the calendar. share: of the rows that follow on the one before after one step.

    times, codes, places: the microsecond of each row, its series, and the number of its step in it. gaps: steps without
    a row, between the first and the last row of their series. longest: rows that lack between two, at most in 99 of 100
    cases. widest: the last row before the longest gap and the first one after it; empty if there is none.
    """

    step: float | str
    share: float
    times: np.ndarray
    codes: np.ndarray
    places: np.ndarray
    gaps: int
    longest: int
    widest: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        if isinstance(self.step, str):
            return self.step
        length, unit = next(((length, unit) for length, unit in UNITS if self.step % length == 0), (1, "s"))
        return unit if self.step == length else f"{self.step / length:g} {unit}s"

    @property
    def one(self) -> str:
        """One step, in words."""
        return self.name if self.name[0].isdigit() else f"one {self.name}"

    @property
    def seasons(self) -> list[int]:
        """Steps of a day, a week and a year, as far as the series are three times as long."""
        words = {"month": [12], "quarter": [4], "week": [52], "day": [7, 365], "business day": [5]}
        if isinstance(self.step, str):
            lengths = [float(steps) for steps in words.get(self.step, [])]
        else:
            year = [364 * DAY] if self.step == 7 * DAY else [365 * DAY] if self.step >= DAY else []
            lengths = [seconds / self.step for seconds in (DAY, 7 * DAY, *year)]
        whole = [int(length) for length in lengths if length >= 2 and float(length).is_integer()]
        frame = pd.DataFrame({"code": self.codes, "place": self.places}).groupby("code")["place"]
        span = float((frame.max() - frame.min()).median()) + 1
        return [length for length in whole if 3 * length <= span]


def found(instants: pd.Series, codes: np.ndarray) -> Steps | None:
    """The steps on which most rows follow on each other; None if none fit. codes: the series of each row, from 0."""
    times = instants.dt.tz_localize(None).to_numpy().astype("datetime64[us]").astype(np.int64)
    if len(times) < FEWEST_ROWS or float(np.median(np.bincount(codes))) < FEWEST_OF_SERIES:
        return None
    starts = pd.Series(times).groupby(codes).transform("min").to_numpy()
    order = np.lexsort((times, codes))
    same = np.diff(codes[order]) == 0
    gaps = np.diff(times[order])[same]
    if not len(gaps) or not gaps.all():
        return None  # two rows of one series at one time
    usual = float(pd.Series(gaps).mode().iloc[0]) / 1e6
    tried = [_steps(step, times, starts, codes, order, same) for step in (usual, *CALENDAR)]
    fitting = [one for one in tried if one is not None and one.share >= SOMEWHAT]
    return max(fitting, key=lambda one: one.share, default=None)  # the first of equals: seconds


def _steps(
    step: float | str, times: np.ndarray, starts: np.ndarray, codes: np.ndarray, order: np.ndarray, same: np.ndarray
) -> Steps | None:
    places = step_grid.places(times, starts, step)
    after = np.diff(places[order])[same]
    if (places == calendar_steps.NOWHERE).any() or not after.all():
        return None
    plain = int(step) if isinstance(step, float) and step.is_integer() else step
    gaps = after[after > 1] - 1
    longest = int(np.quantile(after, 0.99)) - 1
    first = int(np.flatnonzero(same)[after.argmax()])
    sides = [np.datetime64(int(times[order[row]]), "us").astype("datetime64[m]") for row in (first, first + 1)]
    widest = tuple(str(side).replace("T", " ") for side in sides) if len(gaps) else ()
    return Steps(plain, float((after == 1).mean()), times, codes, places, int(gaps.sum()), longest, widest)
