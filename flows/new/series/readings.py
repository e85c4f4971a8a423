"""Readings: in which ways the rows can be series, and the one whose forecast without a model is the best.

A reading is a time, and the columns whose values tell series apart: none, one, or two or three together.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from flows.new import column_types, recipe
from flows.new.column_types import Column
from flows.new.series import moments, naive, steps
from flows.new.series.moments import Moments
from flows.new.series.naive import Naive
from flows.new.series.steps import Steps
from pipelines.model.statistics import MOST_WORDS
from pipelines.table.rows import MISSING

MOST_KEYS = 12  # columns that are tried as what tells series apart,
TOGETHER = 3  # and so many of them together
BESIDE = 3  # other readings that are told


@dataclass(frozen=True)
class Grid:
    """A reading of the rows as series. series: the columns that tell them apart.

    forecasts: without a model, the best one first. others: how the best forecast of each other reading errs, in words.
    """

    time: str
    parts: list[str]
    form: str
    series: list[str]
    instants: pd.Series
    steps: Steps
    window: int
    forecasts: list[Naive]
    constant: float
    others: tuple[str, ...] = ()

    @property
    def step(self) -> float | str:
        return self.steps.step

    @property
    def best(self) -> Naive:
        return self.forecasts[0]

    @property
    def floor(self) -> Naive:
        """The forecast that errs least on the test rows."""
        return min(self.forecasts, key=lambda one: one.error)

    @property
    def seasons(self) -> list[int]:
        """That of the best forecast with one first."""
        seasonal = [one.season for one in self.forecasts if one.season]
        return list(dict.fromkeys(seasonal))

    @property
    def told(self) -> str:
        keys = f"series by {' and '.join(self.series)}" if self.series else "one series"
        return f"{keys}, a row every {self.steps.name} by {', '.join(self.parts) or self.time}"


def found(table: pa.Table, columns: list[Column], target: str, horizon: int) -> Grid | None:
    """The best reading of the rows as series, if there is one. columns: without the target."""
    values = pd.to_numeric(column_types.cells(table[target], MISSING), errors="coerce").to_numpy(float)
    if np.isnan(values).all():
        return None
    grids = [
        grid
        for at in moments.found(table, columns, values)
        for grid in _of_time(table, columns, at, values, horizon)
        if grid.steps.share >= steps.REGULAR or grid.best.before < grid.constant
    ]
    grids = [grid for grid in grids if not _is_part_of_time(grid, grids)]
    if not grids:
        return None
    best = min(grids, key=lambda grid: grid.best.error)  # the first of equals: with most parts, and fewest keys
    others = [f"{one.told}: {one.best.told}" for one in grids if one is not best and one.best.error > best.best.error]
    return Grid(**(vars(best) | {"others": tuple(others[:BESIDE])}))


def _is_part_of_time(grid: Grid, grids: list[Grid]) -> bool:
    """Whether a column that another reading takes for a part of the time tells series apart in this one."""
    return any({*grid.series} & {*other.parts} for other in grids)


def _of_time(table: pa.Table, columns: list[Column], at: Moments, values: np.ndarray, horizon: int) -> Iterator[Grid]:
    """The readings with this time and the fewest columns that tell series apart."""
    if (grid := _grid(at, [], np.zeros(len(values), np.int64), values, horizon)) is not None:
        yield grid
        return
    keys = dict(list(_keys(table, columns, at))[:MOST_KEYS])
    for count in range(1, TOGETHER + 1):
        regular = []
        for names in combinations(keys, count):
            codes = pd.DataFrame({name: keys[name] for name in names}).groupby(list(names)).ngroup().to_numpy()
            if (grid := _grid(at, list(names), codes, values, horizon)) is not None:
                regular.append(grid)
        yield from regular
        if regular:
            return


def _grid(at: Moments, series: list[str], codes: np.ndarray, values: np.ndarray, horizon: int) -> Grid | None:
    if (found := steps.found(at.instants, codes)) is None:
        return None
    window = recipe.window(float(np.median(np.bincount(codes))), found.longest)
    forecasts = naive.forecasts(values, found, horizon, window)
    constant = naive.constant(values, found)
    if not np.isfinite(forecasts[0].before):
        return None
    return Grid(at.time, at.parts, at.form, series, at.instants, found, window, forecasts, constant)


def _keys(table: pa.Table, columns: list[Column], at: Moments) -> Iterator[tuple[str, Any]]:
    """Columns that may tell series apart, as numbers [rows]: words or whole numbers that come again, no time of day."""
    most = table.num_rows // steps.FEWEST_OF_SERIES
    for column in sorted(columns, key=lambda one: one.role == "number"):  # words before numbers
        if column.role == "date" or column.missing or column.name in (at.time, *at.parts):
            continue
        cells = column_types.cells(table[column.name], MISSING)
        if cells.isna().any() or (column.role == "number" and not _whole(cells)):
            continue
        codes, words = pd.factorize(cells)
        if 2 <= len(words) <= most and not moments.clock(table[column.name]):
            yield column.name, codes


def _whole(cells: pd.Series) -> bool:
    numbers = pd.to_numeric(cells, errors="coerce")
    return bool((numbers == numbers.round()).all())


def role(column: Column, table: pa.Table) -> Column:
    """A column that tells series apart, as `data: columns:` takes it: what has too many words is only carried."""
    cells = column_types.cells(table[column.name], MISSING)
    if column.role == "number" and pd.api.types.is_float_dtype(cells):
        cells = cells.astype("int64")
    words = tuple(cells.astype(str).value_counts().index)
    name = "category" if len(words) <= MOST_WORDS else "carried"
    return Column(column.name, name, f"tells series apart: {len(words):,} different ones", words=words)
