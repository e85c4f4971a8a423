"""The gain of one model over another on the same rows, with an interval. The gate and `ratchet compare` use it.

The rows are resampled 2,000 times (scipy.stats.bootstrap, seeded) for the standard error of the difference. If few rows
disagree, a bootstrap sees too little, and an exact bound (scipy.stats.binomtest) widens the interval: no disagreement
in n rows still allows 3.7/n. benchmarks/gate.py measures how often an interval misses.
"""

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pipelines.errors import IntegrityError
from pipelines.model.metric import CLASSIFY
from pipelines.model.metrics import METRICS, Answers

RESAMPLES = 2000
ALPHA = 0.025  # the chance that the truth lies below the interval, and that it lies above: 95 % lie within
SHOWN = 500  # resamples for an interval that is only shown: its ends are then within about 3 % of its width
HELD = 10_000_000  # numbers in resamples that are in memory at once
SCORED = 1_000_000  # the same if rows are scored anew, which takes ten times the memory
FEW = 10  # with fewer rows that differ, the interval allows for rows that were not seen
SEED = 0


@dataclass(frozen=True)
class Estimate:
    """A metric of one model on some rows, in the metric's unit, with the interval of its true value."""

    rows: int
    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Gain(Estimate):
    """How much better the first model is, in the metric's unit (of an error: how much smaller), and the interval."""

    @property
    def better(self) -> bool:
        return self.low > 0

    @property
    def worse(self) -> bool:
        return self.high < 0

    def not_worse(self, margin: float) -> bool:
        return self.low > -margin

    def rows_to_decide(self, margin: float) -> int:
        """About how many rows would show whether the loss stays within `margin`, if the gain stayed the same."""
        distance, half = abs(self.value + margin), max(self.high - self.value, self.value - self.low)
        if not distance:
            distance = half / 10  # it lies on the very margin: a hundred times the rows would not hurt
        return math.ceil(self.rows * max(1.0, half / distance) ** 2)


def gain(metric: str, one: Answers, other: Answers, alpha: float = ALPHA) -> Gain | None:
    """`one` against `other`; None if the metric has no value, because the rows are too few or of one class.

    Raises IntegrityError if the two did not answer the same rows in the same order: such numbers are never compared.
    """
    from scipy import stats

    if not np.array_equal(one.row_ids, other.row_ids):
        raise IntegrityError("The two models were scored on different rows, so they cannot be compared.")
    mine, theirs = one.losses(metric), other.losses(metric)
    if len(one.row_ids) < 2:
        return None
    if mine is None or theirs is None:
        return _of_pairs(metric, one, other, alpha)
    gains = theirs - mine
    value, error = float(gains.mean()), _standard_error((gains,), np.mean, batch=_batch(len(gains), HELD))
    half = float(stats.t.isf(alpha, len(gains) - 1)) * error
    low, high = value - half, value + half
    if set(np.unique(np.concatenate([mine, theirs]))) <= {0.0, 1.0}:
        below, above = _exact(gains, alpha)
        return Gain(len(gains), value, min(low, below), max(high, above))
    differing = int((~np.isclose(gains, np.median(gains))).sum())
    unseen = _unseen(differing, len(gains), alpha) * float(max(mine.max(), theirs.max()))
    return Gain(len(gains), value, low - unseen, high + unseen)


def _exact(gains: np.ndarray, alpha: float) -> tuple[float, float]:
    """The interval of right and wrong answers: an exact bound for the rows lost, the observed share of the rows won.

    Together with the bootstrap's interval, which covers the chance in the rows won, a candidate that is worse than a
    margin passes at most 3.4 times of 100 (computed over all ways to disagree, from 100 to 10,000 rows).
    """
    rows, won, lost = len(gains), int((gains > 0).sum()), int((gains < 0).sum())
    return won / rows - _most(lost, rows, alpha), _most(won, rows, alpha) - lost / rows


def _most(seen: int, rows: int, alpha: float) -> float:
    """The largest share that `seen` of `rows` allows (Clopper and Pearson)."""
    from scipy import stats

    interval = stats.binomtest(seen, rows).proportion_ci(confidence_level=1 - 2 * alpha, method="exact")
    return float(interval.high)


def _unseen(differing: int, rows: int, alpha: float) -> float:
    """The share of rows that may differ unseen, if too few differing rows were seen to judge by them."""
    return _most(0, rows, alpha) if differing < FEW else 0.0


def _of_pairs(metric: str, one: Answers, other: Answers, alpha: float) -> Gain | None:
    """For a metric that is no mean over rows: both are scored on the same resampled rows, class by class."""
    from scipy import stats

    groups, sign = _groups(metric, one), 1 if METRICS[metric].greater_is_better else -1
    mine, theirs = _scores(metric, one), _scores(metric, other)

    def difference(*chosen: np.ndarray, axis: int) -> np.ndarray:
        return mine(*chosen, axis=axis) - theirs(*chosen, axis=axis)

    value = sign * (_or_nan(metric, one) - _or_nan(metric, other))
    if min(map(len, groups)) < 2 or not math.isfinite(value):
        return None
    error = _standard_error(tuple(groups), difference, batch=_batch(len(one.actual), SCORED))
    if not math.isfinite(error):
        return None
    fewest = min(map(len, groups))
    half = float(stats.t.isf(alpha, fewest - 1)) * error
    half += _unseen(int(_differ(one, other).sum()), fewest, alpha) * _widest(metric, one, other)
    return Gain(len(one.actual), value, value - half, value + half)


def _groups(metric: str, answers: Answers) -> list[np.ndarray]:
    """The rows that are resampled together, by position: those of each class, or all."""
    rows = np.arange(len(answers.actual))
    if METRICS[metric].task != CLASSIFY:
        return [rows]
    return [rows[answers.actual == name] for name in np.unique(answers.actual)]


def _widest(metric: str, one: Answers, other: Answers) -> float:
    """What an unseen row may cost: as much as the worst row seen, or the whole range of the metric."""
    if metric != "root_mean_squared_error":
        return 1.0
    return float(max(np.abs(found.actual - found.predicted).max() for found in (one, other)))


def _or_nan(metric: str, answers: Answers) -> float:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-learn's, about rows without a score: the caller reports them
        try:
            return answers.score(metric)
        except ValueError:
            return math.nan


def _batch(rows: int, numbers: int) -> int:
    """How many resamples of some rows are in memory at once. numbers: the most in all of them."""
    return max(1, numbers // rows)


def _scores(metric: str, answers: Answers) -> Callable[..., np.ndarray]:
    """A function of resamples, positions [resamples, rows of a group] for each group: the metric of each of them.

    The area under a ROC curve of two classes is Mann and Whitney's U, which scipy has for many resamples at once, up
    to 15 times as fast as scikit-learn one after the other.
    """

    def areas(negative: np.ndarray, positive: np.ndarray, axis: int) -> np.ndarray:
        from scipy import stats

        scores = np.asarray(answers.probabilities)[:, 1]
        found = stats.mannwhitneyu(scores[positive], scores[negative], axis=axis, method="asymptotic")
        return np.asarray(found.statistic / (positive.shape[axis] * negative.shape[axis]))

    def each(*chosen: np.ndarray, axis: int) -> np.ndarray:
        return np.apply_along_axis(lambda rows: answers.take(rows).score(metric), axis, np.concatenate(chosen, axis))

    return areas if metric == "roc_auc" and len(answers.classes) == 2 else each


def _differ(one: Answers, other: Answers) -> np.ndarray:
    """Which rows the two answer differently [rows]."""
    if one.probabilities is None or other.probabilities is None:
        return np.asarray(one.predicted != other.predicted)
    return np.asarray((one.probabilities != other.probabilities).any(axis=1))


def _standard_error(samples: tuple[np.ndarray, ...], statistic: object, **options: object) -> float:
    """The standard error of a statistic of some samples, each resampled by itself."""
    from scipy import stats

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scipy's, about samples without any spread: their error is 0
        found = stats.bootstrap(
            samples,
            statistic,
            method="percentile",
            rng=np.random.default_rng(SEED),
            **({"n_resamples": RESAMPLES} | options),
        )
    return float(found.standard_error)


def interval(metric: str, answers: Answers, alpha: float = ALPHA) -> Estimate | None:
    """A metric of one model; None if it has no value, because the rows are too few or of one class.

    Only for display: two such intervals say less about a difference than `gain`, which sees both models on each row.
    """
    from scipy import stats

    rows, losses = len(answers.actual), answers.losses(metric)
    if rows < 2:
        return None
    if losses is None:
        return _of_one(metric, answers, alpha)
    value = float(losses.mean())
    if set(np.unique(losses)) <= {0.0, 1.0}:
        wrong = int(losses.sum())
        low, high = 1 - _most(rows - wrong, rows, alpha), _most(wrong, rows, alpha)
    else:
        error = _standard_error((losses,), np.mean, batch=_batch(rows, HELD))
        low, high = _of_error(value, float(stats.t.isf(alpha, rows - 1)) * error)
    if METRICS[metric].greater_is_better:
        value, low, high = 1 - value, 1 - high, 1 - low
    return Estimate(rows, value, low, high)


def _of_one(metric: str, answers: Answers, alpha: float) -> Estimate | None:
    """For a metric that is no mean over rows: it is scored on resampled rows, class by class."""
    from scipy import stats

    groups, about = _groups(metric, answers), METRICS[metric]
    if min(map(len, groups)) < 2 or not math.isfinite(value := _or_nan(metric, answers)):
        return None
    error = _standard_error(
        tuple(groups), _scores(metric, answers), batch=_batch(len(answers.actual), SCORED), n_resamples=SHOWN
    )
    if not math.isfinite(error):
        return None
    fewest = min(map(len, groups))
    half = float(stats.t.isf(alpha, fewest - 1)) * error
    low, high = _of_error(1 - value if about.greater_is_better else value, half)
    if about.greater_is_better:
        low, high = 1 - high, 1 - low
    if about.task == CLASSIFY:  # without mistakes to resample, the interval allows for mistakes that were not seen
        low = max(0.0, low - (_unseen(0, fewest, alpha) if error < 1e-12 else 0.0))
    return Estimate(len(answers.actual), value, low, high)


def _of_error(value: float, half: float) -> tuple[float, float]:
    """The interval of an error, which is never below 0: its logarithm is closer to normal than the error itself."""
    factor = math.exp(min(half / value, 100.0)) if value else 1.0
    return value / factor, value * factor
