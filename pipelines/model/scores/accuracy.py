"""The share of rows whose class is right."""

import numpy as np

from pipelines.model.metric import CLASSIFY, Metric, of_labels, of_parts


def _wrong(actual: np.ndarray, predicted: np.ndarray, probabilities: object, classes: object) -> np.ndarray:
    return (actual != predicted).astype(np.float64)


METRIC = Metric("accuracy", CLASSIFY, True, of_parts(of_labels("accuracy_score")), _wrong)
