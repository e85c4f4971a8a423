"""Power: how often a candidate that is as good as the champion would pass, and how many new rows would let it pass.

Before a training nobody knows on how many rows the two will differ. `before_training` supposes it: DISAGREE of all
rows, as two trainings of one network do, and more of the rows of the rarest class, which are harder.
"""

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from flows.promotion.statistics.budget import spent
from flows.promotion.statistics.gain import Gain
from flows.promotion.statistics.resampling import ALPHA

FULL = 0.8  # the share of equal candidates that pass at full power
MOST_ROWS = 10**9
FEW = 300.0  # disagreements: below it every way to disagree is counted, above it they follow a bell curve
SURE_ENOUGH = 0.01  # the chance that any of the candidates that answer alike is worse than the margin
DISAGREE = 0.02  # the supposed share of rows that only one of two equal models answers right,
OF_RAREST = 0.05  # and of the rows of the rarest class
AREA = 0.8  # the supposed ROC AUC: with a larger one the error is smaller,
RANKED_ALIKE = 0.9  # and the correlation of two areas on the same rows


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

    if worth < 2:
        return 0.0
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
    least = _least(power, float(found.rows))
    return None if least is None else _rounded(least)


def _least(power: Callable[[float], float], start: float) -> float | None:
    """The least number with full power, to 2 %; None if it lies beyond MOST_ROWS. start: where the search begins."""
    low, high = 0.0, start
    while power(high) < FULL:
        low, high = high, 2 * high
        if high > MOST_ROWS:
            return None
    while high - low > max(1.0, high / 50):
        middle = (low + high) / 2
        low, high = (low, middle) if power(middle) >= FULL else (middle, high)
    return high


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


def before_training(metric: str, classes: Sequence[float], margin: float, alpha: float = ALPHA) -> float | None:
    """The chance that an equal candidate passes the first comparison on test rows of so many in each class.

    None for a metric of which nothing is known before: a loss, a regression, the area of several classes.

    Balanced accuracy is the mean of the K classes' accuracies. Its variance is d / K ** 2 * sum(1 / rows of a class) if
    the two disagree on a share d of each class: that of d / n with n = K ** 2 / sum(1 / rows of a class). The rarest
    class can lose the margin alone, by being K margins worse. So both must be shown, and the lesser chance counts. The
    F1 of a class moves by at most as much as its accuracy does: a row of it that is lost costs (1 - F1 / 2) / rows, and
    a row of others that is taken for it F1 / 2 / rows.
    """
    fewest, kinds = min(classes), len(classes)
    if metric == "accuracy":
        return of_labels(sum(classes), DISAGREE, margin, alpha)
    if metric in ("balanced_accuracy", "f1_macro"):
        together = kinds**2 / sum(1 / rows for rows in classes)
        alone = of_labels(fewest, OF_RAREST, kinds * margin, alpha)
        return min(alone, of_labels(together, DISAGREE, margin, alpha))
    return of_areas(fewest, max(classes), margin, alpha) if (metric, kinds) == ("roc_auc", 2) else None


def of_areas(rarer: float, other: float, margin: float, alpha: float = ALPHA) -> float:
    """The same for the area under a ROC curve of two classes of so many rows.

    The standard error of an area is that of Hanley and McNeil (Radiology 143, 1982), for scores that fall off
    exponentially; of the difference of two areas on the same rows it is sqrt(2 * (1 - r)) times that (Radiology 148,
    1983). The area and r are supposed, on the safe side: AREA, RANKED_ALIKE.
    """
    from scipy import stats

    if rarer < 2:
        return 0.0
    first, second = AREA / (2 - AREA), 2 * AREA**2 / (1 + AREA)
    spread = AREA * (1 - AREA) + (rarer - 1) * (first - AREA**2) + (other - 1) * (second - AREA**2)
    error = math.sqrt(2 * (1 - RANKED_ALIKE) * spread / (rarer * other))
    return float(stats.norm.cdf(margin / error - stats.t.isf(alpha, rarer - 1)))


def scarce(metric: str, classes: Mapping[str, int]) -> tuple[str | None, int]:
    """Which test rows limit the power, and how many there are: those of the rarest class, by name, or all of them."""
    if metric == "accuracy":
        return None, sum(classes.values())
    rarest = min(classes, key=lambda name: classes[name])
    return rarest, classes[rarest]


def scarce_rows_needed(metric: str, classes: Mapping[str, int], margin: float) -> int | None:
    """How many of those give an equal candidate full power, with classes in the same shares; None if no number does, or
    if nothing is known."""
    counts, total = list(classes.values()), sum(classes.values())
    if margin <= 0 or before_training(metric, counts, margin) is None:
        return None

    def power(rows: float) -> float:
        return before_training(metric, [count * rows / total for count in counts], margin) or 0.0

    least = _least(power, float(total))
    return None if least is None else _rounded(least * scarce(metric, classes)[1] / total)


def margin_that_can_be_met(worth: float, disagree: float, alpha: float = ALPHA) -> float:
    """The smallest margin, to three digits after the point, that an equal candidate passes at full power on so many
    observations."""
    return _least_margin(lambda margin: of_labels(worth, disagree, margin, alpha))


def margin_before_training(metric: str, classes: Sequence[float]) -> float | None:
    """The same on test rows of so many in each class; None where nothing is known."""
    if before_training(metric, classes, 1.0) is None:
        return None
    return _least_margin(lambda margin: before_training(metric, classes, margin) or 0.0)


def _least_margin(power: Callable[[float], float]) -> float:
    margin = 1.0
    for digits in (1, 2, 3):
        step = 10.0**-digits
        while margin - step > 0 and power(margin - step) >= FULL:
            margin -= step
    return round(margin, 3)
