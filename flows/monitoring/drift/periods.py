"""Periods: the two stretches of days that a look compares, and what it compares them with.

A period is the last day, or as many days before it as it takes for enough rows. The period before ends where it begins.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Protocol

from flows.monitoring.drift import compare
from pipelines.table.summary.columns import Column

LEAST = 100  # rows of a period
MOST_DAYS = 14  # of a period

Lines = Sequence[Column]


class ByDay(Protocol):
    """The lines of each day that has rows, as a dictionary has them."""

    def get(self, day: date, default: Lines, /) -> Lines: ...


@dataclass(frozen=True)
class Period:
    """first, last: its days. lines: of all its days."""

    first: date
    last: date
    lines: Lines
    rows: int

    @property
    def said(self) -> str:
        return f"on {self.last}" if self.first == self.last else f"from {self.first} to {self.last}"


def ending(by_day: ByDay, last: date) -> Period | None:
    """The shortest period of enough rows that ends with a day; None if there is none."""
    found: list[Column] = []
    total = 0
    for step in range(MOST_DAYS):
        day = last - timedelta(days=step)
        lines = by_day.get(day, ())
        found += lines
        total += rows_of(lines)
        if total >= LEAST:
            return Period(day, last, found, total)
    return None


def two(by_day: ByDay, last: date) -> tuple[Period | None, Period | None]:
    """The period that ends with a day, and the one before it."""
    now = ending(by_day, last)
    return now, ending(by_day, now.first - timedelta(days=1)) if now else None


def before(by_day: ByDay, period: Period, days: int) -> list[Column]:
    """The lines of so many days before a period."""
    return [line for back in range(1, days + 1) for line in by_day.get(period.first - timedelta(days=back), ())]


def of_season(then: Lines, day: date) -> list[Column]:
    """The lines of the reference for the month of a day and the months around it; [] if these have too few rows."""
    months = {f"{(day.month - 1 + step) % 12 + 1:02d}" for step in (-1, 0, 1)}
    found = [line for line in then if line.group in months]
    return found if rows_of(found) >= LEAST else []


def rows_of(lines: Lines) -> int:
    """The rows behind the lines of several columns."""
    by_name: dict[str, list[Column]] = {}
    for line in lines:
        by_name.setdefault(line.name, []).append(line)
    return max(map(compare.rows, by_name.values()), default=0)
