"""The interval of a metric of one model, for people to look at."""

import math
from dataclasses import dataclass

import numpy as np

from flows.promotion.statistics.resampling import (
    ALPHA,
    SCORED,
    SHOWN,
    batch_size,
    largest_share,
    score_or_nan,
    scores,
    standard_error,
    strata,
    unseen_share,
)
from pipelines.model.metric import CLASSIFY
from pipelines.model.metrics import METRICS, Answers


@dataclass(frozen=True)
class Estimate:
    """A metric of one model on some rows, in the metric's unit, with the interval of its true value."""

    rows: int
    value: float
    low: float
    high: float


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
        low, high = 1 - largest_share(rows - wrong, rows, alpha), largest_share(wrong, rows, alpha)
    else:
        error = float(losses.std()) / math.sqrt(rows)
        low, high = _of_error(value, float(stats.t.isf(alpha, rows - 1)) * error)
    if METRICS[metric].greater_is_better:
        value, low, high = 1 - value, 1 - high, 1 - low
    return Estimate(rows, value, low, high)


def _of_one(metric: str, answers: Answers, alpha: float) -> Estimate | None:
    """For a metric that is no mean over rows: it is scored on resampled rows, class by class."""
    from scipy import stats

    groups, about = strata(metric, answers), METRICS[metric]
    if min(map(len, groups)) < 2 or not math.isfinite(value := score_or_nan(metric, answers)):
        return None
    error = standard_error(
        tuple(groups), scores(metric, answers), batch=batch_size(len(answers.actual), SCORED), n_resamples=SHOWN
    )
    if not math.isfinite(error):
        return None
    fewest = min(map(len, groups))
    half = float(stats.t.isf(alpha, fewest - 1)) * error
    low, high = _of_error(1 - value if about.greater_is_better else value, half)
    if about.greater_is_better:
        low, high = 1 - high, 1 - low
    if about.task == CLASSIFY:  # without mistakes to resample, the interval allows for mistakes that were not seen
        low = max(0.0, low - (unseen_share(0, fewest, alpha) if error < 1e-12 else 0.0))
    return Estimate(len(answers.actual), value, low, high)


def _of_error(value: float, half: float) -> tuple[float, float]:
    """The interval of an error, which is never below 0: its logarithm is closer to normal than the error itself."""
    factor = math.exp(min(half / value, 100.0)) if value else 1.0
    return value / factor, value * factor
