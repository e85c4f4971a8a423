"""The mean distance from the actual number."""

import numpy as np

from pipelines.model.metric import REGRESS, Metric, of_labels, of_parts


def _error(actual: np.ndarray, predicted: np.ndarray, probabilities: object, classes: object) -> np.ndarray:
    return np.abs(actual - predicted)


METRIC = Metric(
    "mean_absolute_error", REGRESS, False, of_parts(of_labels("mean_absolute_error")), _error, unbounded=True
)
