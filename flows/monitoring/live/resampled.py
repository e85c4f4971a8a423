"""Resampled: live quality by a metric that is no mean over rows, such as the area under a ROC curve, F1 or R2.

Its interval is that of the gate (flows/promotion/statistics/interval.py), at a level that is spent over the declared
number of looks: a look is a day, and counts the labels that came before that day began. Three windows are looked at,
because harm may begin at any time: all rows, and those of the last 28 and 7 days. Of many rows some are resampled, and
the interval is narrowed by the root of how many there are. benchmarks/loop.py shows how often it is wrong.
"""

from dataclasses import replace

import numpy as np

from flows.monitoring.live.figures import Figure, Live, allowed, day
from flows.monitoring.live.promise import Promise
from flows.monitoring.live.scored import Scored
from flows.monitoring.live.spending import share
from flows.promotion.statistics.interval import Estimate, interval
from flows.promotion.statistics.resampling import ALPHA, SEED, score_or_nan
from pipelines.model.metrics import METRICS

WINDOWS = {28: 0.25, 7: 0.25}  # days -> the share of the error; all rows have the rest
WHOLE = 0.5
MOST, MOST_OF_A_DAY = 10_000, 2_000  # rows that are resampled
SHOWN_DAYS = 28  # the last ones, which have an interval


def look(metric: str, scored: Scored, promise: Promise, began: int, today: int, looks: int) -> Live:
    """began, today: days counted from 1970. scored: rows whose labels came before today began."""
    known = scored.take(~scored.strange) if scored.strange.any() else scored
    if not known.rows:
        return Live(Figure(day(began), day(today), 0, None, None, None), [], None)
    alpha = ALPHA * share(max(today - began - 1, 0), looks)
    numbers = np.unique(known.days)
    days = [_day(metric, known, number, alpha if place < SHOWN_DAYS else None) for place, number in _newest(numbers)]
    whole = _figure(metric, known, int(numbers[0]), alpha, MOST)
    return Live(whole, days, harm(metric, known, promise, today, alpha))


def _newest(numbers: np.ndarray) -> list[tuple[int, int]]:
    """Each day with its place from the last one on."""
    return [(len(numbers) - 1 - place, int(number)) for place, number in enumerate(numbers)]


def harm(metric: str, known: Scored, promise: Promise, today: int, alpha: float) -> Figure | None:
    """The window that shows the most harm. alpha: the error of this look."""
    grows = METRICS[metric].greater_is_better
    most = allowed(grows, promise.low, promise.high, promise.margin)
    parts = {today - int(known.days.min()): WHOLE, **WINDOWS}
    found = [_beyond(metric, known, today - length, alpha * part, most) for length, part in parts.items()]
    return max((one for one in found if one is not None), key=lambda one: one[0], default=(0.0, None))[1]


def _beyond(metric: str, known: Scored, first: int, alpha: float, most: float) -> tuple[float, Figure] | None:
    """How far the whole interval lies beyond the worst value that is allowed; None where it does not.

    Where the value itself does not, nothing is resampled: the interval holds it.
    """
    rows, sign = known.take(known.days >= first), 1 if METRICS[metric].greater_is_better else -1
    if not rows.rows or not sign * (most - score_or_nan(metric, rows.answers)) > 0:
        return None
    found = _figure(metric, rows, first, alpha, MOST)
    if found.low is None or found.high is None:
        return None
    beyond = most - found.high if sign > 0 else found.low - most
    return (beyond, found) if beyond > 0 else None


def _day(metric: str, known: Scored, number: int, alpha: float | None) -> Figure:
    rows = known.take(known.days == number)
    if alpha is not None:
        return _figure(metric, rows, number, alpha, MOST_OF_A_DAY)
    value = score_or_nan(metric, rows.answers)
    return Figure(day(number), day(number), rows.rows, value if np.isfinite(value) else None, None, None)


def _figure(metric: str, known: Scored, first: int, alpha: float, most: int) -> Figure:
    """Of the rows that were answered from a day on. most: rows that are resampled."""
    rows = known.take(known.days >= first)
    last = int(rows.days.max()) if rows.rows else first
    value = score_or_nan(metric, rows.answers) if rows.rows else np.nan
    found = _narrowed(metric, rows, alpha, most) if np.isfinite(value) else None
    if found is None:
        return Figure(day(first), day(last), rows.rows, float(value) if np.isfinite(value) else None, None, None)
    shift = float(value) - found.value
    return Figure(day(first), day(last), rows.rows, float(value), found.low + shift, found.high + shift)


def _narrowed(metric: str, rows: Scored, alpha: float, most: int) -> Estimate | None:
    """The interval, from at most so many rows."""
    if rows.rows <= most:
        return interval(metric, rows.answers, alpha)
    chosen = np.sort(np.random.default_rng(SEED).choice(rows.rows, most, replace=False))
    found = interval(metric, rows.take(chosen).answers, alpha)
    if found is None:
        return None
    narrower = (most / rows.rows) ** 0.5
    low, high = (found.value + narrower * (end - found.value) for end in (found.low, found.high))
    return replace(found, low=low, high=high)
