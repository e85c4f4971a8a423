"""The gain of one model over another on the same rows, with an interval. The gate and `ratchet compare` use it.

The standard error of a mean over rows has a closed form; of other metrics the rows are resampled 2,000 times
(scipy.stats.bootstrap, seeded). If few rows disagree, that sees too little, and an exact bound (Clopper and Pearson's)
widens the interval: no disagreement in n rows still allows 3.7/n. Rows that fail together (dependence.py) are resampled
together, and count as the observations that they are. benchmarks/gate.py measures how often an interval misses.
"""

import math
from dataclasses import dataclass, replace

import numpy as np

from flows.promotion.statistics.dependence import INDEPENDENT, Dependence, effective
from flows.promotion.statistics.interval import Estimate
from flows.promotion.statistics.resampling import (
    ALPHA,
    FEW,
    SCORED,
    SEED,
    SHOWN,
    batch_size,
    largest_share,
    score_or_nan,
    scores,
    standard_error,
    strata,
    unseen_share,
)
from pipelines.errors import IntegrityError
from pipelines.model.metric import CLASSIFY
from pipelines.model.metrics import METRICS, Answers


@dataclass(frozen=True)
class Gain(Estimate):
    """How much better the first model is, in the metric's unit (of an error: how much smaller), and the interval.

    error: the standard error of the gain. effective: how many independent observations the rows are worth. disagree:
    the share of rows that only one of the two answers right; None for a metric of another kind.
    """

    error: float = 0.0
    effective: float = 0.0
    disagree: float | None = None

    @property
    def better(self) -> bool:
        return self.low > 0

    @property
    def worse(self) -> bool:
        return self.high < 0

    def not_worse(self, margin: float) -> bool:
        return self.low > -margin

    def rows_to_decide(self) -> int:
        """About how many rows would show which of the two is better, if the gain stayed the same."""
        half = max(self.high - self.value, self.value - self.low)
        return math.ceil(self.rows * max(1.0, half / (abs(self.value) or half / 10 or 1.0)) ** 2)

    def shown_worse(self, margin: float) -> bool:
        """By more than the margin."""
        return self.high < -margin


def gain(
    metric: str,
    one: Answers,
    other: Answers,
    alpha: float = ALPHA,
    depends: Dependence = INDEPENDENT,
    worst: float | None = None,
) -> Gain | None:
    """`one` against `other`; None if the metric has no value, because the rows are too few or of one class.

    depends: which rows fail together; worst: the largest loss or error of a row, for which the interval then allows
    even where none was seen. Raises IntegrityError if the two did not answer the same rows in the same order: such
    numbers are never compared.
    """
    if not np.array_equal(one.row_ids, other.row_ids):
        raise IntegrityError("The two models were scored on different rows, so they cannot be compared.")
    if len(one.row_ids) < 2:
        return None
    clusters = depends.clusters(_signal(metric, one, other))
    alone = _on(metric, one, other, alpha, None)
    found = alone if clusters is None or alone is None else _wider(alone, _on(metric, one, other, alpha, clusters))
    if found is None or worst is None:
        return found
    low = _lowest(metric, one, other, worst, found, alpha)
    return replace(found, low=min(found.low, low))


def _on(metric: str, one: Answers, other: Answers, alpha: float, clusters: np.ndarray | None) -> Gain | None:
    mine, theirs = one.losses(metric), other.losses(metric)
    if mine is None or theirs is None:
        return _of_pairs(metric, one, other, alpha, clusters)
    return _of_means(mine, theirs, alpha, clusters)


def _signal(metric: str, one: Answers, other: Answers) -> np.ndarray:
    """What each row says about the difference [rows]; for a metric that is no mean over rows, something like it."""
    mine, theirs = one.losses(metric), other.losses(metric)
    if mine is not None and theirs is not None:
        return theirs - mine
    if METRICS[metric].task != CLASSIFY:
        return (other.predicted - other.actual) ** 2.0 - (one.predicted - one.actual) ** 2.0
    return (one.predicted == one.actual) * 1.0 - (other.predicted == other.actual)


def _wider(alone: Gain, together: Gain | None) -> Gain | None:
    """Dependence never narrows an interval: that clusters seem to err evenly may be chance."""
    if together is None:
        return None
    low, high = min(alone.low, together.low), max(alone.high, together.high)
    return replace(together, low=low, high=high, error=max(alone.error, together.error))


def _of_means(mine: np.ndarray, theirs: np.ndarray, alpha: float, clusters: np.ndarray | None) -> Gain | None:
    """For a metric that is a mean over rows. mine, theirs: losses [rows]."""
    from scipy import stats

    gains = theirs - mine
    rows, worth = len(gains), effective(clusters, len(gains))
    if worth < 2:
        return None
    value, error = float(gains.mean()), error_of_mean(gains, clusters)
    half = float(stats.t.isf(alpha, worth - 1)) * error
    low, high = value - half, value + half
    if set(np.unique(np.concatenate([mine, theirs]))) <= {0.0, 1.0}:
        worth = _worth(gains, clusters, error, worth)
        below, above = _exact(gains, worth, alpha)
        return Gain(rows, value, min(low, below), max(high, above), error, worth, float((gains != 0).mean()))
    differ = ~np.isclose(gains, np.median(gains))
    differing = int(differ.sum()) if clusters is None else len(np.unique(clusters[differ]))
    there = 0 if clusters is None else len(np.unique(clusters))
    unseen = unseen_share(differing, worth, alpha, there) * float(max(mine.max(), theirs.max()))
    return Gain(rows, value, low - unseen, high + unseen, error, worth)


def error_of_mean(gains: np.ndarray, clusters: np.ndarray | None) -> float:
    """The standard error of a mean: what resampling rows, or whole clusters, comes to in the long run."""
    if clusters is None:
        return float(gains.std()) / math.sqrt(len(gains))
    sizes, sums = np.bincount(clusters), np.bincount(clusters, gains)
    apart = sums - gains.mean() * sizes
    return math.sqrt(float(apart @ apart) * len(sums) / (len(sums) - 1)) / len(gains)


def _worth(gains: np.ndarray, clusters: np.ndarray | None, error: float, fewest: float) -> float:
    """How many observations the rows are: as many as would give this standard error if they were independent (Kish's
    design effect), less what is not known of it. With few clusters that differ each cluster counts as one: `fewest`."""
    if clusters is None:
        return fewest
    differing = len(np.unique(clusters[gains != 0]))
    if differing < FEW:
        return fewest
    unsure = 1 + 2 / math.sqrt(differing)
    return float(np.clip(gains.var() / (error**2 * unsure), fewest, len(gains)))


def _exact(gains: np.ndarray, worth: float, alpha: float) -> tuple[float, float]:
    """The interval of right and wrong answers: an exact bound for the rows lost, the observed share of the rows won.

    Together with the bootstrap's interval, which covers the chance in the rows won, a candidate that is worse than a
    margin passes at most 3.4 times of 100 (computed over all ways to disagree, from 100 to 10,000 rows).
    worth: how many observations the rows are. Rows of one cluster that fail together are one failure of one.
    """
    won, lost = float((gains > 0).mean()), float((gains < 0).mean())
    return won - largest_share(lost * worth, worth, alpha), largest_share(won * worth, worth, alpha) - lost


def _lowest(metric: str, one: Answers, other: Answers, worst: float, found: Gain, alpha: float) -> float:
    """The low end of the gain if a row can lose as much as `worst`, whatever was seen.

    A row has lost a share of `worst`, from 0 to 1. Shares that are all or nothing spread most, so the bound of those,
    which is exact, holds for all. An error that is squared has lost a share of the square.
    """
    squared = one.losses(metric) is None
    lost, most = -_signal(metric, one, other), worst**2 if squared else worst
    shares = np.clip(lost, 0, most) / most
    bound = most * largest_share(float(shares.mean()) * found.effective, found.effective, alpha)
    loss = bound - float(np.clip(-lost, 0, None).mean())
    if not squared:
        return -loss
    error = float(((other.predicted - other.actual) ** 2.0).mean())
    if metric == "r2":
        return -loss / (float(np.var(other.actual)) or 1.0)
    return math.sqrt(error) - math.sqrt(max(0.0, error + loss))


def _of_pairs(metric: str, one: Answers, other: Answers, alpha: float, clusters: np.ndarray | None) -> Gain | None:
    """For a metric that is no mean over rows: both are scored on the same resampled rows, class by class."""
    from scipy import stats

    groups, sign = strata(metric, one), 1 if METRICS[metric].greater_is_better else -1
    mine, theirs = scores(metric, one), scores(metric, other)

    def difference(*chosen: np.ndarray, axis: int) -> np.ndarray:
        return mine(*chosen, axis=axis) - theirs(*chosen, axis=axis)

    value = sign * (score_or_nan(metric, one) - score_or_nan(metric, other))
    if _too_few(metric, groups) or not math.isfinite(value):
        return None
    if clusters is None:
        fewest = float(min(map(len, groups)))
        error = standard_error(tuple(groups), difference, batch=batch_size(len(one.actual), SCORED))
        error *= math.sqrt(fewest / (fewest - 1))  # resamples of few rows spread too little
    else:
        error = _error_of_clusters(metric, one, other, clusters)
        fewest = min(effective(clusters[rows], len(rows)) for rows in groups)
    if not math.isfinite(error) or fewest < 2:
        return None
    half = float(stats.t.isf(alpha, fewest - 1)) * error
    half += _unseen_loss(metric, one, other, groups, fewest, alpha)
    return Gain(len(one.actual), value, value - half, value + half, error, fewest)


def _too_few(metric: str, strata: list[np.ndarray]) -> bool:
    """Of some class, or of classes: where all rows are of one there is nothing to tell apart."""
    return min(map(len, strata)) < 2 or (METRICS[metric].task == CLASSIFY and len(strata) < 2)


def _error_of_clusters(metric: str, one: Answers, other: Answers, clusters: np.ndarray) -> float:
    """The standard error of the difference of two scores, with whole clusters resampled. NaN for fewer than two, or
    where most resamples lack a class."""
    order = np.argsort(clusters, kind="stable")
    parts = np.split(order, np.cumsum(np.bincount(clusters))[:-1])
    if len(parts) < 2:
        return math.nan
    random, found = np.random.default_rng(SEED), []
    for _ in range(SHOWN):
        rows = np.concatenate([parts[number] for number in random.integers(len(parts), size=len(parts))])
        found.append(score_or_nan(metric, one.take(rows)) - score_or_nan(metric, other.take(rows)))
    known = np.array(found)[np.isfinite(found)]
    if len(known) < SHOWN / 2:
        return math.nan
    return float(known.std(ddof=1)) * math.sqrt(len(parts) / (len(parts) - 1))


def _widest(metric: str, one: Answers, other: Answers) -> float:
    """What an unseen row may cost: as much as the worst row seen, or the whole range of the metric."""
    if metric != "root_mean_squared_error":
        return 1.0
    return float(max(np.abs(found.actual - found.predicted).max() for found in (one, other)))


def _unseen_loss(
    metric: str, one: Answers, other: Answers, classes: list[np.ndarray], fewest: float, alpha: float
) -> float:
    """What rows may cost that differ though none was seen, class by class: the many rows of one say nothing about the
    few of another, and each class has the same weight."""
    differ = _differ(metric, one, other)
    if METRICS[metric].task != CLASSIFY:
        return unseen_share(int(differ.sum()), fewest, alpha) * _widest(metric, one, other)
    shares = [unseen_share(int(differ[rows].sum()), len(rows), alpha) for rows in classes]
    return sum(shares) / len(shares)


def _differ(metric: str, one: Answers, other: Answers) -> np.ndarray:
    """Which rows the two answer differently, as far as the metric sees it [rows]."""
    if metric != "roc_auc" or one.probabilities is None or other.probabilities is None:
        return np.asarray(one.predicted != other.predicted)
    return np.asarray((one.probabilities != other.probabilities).any(axis=1))
