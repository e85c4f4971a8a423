"""Metrics by scikit-learn's names, which way is better, and the loss of a single row where the metric is a mean."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:  # half a second to import, and needed only where rows are at hand
    import pandas as pd

PART_VALUES = 1_000_000  # scored at once, where a score is a mean over rows: scikit-learn takes fifty bytes of each


@dataclass(frozen=True)
class Answers:
    """What a model answered to some rows, and what is true.

    row_ids, actual, predicted: [rows]. probabilities: [rows, classes], or None for a regression. classes: in order.
    """

    row_ids: np.ndarray
    actual: np.ndarray
    predicted: np.ndarray
    probabilities: np.ndarray | None
    classes: list

    @classmethod
    def read(cls, predictions: pd.DataFrame, label: str) -> Answers:
        """From a table of predictions; label: integer or text, the type of a class. Without `row_id`, rows count up."""
        columns = [str(name) for name in predictions if str(name).startswith("probability_")]
        names = [name.removeprefix("probability_") for name in columns]
        return cls(
            row_ids=predictions["row_id"].to_numpy() if "row_id" in predictions else np.arange(len(predictions)),
            actual=predictions["actual"].to_numpy(),
            predicted=predictions["prediction"].to_numpy(),
            probabilities=predictions[columns].to_numpy() if columns else None,
            classes=sorted(int(name) if label == "integer" else name for name in names),
        )

    def take(self, rows: np.ndarray) -> Answers:
        """Some of the rows, by position or by a mask."""
        probabilities = None if self.probabilities is None else self.probabilities[rows]
        return Answers(self.row_ids[rows], self.actual[rows], self.predicted[rows], probabilities, self.classes)

    def score(self, name: str) -> float:
        """One of METRICS. May be NaN, or raise ValueError, where the rows cannot be scored by it."""
        return METRICS[name].score(self.actual, self.predicted, self.probabilities, self.classes)

    def losses(self, name: str) -> np.ndarray | None:
        """The loss of each row [rows], less being better, or None for a metric that is no mean over rows."""
        loss = METRICS[name].loss
        return None if loss is None else loss(self)


@dataclass(frozen=True)
class Metric:
    task: str
    greater_is_better: bool
    score: Callable[[np.ndarray, np.ndarray, np.ndarray | None, list], float]
    """score(actual [rows], predicted [rows], probabilities [rows, classes] or None, classes)"""
    loss: Callable[[Answers], np.ndarray] | None = None
    """The metric is the mean of these, or 1 minus it."""


def _of_labels(name: str, **options: object) -> Callable[..., float]:
    def score(actual: np.ndarray, predicted: np.ndarray, probabilities: object, classes: object) -> float:
        from sklearn import metrics

        return float(getattr(metrics, name)(actual, predicted, **options))

    return score


def _of_parts(score: Callable[..., float]) -> Callable[..., float]:
    """The same for a score that is a mean over rows, some of them at a time."""

    def mean(actual: np.ndarray, predicted: np.ndarray, probabilities: Any, classes: list) -> float:
        size = max(1, PART_VALUES // max(1, len(classes)))
        parts = [slice(start, start + size) for start in range(0, len(actual), size)] or [slice(0)]
        scores = [
            score(actual[part], predicted[part], None if probabilities is None else probabilities[part], classes)
            for part in parts
        ]
        return scores[0] if len(parts) == 1 else float(np.average(scores, weights=[len(actual[p]) for p in parts]))

    return mean


def _log_loss(actual: np.ndarray, predicted: object, probabilities: Any, classes: list) -> float:
    from sklearn.metrics import log_loss

    return float(log_loss(actual, _sure(probabilities), labels=classes))


def _roc_auc(actual: np.ndarray, predicted: object, probabilities: Any, classes: list) -> float:
    from sklearn.metrics import roc_auc_score

    if len(classes) == 2:
        return float(roc_auc_score(actual == classes[1], probabilities[:, 1]))
    return float(roc_auc_score(actual, _sure(probabilities), multi_class="ovr", labels=classes))


def _sure(probabilities: np.ndarray) -> np.ndarray:
    """Float32 probabilities as doubles that add up to 1."""
    doubles = probabilities.astype(np.float64)
    return doubles / doubles.sum(axis=1, keepdims=True)


def _wrong(found: Answers) -> np.ndarray:
    return (found.actual != found.predicted).astype(np.float64)


def _error(found: Answers) -> np.ndarray:
    return np.abs(found.actual - found.predicted)


def _surprise(found: Answers) -> np.ndarray:
    """-log of the probability of the true class, cut off as scikit-learn's log_loss does."""
    sure = _sure(np.asarray(found.probabilities))
    given = sure[np.arange(len(sure)), np.searchsorted(found.classes, found.actual)]
    return -np.log(np.maximum(given, np.finfo(np.float64).eps))


CLASSIFY, REGRESS = "classification", "regression"
METRICS = {
    "accuracy": Metric(CLASSIFY, True, _of_parts(_of_labels("accuracy_score")), _wrong),
    "balanced_accuracy": Metric(CLASSIFY, True, _of_labels("balanced_accuracy_score")),
    "f1_macro": Metric(CLASSIFY, True, _of_labels("f1_score", average="macro")),
    "log_loss": Metric(CLASSIFY, False, _of_parts(_log_loss), _surprise),
    "roc_auc": Metric(CLASSIFY, True, _roc_auc),
    "mean_absolute_error": Metric(REGRESS, False, _of_parts(_of_labels("mean_absolute_error")), _error),
    "root_mean_squared_error": Metric(REGRESS, False, _of_labels("root_mean_squared_error")),
    "r2": Metric(REGRESS, True, _of_labels("r2_score")),
}
