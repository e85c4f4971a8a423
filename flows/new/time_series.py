"""Whether the rows of a table are a time series whose next values can be forecast, and its sections.

Rows are a series where they have instants, in one column or in parts (year, month, day, hour) in several, that lie on a
regular grid: for all rows, or for the rows of each word of one column.
"""

from dataclasses import dataclass, field
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from flows.new import column_types, recipe
from flows.new.column_types import Column
from flows.new.draft import Draft, moving, rounded
from flows.new.yaml_comments import Said
from pipelines.table.rows import MISSING

REGULAR = 0.9  # the share of rows that follow on the one before after one step
RANGES = {"year": (1900, 2100), "month": (1, 12), "day": (1, 31), "hour": (0, 23), "minute": (0, 59)}
MOST_TRIES = 500  # combinations of columns that are looked at as parts of an instant
TIME = "time"  # the column that parts of an instant become


@dataclass(frozen=True)
class Grid:
    """time: a date column, or what `parts` become; step: seconds; series: the column that parts the rows, or "".

    instants: of each row, as if written in UTC. naive: the mean absolute error of the last known value, so many steps
    ahead as asked for, on the last fifth of the rows.
    """

    time: str
    parts: list[str]
    step: float
    series: str
    instants: pd.Series
    naive: float = 0.0


@dataclass(frozen=True)
class SeriesDraft(Draft):
    grid: Grid = field(kw_only=True)
    horizon: int = 1

    def data(self) -> dict[str, Any]:
        grid, plain = self.grid, super().data()
        columns = plain["columns"]
        if grid.parts:
            columns = {grid.time: Said("date", f"made of {', '.join(grid.parts)}")} | columns
        series = {"series": Said([grid.series], "each word has a series of its own")} if grid.series else {}
        return {
            "kind": Said("sequence", f"the rows follow each other every {grid.step:g} s"),
            "task": plain["task"],
            "target": plain["target"],
            "time": grid.time,
            **series,
            "step": Said(_whole(grid.step), "seconds"),
            "window": Said(recipe.WINDOW, "rows that a forecast sees"),
            "horizon": Said(self.horizon, "rows ahead (--horizon)"),
            "columns": columns,
        }

    def ingest(self) -> dict[str, Any]:
        found = super().ingest()
        if self.grid.parts:
            found = {"source": found.pop("source"), "instants": {self.grid.time: self.grid.parts}} | found
            found["timezone"] = Said("UTC", "of instants that do not say theirs")
        return found

    def _about_target(self) -> list[Said]:
        return super()._about_target()[1:]  # a row without a target still is the past of others

    def quarantine(self) -> dict[str, Said]:
        return {}

    def split(self) -> Said:
        return Said(moving(self.grid.time), "shares of the rows, the newest for the test: they move on with the data")

    def train(self) -> dict[str, Any]:
        return recipe.sequence()

    def promote(self) -> dict[str, Any]:
        test = self.found.rows["test"] if self.found else self.rows // 5
        naive = self.grid.naive
        return {
            "metric": "mean_absolute_error",
            "at_most": Said(rounded(naive), f"the last known value errs by {naive:.4g}"),
            "margin": Said(rounded(0.45 * naive / test**0.5), f"what {test:,} test rows can tell apart"),
        }


def found(table: pa.Table, columns: list[Column], target: str, horizon: int) -> Grid | None:
    """The grid on which the rows lie, if they do. columns: without the target."""
    for time, parts, instants in _candidates(table, columns):
        for series in ["", *(c.name for c in columns if c.role == "category")]:
            words = table[series].to_pandas() if series else None
            if step := _step(instants, words):
                values = pd.to_numeric(column_types.cells(table[target], MISSING), errors="coerce")
                return Grid(time, parts, step, series, instants, _naive(values, instants, words, horizon))
    return None


def _candidates(table: pa.Table, columns: list[Column]) -> Any:
    """(time, parts, instants) of every column or combination of columns that may be the rows' time."""
    for column in columns:
        if column.role == "date" and not column.missing:
            yield column.name, [], column_types.instants(table[column.name], column, MISSING)
    whole = {c.name: _whole_numbers(table[c.name]) for c in columns if c.role in ("number", "ignore")}
    fitting = [
        [name for name, values in whole.items() if values is not None and low <= values.min() and values.max() <= high]
        for low, high in RANGES.values()
    ]
    for count in range(len(RANGES), 2, -1):
        for index, names in enumerate(product(*fitting[:count])):
            if index >= MOST_TRIES:
                break
            if len(set(names)) == count:
                parts = pd.DataFrame({part: whole[name] for part, name in zip(RANGES, names, strict=False)})
                instants = pd.to_datetime(parts, errors="coerce", utc=True)
                if instants.notna().all():
                    yield TIME, list(names), instants


def _whole_numbers(values: pa.ChunkedArray) -> pd.Series | None:
    numbers = pd.to_numeric(column_types.cells(values, MISSING), errors="coerce")
    return numbers if numbers.notna().all() and (numbers == numbers.round()).all() else None


def _step(instants: pd.Series, series: pd.Series | None) -> float:
    """Seconds from one row to the next; 0 where rows do not lie on a regular grid."""
    frame = pd.DataFrame({"at": instants, "series": "" if series is None else series})
    if frame.duplicated().any() or len(frame) < 2 * column_types.FEWEST_ROWS:
        return 0.0
    gaps = frame.sort_values(["series", "at"]).groupby("series")["at"].diff().dropna().dt.total_seconds()
    if gaps.empty:
        return 0.0
    step = float(gaps.mode().iloc[0])
    on_grid = ((gaps / step) % 1).abs().lt(1e-9).all()
    return step if on_grid and (gaps == step).mean() >= REGULAR else 0.0


def _naive(values: pd.Series, instants: pd.Series, series: pd.Series | None, horizon: int) -> float:
    frame = pd.DataFrame({"at": instants, "value": values, "series": "" if series is None else series})
    frame = frame.sort_values(["series", "at"])
    last = frame.groupby("series")["value"].transform(lambda column: column.ffill().shift(horizon))
    late = frame["at"] >= frame["at"].sort_values().iloc[int(len(frame) * (1 - recipe.TEST))]
    return float(np.nanmean((frame["value"] - last)[late].abs()))


def _whole(step: float) -> float:
    return int(step) if step.is_integer() else step
