"""Means: live quality by a metric that is a mean over rows, such as accuracy, log loss or the mean absolute error.

Harm may begin on any day, and the mean since the promotion would notice it late. So the rows since each day are looked
at, each start with a share of the error (Bonferroni over starts): half of it for all rows, the rest for later starts.
Each of these is a confidence sequence of its own, and so all of them together hold at every look.

A loss above the promise's `worst` counts as `worst`. What is then shown to be worse is worse without that too. An upper
end of a loss without a bound says how large the mean may be of losses that count at most `worst`.
"""

from dataclasses import dataclass

import numpy as np

from flows.monitoring.live.figures import Figure, Live, allowed, day
from flows.monitoring.live.promise import Promise
from flows.monitoring.live.scored import Scored
from flows.monitoring.live.spending import share
from flows.promotion.statistics.confidence_sequence import Sums, evidence, lower, sums
from flows.promotion.statistics.resampling import ALPHA
from pipelines.model.metrics import METRICS

WHOLE = 0.5  # the share of the error that the rows since the promotion have


@dataclass(frozen=True)
class Days:
    """The losses of each day. numbers: of the days, ascending [days]; totals: of the losses [days]; worst: of a row;
    small, large: what they say against a small mean, and against a large one."""

    numbers: np.ndarray
    totals: np.ndarray
    worst: float
    small: Sums
    large: Sums

    def from_each_on(self) -> "Days":
        totals = np.cumsum(self.totals[::-1])[::-1]
        return Days(self.numbers, totals, self.worst, self.small.from_each_on(), self.large.from_each_on())

    def at(self, place: int) -> "Days":
        """Of one place alone."""
        only = slice(place, place + 1)
        return Days(self.numbers[only], self.totals[only], self.worst, self.small.take(only), self.large.take(only))

    def lowest(self, alpha: float | np.ndarray) -> np.ndarray:
        """The lower end of the mean loss [days]."""
        return self.worst * lower(self.small, alpha)

    def highest(self, alpha: float | np.ndarray) -> np.ndarray:
        """The upper end of the mean loss that counts at most `worst` [days]."""
        return self.worst * (1 - lower(self.large, alpha))


def by_day(metric: str, scored: Scored, worst: float | None) -> Days:
    """worst: None for losses from 0 to 1."""
    most = worst or 1.0
    found = losses(metric, scored, most)
    numbers, groups = np.unique(scored.days, return_inverse=True)
    shares = np.minimum(found, most) / most
    small, large = (sums(one, groups, len(numbers)) for one in (shares, 1 - shares))
    return Days(numbers, np.bincount(groups, found, len(numbers)), most, small, large)


def losses(metric: str, scored: Scored, worst: float) -> np.ndarray:
    """A row whose label is no class of the version costs as much as a row can."""
    found = np.full(scored.rows, worst)
    if (known := ~scored.strange).any():
        found[known] = scored.answers.take(known).losses(metric)
    return found


def look(metric: str, scored: Scored, promise: Promise, began: int, looks: int) -> Live:
    """began: the day of the promotion, counted from 1970; looks: days that share half of the error of later starts."""
    days = by_day(metric, scored, promise.worst)
    since, last = days.from_each_on(), int(days.numbers[-1])
    figures = [_figure(metric, days, place, int(number)) for place, number in enumerate(days.numbers)]
    place, alpha = harm(metric, since, promise, began, looks)
    found = None if place is None else _figure(metric, since, place, last, alpha)
    return Live(_figure(metric, since, 0, last), figures, found)


def harm(metric: str, since: Days, promise: Promise, began: int, looks: int) -> tuple[int | None, float]:
    """The place of the day since which rows show most clearly that the metric is worse than allowed, None where none
    do, and the error that it may make. since: the rows from each day on."""
    grows = METRICS[metric].greater_is_better
    most = allowed(grows, promise.low, promise.high, promise.margin)
    loss = np.clip((1 - most if grows else most) / since.worst, 0.0, 1.0)
    later = [share(int(number) - began - 1, looks) for number in since.numbers[1:]]
    alphas = ALPHA * np.array([WHOLE, *((1 - WHOLE) * part for part in later)])
    beyond = evidence(since.small, loss) + np.log(alphas)
    place = int(beyond.argmax())
    return (place if beyond[place] > 0 else None), float(alphas[place])


def _figure(metric: str, days: Days, place: int, last: int, alpha: float = ALPHA) -> Figure:
    """place: of the first day; last: the last one."""
    only = days.at(place)
    rows = int(only.small.rows[0])
    value = float(only.totals[0]) / rows
    low, high = min(float(only.lowest(alpha)[0]), value), max(float(only.highest(alpha)[0]), value)
    if METRICS[metric].greater_is_better:
        value, low, high = 1 - value, 1 - high, 1 - low
    return Figure(day(days.numbers[place]), day(last), rows, value, low, high)
