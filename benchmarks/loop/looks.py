"""Daily looks at a stream, by the functions that flows/monitoring/quality.py calls: when is it first called worse?

At the end of day t the labels of the days until t - delay are there.
"""

import numpy as np

from flows.monitoring.live import means, resampled
from flows.monitoring.live.means import Days
from flows.monitoring.live.promise import Promise
from flows.monitoring.live.scored import Scored
from flows.monitoring.live.spending import share
from flows.promotion.statistics.resampling import ALPHA
from pipelines.model.metrics import METRICS

LOOKS = 365


def first_worse(metric: str, scored: Scored, promise: Promise, delay: int = 0) -> int | None:
    """The day, or None."""
    if METRICS[metric].loss is None:
        return _resampled(metric, scored, promise, delay)
    days = means.by_day(metric, scored, promise.worst)
    for last in range(len(days.numbers)):
        since = _until(days, last).from_each_on()
        if means.harm(metric, since, promise, 0, LOOKS)[0] is not None:
            return last + delay
    return None


def _until(days: Days, last: int) -> Days:
    known = slice(0, last + 1)
    return Days(days.numbers[known], days.totals[known], days.worst, days.small.take(known), days.large.take(known))


def _resampled(metric: str, scored: Scored, promise: Promise, delay: int) -> int | None:
    """The look at the morning of `today` sees the labels of before."""
    ends = np.searchsorted(scored.days, np.arange(scored.days.max() + 1), side="right")
    for last, end in enumerate(ends):
        today = last + delay + 1
        alpha = ALPHA * share(today - 1, LOOKS)
        if resampled.harm(metric, scored.take(slice(0, end)), promise, today, alpha) is not None:
            return last + delay
    return None
