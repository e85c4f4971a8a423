"""Metrics by scikit-learn's names, and which way is better."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Metric:
    task: str
    greater_is_better: bool
    score: Callable[[np.ndarray, np.ndarray, np.ndarray | None, list], float]
    """score(actual [rows], predicted [rows], probabilities [rows, classes] or None, classes)"""


def _of_labels(name: str, **options: object) -> Callable[..., float]:
    def score(actual: np.ndarray, predicted: np.ndarray, probabilities: object, classes: object) -> float:
        from sklearn import metrics

        return float(getattr(metrics, name)(actual, predicted, **options))

    return score


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


CLASSIFY, REGRESS = "classification", "regression"
METRICS = {
    "accuracy": Metric(CLASSIFY, True, _of_labels("accuracy_score")),
    "balanced_accuracy": Metric(CLASSIFY, True, _of_labels("balanced_accuracy_score")),
    "f1_macro": Metric(CLASSIFY, True, _of_labels("f1_score", average="macro")),
    "log_loss": Metric(CLASSIFY, False, _log_loss),
    "roc_auc": Metric(CLASSIFY, True, _roc_auc),
    "mean_absolute_error": Metric(REGRESS, False, _of_labels("mean_absolute_error")),
    "root_mean_squared_error": Metric(REGRESS, False, _of_labels("root_mean_squared_error")),
    "r2": Metric(REGRESS, True, _of_labels("r2_score")),
}
