"""Power: how often a candidate that is as good as the champion would pass, and how many new rows would let it pass."""

import math

import numpy as np

from flows.promotion.statistics.budget import spent
from flows.promotion.statistics.gain import Gain
from flows.promotion.statistics.resampling import ALPHA

FULL = 0.8  # the share of equal candidates that pass at full power
MOST_ROWS = 10**9
FEW = 300.0  # disagreements: below it every way to disagree is counted, above it they follow a bell curve
SURE_ENOUGH = 0.01  # the chance that any of the candidates that answer alike is worse than the margin


def of_equal(found: Gain, margin: float, alpha: float, observations: float | None = None) -> float:
    """The chance that an equal candidate passes that disagrees as often as this one, from 0 to 1.

    observations: how many there are, if not as many as now.
    """
    from scipy import stats

    worth = found.effective if observations is None else observations
    if worth < 2:
        return 0.0
    error = found.error * math.sqrt(found.effective / worth) if found.effective else math.inf
    if found.disagree is None:
        if not error:
            return float(margin > 0)
        return float(stats.norm.cdf(margin / error - stats.t.isf(alpha, worth - 1)))
    return of_labels(worth, found.disagree, margin, alpha)


def of_labels(worth: float, disagree: float, margin: float, alpha: float) -> float:
    """The same for right and wrong answers. disagree: the share of rows that only one of the two answers right."""
    from scipy import stats

    each = max(disagree, 1 / worth) * worth / 2  # that each of the two is expected to win
    if each > FEW / 2:
        error = math.sqrt(2 * each) / worth
        return float(stats.norm.cdf(margin / error - stats.norm.isf(alpha)))
    counts = np.arange(math.ceil(each + 8 * math.sqrt(each) + 8))
    chances = stats.poisson.pmf(counts, each)
    won, lost = counts[:, None] / worth, counts[None, :] / worth
    errors = np.sqrt(np.maximum(won + lost - (won - lost) ** 2, 0) / worth)
    usual = won - lost - stats.t.isf(alpha, worth - 1) * errors
    fits = counts < worth
    bound = np.where(fits, stats.beta.isf(alpha, counts + 1, np.where(fits, worth - counts, 1)), 1.0)
    passes = np.minimum(usual, won - bound[None, :]) > -margin
    return float(chances @ passes @ chances)


def rows_missing(found: Gain, margin: float, comparisons: float) -> int | None:
    """How many new rows would give an equal candidate full power; None if no number of rows would.

    comparisons: how many the present rows have made since the last promotion. New rows have made none.
    """
    if margin <= 0:
        return None

    def power(new: float) -> float:
        share = found.rows / (found.rows + new)
        return of_equal(found, margin, spent(comparisons * share), found.effective / share)

    if power(0) >= FULL:
        return 0
    low, high = 0.0, float(found.rows)
    while power(high) < FULL:
        low, high = high, 2 * high
        if high > MOST_ROWS:
            return None
    while high - low > max(1.0, high / 50):
        middle = (low + high) / 2
        low, high = (low, middle) if power(middle) >= FULL else (middle, high)
    return _rounded(high)


def _rounded(rows: float) -> int:
    """Up, to two figures: it is an estimate."""
    step = 10 ** max(0, math.floor(math.log10(max(rows, 1))) - 1)
    return math.ceil(rows / step) * step


def alike(rows: float, margin: float, comparisons: float) -> bool:
    """Whether a candidate that answers every row as the champion does may pass.

    One that is worse by the margin agrees on all rows with a chance of (1 - margin) ** rows, in each comparison.
    """
    return bool((1 - margin) ** rows * max(1.0, comparisons) < SURE_ENOUGH)


def rows_alike(margin: float, comparisons: float) -> int:
    """How many rows that takes."""
    return math.ceil(math.log(SURE_ENOUGH / max(1.0, comparisons)) / math.log(1 - margin)) if 0 < margin < 1 else 0


def margin_that_can_be_met(worth: float, disagree: float, alpha: float = ALPHA) -> float:
    """The smallest margin, to two figures, that an equal candidate passes at full power on so many observations."""
    margin = 1.0
    for digits in (1, 2, 3):
        step = 10.0**-digits
        while margin - step > 0 and of_labels(worth, disagree, margin - step, alpha) >= FULL:
            margin -= step
    return round(margin, 3)
