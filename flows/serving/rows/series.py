"""Series: {"rows": [...]}, the last rows of one series -> the window that the next forecast looks at.

What is forecast is the row that comes `horizon` steps after the last one whose target is known. The window, the lags
and the instant are those that `ratchet predict` finds for the same rows (flows/predict/forecast_rows.py); a test holds
the two equal.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import numpy as np

from flows.serving.problem import Problem
from flows.serving.rows import cells, declared
from flows.serving.rows.batch import Arrays, Batch
from flows.serving.rows.declared import Declared
from flows.serving.rows.grid import EPOCH, Ahead, Grid, Misplaced, microseconds
from flows.serving.rows.meaning import Meaning

ROWS = "rows"
REPAIR = 'Send {"rows": [...]}: the last rows of one series, oldest first, with the target where it is known.'


@dataclass(frozen=True)
class Forecast:
    """What one forecast looks at."""

    numbers: list[list[float]]
    """Of each step of the window, the numbers; the target's past values last."""
    words: list[list[str]]
    fixed: list[str]
    lags: list[float]
    at: int
    """The instant that is forecast, in microseconds since 1970."""
    unknown: tuple[str, ...]
    raw: dict[str, Any]


class SeriesRows:
    """Forecasts of one model -> arrays."""

    def __init__(
        self,
        about: Mapping[str, Any],
        meaning: Meaning,
        known: Mapping[str, frozenset[str]],
        columns: Declared,
    ):
        """about: model.json. known: the words that the model has seen, by column."""
        past, self._columns, self._meaning = about["past"], columns, meaning
        found = columns.about
        self._time, self._target, self._series = found["time"], found["target"], found["series"]
        self._window, self._horizon = past["window"], found["horizon"]
        self._grid = Grid(found["step"])
        self._lags = [found["lags"][name] for name in about["numbers"]]
        self._numbers = [(name, cells.number(name, meaning)) for name in past["numbers"][:-1]]
        self._words = [(name, cells.word(name, meaning, known[name])) for name in past["categories"]]
        self._fixed = [(name, cells.word(name, meaning, known[name])) for name in about["categories"]]
        self._sold = cells.number(self._target, meaning)

    def read(self, rows: Sequence[Any], before: int = 0) -> Batch:
        """rows: {"rows": [...]}, one for each forecast. before: how many of the request come before these. Raises
        Problem."""
        found = []
        for place, row in enumerate(rows, before):
            try:
                found.append(self._forecast(row))
            except Problem as problem:
                alone = len(rows) == 1 and not before
                raise problem if alone else problem.saying("", f"Forecast {place + 1}:") from problem
        return Batch(
            self._arrays(found),
            len(found),
            [one.unknown for one in found],
            [one.raw for one in found],
            [_iso(one.at) for one in found],
        )

    def _forecast(self, row: Any) -> Forecast:
        rows = _rows(row)
        times = np.array([self._instant(place, one) for place, one in enumerate(rows)], np.int64)
        targets = [self._number(place, self._target, one, self._sold) for place, one in enumerate(rows)]
        self._check_one_series(rows)
        try:
            places = self._grid.places(times)
        except Misplaced as error:
            raise self._misplaced(error, rows) from error
        known = [place for place, value in enumerate(targets) if value == value]
        if not known:
            raise Problem(400, "value", "No target is known", f"No row has a known {self._target!r}.", REPAIR)
        last = max(known, key=lambda place: int(times[place]))
        return self._looked_at(rows, targets, self._grid.ahead(times, places, last, self._horizon), last)

    def _looked_at(self, rows: list[dict[str, Any]], targets: list[float], ahead: Ahead, last: int) -> Forecast:
        """The window that ends `horizon` steps before the forecast."""
        end = ahead.place - self._horizon
        window = [ahead.rows.get(place) for place in range(end - self._window + 1, end + 1)]
        strange: dict[str, None] = {}
        numbers, words = [], []
        for place in window:
            if place is None:
                numbers.append([cells.MISSING] * (len(self._numbers) + 1))
                words.append([""] * len(self._words))
                continue
            row = rows[place]
            numbers.append([*(self._number(place, name, row, read) for name, read in self._numbers), targets[place]])
            words.append([self._word(place, name, row, read, strange) for name, read in self._words])
        mine = ahead.rows.get(ahead.place, last)
        fixed = [self._word(mine, name, rows[mine], read, strange) for name, read in self._fixed]
        before = [ahead.rows.get(ahead.place - steps) for steps in self._lags]
        lags = [cells.MISSING if place is None else targets[place] for place in before]
        seen = sorted({place for place in (*window, *before, mine) if place is not None})
        raw = {ROWS: [self._columns.kept(rows[place], self._meaning) for place in seen]}
        return Forecast(numbers, words, fixed, lags, ahead.at, tuple(strange), raw)

    def _instant(self, place: int, row: dict[str, Any]) -> int:
        """The time of a row, in microseconds since 1970."""
        name, parts = self._time, self._meaning.instants.get(self._time, [])
        if name not in row and not (parts and set(parts) <= set(row)):
            raise self._columns.absent(place, [part for part in parts or [name] if part not in row], row)
        value = row[name] if name in row else [row[part] for part in parts]
        try:
            one = self._meaning.one
            found = one(value, "date", name) if name in row else self._meaning.joined(value, name)
        except cells.UNREADABLE as error:
            raise self._columns.misfit(place, name, value, error, "date") from error
        if found is None:
            raise self._columns.misfit(place, name, value, ValueError("is no time, which every row needs"), "date")
        return microseconds(found)

    def _number(self, place: int, name: str, row: dict[str, Any], read: cells.Number) -> float:
        value = row.get(name) if name == self._target else self._value(place, name, row)
        try:
            return read(value)
        except cells.UNREADABLE as error:
            raise self._columns.misfit(place, name, value, error, "number") from error

    def _word(self, place: int, name: str, row: dict[str, Any], read: cells.Word, strange: dict[str, None]) -> str:
        value = self._value(place, name, row)
        try:
            found, new = read(value)
        except cells.UNREADABLE as error:
            raise self._columns.misfit(place, name, value, error, "category") from error
        if new:
            strange[name] = None
        return found

    def _value(self, place: int, name: str, row: dict[str, Any]) -> Any:
        if name not in row:
            raise self._columns.absent(place, [name], row)
        return row[name]

    def _check_one_series(self, rows: list[dict[str, Any]]) -> None:
        for name in self._series:
            for place, row in enumerate(rows):
                if row.get(name) != rows[0].get(name):
                    told = f"Rows 1 and {place + 1} are of different series: their {name!r} differs."
                    repair = "Send the rows of each series as a forecast of its own."
                    raise Problem(400, "series", "Rows of two series", told, repair, row=place + 1, column=name)

    def _misplaced(self, error: Misplaced, rows: list[dict[str, Any]]) -> Problem:
        value = rows[error.row].get(self._time)
        return self._columns.misfit(error.row, self._time, value, error, "date")

    def _arrays(self, found: list[Forecast]) -> Arrays:
        count, window = len(found), self._window
        numbers = np.array([one.numbers for one in found], np.float64)
        arrays: Arrays = {"past_numbers": numbers.reshape(count, window, len(self._numbers) + 1)}
        arrays["dates"] = np.array([[one.at / 1e6] for one in found], np.float64).reshape(count, 1)
        if self._lags:
            arrays["numbers"] = np.array([one.lags for one in found], np.float64).reshape(count, len(self._lags))
        if self._words:
            words = np.array([one.words for one in found], object)
            arrays["past_categories"] = words.reshape(count, window, len(self._words))
        if self._fixed:
            arrays["categories"] = np.array([one.fixed for one in found], object).reshape(count, len(self._fixed))
        return arrays


def _rows(row: Any) -> list[dict[str, Any]]:
    """The rows of a forecast. Raises Problem."""
    found = row.get(ROWS) if isinstance(row, dict) else None
    if not isinstance(found, list) or not found:
        told = "A forecast needs the last rows of its series."
        raise Problem(400, "row", "A forecast without rows", told, REPAIR)
    for place, one in enumerate(found):
        if not isinstance(one, dict):
            raise declared.no_object(place, one)
    return found


def _iso(at: int) -> str:
    return (EPOCH + timedelta(microseconds=at)).isoformat()
