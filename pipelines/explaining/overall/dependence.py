"""Partial dependence: the mean answer if all rows had the same value in one column (Friedman 2001).

Numbers and dates have a grid of quantiles, words the most frequent ones. The window of a past number is moved as a
whole, so that its mean is the value. It says what the model answers, not what causes what; where columns hang together,
some of the rows that are asked of do not exist.
"""

from datetime import UTC, datetime
from typing import Any

import numpy as np

from pipelines.explaining.columns import Answers, Arrays, Column, count, rows, values

POINTS = 20  # of numbers and dates, at most
WORDS = 10  # of a column, at most
EDGE = 0.025  # of the values on either side that the grid leaves out
MOST_ROWS = 300  # over which is averaged


def dependence(answers: Answers, arrays: Arrays, column: Column) -> list[tuple[Any, np.ndarray]]:
    """(value, mean answer float64 [outputs]) of each point: numbers in order, words by how frequent they are, dates as
    ISO text. [] for a column that has one value, or words in a window."""
    grid = points(arrays, column)
    some = rows(arrays, slice(0, MOST_ROWS))
    means = [answers(_set(some, column, value)).astype(np.float64).mean(axis=0) for value in grid]
    return [(_told(column, value), mean) for value, mean in zip(grid, means, strict=True)]


def points(arrays: Arrays, column: Column) -> list[Any]:
    found = values(arrays, column)
    if column.array == "past_categories":
        return []
    if found.dtype == object:
        words, counts = np.unique(found.astype(str), return_counts=True)
        chosen = words[np.argsort(-counts, kind="stable")][:WORDS].tolist()
        return chosen if len(chosen) > 1 else []
    numbers = _level(found)
    numbers = numbers[~np.isnan(numbers)]
    if not len(numbers):
        return []
    distinct = np.unique(numbers)
    if len(distinct) > POINTS:
        shares = np.linspace(EDGE, 1 - EDGE, POINTS)
        distinct = np.unique(np.quantile(numbers, shares, method="inverted_cdf"))  # values that occur: no half child
    return distinct.tolist() if len(distinct) > 1 else []


def _level(found: np.ndarray) -> np.ndarray:
    """Numbers [rows]; of a window [rows, window] its mean, NaN if nothing is known."""
    if found.ndim == 1:
        return found
    known = ~np.isnan(found)
    total = np.where(known, found, 0).sum(axis=1)
    return np.where(known.any(axis=1), total / np.maximum(known.sum(axis=1), 1), np.nan)


def _set(arrays: Arrays, column: Column, value: Any) -> Arrays:
    changed = arrays[column.array].copy()
    before = changed[..., column.place]
    moved = before + (value - _level(before))[:, None] if before.ndim == 2 else np.full(count(arrays), value)
    changed[..., column.place] = moved
    return {**arrays, column.array: changed}


def _told(column: Column, value: Any) -> Any:
    if column.array == "dates":
        return datetime.fromtimestamp(value, UTC).isoformat(timespec="seconds")
    return value
