"""The mean of -log of the probability of the true class."""

from typing import Any

import numpy as np

from pipelines.model.metric import CLASSIFY, Metric, of_parts, sure


def _log_loss(actual: np.ndarray, predicted: object, probabilities: Any, classes: list) -> float:
    from sklearn.metrics import log_loss

    return float(log_loss(actual, sure(probabilities), labels=classes))


def _surprise(actual: np.ndarray, predicted: object, probabilities: Any, classes: list) -> np.ndarray:
    """-log of the probability of the true class, cut off as scikit-learn's log_loss does."""
    doubles = sure(np.asarray(probabilities))
    given = doubles[np.arange(len(doubles)), np.searchsorted(classes, actual)]
    return -np.log(np.maximum(given, np.finfo(np.float64).eps))


METRIC = Metric("log_loss", CLASSIFY, False, of_parts(_log_loss), _surprise, unbounded=True)
