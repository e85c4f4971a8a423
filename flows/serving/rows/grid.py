"""The grid of one series: the step of each of its rows, and the row that is to be forecast."""

from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from pipelines.table.series import calendar_steps, step_grid

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Misplaced(ValueError):
    """A row that has no step of its own: "lies on a weekend"."""

    def __init__(self, row: int, what: str):
        """row: from 0."""
        super().__init__(what)
        self.row = row


@dataclass(frozen=True)
class Ahead:
    """The row that is to be forecast."""

    at: int
    """Its instant, in microseconds since 1970."""
    place: int
    """The number of its step."""
    rows: dict[int, int]
    """By the number of a step, the row that is there."""


@dataclass(frozen=True)
class Grid:
    """step: seconds, or a word of the calendar."""

    step: float | str

    def places(self, times: np.ndarray) -> np.ndarray:
        """The number of the step of each row. times: microseconds since 1970. Raises Misplaced."""
        found = self._places(times, times)
        if (off := found == calendar_steps.NOWHERE).any():
            row = int(off.argmax())
            since = (times[row] - times.min()) / 1e6
            told = f"is {since:g} s after the first row, but a step of the series is {self.step} s"
            raise Misplaced(row, "lies on a weekend" if isinstance(self.step, str) else told)
        order = np.argsort(found, kind="stable")
        if len(twice := np.flatnonzero(np.diff(found[order]) == 0)):
            word = f"a {self.step}" if isinstance(self.step, str) else "a step"
            raise Misplaced(int(order[twice[0] + 1]), f"lies in {word} that has a row already")
        return found

    def ahead(self, times: np.ndarray, places: np.ndarray, last: int, horizon: int) -> Ahead:
        """What comes `horizon` steps after a row: a row that is there, or one that is to come.

        last: that row. places: of all rows, as above.
        """
        at = step_grid.later(int(times[last]), horizon, self.step)
        place = int(self._places(np.array([at], np.int64), times)[0])
        rows = {step: row for row, step in enumerate(places.tolist())}
        there = rows.get(place)
        return Ahead(at if there is None else int(times[there]), place, rows)

    def _places(self, times: np.ndarray, every: np.ndarray) -> np.ndarray:
        """every: the instants of all rows of the series."""
        return step_grid.places(times, np.full(len(times), every.min()), self.step)


def microseconds(instant: str) -> int:
    """ISO text with an offset -> microseconds since 1970."""
    since = datetime.fromisoformat(instant) - EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
