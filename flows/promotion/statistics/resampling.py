"""Resampling of rows, and exact bounds of shares: what gains and intervals are computed from."""

import math
import warnings
from collections.abc import Callable

import numpy as np

from flows.promotion.statistics import label_counts
from pipelines.model.metric import CLASSIFY
from pipelines.model.metrics import METRICS, Answers

RESAMPLES = 2000
ALPHA = 0.025  # the chance that the truth lies below the interval, and that it lies above: 95 % lie within
SHOWN = 500  # resamples for an interval that is only shown: its ends are then within about 3 % of its width
SCORED = 1_000_000  # numbers in resamples that are in memory at once: each row is scored anew
FEW = 10  # with fewer rows that differ, the interval allows for rows that were not seen
FEWEST_CLUSTERS = 6  # of rows that fail together: if all of so many differ, nothing is unseen
SEED = 0


def largest_share(seen: float, rows: float, alpha: float) -> float:
    """The largest share that `seen` of `rows` allows (Clopper and Pearson), also of rows that are not whole."""
    from scipy import stats

    return float(stats.beta.isf(alpha, seen + 1, rows - seen)) if seen < rows else 1.0


def unseen_share(differing: int, rows: float, alpha: float, clusters: int = 0) -> float:
    """The share of rows that may differ unseen, if too few differing rows were seen to judge by them.

    clusters: of rows that fail together, how many there are; differing and rows then count clusters. Where all of them
    differ no kind of row is unseen, and Student's t allows for their small number.
    """
    dense = clusters >= FEWEST_CLUSTERS and differing == clusters
    return largest_share(0, rows, alpha) if differing < FEW and not dense else 0.0


def strata(metric: str, answers: Answers) -> list[np.ndarray]:
    """The rows that are resampled together, by position: those of each class, or all."""
    rows = np.arange(len(answers.actual))
    if METRICS[metric].task != CLASSIFY:
        return [rows]
    return [rows[answers.actual == name] for name in np.unique(answers.actual)]


def scores(metric: str, answers: Answers) -> Callable[..., np.ndarray]:
    """A function of resamples, positions [resamples, rows of a group] for each group: the metric of each of them.

    Some have a form for many resamples at once, which scikit-learn scores one after the other: squared errors are sums,
    50 times as fast, metrics of labels are counts, and the area under a ROC curve of two classes is Mann and Whitney's
    U, 15 times as fast.
    """

    def areas(negative: np.ndarray, positive: np.ndarray, axis: int) -> np.ndarray:
        from scipy import stats

        scores = np.asarray(answers.probabilities)[:, 1]
        found = stats.mannwhitneyu(scores[positive], scores[negative], axis=axis, method="asymptotic")
        return np.asarray(found.statistic / (positive.shape[axis] * negative.shape[axis]))

    def each(*chosen: np.ndarray, axis: int) -> np.ndarray:
        return np.apply_along_axis(lambda rows: answers.take(rows).score(metric), axis, np.concatenate(chosen, axis))

    def squares(chosen: np.ndarray, axis: int) -> np.ndarray:
        errors = (answers.predicted - answers.actual) ** 2.0
        return np.asarray(np.sqrt(errors[chosen].mean(axis=axis)))

    def explained(chosen: np.ndarray, axis: int) -> np.ndarray:
        errors, actual = (answers.predicted - answers.actual) ** 2.0, np.asarray(answers.actual)
        with np.errstate(divide="ignore", invalid="ignore"):  # a resample of one value has no such score
            return np.asarray(1 - errors[chosen].mean(axis=axis) / np.var(actual[chosen], axis=axis))

    if metric in label_counts.COUNTED:
        return label_counts.scores(metric, answers)
    if metric in ("root_mean_squared_error", "r2"):
        return squares if metric == "root_mean_squared_error" else explained
    return areas if metric == "roc_auc" and len(answers.classes) == 2 else each


def score_or_nan(metric: str, answers: Answers) -> float:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-learn's, about rows without a score: the caller reports them
        try:
            return answers.score(metric)
        except ValueError:
            return math.nan


def batch_size(rows: int, numbers: int) -> int:
    """How many resamples of some rows are in memory at once. numbers: the most in all of them."""
    return max(1, numbers // rows)


def standard_error(samples: tuple[np.ndarray, ...], statistic: object, **options: object) -> float:
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
