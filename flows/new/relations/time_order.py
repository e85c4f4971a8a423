"""Time order: of the dates of a table, the one that says when a row happened."""

import numpy as np
import pandas as pd

IN_ORDER = 0.99  # of the rows that follow on one of the same instant or an earlier one
TOGETHER = 0.05  # of the spread of the dates: two that lie so close belong to one event
ALWAYS = 0.99  # of the rows: one date comes before the other


def chosen(dates: dict[str, pd.Series]) -> tuple[str, str]:
    """(the date, why it): the name is "" where none of several is certain. dates: instants of every row.

    One by which the file is in order; else the first of those that belong to one event.
    """
    if len(dates) == 1:
        return next(iter(dates)), "the only date"
    spread = {name: float(at.astype("int64").std()) for name, at in dates.items()}
    ordered = [name for name, at in dates.items() if _in_order(at) and spread[name]]
    names = ordered or [name for name in dates if spread[name]]
    first = names[0] if names else ""
    for name in names[1:]:
        if not _close(dates[first], dates[name], max(spread[first], spread[name])):
            others = ", ".join(names)
            return "", f"{others} are dates, and nothing says which of them orders the rows"
        if _before(dates[name], dates[first]):
            first = name
    if not first:
        return "", "no date differs between the rows"
    why = "the file is in its order" if ordered else "it is the first of dates that lie close together"
    return first, why


def after(dates: dict[str, pd.Series], name: str) -> list[str]:
    """The dates that come after this one in nearly every row: perhaps unknown when a prediction is made."""
    return [other for other, at in dates.items() if other != name and _before(dates[name], at)]


def _in_order(at: pd.Series) -> bool:
    steps = np.diff(at.astype("int64").to_numpy())
    up = float((steps >= 0).mean()) if len(steps) else 0.0
    return max(up, float((steps <= 0).mean()) if len(steps) else 0.0) >= IN_ORDER


def _close(one: pd.Series, other: pd.Series, spread: float) -> bool:
    apart = np.abs((one.astype("int64") - other.astype("int64")).to_numpy(float))
    return bool(np.quantile(apart, 0.95) <= TOGETHER * spread)


def _before(one: pd.Series, other: pd.Series) -> bool:
    return bool((one <= other).mean() >= ALWAYS and (one < other).any())
