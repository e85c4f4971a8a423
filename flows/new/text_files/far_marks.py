"""Values far outside of all others that come again and again, such as -200 or 9999: they stand for a missing one."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from flows.new.column_types import Column, instants
from pipelines.table.rows import MISSING

FEWEST = 3  # rows that have the mark,
DIFFERENT = 10  # and other values that they can lie far from
MOST = 3  # marks of one column
NINES = 0.25  # how far a number of nines alone, or a known day, has to lie outside, as a share of the others' range
DAYS = ("0001-01-01", "1753-01-01", "1899-12-30", "1899-12-31", "1900-01-01", "1970-01-01", "2999-12-31", "9999-12-31")


@dataclass(frozen=True)
class Found:
    marks: list[Any]
    why: str


def found(table: pa.Table, columns: list[Column]) -> dict[str, Found]:
    """The marks of each column of numbers or dates. table: its numbers as programs write them."""
    values = {c.name: counts for c in columns if (counts := _counts(table[c.name], c)) is not None}
    marks = {name: [*_far(counts)] for name, counts in values.items()}
    numbers = {c.name for c in columns if c.role == "number"}
    known = {mark for name in numbers & {*marks} for mark in marks[name]}
    for name in numbers & {*values}:  # what is a mark in one column is one in others, where it lies outside
        marks[name] += [m for m in known if m not in marks[name] and _outside(values[name], m)]
    days = {c.name for c in columns if c.role == "date"}
    return {name: _told(values[name], these, name in days) for name, these in marks.items() if these}


def _counts(column: pa.ChunkedArray, about: Column) -> "pd.Series | None":
    """How often each value occurs, by value: a number, or seconds since 1970."""
    if about.role == "date":
        at = instants(column, about, MISSING)
        return (at.dt.tz_localize(None).astype("datetime64[s]").astype("int64")[at.notna()]).value_counts().sort_index()
    if about.role != "number":
        return None
    numbers = pd.to_numeric(column.to_pandas(), errors="coerce")
    return numbers[np.isfinite(numbers)].value_counts().sort_index()


def _far(counts: "pd.Series") -> Iterator[float]:
    """Values at an edge, with more room between them and all others than these others need."""
    for _ in range(MOST):
        if len(counts) <= DIFFERENT:
            return
        edge = next((value for value in (counts.index[0], counts.index[-1]) if _is_far(counts, value)), None)
        if edge is None:
            return
        yield edge
        counts = counts.drop(edge)


def _is_far(counts: "pd.Series", edge: float) -> bool:
    others = counts.drop(edge).index.to_numpy(float)
    gap, spread = min(abs(others - edge)), np.ptp(others)
    needed = NINES * spread if _is_usual(edge, others) else spread
    return bool(edge != 0 and counts[edge] >= FEWEST and gap > needed)


def _is_usual(value: float, others: np.ndarray) -> bool:
    """Whether it is a number of nines alone, or a day that programs write where they know none."""
    text = f"{abs(value):.0f}"
    days = [pd.Timestamp(day).timestamp() for day in DAYS[1:]]
    return (set(text) == {"9"} and len(text) > 1) or (abs(others).max() > 10**8 and value in days)


def _outside(counts: "pd.Series", mark: float) -> bool:
    """Whether a value lies at an edge with another sign than all others, or apart from them."""
    if mark not in counts.index or counts[mark] < FEWEST or len(counts) <= DIFFERENT:
        return False
    others = counts.drop(mark).index.to_numpy(float)
    outside = mark < others.min() or mark > others.max()
    middle = np.quantile(others, 0.75) - np.quantile(others, 0.25)
    return bool(outside and ((mark < 0) != (others.min() < 0) or min(abs(others - mark)) > middle))


def _told(counts: "pd.Series", marks: list[float], is_date: bool) -> Found:
    others = counts.drop(marks)
    share = counts[marks].sum() / counts.sum()
    if is_date:
        words = [pd.Timestamp(mark, unit="s").strftime("%Y-%m-%d") for mark in marks]
        low, high = (
            pd.Timestamp(value, unit="s").strftime("%Y-%m-%d") for value in (others.index[0], others.index[-1])
        )
        return Found(words, f"{share:.1%} of the values, far from all others: {low} to {high}")
    plain = [int(mark) if float(mark).is_integer() else float(mark) for mark in marks]
    low, high = others.index[0], others.index[-1]
    return Found(plain, f"{share:.1%} of the values, far from all others: {low:.6g} to {high:.6g}")
