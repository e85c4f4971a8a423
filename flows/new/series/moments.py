"""Moments: the columns that may be the time of the rows, alone or several together, with the instant of each row.

A date column; a column of days and one of times of day; year, month, day ... in columns of their own, as numbers or
with the month as a name.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np
import pandas as pd
import pyarrow as pa

from flows.new import column_types
from flows.new.column_types import Column
from flows.new.text_files import time_of_day
from pipelines.table.rows import MISSING

RANGES = {"year": (1700, 2200), "month": (1, 12), "day": (1, 31), "hour": (0, 23), "minute": (0, 59)}
MOST_TRIES = 500  # combinations of columns that are looked at as parts of an instant
TIME = "time"  # the column that several become
MONTHS, HOURS = 12, 8  # so many different numbers at least, where a second column may be the month or the hour,
ALIKE, ALIKE_ALL = 0.6, 0.95  # and of neighbours that share of the difference of others; the second where all are there
MONTH_NAMES = ("%b", "%B")


@dataclass(frozen=True)
class Moments:
    """time: a date column, or the name of what `parts` become. form: of the parts as one text (two always are one);
    "" for numbers.

    instants: of each row, as if written in UTC.
    """

    time: str
    parts: list[str]
    form: str
    instants: pd.Series


def found(table: pa.Table, columns: list[Column], values: np.ndarray) -> Iterator[Moments]:
    """The most columns first: who has the time of day too has a day that is not the whole time. values: the target."""
    whole = {c.name: _whole_numbers(table[c.name]) for c in columns if c.role in ("number", "category", "ignore")}
    dates = {
        c.name: column_types.instants(table[c.name], c, MISSING) for c in columns if c.role == "date" and not c.missing
    }
    free = "_" if TIME in table.column_names else ""
    made = [*_days_and_times(table, columns, dates, whole), *_parts(whole), *_month_names(table, columns, whole)]
    for one in made:
        last = whole.get(one.parts[-1])
        if len(one.parts) == 2 and last is not None and not _runs_on(one.instants, last, values):
            continue  # numbers of shops, not of hours or months
        yield Moments(one.time + free, one.parts, one.form, one.instants)
    for name, instants in dates.items():
        yield Moments(name, [], "", instants)


def clock(values: pa.ChunkedArray) -> str:
    """How the times of day of a column are written, as strptime takes it; "" for other values."""
    is_text = pa.types.is_string(values.type) or pa.types.is_large_string(values.type)
    return time_of_day.time_form(values) if is_text else ""


def _days_and_times(
    table: pa.Table, columns: list[Column], dates: dict[str, pd.Series], whole: dict[str, pd.Series | None]
) -> Iterator[Moments]:
    """A column of days, and one of times of day or of hours."""
    days = [c for c in columns if c.name in dates and (dates[c.name] == dates[c.name].dt.normalize()).all()]
    for column in columns if days else []:
        if column.name in dates or column.missing:
            continue
        text = column_types.cells(table[column.name], MISSING).astype(str)
        hours = whole.get(column.name)
        form = clock(table[column.name])
        if not form and hours is not None and hours.min() >= 0 and hours.max() <= 23 and hours.nunique() > 2:
            form, text = "%H", hours.astype(int).astype(str)
        for day in days if form else []:
            since = pd.to_datetime(text, format=form, errors="coerce", utc=True)
            instants = dates[day.name] + (since - since.dt.normalize())
            if instants.notna().all():
                written = "%Y-%m-%d" if day.form == column_types.ISO else day.form
                yield Moments(TIME, [day.name, column.name], f"{written} {form}", instants)


def _parts(whole: dict[str, pd.Series | None]) -> Iterator[Moments]:
    """Whole numbers: year, month, day, hour, minute, or the first of these."""
    fitting = [
        [name for name, values in whole.items() if values is not None and low <= values.min() and values.max() <= high]
        for low, high in RANGES.values()
    ]
    for count in range(len(RANGES), 0, -1):
        for index, names in enumerate(product(*fitting[:count])):
            if index >= MOST_TRIES:
                break
            if len(set(names)) == count:
                parts = {part: whole[name] for part, name in zip(RANGES, names, strict=False)}
                instants = pd.to_datetime(pd.DataFrame({"month": 1, "day": 1} | parts), errors="coerce", utc=True)
                if instants.notna().all():
                    yield Moments(TIME, list(names), "%Y %m" if count == 2 else "", instants)


def _month_names(table: pa.Table, columns: list[Column], whole: dict[str, pd.Series | None]) -> Iterator[Moments]:
    low, high = RANGES["year"]
    years = [
        name for name, values in whole.items() if values is not None and low <= values.min() <= values.max() <= high
    ]
    for column in columns if years else []:
        if column.role != "category" or column.missing or len(column.words) > 12:
            continue
        text = column_types.cells(table[column.name], MISSING).astype(str)
        for form, year in product(MONTH_NAMES, years):
            both = whole[year].astype(int).astype(str) + " " + text  # type: ignore[union-attr]
            instants = pd.to_datetime(both, format=f"%Y {form}", errors="coerce", utc=True)
            if instants.notna().all():
                yield Moments(TIME, [year, column.name], f"%Y {form}", instants)
                break


def _runs_on(instants: pd.Series, part: pd.Series, values: np.ndarray) -> bool:
    """Whether neighbours in the last part of a time are more alike than those that are far apart in it, as hours of a
    day and months of a year are, and the numbers of shops are not."""
    months = bool((instants.dt.month == part).all())
    whole = instants.dt.year if months else instants.dt.date
    table = pd.DataFrame({"whole": whole, "part": part, "value": values}).pivot_table("value", "whole", "part")
    if table.shape[1] < (MONTHS if months else HOURS):
        return False
    known = table.to_numpy(float)
    near, far = (float(np.nanmean(np.abs(known[:, by:] - known[:, :-by]))) for by in (1, known.shape[1] // 2))
    every = [*range(1, 13)] if months else [*range(24)]
    return bool(near < (ALIKE_ALL if sorted(table.columns) == every else ALIKE) * far)


def _whole_numbers(values: pa.ChunkedArray) -> pd.Series | None:
    numbers = pd.to_numeric(column_types.cells(values, MISSING), errors="coerce")
    return numbers if numbers.notna().all() and (numbers == numbers.round()).all() else None
